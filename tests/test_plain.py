"""Plain data: what may pass from a learner's process to a judge's, exactly; and nothing else."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from course_lib.exercises.plain import DEEPEST, LARGEST, MOST, Other, Raised, decode, encode, name_of, plain


def crossed(value: Any) -> Any:
    """A value as another process would get it."""
    return decode(json.loads(json.dumps(encode(value), allow_nan=False)))


PLAIN = [None, True, 3, -5, 0, 0.0, -0.0, 1 / 3, 1e300, math.inf, 2.5 + 1j, "", "ä\n\0", [], (), [1, (2.0, "x")], [[]]]


@pytest.mark.parametrize("value", PLAIN, ids=repr)
def test_plain_values_come_back_as_they_were(value: Any) -> None:
    back = crossed(value)
    assert type(back) is type(value) and repr(back) == repr(value)


def test_a_number_that_is_none_stays_one() -> None:
    assert math.isnan(crossed(math.nan)) and math.isnan(crossed(torch.tensor([math.nan])).item())


@pytest.mark.parametrize(
    "dtype", [torch.float32, torch.float64, torch.bfloat16, torch.int64, torch.uint8, torch.bool, torch.complex64]
)
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 0, 4), (2, 3, 4)])
def test_tensors_come_back_as_they_were(dtype: torch.dtype, shape: tuple[int, ...]) -> None:
    value = torch.randn(shape).mul(9).to(dtype)
    back = crossed(value)
    assert back.dtype == dtype and back.shape == shape and torch.equal(back, value)


def test_tensors_in_odd_layouts_come_back_as_values() -> None:
    value = torch.arange(24.0).view(2, 3, 4).requires_grad_()
    for odd in (value.transpose(0, 2), value.expand(5, 2, 3, 4), torch.complex(value, value).conj(), value[:, ::2]):
        assert torch.equal(crossed(odd), odd.detach())


@pytest.mark.parametrize("dtype", ["float32", "float64", "int8", "bool", "complex128", "uint16", ">f8"])
def test_arrays_come_back_as_values(dtype: str) -> None:
    value = np.arange(6).reshape(2, 3).astype(dtype)
    back = crossed(value)
    assert type(back) is np.ndarray and back.dtype == value.dtype.newbyteorder("=") and np.array_equal(back, value)
    number = crossed(value[1, 2])
    assert type(number) is type(value[1, 2]) and number == value[1, 2]


def test_series_come_back_with_their_index() -> None:
    for value in (
        pd.Series([1.5, math.nan], [3, 1], name="a"),
        pd.Series([1, 2], ["x", "y"]),
        pd.Series([], dtype=float),
    ):
        pd.testing.assert_series_equal(crossed(value), value, check_index_type=False)


class Sly(float):
    """A float of one's own."""


class Same:
    """Equal to everything, and hard to copy."""

    def __eq__(self, other: object) -> bool:
        return True

    def __deepcopy__(self, memo: dict) -> Same:
        raise RuntimeError

    def __reduce__(self) -> Any:
        return (print, ("run",))


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (Sly(1.0), "Sly"),
        (Same(), "Same"),
        (torch.nn.Parameter(torch.zeros(2)), "Parameter"),
        (torch.zeros(2, device="meta"), "Tensor of"),
        (torch.eye(2).to_sparse(), "Tensor of"),
        (torch.zeros(LARGEST), "Tensor of"),
        (np.zeros(LARGEST), "ndarray of"),
        (np.array([Same()], dtype=object), "ndarray of object"),
        (np.array(["x"]), "ndarray of"),
        (np.ma.masked_array([1.0]), "MaskedArray"),
        (pd.Series(["x"]), "Series of"),
        (pd.DataFrame(), "DataFrame"),
        (1 << 100, "int"),
        ("x" * LARGEST, "str"),
        ({"a": 1}, "dict"),
        ({1}, "set"),
        (print, "builtin_function_or_method"),
        (b"x", "bytes"),
    ],
)
def test_whatever_is_not_plain_becomes_its_name(value: Any, kind: str) -> None:
    back = crossed(value)
    assert isinstance(back, Other) and back.kind.startswith(kind) and name_of(back) == back.kind
    assert isinstance(crossed([value])[0], Other)


def test_too_many_and_too_deep_values_are_cut() -> None:
    round_and_round: list[Any] = []
    round_and_round.append(round_and_round)
    assert Other("too many values") in crossed([0] * (MOST + 5))
    assert "too many values" in repr(crossed(round_and_round)) and "too many values" in repr(
        crossed([round_and_round] * 9)
    )
    deep: Any = 1
    for _ in range(DEEPEST):
        deep = [deep]
    assert crossed(deep) == deep


def test_what_was_raised_passes() -> None:
    assert crossed([Raised("ValueError", "no")]) == [Raised("ValueError", "no")]


TENSOR = {"kind": "tensor", "dtype": "float32", "shape": [2], "bytes": "AAAAAAAAAAA="}


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"kind": "pickle"},
        {"kind": ["tensor"]},
        {"kind": "tuple", "items": 3},
        TENSOR | {"shape": [3]},
        TENSOR | {"shape": [-2]},
        TENSOR | {"shape": [1 << 62, 1 << 62]},
        TENSOR | {"shape": [True, 2]},
        TENSOR | {"shape": "2"},
        TENSOR | {"shape": [1] * 40 + [2]},
        TENSOR | {"dtype": "object"},
        TENSOR | {"dtype": "Tensor"},
        TENSOR | {"bytes": "?"},
        TENSOR | {"bytes": None},
        {"kind": "array", "dtype": "bfloat16", "shape": [2], "bytes": "AAAAAA=="},
        {"kind": "float", "value": "one"},
        {"kind": "complex", "parts": [1, 2]},
        {"kind": "series", "values": TENSOR, "index": [1]},
        {"kind": "raised"},
        [[[[[[[[[[[[[]]]]]]]]]]]]],
        [0] * (3 * MOST),
    ],
    ids=lambda data: repr(data)[:40],
)
def test_what_was_never_encoded_is_refused(data: Any) -> None:
    with pytest.raises(ValueError):
        decode(data)
    assert decode(TENSOR).tolist() == [0.0, 0.0]


def test_a_plain_copy_shares_nothing() -> None:
    value = torch.zeros(2)
    copy = plain([value])[0]
    value.fill_(1)
    assert copy.tolist() == [0.0, 0.0]
