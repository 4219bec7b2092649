"""Hunts: places of photographs that must be found again in other views, among everything else, from one example each.

The exemplar SVM's question, asked of what a network learned from one photograph, layer by layer: which features let a
single example find its place again? Every learner sees the same example and the same negatives. Taught in notebook 12.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from sklearn.metrics import average_precision_score
from torch import Tensor

from course_lib.data.crops import Crops, CropScheme
from course_lib.data.images import PHOTOGRAPHS, read_photograph
from course_lib.data.render import render
from course_lib.data.sources import Source, shrink
from course_lib.lessons.one_example.detections import hog_map
from course_lib.lessons.one_example.exemplar import WEIGHT, Background, fit_svm, whiten
from course_lib.networks.alexnet import LAYERS, AlexNet
from course_lib.pictures.charts import chart, legend_beside
from course_lib.pictures.figures import Picture
from course_lib.probes.controls import pixels
from course_lib.probes.features import pooled_features
from course_lib.support.errors import CourseError
from course_lib.support.palette import COLOURS, HAND_MADE, MARKERS

VIEWS = CropScheme(beta=0.4, gamma=1.0, alpha=20.0, flip=0.0, jitter=0.4)
"""How another view of a place differs from the example: milder than the crops that a network is trained on."""

PLACES = CropScheme(beta=0.01, gamma=1.0, alpha=0.0, flip=0.0, jitter=0.0, area_law="log-uniform")
"""Where examples are taken: upright squares of a photograph, with its own colours."""

_LONGEST = 360  # pixels of a photograph, so that the smallest place has about as many as a picture of 32
_LARGEST = 0.08  # of a photograph's area; a place is a part of it
_LEAST_SPREAD = 30.0  # of the grey values, of 255: in an empty sky there is nothing to find again
_TRIED = 2000


@dataclass(frozen=True)
class Hunt:
    """Examples, and the pictures among which each must be found again: all uint8, (n, 3, side, side).

    examples: one of each of p places. views: v of each place, place by place. backdrop: pictures of other photographs,
    the negatives. strangers: of yet others, among which the views hide, with those of the other places.
    """

    examples: Tensor
    views: Tensor
    backdrop: Tensor
    strangers: Tensor

    @property
    def pool(self) -> Tensor:
        """All pictures that are searched."""
        return torch.cat([self.views, self.strangers])

    @property
    def answers(self) -> Tensor:
        """(p, pool): which pictures of the pool show each place."""
        places, views = len(self.examples), len(self.views)
        own = torch.arange(views) // (views // places)
        found = own == torch.arange(places)[:, None]
        return torch.cat([found, torch.zeros(places, len(self.strangers), dtype=torch.bool)], 1)


def make_hunt(
    photographs: Sequence[str],
    side: int,
    without: str = "",
    places: int = 24,
    views: int = 8,
    negatives: int = 400,
    seed: int = 0,
) -> Hunt:
    """A hunt for `places` places of bundled photographs, among `views` views of each and `negatives` strangers.

    Half of all the other photographs give the negatives, and half the strangers. without: a photograph to leave out,
    such as the one that a network was trained on.
    """
    others = [name for name in PHOTOGRAPHS if name not in (*photographs, without)]
    source, known, strange = (
        Source.from_images([shrink(read_photograph(name), _LONGEST) for name in names], ", ".join(names))
        for names in (photographs, others[::2], others[1::2])
    )
    found = _places(source, places, seed)
    seen = VIEWS.sample_within(found[torch.arange(places).repeat_interleave(views)], seed + 1)
    return Hunt(
        *(render(source, crops, side, torch.uint8) for crops in (found, seen)),
        *(render(some, PLACES.sample(some, negatives, seed + 2), side, torch.uint8) for some in (known, strange)),
    )


def _places(source: Source, count: int, seed: int) -> Crops:
    """Squares with something in them that do not overlap."""
    drawn = PLACES.sample(source, _TRIED, seed)
    share = drawn.size.prod(1) / source.sizes[drawn.source.long()].prod(1)
    drawn = drawn[share < _LARGEST]
    spread = render(source, drawn, 16, torch.uint8).float().mean(1).flatten(1).std(1)
    drawn, chosen = drawn[spread > _LEAST_SPREAD], []
    for i in range(len(drawn)):
        if len(chosen) < count and all(_apart(drawn[i], drawn[j]) for j in chosen):
            chosen.append(i)
    if len(chosen) < count:
        raise CourseError(f"{source.name} has only {len(chosen)} of {count} places that do not overlap; ask for fewer")
    return drawn[torch.tensor(chosen)]


def _apart(one: Crops, other: Crops) -> bool:
    """Whether two upright crops share no pixel."""
    gap = (one.affine[0, :, 2] - other.affine[0, :, 2]).abs()
    return bool(one.source != other.source) or bool((gap >= (one.size[0] + other.size[0]) / 2).any())


COST = 1.0
"""C of a negative. Examples have length 1 here; from 0.1 to 10 hardly anything changes."""

_CELLS = 6  # of oriented gradients, a side: 5 x 5 blocks of 36 numbers


def all_features(images: Tensor, numbers: int, trunks: dict[str, AlexNet]) -> dict[tuple[str, str], Tensor]:
    """Numbers that describe pictures (n, 3, side, side) uint8, at most `numbers` a picture: (n, f) for each kind.

    By (who, what): the pixels, averaged down; oriented gradients; and each layer of each frozen network, pooled.
    """
    cell = images.shape[-1] // _CELLS
    made = {
        ("pixels", ""): pixels(images, numbers),
        ("HOG", ""): torch.stack([hog_map(image, cell).flatten() for image in images.cpu()]),
    }
    for name, trunk in trunks.items():
        made |= {(name, layer): x.float() for layer, x in pooled_features(trunk, images, LAYERS, numbers).items()}
    return made


def alike(examples: Tensor, negatives: Tensor) -> Tensor:
    """No learning: each example itself as weights, so that a score is a cosine."""
    return examples


def by_lda(examples: Tensor, negatives: Tensor) -> Tensor:
    """Exemplar LDA of each of the examples (p, f): weights (p, f)."""
    background = Background.of(negatives)
    return whiten(background.covariance, examples.T, background.mean[:, None]).T


def by_svm(examples: Tensor, negatives: Tensor) -> Tensor:
    """The exemplar SVM of each of the examples (p, f), all of the negatives (n, f) at once: weights (p, f)."""
    among = negatives @ negatives.T
    return torch.stack([fit_svm(example, negatives, COST, WEIGHT, among)[0] for example in examples])


Learner = Callable[[Tensor, Tensor], Tensor]
"""From examples (p, f), each the only positive, and negatives (n, f) to weights (p, f)."""

LEARNERS: dict[str, Learner] = {"cosine": alike, "LDA": by_lda, "SVM": by_svm}


def find_again(learner: Learner, examples: Tensor, negatives: Tensor, pool: Tensor, answers: Tensor) -> Tensor:
    """How well each example finds its own place in the pool: average precisions (p,).

    examples (p, f), negatives (n, f) and pool (m, f) are features of one kind. answers: (p, m) bool. The negatives say
    what is usual: their mean is taken out of everything, their spread set to 1, and every picture's length too.
    """
    mean, spread = negatives.mean(0), negatives.std(0) + 1e-5
    examples, negatives, pool = (F.normalize((x - mean) / spread) for x in (examples, negatives, pool))
    scores = learner(examples, negatives) @ pool.T
    return torch.tensor([float(average_precision_score(*one)) for one in zip(answers.numpy(), scores.numpy())])


def hunt_with(hunt: Hunt, numbers: int, trunks: dict[str, AlexNet]) -> dict[tuple[str, str], dict[str, Tensor]]:
    """Features of all pictures of a hunt, by (who, what) as in `all_features`: examples, negatives and pool, (n, f)."""
    parts = {"examples": hunt.examples, "negatives": hunt.backdrop, "pool": hunt.pool}
    lengths = [len(part) for part in parts.values()]
    made = all_features(torch.cat(list(parts.values())), numbers, trunks)
    return {key: dict(zip(parts, x.cpu().split(lengths))) for key, x in made.items()}


def precision_by_layer(precisions: Mapping[tuple[str, str], Tensor], chance: float, caption: str) -> Picture:
    """Mean average precision by layer, one line per network; hand-made features are level lines. Bars: a standard error
    over places.

    precisions: by (who, layer), (p,) each; without a layer for what no network made.
    """
    (figure, axes), words = chart(7.5, 3.6), []
    for name in dict.fromkeys(who for who, layer in precisions if layer):
        some = torch.stack([precisions[name, layer] for layer in LAYERS], 1)
        means, errors = some.mean(0).tolist(), (some.std(0) / len(some) ** 0.5).tolist()
        axes.errorbar(LAYERS, means, errors, color=COLOURS.get(name), marker=MARKERS.get(name), capsize=3, label=name)
        words.append(f"{name} " + ", ".join(f"{layer} {mean:.2f}" for layer, mean in zip(LAYERS, means)))
    for name, (colour, dash) in HAND_MADE.items():
        axes.axhline(level := float(precisions[name, ""].mean()), color=colour, linestyle=dash, label=name)
        words.append(f"{name} {level:.2f}")
    axes.axhline(chance, color="black", linewidth=1, label="chance")
    axes.set(ylabel="average precision", ylim=(0, 1), title=caption)
    legend_beside(axes)
    return Picture(figure, f"{caption}. Mean over places: {'; '.join(words)}; chance {chance:.2f}")
