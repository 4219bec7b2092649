"""The pictures of notebook 09: puzzles, how they are solved by short cuts, a memory bank, who is near whom."""

from __future__ import annotations

from collections.abc import Mapping

import ipywidgets as widgets
import numpy as np
import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from torch import Tensor

from course_lib.data.datasets import CropDataset
from course_lib.pictures.figures import RIGHT, WRONG, Picture, crop_rows, draw_outlines, photograph, tile, to_pixels
from course_lib.pictures.panel import Panel, named_slider, panel_over
from course_lib.pretext.puzzles import DRAWS, GRID, TILES, Tricks, assemble, cut, deal, distances, is_grey, places_of

_BARS = ("#0072B2", "#E69F00", "#CC79A7")
_HATCHES = ("", "//", "..")  # a second mark beside the colour
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
    pictures = [_to_height(drawn, height), _spaced(tiles[0]), _spaced(deal(tiles, order[None])[0])]
    gap = np.full((height, 4 * _GAP, 3), 255, np.uint8)
    pixels = np.concatenate([pictures[0], gap, pictures[1], gap, pictures[2]], 1)
    used = [f"a gap of {tricks.gap:.0%} of a cell"] + ["tiles moved within it"] * (tricks.jitter > 0)
    used += (
        ["normalised"] * tricks.normalise
        + ["grey"] * bool(is_grey(draws, tricks))
        + [f"channels shifted by {tricks.shift}"] * (tricks.shift > 0)
    )
    dealt = " ".join(str(int(one) + 1) for one in order)
    return pixels, f"Nine tiles of crop {number}: {', '.join(used)}. Right, dealt in the order {dealt}"


def _to_height(pixels: np.ndarray, height: int) -> np.ndarray:
    """A photograph's pixels (h, w, 3) averaged to another height."""
    image = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float()
    size = height, max(1, round(height * pixels.shape[1] / pixels.shape[0]))
    return to_pixels(F.interpolate(image, size=size, mode="bilinear", antialias=True).round().byte())[0]


def _spaced(tiles: Tensor) -> np.ndarray:
    """Nine tiles (9, 3, side, side) with white between them."""
    return tile(to_pixels(tiles), GRID, gap=_GAP)


def distances_picture(sets: Mapping[str, Tensor]) -> Picture:
    """How many places two orders of a set (count, 9) differ in, as a histogram for each set."""
    figure = Figure(figsize=(6.4, 2.6), layout="constrained")
    axes, words = figure.subplots(), []
    width = 0.8 / len(sets)
    for i, (name, orders) in enumerate(sets.items()):
        apart = distances(orders).float()
        share = torch.bincount(apart.long(), minlength=TILES + 1) / len(apart)
        axes.bar(np.arange(TILES + 1) + (i - 0.5) * width, share, width, label=name, color=_BARS[i], hatch=_HATCHES[i])
        words.append(f"{name}: {apart.min():.0f} at least, {apart.mean():.2f} on the average")
    axes.set(
        xlabel="places in which two orders differ", ylabel="share of all pairs", xticks=range(TILES + 1), yscale="log"
    )
    axes.legend(frameon=False)
    return Picture(figure, f"{len(orders)} orders of nine tiles, how far two of them are apart. {'; '.join(words)}")


def shortcuts_picture(found: Mapping[str, Mapping[str, float]], chance: float, caption: str) -> Picture:
    """What each solver that looks at one cheap thing gets right, under each set of tricks.

    found: by the name of the tricks, the share of puzzles solved by the name of the solver.
    """
    figure = Figure(figsize=(9, 3.2), layout="constrained")
    axes, solvers = figure.subplots(), list(next(iter(found.values())))
    width = 0.8 / len(solvers)
    for i, solver in enumerate(solvers):
        shares = [of[solver] for of in found.values()]
        x = np.arange(len(found)) + (i - (len(solvers) - 1) / 2) * width
        bars = axes.bar(x, shares, width, label=solver, color=_BARS[i], hatch=_HATCHES[i], edgecolor="white")
        axes.bar_label(bars, [f"{share:.2f}" for share in shares], fontsize=8)
    axes.axhline(chance, color="#555555", linestyle="--", linewidth=1, label="a guess")
    axes.set(xticks=range(len(found)), ylim=(0, 1.12), ylabel="puzzles solved, a share")
    axes.set_xticklabels(list(found))
    axes.legend(frameon=False, ncols=4, fontsize=9, loc="upper center", bbox_to_anchor=(0.5, 1.18))
    words = "; ".join(f"{name}: " + ", ".join(f"{k} {v:.2f}" for k, v in of.items()) for name, of in found.items())
    return Picture(figure, f"{caption}. {words}; a guess {chance:.2f}")


def puzzle_rows(sets: Mapping[str, Tensor], caption: str) -> Picture:
    """Rows of puzzles (n, 9, 3, side, side), each put together as it lies, with a name before each row."""
    return crop_rows({name: assemble(tiles).clamp(-1, 1) for name, tiles in sets.items()}, caption)


def bank_picture(banks: Mapping[str, Tensor], visited: Mapping[str, float], caption: str) -> Picture:
    """Who is like whom in a memory bank, at several moments: the cosine of every row with every other.

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
    """Cosines between what a network says of a crop and of a puzzle: of the same crop, and of another; one panel a
    network. pairs: (same (n,), other (n,)) by name."""
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
