"""Notebook 11: the Gram matrix of a style, precision of a search, and what `boxes.py` asks about detections."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from course_lib.exercises.boxes import BOXES
from course_lib.exercises.drawing import between, factors, for_each
from course_lib.exercises.exercise import Quiz, of_number, of_tensor
from course_lib.lessons.uses.retrieval import nearest, precision_at
from course_lib.lessons.uses.style import gram


def _maps(n: int, c: int, h: int, w: int, draws: Generator) -> tuple[Tensor]:
    """Maps of several pictures, not square, with means and strengths of their own in each channel."""
    strengths = between(0.5, 2, c, draws)[:, None, None]
    return (strengths * (torch.rand(n, c, h, w, generator=draws) + between(0.2, 0.8, c, draws)[:, None, None]),)


def _square(x: Tensor) -> Tensor:
    return x @ x.mT


def _centred(maps: Tensor) -> Tensor:
    return gram(maps - maps.mean((2, 3), keepdim=True))


def _search(n: int, m: int, k: int, draws: Generator) -> tuple[Tensor, Tensor, Tensor, Tensor, int]:
    """Features of queries and of a gallery, of various lengths, loosely grouped by class, and how many to return."""
    centres = torch.randn(4, 6, generator=draws)
    labels, gallery_labels = (torch.arange(count) % 4 for count in (n, m))
    queries, gallery = (
        (centres[of] + 1.2 * torch.randn(len(of), 6, generator=draws)) * factors(len(of), draws)[:, None] ** 3
        for of in (labels, gallery_labels)
    )
    return queries, gallery, labels, gallery_labels, k


def _found(
    search: Callable[[Tensor, Tensor, int], Tensor], score: Callable[[Tensor, Tensor], Tensor] = torch.eq
) -> Callable[..., float]:
    """The precision of another search, or by another score of the labels found (n, k) and the right ones (n, 1)."""

    def precision(queries: Tensor, gallery: Tensor, labels: Tensor, gallery_labels: Tensor, k: int) -> float:
        return score(gallery_labels[search(queries, gallery, k)], labels[:, None]).double().mean().item()

    return precision


EXERCISES = {
    "11.gram": of_tensor(
        gram,
        for_each(_maps, (2, 3, 4, 6), (3, 4, 5, 3)),
        {
            "You sum over the places; a style takes their mean, at any size.": lambda maps: _square(maps.flatten(2)),
            "You divide by the channels as well; average over the places only.": lambda maps: gram(maps) / len(maps[0]),
            "You subtract each channel's mean first, but how strongly it responds is part of a style.": _centred,
            "You scale each channel; its strength is style.": lambda maps: _square(F.normalize(maps.flatten(2), dim=2)),
            "Each picture has its own matrix.": lambda maps: gram(maps).mean(0, keepdim=True).expand(len(maps), -1, -1),
            "Only the diagonal is there.": lambda maps: torch.diag_embed(gram(maps).diagonal(dim1=1, dim2=2)),
        },
        "easy · 5 minutes",
        "A style does not depend on where anything is: what is left when places no longer matter?",
        "For each pair of channels, multiply their responses at each place, and take the mean over all places.",
        "`maps.flatten(2)` is (n, channels, places). A matrix times its own transpose, `x @ x.mT`, sums the products "
        "over places; divide by their number.",
        others={"Your answer has the shape": lambda maps: _square(maps.flatten(2).mT) / maps.shape[1]},
    ),
    "11.precision": of_number(
        precision_at,
        for_each(_search, (40, 30, 3), (36, 24, 5)),
        {
            "You rank by distance.": _found(lambda q, g, k: torch.cdist(q, g).topk(k, largest=False).indices),
            "Your product contains the lengths: long vectors win.": _found(lambda q, g, k: (q @ g.T).topk(k).indices),
            "You return the pictures that are the least similar.": _found(
                lambda q, g, k: (F.normalize(q) @ F.normalize(g).T).topk(k, largest=False).indices
            ),
            "You look at the first picture alone; k of them are found.": _found(lambda q, g, k: nearest(q, g, 1)),
            "You count a query as right if any of its k is right.": _found(nearest, lambda f, y: (f == y).any(1)),
            "You let the k vote, which makes a classifier.": _found(nearest, lambda f, y: f.mode(1).values == y[:, 0]),
            "A share is asked for, from 0 to 1, not a percentage.": lambda *question: 100 * precision_at(*question),
        },
        "medium · 7 minutes",
        "Two pictures are similar if their features point the same way, however long they are.",
        "`F.normalize` gives rows of length 1, whose product is their cosine; `topk` has the indices of the largest.",
        "Take the gallery's labels at those indices, (n, k); compare with `labels[:, None]`; and take the mean of all.",
    ),
    **BOXES,
}


QUIZZES = {
    "11.random": Quiz(
        "An untrained network transfers the flower's colours as well. What follows?",
        ("Features need not be learned.", "For this use they need not; the other uses on this page say otherwise."),
        ("Transferred style says little about what was learned.", "Yes: a picture that pleases is a weak test."),
        ("The trained networks are broken.", "They retrieve and detect better than chance; look at their rows."),
    ),
    "11.search": Quiz(
        "A linear probe reads the class well from a layer, and a search by the same layer finds other classes. How?",
        ("The probe was tested on pictures that it knew.", "It was tested once, on test pictures."),
        ("A probe picks the features that matter; a cosine takes all.", "Yes: what does not matter outvotes it."),
        ("A search needs more pictures than a probe.", "It needs one that is similar; more never hurt it."),
    ),
    "11.stand_in": Quiz(
        "A detector finds every cup in the stand-in's test pictures. What does it know about cups?",
        ("How cups look.", "It has seen one cup, from one side, at many sizes."),
        ("How this cup looks, on backgrounds that it does not know.", "Yes, and that is all that was tested."),
        ("Nothing, since the pictures are made.", "It finds them in places where it never saw one."),
    ),
}
