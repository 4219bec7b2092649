"""Retrieval: the pictures that a layer takes for the most alike.

A classifier is taught which features matter; a search has to take them as they are. Taught in notebook 11.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch.nn.functional as F
from torch import Tensor

from course_lib.data.datasets import LabelledImages
from course_lib.networks.trunk import Trunk
from course_lib.probes.classifier import standardise
from course_lib.probes.features import NUMBERS, pooled_features

NEAREST = 5
"""Pictures that a search gives."""


def nearest(queries: Tensor, gallery: Tensor, k: int = NEAREST) -> Tensor:
    """For each query the k pictures of the gallery whose features point most nearly the same way, best first: (n, k).

    queries: features (n, f). gallery: features (m, f). Alike is the cosine, so that a picture with louder features is
    no nearer to all others. Raises ValueError where the gallery has fewer than k.
    """
    if k > len(gallery):
        raise ValueError(f"the gallery has {len(gallery)} pictures, and {k} were asked for")
    return (F.normalize(queries) @ F.normalize(gallery).T).topk(k).indices


def precision_at(queries: Tensor, gallery: Tensor, labels: Tensor, gallery_labels: Tensor, k: int) -> float:
    """The share of the k nearest pictures that have their query's label, on average over the queries: precision at k.

    queries, gallery: features (n, f) and (m, f). labels, gallery_labels: (n,) and (m,). Taught in notebook 11.
    """
    found = gallery_labels[nearest(queries, gallery, k)]
    return (found == labels[:, None]).double().mean().item()


class Search:
    """The pictures of a labelled set as each layer of a trunk sees them: its test pictures ask, its training pictures
    answer, so that no picture can find itself.

    numbers: features a layer, at most.
    """

    def __init__(self, trunk: Trunk, data: LabelledImages, numbers: int = NUMBERS) -> None:
        self.data, self.layers = data.to(next(trunk.parameters()).device), trunk.layers
        gallery = pooled_features(trunk, self.data.train_images, None, numbers)
        queries = pooled_features(trunk, self.data.test_images, None, numbers)
        self._features = {layer: standardise(gallery[layer], queries[layer]) for layer in self.layers}

    def features(self, layer: str) -> tuple[Tensor, Tensor]:
        """A layer's standardised features, (m, f) of the gallery and (n, f) of the queries."""
        return self._features[layer]

    def nearest(self, query: int, layer: str, k: int = NEAREST) -> list[int]:
        """The training pictures that a layer takes for the most alike to one test picture, best first."""
        gallery, queries = self.features(layer)
        return nearest(queries[query : query + 1], gallery, k)[0].tolist()

    def precision(self, layer: str, k: int = NEAREST) -> float:
        """Over all test pictures, `precision_at`."""
        gallery, queries = self.features(layer)
        return precision_at(queries, gallery, self.data.test_labels, self.data.train_labels, k)


def queries_of(data: LabelledImages, count: int) -> list[int]:
    """Test pictures to ask about, the first of each class in turn, then the second."""
    seen: dict[int, int] = {}
    ranks = []
    for i, label in enumerate(data.test_labels.tolist()):
        seen[label] = seen.get(label, 0) + 1
        ranks.append((seen[label], label, i))
    return [i for _, _, i in sorted(ranks)[:count]]


def precision_rows(searches: Mapping[str, Search], layers: Sequence[str], k: int = NEAREST) -> list[dict]:
    """Rows of method, layer and precision, a share of 1: each network's at each layer."""
    return [
        {"method": name, "layer": layer, "precision": search.precision(layer, k)}
        for name, search in searches.items()
        for layer in layers
    ]
