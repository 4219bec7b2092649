"""What came of a probe: its accuracies, and the interval that the size of the test set gives them."""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy.special import bdtr, bdtrik


@dataclass(frozen=True)
class ProbeResult:
    """One linear classifier: accuracies as shares of 1, the weight decay that was chosen, and how many pictures it was
    tested on."""

    layer: str
    accuracy: float
    train_accuracy: float
    decay: float
    tested: int

    @property
    def interval(self) -> tuple[float, float]:
        """Where the accuracy would lie, 19 times out of 20, on another test set of as many pictures.

        The bootstrap over test pictures, without drawing: a picture is right or wrong, so that resampled counts follow
        a binomial law. It knows nothing of another seed of the training, nor of pictures that are alike.
        """
        low, high = (binomial_quantile(q, self.tested, self.accuracy) for q in (0.025, 0.975))
        return low / self.tested, high / self.tested


def binomial_quantile(q: float, n: int, p: float) -> int:
    """The least k for which at most k of n throws succeed with a chance of at least q, where each does with chance p.

    As `scipy.stats.binom.ppf`, whose import takes 66 MB of every notebook's memory.
    """
    if p in (0, 1):
        return round(n * p)
    k = math.ceil(bdtrik(q, n, p))
    return k - 1 if k and bdtr(k - 1, n, p) >= q else k
