"""The training tasks, one file each.

A method is an `nn.Module` with a `trunk`, a `loss(data, index)` and a class method `build(profile, data)`; its file is
named as in tables and ends with `METHOD = ...`. Nothing else has to be told of a new one.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any, Protocol

from torch import Tensor

from course_lib.errors import unknown
from course_lib.networks import AlexNet
from course_lib.profiles import Profile


class Method(Protocol):
    """What `course_lib.training.fit` asks of a method, which is an `nn.Module` besides."""

    trunk: AlexNet

    @classmethod
    def build(cls, profile: Profile, data: Any) -> Method:
        """The method at a profile's sizes, for `data`: a CropDataset, or LabelledImages where labels are used."""
        ...

    def loss(self, data: Any, index: Tensor) -> tuple[Tensor, Tensor]:
        """The loss of the examples with these indices (n,), and the share of the task told right: two scalars."""
        ...


def method_names() -> list[str]:
    """The methods there are, by the names of their files."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def find_method(name: str) -> type[Method]:
    """The class of a method. Raises CourseError for a name that is not a file of this folder."""
    if name not in method_names():
        raise unknown("method", name, method_names())
    return importlib.import_module(f"{__name__}.{name}").METHOD
