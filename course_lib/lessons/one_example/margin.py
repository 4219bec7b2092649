"""The widest margin between one example and many: the support vector machine, in the form that two methods share.

Cortes and Vapnik 1995. Taught in notebook 12.
"""

from __future__ import annotations

import torch
from sklearn.svm import SVC
from torch import Tensor


def widest_margin(products: Tensor, labels: Tensor, cost: float, weight: float = 1.0) -> tuple[Tensor, float]:
    """The linear support vector machine of n examples, from the products (n, n) of each with each.

    labels: (n,) 1 and -1, of both at least one. cost: C of the slack of an example labelled -1; of one labelled 1 it is
    `weight` times that. Returns a (n,) and b: the score of x is sum_i a_i <x_i, x> + b, and the weights are
    sum_i a_i x_i. a_i is not 0 only for the support vectors, the examples on the margin or beyond it.
    Raises ValueError for costs that are not positive.
    """
    if cost <= 0 or weight <= 0:
        raise ValueError(f"cost and weight must be above 0, got {cost} and {weight}")
    machine = SVC(kernel="precomputed", C=cost, class_weight={1: weight}, tol=1e-4)
    machine.fit(products.double().numpy(), labels.numpy())
    a = torch.zeros(len(labels), dtype=torch.float64)
    a[torch.from_numpy(machine.support_).long()] = torch.from_numpy(machine.dual_coef_[0])
    return a.to(products.dtype), float(machine.intercept_[0])
