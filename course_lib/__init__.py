"""What can a network learn from one image? The library behind the notebooks.

Data flows one way:
photographs -> Source -> CropDataset -> a method of `pretext` -> `fit` -> trunk -> probes -> figures.
"""

import os

# PyTorch's threads spin while they wait, and so take the cores that another program needs: two trainings at once were
# ten times slower each. OpenMP reads this when torch is loaded, and so it stands here, which everything imports first.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

__version__ = "0.1.0"
