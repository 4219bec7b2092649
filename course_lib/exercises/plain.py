"""Plain data: all that may pass between a learner's function and its judge, in this process or another.

None, bool, int, float, complex, str, tensors, NumPy's arrays, numbers, lists and tuples of these, and pandas' Series,
of exactly these types, since a subclass can claim anything about itself. Anything else becomes its name, `Other`.
As JSON it holds no code and no pickle; the bytes of a tensor are kept with its type and shape, and must fit them.
"""

from __future__ import annotations

import base64
import itertools
import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

LARGEST = 4_000_000
"""Bytes of one tensor, and characters of one text."""

MOST = 20_000
"""Values in one answer; a list and each of its items count as one."""

DEEPEST = 6
"""Lists in lists."""

_TORCH = ("bool", "uint8", "int8", "int16", "int32", "int64", "float16", "bfloat16", "float32", "float64")
_TORCH += ("complex64", "complex128")
_NUMPY = tuple(name for name in _TORCH if name != "bfloat16") + ("uint16", "uint32", "uint64")


@dataclass(frozen=True)
class Other:
    """Something that is not plain data, or too much of it: only its kind is known."""

    kind: str


@dataclass(frozen=True)
class Raised:
    """What a function raised instead of answering: the type's name, and the message."""

    kind: str
    message: str


def plain(value: Any) -> Any:
    """A copy of a value as plain data, as a judge in another process would get it."""
    return decode(encode(value))


def name_of(value: Any) -> str:
    """What a value is, for a sentence: the name of its type."""
    return value.kind if isinstance(value, Other) else type(value).__name__


def encode(value: Any) -> Any:
    """A value in a form that JSON can hold; `decode` gives it back. Whatever is not plain becomes `Other`."""
    return _encode(value, 0, itertools.count())


def _encode(value: Any, depth: int, count: Iterator[int]) -> Any:
    if next(count) >= MOST or depth > DEEPEST:
        return _other("too many values")
    kind = type(value)
    if (
        value is None
        or kind is bool
        or (kind is int and abs(value) < 1 << 63)
        or (kind is str and len(value) < LARGEST)
    ):
        return value
    if kind is list:
        return [_encode(one, depth + 1, count) for one in value]
    if kind is tuple:
        return {"kind": "tuple", "items": [_encode(one, depth + 1, count) for one in value]}
    if kind is Raised:
        return {"kind": "raised", "name": value.kind[:200], "message": value.message[:2000]}
    if kind is Other:
        return _other(value.kind)
    encoded = _encode_numbers(value, kind, count)
    return _other(kind.__name__) if encoded is None else encoded


def _encode_numbers(value: Any, kind: type, count: Iterator[int]) -> Any:
    """Floats, and all that holds many numbers; None for anything else."""
    if kind is float:
        return value if math.isfinite(value) else {"kind": "float", "value": value.hex()}
    if kind is complex:
        return {"kind": "complex", "parts": [value.real.hex(), value.imag.hex()]}
    if kind is Tensor:
        return _encode_tensor(value)
    if kind is np.ndarray or (issubclass(kind, np.generic) and kind.__module__ == "numpy"):
        return _encode_array(value, "array" if kind is np.ndarray else "number")
    if "pandas" in sys.modules and kind is sys.modules["pandas"].Series:
        return _encode_series(value, count)
    return None


def _other(name: str) -> dict[str, str]:
    return {"kind": "other", "name": str(name)[:200]}


def _encode_tensor(value: Tensor) -> Any:
    name = str(value.dtype).removeprefix("torch.")
    if value.layout != torch.strided or value.is_meta or name not in _TORCH or value.nbytes > LARGEST:
        return _other(f"Tensor of {tuple(value.shape)}, {name}")
    flat = value.detach().cpu().resolve_conj().resolve_neg().contiguous().flatten()
    return _packed("tensor", name, value.shape, flat.view(torch.uint8).numpy().tobytes())


def _encode_array(value: Any, kind: str) -> Any:
    array = np.asarray(value)
    if array.dtype.name not in _NUMPY or array.nbytes > LARGEST:
        return _other(f"{type(value).__name__} of {array.dtype.name}")
    native = array.astype(array.dtype.newbyteorder("="))
    return _packed(kind, array.dtype.name, array.shape, native.tobytes())


def _packed(kind: str, dtype: str, shape: Any, data: bytes) -> dict[str, Any]:
    return {"kind": kind, "dtype": dtype, "shape": list(shape), "bytes": base64.b64encode(data).decode()}


def _encode_series(value: Any, count: Iterator[int]) -> Any:
    values, index = value.to_numpy(), value.index.to_list()
    name = value.name if type(value.name) is str else None
    if values.dtype.name not in _NUMPY or value.index.nlevels > 1:
        return _other(f"Series of {value.dtype}")
    rows = [_encode(one, 1, count) for one in index]
    return {"kind": "series", "values": _encode_array(values, "array"), "index": rows, "name": name}


def decode(data: Any) -> Any:
    """The value that `encode` was given. Raises ValueError for anything that it cannot have written."""
    try:
        return _decode(data, 0, itertools.count())
    except (KeyError, TypeError, AttributeError, RuntimeError, OverflowError) as error:
        raise ValueError(f"no plain data: {type(error).__name__}") from error


def _decode(data: Any, depth: int, count: Iterator[int]) -> Any:
    if next(count) > 2 * MOST or depth > DEEPEST + 2:
        raise ValueError("no plain data: too many values")
    if data is None or isinstance(data, bool | int | float | str):
        return data
    if isinstance(data, list):
        return [_decode(one, depth + 1, count) for one in data]
    kind = data["kind"]
    if kind == "tuple":
        return tuple(_decode(one, depth + 1, count) for one in data["items"])
    if kind == "series":
        return _decode_series(data, depth, count)
    return _DECODERS[kind](data)


def _decode_series(data: dict[str, Any], depth: int, count: Iterator[int]) -> Any:
    import pandas as pd

    index = [_decode(one, depth + 1, count) for one in data["index"]]
    return pd.Series(_decode_array(data["values"]), index, name=data["name"])


def _unpacked(data: dict[str, Any], known: tuple[str, ...]) -> tuple[bytes, list[int]]:
    """The bytes and the shape of a tensor, which fit each other."""
    content, shape = base64.b64decode(data["bytes"], validate=True), data["shape"]
    if data["dtype"] not in known or not all(type(size) is int and size >= 0 for size in shape):
        raise ValueError(f"no plain data: {str(data['dtype'])[:50]} of {str(shape)[:50]}")
    item = getattr(torch, data["dtype"]).itemsize if known is _TORCH else np.dtype(data["dtype"]).itemsize
    if len(content) > LARGEST or len(content) != math.prod(shape) * item or len(shape) > 32:
        raise ValueError("no plain data: bytes that do not fit their shape")
    return content, shape


def _decode_tensor(data: dict[str, Any]) -> Tensor:
    content, shape = _unpacked(data, _TORCH)
    flat = torch.frombuffer(bytearray(content), dtype=torch.uint8) if content else torch.empty(0, dtype=torch.uint8)
    return flat.view(getattr(torch, data["dtype"])).view(shape)


def _decode_array(data: dict[str, Any]) -> np.ndarray:
    content, shape = _unpacked(data, _NUMPY)
    return np.frombuffer(content, data["dtype"]).reshape(shape).copy()


_DECODERS = {
    "float": lambda data: float.fromhex(data["value"]),
    "complex": lambda data: complex(*(float.fromhex(part) for part in data["parts"])),
    "tensor": _decode_tensor,
    "array": _decode_array,
    "number": lambda data: _decode_array(data)[()],
    "other": lambda data: Other(str(data["name"])[:200]),
    "raised": lambda data: Raised(str(data["name"])[:200], str(data["message"])[:2000]),
}
