"""Arrays and streams of no framework."""

from __future__ import annotations

import math
from typing import Any

# Element types of the gate: type string of the array interface, and bytes of one.
TYPES = {
    "f16": ("<f2", 2),
    "bf16": ("<i2", 2),
    "f32": ("<f4", 4),
    "f64": ("<f8", 8),
    "e4m3": ("|u1", 1),
    "e5m2": ("|u1", 1),
    "i8": ("|i1", 1),
    "i16": ("<i2", 2),
    "i32": ("<i4", 4),
    "i64": ("<i8", 8),
    "u8": ("|u1", 1),
    "u16": ("<u2", 2),
    "u32": ("<u4", 4),
    "u64": ("<u8", 8),
    "bool": ("|b1", 1),
    "bytes": ("|u1", 1),
}
# What frameworks call them alike; each has names of its own for fp8.
NAMES = {
    "f16": "float16",
    "bf16": "bfloat16",
    "f32": "float32",
    "f64": "float64",
    "i8": "int8",
    "i16": "int16",
    "i32": "int32",
    "i64": "int64",
    "u8": "uint8",
    "u16": "uint16",
    "u32": "uint32",
    "u64": "uint64",
    "bool": "bool",
}
OF_INTERFACE = {text: name for name, (text, _) in TYPES.items() if name not in ("bf16", "e4m3", "e5m2", "bytes")}


class Array:
    """Device memory with a shape and an element type: what a step is given for a numpy array.

    Kernels of numba-cuda take it as it is, by `__cuda_array_interface__`; `ptr` is the device address, for launches
    through cuda-core or cuda-bindings; Triton asks for `data_ptr()` and `dtype`.
    """

    def __init__(self, ptr: int, shape: tuple[int, ...], type_name: str, owner: Any = None) -> None:
        self.ptr = ptr
        """Device address of the first element."""
        self.shape = shape
        """Extents, outermost first; row-major and dense."""
        self.type = type_name
        """Element type by the gate's name: `f32`."""
        self._owner = owner

    @property
    def nbytes(self) -> int:
        """Length in bytes."""
        return math.prod(self.shape) * TYPES[self.type][1]

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def dtype(self) -> Any:
        """Element type by numpy's name."""
        import numpy

        return numpy.dtype(TYPES[self.type][0])

    def data_ptr(self) -> int:
        """Device address of the first element."""
        return self.ptr

    def __int__(self) -> int:
        return self.ptr

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        return {
            "shape": self.shape,
            "typestr": TYPES[self.type][0],
            "data": (self.ptr, False),
            "version": 3,
            "strides": None,
            "stream": None,
        }

    def __repr__(self) -> str:
        return f"graphproof.Array({self.type}, {self.shape}, {self.ptr:#x})"


class Stream:
    """The stream that a step must put its work on: what a step is given that has a parameter called `stream`.

    `int(stream)` and `stream.handle` are the `CUstream`; cuda-core takes it by `__cuda_stream__`.
    """

    def __init__(self, handle: int) -> None:
        self.handle = handle
        """The `CUstream` as a number."""

    def __int__(self) -> int:
        return self.handle

    def __cuda_stream__(self) -> tuple[int, int]:
        return (0, self.handle)

    def __repr__(self) -> str:
        return f"graphproof.Stream({self.handle:#x})"
