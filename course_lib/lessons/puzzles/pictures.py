"""Puzzles and the panel of them, what solves them by shortcuts, a memory bank, and invariance (notebook 09)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import ipywidgets as widgets
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from course_lib.data.datasets import CropDataset
from course_lib.pictures.figures import Picture, crop_rows, draw_outlines, photograph, tile, to_pixels
from course_lib.pictures.panel import Panel, named_slider, panel_over
from course_lib.pretext.puzzles import DRAWS, GRID, TILES, Tricks, assemble, cut, deal, hamming, is_grey, places_of
from course_lib.support.palette import ASIDE, BARS, RIGHT, WRONG

_TILE = 64  # pixels of a tile in a panel
_GAP = 6


def puzzle_panel(
    data: CropDataset, number: int, tricks: Tricks, order: Tensor, seed: int = 0
) -> tuple[np.ndarray, str]:
    """Crop `number` with its nine tiles where they lie on the photograph; the tiles in place; and as they are dealt.

    order: (9,). seed: of the jitter, the grey and the shifts. Returns pixels (height, width, 3) uint8, of one size for
    each photograph, and words.
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
    pixels = np.concatenate([small, gap, _spaced(tiles[0]), gap, _spaced(deal(tiles, order[None])[0])], 1)
    tried = {
        f"a gap of {tricks.gap:.0%} of a cell": True,
        "tiles moved within it": tricks.jitter > 0,
        "normalised": tricks.normalise,
        "grey": is_grey(draws, tricks),
        f"channels shifted by {tricks.shift}": tricks.shift > 0,
    }
    used, dealt = [name for name, done in tried.items() if done], [str(i) for i in (order + 1).tolist()]
    return pixels, f"Nine tiles of crop {number}: {', '.join(used)}. Right, dealt in the order {' '.join(dealt)}"


def _spaced(tiles: Tensor) -> np.ndarray:
    """Nine tiles (9, 3, side, side) with white between them."""
    return tile(to_pixels(tiles), GRID, gap=_GAP)


def distances_picture(sets: Mapping[str, Tensor]) -> Picture:
    """How many places two orders of a set (count, 9) differ in, as a histogram for each set."""
    figure = Figure(figsize=(6.4, 2.6), layout="constrained")
    axes, words, bars = figure.subplots(), [], {}
    for name, orders in sets.items():
        apart = distances(orders)
        bars[name] = (torch.bincount(apart.long(), minlength=TILES + 1) / len(apart)).tolist()
        words.append(f"{name}: {apart.min():.0f} at least, {apart.float().mean():.2f} on average")
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
    figure = Figure(figsize=(9, 3.2), layout="constrained")
    axes, solvers = figure.subplots(), next(iter(found.values()))
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

    def draw() -> tuple[np.ndarray, str]:
        tricks = Tricks(gap.value, jitter.value, normalise.value, float(grey.value), shift.value)
        return puzzle_panel(data, number.value, tricks, orders[order.value], deal.value)

    return panel_over([number, order, gap, jitter, shift, deal, normalise, grey], draw)


def distances(orders: Tensor) -> Tensor:
    """Hamming distances between all pairs of orders (k, 9): (k * (k - 1) / 2,)."""
    return torch.cat([hamming(order, orders[i + 1 :]) for i, order in enumerate(orders)])
