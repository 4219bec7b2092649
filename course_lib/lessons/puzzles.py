"""Puzzles of nine tiles: their panel, pictures of what is learned from them, and the shortcuts that solve them unseen.

A shortcut looks at one cheap cue in nine dealt tiles, learns nothing from pictures, and picks the order of a list that
fits this cue best; the tricks of `course_lib.pretext.puzzles` are there to prevent it. Noroozi and Favaro 2016, section
4.2. Taught in notebook 09."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import ipywidgets as widgets
import numpy as np
import torch
import torch.nn.functional as F
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from course_lib.data.datasets import CropDataset
from course_lib.pictures.charts import chart
from course_lib.pictures.figures import Picture, crop_rows, draw_outlines, photograph, tile, to_pixels
from course_lib.pictures.panel import Drawn, Panel, named_slider, panel_over
from course_lib.pretext.method import Batch
from course_lib.pretext.puzzles import (
    DRAWS,
    GRID,
    TILES,
    Tricks,
    assemble,
    cut,
    deal,
    is_grey,
    order_of,
    places_of,
)
from course_lib.support.palette import ASIDE, BARS, RIGHT, WRONG

_RIGHT = tuple((i, i + 1) for i in range(TILES) if i % GRID < GRID - 1)
_DOWN = tuple((i, i + GRID) for i in range(TILES - GRID))
"""Places that touch: the left or upper one first."""

_AT_ONCE = 60  # puzzles that are cut together


def by_edges(tiles: Tensor, orders: Tensor) -> Tensor:
    """Badness (n, count) of each order: how far the pixels of touching borders are apart where it is undone.

    tiles: (n, 9, 3, side, side), as dealt. Orders (count, 9).
    """
    right = apart(tiles[..., -1], tiles[..., 0])
    down = apart(tiles[..., -1, :], tiles[..., 0, :])
    return _added_up(right, down, orders)


def by_brightness(tiles: Tensor, orders: Tensor) -> Tensor:
    """Badness (n, count): how far the mean colours and spreads of touching tiles are apart where an order is undone."""
    looks = torch.cat([tiles.mean((3, 4)), tiles.std((3, 4))], 2)
    between = apart(looks, looks)
    return _added_up(between, between, orders)


def by_seams(tiles: Tensor, orders: Tensor) -> Tensor:
    """Badness (n, count): how far the tiles' seams are from pointing away from the centre where an order is
    undone."""
    places = torch.arange(TILES, device=tiles.device)
    outwards = torch.stack([places % GRID, places // GRID], 1) - GRID // 2
    return -torch.einsum("nqd,kqd->nk", seams(tiles), outwards[orders].float())


def seams(tiles: Tensor) -> Tensor:
    """How far red lies from blue in each tile, right and down, in pixels: (n, 9, 2).

    The step d at which red - blue is nearest to the slopes of green times -d, in least squares (Lucas and Kanade 1981).
    """
    red, green, blue = tiles.unbind(2)
    down, right = torch.gradient(green, dim=(2, 3))
    slopes = torch.stack([right, down], -1).flatten(2, 3)
    between = (red - blue).flatten(2) - (red - blue).mean((2, 3))[..., None]
    gram = slopes.mT @ slopes + 1e-3 * torch.eye(2, device=tiles.device)
    return -torch.linalg.solve(gram, (slopes.mT @ between[..., None]))[..., 0]


def apart(one: Tensor, other: Tensor) -> Tensor:
    """Squared distances (n, 9, 9) between the borders of tiles, one and other (n, 9, ...): [:, i, j] is of tile i's one
    and tile j's other."""
    return torch.cdist(one.flatten(2), other.flatten(2)).square()


def _added_up(right: Tensor, down: Tensor, orders: Tensor) -> Tensor:
    back = orders.argsort(1)  # where the tile of each place was dealt to
    pairs = [(right, pair) for pair in _RIGHT] + [(down, pair) for pair in _DOWN]
    return sum(between[:, back[:, i], back[:, j]] for between, (i, j) in pairs)


SOLVERS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "edges that run on": by_edges,
    "mean and spread of a tile": by_brightness,
    "coloured seams": by_seams,
}
"""By the cue that each of them uses."""


@torch.no_grad()
def solved(
    data: CropDataset, orders: Tensor, side: int, tricks: Tricks, count: int = 300, seed: int = 0
) -> dict[str, float]:
    """The share of `count` puzzles that each solver gets right; chance is one over the number of orders.

    side: pixels of a tile.
    """
    batch, right = Batch(torch.arange(count, device=orders.device), seed, 0, 0), dict.fromkeys(SOLVERS, 0)
    for start in range(0, count, _AT_ONCE):
        part = batch.part(start, min(start + _AT_ONCE, count))
        draws = part.uniform(DRAWS)
        which = order_of(draws, len(orders))
        dealt = deal(cut(data, data.crops[part.index], side, tricks, draws), orders[which])
        for name, solve in SOLVERS.items():
            right[name] += int((solve(dealt, orders).argmin(1) == which).sum())
    return {name: found / count for name, found in right.items()}


def through_lens(image: Tensor, strength: float) -> Tensor:
    """A picture (3, h, w) uint8 as a simple lens would form it: red larger by the share `strength`, blue smaller by as
    much, about the middle. The edges get coloured seams, which point away from it (chromatic aberration)."""
    scales = 1 / (1 + strength * torch.tensor([1.0, 0.0, -1.0]))
    maps = torch.zeros(3, 2, 3)
    maps[:, 0, 0] = maps[:, 1, 1] = scales
    grid = F.affine_grid(maps, [3, 1, *image.shape[1:]], align_corners=False)
    drawn = F.grid_sample(image[:, None].float(), grid, padding_mode="border", align_corners=False)
    return drawn[:, 0].round().byte()


_TILE = 64  # pixels of a tile in a panel
_GAP = 6


def puzzle_panel(data: CropDataset, number: int, tricks: Tricks, order: Tensor, seed: int = 0) -> Drawn:
    """Crop `number` with its nine tiles where they lie on the photograph; the tiles in place; and as they are dealt.

    order: (9,). seed: of the jitter, the grey and the shifts.
    """
    crops = data.crops[number]
    draws = torch.from_numpy(np.random.default_rng(seed).uniform(-1, 1, (1, DRAWS))).float()
    tiles = cut(data, crops, _TILE, tricks, draws)
    lying = crops.tiles(GRID, tricks.gap, places_of(draws, tricks))
    height = GRID * (_TILE + _GAP) - _GAP
    drawn = draw_outlines(photograph(data.source, int(crops.source)), lying.corners)
    size = max(1, round(height * drawn.shape[1] / drawn.shape[0])), height
    small = np.asarray(Image.fromarray(drawn).resize(size, Image.Resampling.BILINEAR))
    gap = np.full((height, 4 * _GAP, 3), 255, np.uint8)
    placed, dealt = (tile(to_pixels(one[0]), GRID, gap=_GAP) for one in (tiles, deal(tiles, order[None])))
    pixels = np.concatenate([small, gap, placed, gap, dealt], 1)
    tried = {
        f"a gap of {tricks.gap:.0%} of a cell": True,
        "tiles moved within it": tricks.jitter > 0,
        "normalised": tricks.normalise,
        "grey": is_grey(draws, tricks),
        f"channels shifted by {tricks.shift}": tricks.shift > 0,
    }
    used, numbers = [name for name, done in tried.items() if done], [str(i) for i in (order + 1).tolist()]
    return pixels, f"Nine tiles of crop {number}: {', '.join(used)}. Right, dealt in the order {' '.join(numbers)}"


def distances_picture(sets: Mapping[str, Tensor]) -> Picture:
    """How many places two orders of a set (count, 9) differ in, as a histogram for each set."""
    (figure, axes), words, bars = chart(6.4, 2.6), [], {}
    for name, orders in sets.items():
        between = torch.pdist(orders.float(), p=0)  # Hamming distances of all pairs
        bars[name] = (torch.bincount(between.long(), minlength=TILES + 1) / len(between)).tolist()
        words.append(f"{name}: {between.min():.0f} at least, {between.mean():.2f} on average")
    _draw_bars(axes, bars)
    axes.set(
        xlabel="places in which two orders differ", ylabel="share of all pairs", xticks=range(TILES + 1), yscale="log"
    )
    axes.legend(frameon=False)
    return Picture(figure, f"{len(orders)} orders of nine tiles, how far two of them are apart. {'; '.join(words)}")


def shortcuts_picture(found: Mapping[str, Mapping[str, float]], chance: float, caption: str) -> Picture:
    """What each solver, which uses one cheap cue, gets right under each set of tricks.

    found: by the name of the tricks, the share of puzzles solved by the name of the solver.
    """
    (figure, axes), solvers = chart(9, 3.2), next(iter(found.values()))
    _draw_bars(axes, {solver: [of[solver] for of in found.values()] for solver in solvers})
    for bars in axes.containers:
        axes.bar_label(bars, fmt="%.2f", fontsize=8)
    axes.axhline(chance, color=ASIDE, linestyle="--", linewidth=1, label="chance")
    axes.set(ylim=(0, 1.12), ylabel="puzzles solved, a share")
    axes.set_xticks(range(len(found)), list(found))
    axes.legend(frameon=False, ncols=4, fontsize=9, loc="upper center", bbox_to_anchor=(0.5, 1.18))
    words = "; ".join(f"{name}: " + ", ".join(f"{k} {v:.2f}" for k, v in of.items()) for name, of in found.items())
    return Picture(figure, f"{caption}. {words}; chance {chance:.2f}")


def _draw_bars(axes: Axes, sets: Mapping[str, Sequence[float]]) -> None:
    """Sets of heights side by side at 0, 1, 2 and so on, each in its own colour and hatch."""
    width = 0.8 / len(sets)
    for i, ((name, heights), (colour, hatch)) in enumerate(zip(sets.items(), BARS)):
        places = np.arange(len(heights)) + (i - (len(sets) - 1) / 2) * width
        axes.bar(places, heights, width, label=name, color=colour, hatch=hatch, edgecolor="white")


def puzzle_rows(sets: Mapping[str, Tensor], caption: str) -> Picture:
    """Rows of puzzles (n, 9, 3, side, side), each assembled as it lies, with a name before each row."""
    return crop_rows({name: assemble(tiles).clamp(-1, 1) for name, tiles in sets.items()}, caption)


def bank_picture(banks: Mapping[str, Tensor], visited: Mapping[str, float], caption: str) -> Picture:
    """Which rows of a memory bank are alike, at several moments: the cosine of every row with every other.

    banks: rows (n, f) of length 1, in an order in which neighbours should be alike. visited: the share of rows that
    hold a crop. Both by the name of the moment.
    """
    figure = Figure(figsize=(9, 2.7), layout="constrained")
    axes = figure.subplots(1, len(banks))
    for one, (name, rows) in zip(axes, banks.items()):
        shown = one.imshow((rows @ rows.T).numpy(), vmin=-1, vmax=1, cmap="PuOr", interpolation="nearest")
        one.set(title=name, xticks=[], yticks=[], xlabel=f"{visited[name]:.0%} hold a crop")
    figure.colorbar(shown, ax=axes[-1], label="cosine")
    filling = ", ".join(f"{name} {share:.0%}" for name, share in visited.items())
    return Picture(figure, f"{caption}; rows that hold a crop: {filling}")


def invariance_picture(pairs: Mapping[str, tuple[Tensor, Tensor]], caption: str) -> Picture:
    """Cosines between a network's embeddings of a crop and of a puzzle: of the same crop, and of another. One panel per
    network; pairs: (same (n,), other (n,)) by its name."""
    figure = Figure(figsize=(4.2 * len(pairs), 2.7), layout="constrained")
    edges, words = np.linspace(-1, 1, 41), []
    for axes, (name, (same, other)) in zip(figure.subplots(1, len(pairs), squeeze=False)[0], pairs.items()):
        for values, colour, style, what in ((same, RIGHT, "-", "its own puzzle"), (other, WRONG, "--", "another's")):
            counts = np.histogram(values.numpy(), edges)[0] / len(values)
            axes.stairs(counts, edges, color=colour, linestyle=style, linewidth=2, label=what)
        axes.set(title=name, xlabel="cosine of a crop and a puzzle", yticks=[])
        axes.legend(frameon=False, fontsize=9)
        words.append(f"{name}: {same.mean():.2f} with its own puzzle, {other.mean():.2f} with another's")
    return Picture(figure, f"{caption}. {'; '.join(words)}")


def explore_puzzle(data: CropDataset, orders: Tensor) -> Panel:
    """Cut a crop into nine tiles: which crop, the gap, how far tiles move within it, the order they are dealt in, and
    the other tricks, each to be switched off.

    orders: (count, 9), to choose from by their numbers.
    """
    number = named_slider("crop", min(3, len(data) - 1), widgets.IntSlider, min=0, max=min(99, len(data) - 1))
    gap = named_slider("gap", 0.25, widgets.FloatSlider, min=0, max=0.6, step=0.05)
    jitter = named_slider("jitter", 1.0, widgets.FloatSlider, min=0, max=1, step=0.1)
    order = named_slider("order", 1, widgets.IntSlider, min=0, max=len(orders) - 1)
    deal = named_slider("seed", 0, widgets.IntSlider, min=0, max=99)
    normalise, grey = (
        widgets.Checkbox(value=False, description=name, indent=False, layout={"width": "110px"})
        for name in ("normalise", "grey")
    )
    shift = named_slider("shift", 0, widgets.IntSlider, min=0, max=4)

    def draw() -> Drawn:
        tricks = Tricks(gap.value, jitter.value, normalise.value, float(grey.value), shift.value)
        return puzzle_panel(data, number.value, tricks, orders[order.value], deal.value)

    return panel_over([number, order, gap, jitter, shift, deal, normalise, grey], draw)
