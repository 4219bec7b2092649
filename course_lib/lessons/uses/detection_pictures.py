"""What detectors find, side by side with the truth, and how precise they are at every recall. For notebook 11."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

from course_lib.lessons.uses.precision import Boxes, Found, average_precision, interpolated, judge, judge_picture
from course_lib.lessons.uses.voc import BoxedPictures
from course_lib.pictures.charts import chart, legend_beside
from course_lib.pictures.figures import Picture, to_pixels
from course_lib.support.palette import COLOURS, MARKERS, RIGHT, TRUTH, WRONG

_RECALLS = torch.linspace(0, 1, 101)
_MARK_EVERY = 20
_SURE = 0.5  # the least score of a detection that is drawn


def true_boxes(data: BoxedPictures, which: Sequence[int], caption: str) -> Picture:
    """Some pictures in a row, with what is in them; difficult objects are dotted."""
    figure = Figure(figsize=(1.8 * len(which), 2), layout="constrained")
    words = []
    for axes, i in zip(figure.subplots(1, len(which), squeeze=False)[0], which):
        _look(axes, data, i)
        _draw_truth(axes, data.truth[i], data.classes)
        words.append(", ".join(data.classes[label - 1] for label in data.truth[i].labels.tolist()) or "nothing")
    return Picture(figure, f"{caption}: {'; '.join(words)}")


def _look(axes: Axes, data: BoxedPictures, i: int) -> None:
    axes.imshow(to_pixels(data.picture(i)[None])[0], vmin=0, vmax=255)
    axes.set(xticks=[], yticks=[])


def side_by_side(
    data: BoxedPictures, found: Mapping[str, Sequence[Found]], which: Sequence[int], caption: str
) -> Picture:
    """Some pictures with their true boxes, and with what each detector found there with a score of at least 0.5.

    found: by the detector's name, of every picture of the data. Right ones have a solid line and a tick, wrong ones a
    dashed line and a cross; difficult objects are dotted, and what lies on them is neither.
    """
    columns = 1 + len(found)
    figure = Figure(figsize=(2.2 * columns, 2.3 * len(which)), layout="constrained")
    counts = {name: [0, 0, 0] for name in found}
    for row, i in zip(figure.subplots(len(which), columns, squeeze=False), which):
        true = data.truth[i]
        for axes in row:
            _look(axes, data, i)
        _draw_truth(row[0], true, data.classes)
        for axes, (name, everything) in zip(row[1:], found.items()):
            said = everything[i].above(_SURE)
            answers = judge_picture(said, true)
            _draw_found(axes, said, answers, data.classes)
            right = int((answers > 0).sum())
            for place, more in enumerate((right, int((answers == 0).sum()), len(true.easy.boxes) - right)):
                counts[name][place] += more
    for axes, name in zip(figure.axes, ("the truth", *found)):
        axes.set_title(name, fontsize=10)
    each = "; ".join(f"{name} {r} right, {w} wrong, {m} missed" for name, (r, w, m) in counts.items())
    return Picture(figure, f"{caption}. In these {len(which)} pictures, with scores of at least {_SURE:g}: {each}")


def _draw_truth(axes: Axes, true: Boxes, classes: Sequence[str]) -> None:
    for box, label, difficult in zip(true.boxes.tolist(), true.labels.tolist(), true.difficult.tolist()):
        _draw_box(axes, box, classes[label - 1], TRUTH, ":" if difficult else "-")


def _draw_found(axes: Axes, said: Found, answers: Tensor, classes: Sequence[str]) -> None:
    looks = {1: ("✓ ", RIGHT, "-"), 0: ("✗ ", WRONG, "--"), -1: ("", COLOURS["random"], ":")}
    for box, label, score, answer in zip(*(each.tolist() for each in (*said, answers))):
        mark, colour, dash = looks[answer]
        _draw_box(axes, box, f"{mark}{classes[label - 1]} {score:.1f}", colour, dash)


def _draw_box(axes: Axes, box: Sequence[float], word: str, colour: str, dash: str) -> None:
    left, top, right, bottom = (place - 0.5 for place in box)  # matplotlib's first pixel has its centre at 0
    axes.add_patch(Rectangle((left, top), right - left, bottom - top, fill=False, color=colour, linestyle=dash, lw=1.8))
    label = {"facecolor": "white", "edgecolor": "none", "pad": 0.8, "alpha": 0.85}
    axes.text(left, top, word, fontsize=7, color=colour, va="top", bbox=label, clip_on=True)


def precision_over_recall(data: BoxedPictures, found: Mapping[str, Sequence[Found]], caption: str) -> Picture:
    """For each detector the precision, the best at a recall or beyond, over recall, as a mean over classes: the area is
    the average precision.

    found: by the detector's name, of every picture of the data.
    """
    (figure, axes), words = chart(6.5, 3.6), []
    for name, boxes in found.items():
        judged = [judge(boxes, data.truth, label) for label in range(1, 1 + len(data.classes))]
        judged = [one for one in judged if one.positives]
        curve = torch.stack([interpolated(*one, _RECALLS) for one in judged]).mean(0)
        area = sum(average_precision(*one) for one in judged) / len(judged)
        look = {"color": COLOURS.get(name), "marker": MARKERS.get(name, "*"), "markevery": _MARK_EVERY}
        axes.plot(_RECALLS, curve, label=f"{name} {area:.2f}", **look)
        words.append(f"{name} {area:.2f}, and {curve[50]:.2f} at a recall of a half")
    axes.set(xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1.03), title="mean over classes")
    axes.grid(axis="x", alpha=0.3)
    legend_beside(axes)
    return Picture(figure, f"{caption}. Average precision, mean of {', '.join(data.classes)}: {'; '.join(words)}")
