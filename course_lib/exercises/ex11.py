"""Notebook 11: the Gram matrix of a style, precision of a search, and what `boxes.py` asks of detections."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from course_lib.exercises.boxes import BOXES
from course_lib.exercises.compare import difference, each, fits, one_number
from course_lib.exercises.drawing import between, draws_of, factors
from course_lib.exercises.exercise import Exercise, Mistake, Quiz
from course_lib.lessons.uses.retrieval import nearest, precision_at
from course_lib.lessons.uses.style import gram


def _maps(seed: int) -> list[tuple]:
    """Maps of several pictures, not square, with means and strengths of their own in each channel."""
    draws = draws_of(seed)
    return [(_some_maps(n, c, h, w, draws),) for n, c, h, w in ((2, 3, 4, 6), (3, 4, 5, 3))]


def _some_maps(n: int, c: int, h: int, w: int, draws: torch.Generator) -> Tensor:
    loud = between(0.5, 2, c, draws)[:, None, None]
    return loud * (torch.rand(n, c, h, w, generator=draws) + between(0.2, 0.8, c, draws)[:, None, None])


def _flat(maps: Tensor) -> Tensor:
    return maps.flatten(2)


def _summed(maps: Tensor) -> Tensor:
    return _flat(maps) @ _flat(maps).mT


def _centred(maps: Tensor) -> Tensor:
    x = _flat(maps) - _flat(maps).mean(2, keepdim=True)
    return x @ x.mT / x.shape[2]


def _as_cosines(maps: Tensor) -> Tensor:
    x = F.normalize(_flat(maps), dim=2)
    return x @ x.mT


def _all_pictures_one(maps: Tensor) -> Tensor:
    return gram(maps).mean(0, keepdim=True).expand(len(maps), -1, -1)


_GRAMS: dict[str, Callable[[Tensor], Tensor]] = {
    "You sum over the places, so that a larger picture would have another style: divide by how many there are.": (
        _summed
    ),
    "You divide by the channels as well; only the places are averaged over.": lambda x: gram(x) / x.shape[1],
    "You take out each channel's mean first: how strongly it answers at all is part of a style.": _centred,
    "You bring every channel to the same strength: which answers are loud is part of a style.": _as_cosines,
    "You mix the pictures: each has a matrix of its own.": _all_pictures_one,
    "Only the diagonal is there: which channels answer *together* is missing.": (
        lambda x: torch.diag_embed(gram(x).diagonal(dim1=1, dim2=2))
    ),
}


def _explain_gram(given: Any, maps: Tensor) -> str:
    wrong = difference(given, gram(maps))
    if not wrong or not fits(given, gram(maps)):
        return wrong
    return next((words for words, f in _GRAMS.items() if not difference(given, f(maps))), wrong)


def _of_places(maps: Tensor) -> Tensor:
    return _flat(maps).mT @ _flat(maps) / maps.shape[1]


def _searches(seed: int) -> list[tuple]:
    """Features of queries and of a gallery, both loud and soft, loosely grouped by class, and how many to give."""
    draws = draws_of(seed)
    return [_a_search(n, m, k, draws) for n, m, k in ((40, 30, 3), (36, 24, 5))]


def _a_search(n: int, m: int, k: int, draws: torch.Generator) -> tuple[Tensor, Tensor, Tensor, Tensor, int]:
    centres = torch.randn(4, 6, generator=draws)
    labels, gallery_labels = (torch.arange(count) % 4 for count in (n, m))
    queries, gallery = (
        (centres[of] + 1.2 * torch.randn(len(of), 6, generator=draws)) * factors(len(of), draws)[:, None] ** 3
        for of in (labels, gallery_labels)
    )
    return queries, gallery, labels, gallery_labels, k


def _found(order: Callable[[Tensor, Tensor, int], Tensor]) -> Callable[..., float]:
    """The precision of a search by another order."""

    def precision(queries: Tensor, gallery: Tensor, labels: Tensor, gallery_labels: Tensor, k: int) -> float:
        return (gallery_labels[order(queries, gallery, k)] == labels[:, None]).double().mean().item()

    return precision


def _any_right(queries: Tensor, gallery: Tensor, labels: Tensor, gallery_labels: Tensor, k: int) -> float:
    return (gallery_labels[nearest(queries, gallery, k)] == labels[:, None]).any(1).double().mean().item()


def _vote(queries: Tensor, gallery: Tensor, labels: Tensor, gallery_labels: Tensor, k: int) -> float:
    said = gallery_labels[nearest(queries, gallery, k)].mode(1).values
    return (said == labels).double().mean().item()


_PRECISIONS: dict[str, Callable[..., float]] = {
    "You take the least distance: loud features are then far from everything. Compare directions.": _found(
        lambda q, g, k: torch.cdist(q, g).topk(k, largest=False).indices
    ),
    "Your product still has the lengths in it, so that loud pictures are found by everyone.": _found(
        lambda q, g, k: (q @ g.T).topk(k).indices
    ),
    "You give the pictures that are the least alike.": _found(
        lambda q, g, k: (F.normalize(q) @ F.normalize(g).T).topk(k, largest=False).indices
    ),
    "You look at the first picture alone; k of them are found.": _found(lambda q, g, k: nearest(q, g, 1)),
    "You count a query as right where any of its k is: asked for is the share of the k.": _any_right,
    "You let the k vote, which is a classifier; asked for is the share of them that is right.": _vote,
}


def _percent(*question: Any) -> float:
    return 100 * precision_at(*question)


EXERCISES = {
    "11.gram": Exercise(
        gram,
        _maps,
        each(_explain_gram),
        (
            *(Mistake(function, words) for words, function in _GRAMS.items()),
            Mistake(_of_places, "Your answer has the shape"),
        ),
        "easy",
        5,
        (
            "A style does not know where anything is: what is left when places no longer matter?",
            "For each pair of channels, multiply their two answers at each place, and take the mean over all places.",
            "`maps.flatten(2)` is (n, channels, places). A matrix times its own transpose, `x @ x.mT`, sums the "
            "products over places; divide by their number.",
        ),
    ),
    "11.precision": Exercise(
        precision_at,
        _searches,
        one_number(precision_at, {**_PRECISIONS, "A share is asked for, from 0 to 1, not a percentage.": _percent}),
        (
            *(Mistake(function, words) for words, function in _PRECISIONS.items()),
            Mistake(_percent, "not a percentage"),
        ),
        "medium",
        7,
        (
            "Alike are two pictures whose features point the same way, however long they are.",
            "`F.normalize` gives rows of length 1; the product of such rows is their cosine, and `topk` names the "
            "largest.",
            "Take the gallery's labels at those indices, (n, k); compare with `labels[:, None]`; and take the mean of "
            "all.",
        ),
    ),
} | BOXES


QUIZZES = {
    "11.random": Quiz(
        "A network that never learned anything transfers the flower's colours as well. What follows?",
        {
            "Features need not be learned.": "For this use they need not; the other uses on this page say otherwise.",
            "Transferred style says little about what was learned.": "Yes: a picture that pleases is a weak test.",
            "The trained networks are broken.": "They retrieve and detect better than chance; look at their rows.",
        },
        "Transferred style says little about what was learned.",
    ),
    "11.search": Quiz(
        "A linear probe reads the class well from a layer, and a search by the same layer finds other classes. How?",
        {
            "The probe was tested on pictures that it knew.": "It was tested once, on test pictures.",
            "A probe picks the features that matter; a cosine takes all.": "Yes: what does not matter outvotes it.",
            "A search needs more pictures than a probe.": "It needs one that is alike; more never hurt it.",
        },
        "A probe picks the features that matter; a cosine takes all.",
    ),
    "11.stand_in": Quiz(
        "A detector finds every cup of the stand-in's test pictures. What does it know about cups?",
        {
            "How cups look.": "It has seen one cup, from one side, at many sizes.",
            "How this cup looks, on backgrounds that it does not know.": "Yes, and that is all that was tested.",
            "Nothing, since the pictures are made.": "It finds them at places where it never saw one.",
        },
        "How this cup looks, on backgrounds that it does not know.",
    ),
}
