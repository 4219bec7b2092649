"""Asking a function questions, and recording what it answers, as plain data.

This runs wherever the learner's function runs, and knows no right answer; its answers are judged elsewhere.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from course_lib.exercises.plain import Raised, plain
from course_lib.networks.alexnet import LAYERS, AlexNet


def ask(function: Callable[..., Any], questions: Sequence[tuple], setting: str = "") -> list[Any]:
    """What a function answers to each question, a tuple of its arguments: plain data, or `Raised`.

    It is called once for each, on copies, so that neither a change of its arguments nor a second call changes anything.
    setting: a name in SETTINGS.
    """
    return [_answer(function, question, setting) for question in questions]


def _answer(function: Callable[..., Any], question: tuple, setting: str) -> Any:
    try:
        arguments = copy.deepcopy(question)
        if not setting:
            return plain(function(*arguments))
        arrange, observe = SETTINGS[setting]
        return plain(observe(function(*arrange(*arguments))))
    except (Exception, SystemExit) as error:  # whatever the learner's code raises is feedback, never a stop
        return Raised(type(error).__name__, _message(error))


def _message(error: BaseException) -> str:
    try:
        return str(error)[:500]
    except Exception:  # a message that cannot be written down
        return ""


def _a_network(seed: int, depth: int) -> tuple[AlexNet, int]:
    """A small network in training mode, the same for a seed; the notebook's own random numbers are left alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return AlexNet(16, 0.1).train(), depth


def _what_can_change(result: Any) -> Any:
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


SETTINGS: dict[str, tuple[Callable[..., tuple], Callable[[Any], Any]]] = {"network": (_a_network, _what_can_change)}
"""What stands between plain data and a function that takes or returns something else, such as a network: how the
arguments are made of a question's plain data, and how its result becomes plain data that tells a judge what matters."""
