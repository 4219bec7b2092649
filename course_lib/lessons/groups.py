"""Crops grouped by their features, with k to choose (notebook 03)."""

from __future__ import annotations

import ipywidgets as widgets
import numpy as np
import torch
from torch import Tensor

from course_lib.pictures.figures import tile, to_pixels
from course_lib.pictures.panel import Panel, named_slider, panel_over
from course_lib.pretext.clustering import assign, kmeans

_GAP = 4


def explore_groups(images: Tensor, features: Tensor, k: int = 30) -> Panel:
    """Group crops (n, 3, side, side) by their features (n, f), with sliders for k and for the seed of k-means."""
    groups = named_slider("k", k, widgets.IntSlider, min=2, max=min(200, len(images)))
    seed = named_slider("seed", 0, widgets.IntSlider, min=0, max=99)
    return panel_over([groups, seed], lambda: groups_panel(images, features, groups.value, seed.value))


def groups_panel(
    images: Tensor, features: Tensor, k: int, seed: int = 0, rows: int = 8, columns: int = 12
) -> tuple[np.ndarray, str]:
    """Crops (n, 3, side, side) grouped by their features (n, f) into k groups, and of the largest the members nearest
    to the centre: pixels uint8 of one size for every k, and words."""
    found = kmeans(features, min(k, len(features)), seed=seed)
    counts = torch.bincount(found.labels, minlength=k)
    shown = counts.topk(min(rows, k)).indices.tolist()
    distance = assign(features, found.centres)[1] + features.square().sum(1)
    side = images.shape[-1]
    cells = np.full((rows, columns, side, side, 3), 255, np.uint8)
    for row, group in zip(cells, shown):
        members = (found.labels == group).nonzero()[:, 0]
        members = members[distance[members].argsort()][:columns]
        row[: len(members)] = to_pixels(images[members])
    share = found.objective[-1] / features.square().sum()
    words = (
        f"{len(images):,} crops in k = {k} groups, the {len(shown)} largest with {counts.max()} to "
        f"{int(counts[shown[-1]])} crops each, one row per group; {share:.0%} of the features is left unexplained"
    )
    return tile(cells.reshape(-1, side, side, 3), columns, max(1, 64 // side), _GAP), words


def nearest(x: Tensor, centres: Tensor) -> Tensor:
    """The number (n,) of the centre (k, f) that is nearest to each row (n, f). Taught in notebook 03."""
    return assign(x, centres)[0]
