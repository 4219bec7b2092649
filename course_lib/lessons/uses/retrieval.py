"""Retrieval: the pictures that are most alike by the features of a layer.

A classifier learns which features matter; a search takes them as they are. Taught in notebook 11.
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

    queries: features (n, f). gallery: features (m, f). Likeness is the cosine, so that a picture with larger features
    is no nearer to all others. Raises ValueError where the gallery has fewer than k.
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
    """The pictures of a labelled set as each layer of a trunk sees them. Its test pictures are the queries and its
    training pictures the gallery, so that no picture can find itself.

    numbers: features per layer, at most.
    """

    def __init__(self, trunk: Trunk, data: LabelledImages, numbers: int = NUMBERS) -> None:
        self.data, self.layers = data.to(next(trunk.parameters()).device), trunk.layers
        gallery = pooled_features(trunk, self.data.train_images, None, numbers)
        queries = pooled_features(trunk, self.data.test_images, None, numbers)
        self._features = {layer: standardise(gallery[layer], queries[layer]) for layer in self.layers}

    def features(self, layer: str) -> tuple[Tensor, Tensor]:
        """A layer's standardised features, (m, f) of the gallery and (n, f) of the queries."""
        return self._features[layer]

    def nearest(self, query: int, layer: str) -> list[int]:
        """The training pictures that are most like one test picture by a layer, best first."""
        gallery, queries = self.features(layer)
        return nearest(queries[query : query + 1], gallery)[0].tolist()

    def precision(self, layer: str) -> float:
        """`precision_at` NEAREST, over all test pictures."""
        gallery, queries = self.features(layer)
        return precision_at(queries, gallery, self.data.test_labels, self.data.train_labels, NEAREST)


def queries_of(data: LabelledImages, count: int) -> list[int]:
    """Test pictures to ask about, the first of each class in turn, then the second."""
    labels = data.test_labels.tolist()
    return sorted(range(len(labels)), key=lambda i: (labels[:i].count(labels[i]), labels[i]))[:count]


def precision_rows(searches: Mapping[str, Search], layers: Sequence[str]) -> list[dict]:
    """Rows with method, layer and precision (a share of 1), for each network at each layer."""
    return [
        {"method": name, "layer": layer, "precision": search.precision(layer)}
        for name, search in searches.items()
        for layer in layers
    ]
