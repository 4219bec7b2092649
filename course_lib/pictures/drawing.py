"""Bars, strokes and words in a millisecond, for pictures that a slider moves: matplotlib takes a tenth of a second.

Where only drop-downs move it, `pixels_of` makes a panel's pixels from a figure of matplotlib.
"""

from __future__ import annotations

import functools

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageFont

from course_lib.support.palette import BLACK

_BESIDE = 7  # pixels between a bar and its percent


class Paper:
    """White pixels to draw on, with a column of names `left` wide, and beside it room for shares from 0 to 1."""

    def __init__(self, width: int, height: int, left: int = 170, right: int = 80, size: int = 13) -> None:
        self._image = Image.new("RGB", (width, height), "white")
        self._font = _font(size)
        self._left, self._length = left, width - left - right
        self.pen = ImageDraw.Draw(self._image)

    @property
    def pixels(self) -> np.ndarray:
        """What was drawn: (height, width, 3) uint8."""
        return np.array(self._image)

    def at(self, share: float) -> float:
        """Where a share lies, in pixels from the left."""
        return self._left + self._length * share

    def write(self, x: float, y: float, words: str, anchor: str = "lm", colour: str = BLACK) -> None:
        """Words at a place; the anchor is Pillow's, `lm` for the middle of their left edge."""
        self.pen.text((x, y), words, fill=colour, font=self._font, anchor=anchor)

    def name(self, y: float, words: str) -> None:
        """A name in the column on the left."""
        self.write(self._left - 10, y, words, "rm")

    def bar(self, y: float, share: float, colour: str, half: int = 11, words_at: float = 0) -> None:
        """A share as a bar, `half` pixels up and down from y, with its percent behind it or behind `words_at`."""
        self.pen.rectangle((self._left, y - half, self.at(share), y + half), fill=colour)
        self.write(self.at(max(share, words_at)) + _BESIDE, y, f"{share:.0%}")

    def stroke(self, share: float, top: float, bottom: float, width: int = 1, colour: str = BLACK) -> None:
        """An upright line at a share."""
        self.pen.line((self.at(share), top, self.at(share), bottom), fill=colour, width=width)


@functools.cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.load_default(size)


def pixels_of(figure: Figure) -> np.ndarray:
    """A figure at its own size: (height, width, 3) uint8."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.array(canvas.buffer_rgba())[:, :, :3]
