"""What stands between plain data and a function that takes or gives something else, such as a network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from course_lib.networks.alexnet import LAYERS, AlexNet


@dataclass(frozen=True)
class Setting:
    """arrange: from a question's plain data to the arguments that the function gets, as a tuple.

    observe: from its result, and the arguments as it left them, to plain data that says what a judge has to know.
    """

    arrange: Callable[..., tuple]
    observe: Callable[[Any, tuple], Any]


def _a_network(seed: int, depth: int) -> tuple[AlexNet, int]:
    """A small network in training mode, the same for a seed; the notebook's own random numbers are left alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return AlexNet(16, 0.1).train(), depth


def _what_can_change(result: Any, arranged: tuple) -> Any:
    """Of each layer conv1 to conv5: the kinds of parts whose weights take gradients; whether its BatchNorm is in
    training mode; the sum of its weights. Anything that is not the network is handed on as it is."""
    if not isinstance(result, AlexNet):
        return result
    layers = [getattr(result, layer) for layer in LAYERS]
    moving = [sorted({type(part).__name__ for part in layer if _takes_gradients(part)}) for layer in layers]
    learning = [any(part.training for part in layer if isinstance(part, nn.BatchNorm2d)) for layer in layers]
    return moving, learning, [float(sum(w.double().sum() for w in layer.state_dict().values())) for layer in layers]


def _takes_gradients(part: nn.Module) -> bool:
    return any(weight.requires_grad for weight in part.parameters())


SETTINGS = {"network": Setting(_a_network, _what_can_change)}
