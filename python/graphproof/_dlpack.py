"""Arrays that tell of themselves by DLPack alone."""

from __future__ import annotations

import ctypes
import math
from typing import Any

from . import _graphproof

_CPU, _CUDA = (1, 3), (2, 13)
# (code, bits) of DLPack, by the gate's names.
_TYPES = {
    (0, 8): "i8",
    (0, 16): "i16",
    (0, 32): "i32",
    (0, 64): "i64",
    (1, 8): "u8",
    (1, 16): "u16",
    (1, 32): "u32",
    (1, 64): "u64",
    (2, 16): "f16",
    (2, 32): "f32",
    (2, 64): "f64",
    (4, 16): "bf16",
    (6, 8): "bool",
    (10, 8): "e4m3",
    (12, 8): "e5m2",
}


class _Tensor(ctypes.Structure):
    """`DLTensor` of dlpack.h, with which a `DLManagedTensor` begins."""

    _fields_ = [
        ("data", ctypes.c_void_p),
        ("device_type", ctypes.c_int32),
        ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    ]


def speaks(value: Any) -> bool:
    """Whether a value is an array by DLPack."""
    return hasattr(type(value), "__dlpack__") and hasattr(type(value), "__dlpack_device__")


def read(name: str, value: Any) -> tuple[int, tuple[int, ...], str, bool]:
    """Address, shape, element type and whether it is on the device. Raises `Refused` for what the gate cannot take.

    The memory stays the value's: the capsule is only looked at.
    """
    kind, _ = value.__dlpack_device__()
    # The default stream: the gate reads inputs once all work is done.
    capsule = value.__dlpack__(stream=1) if int(kind) in _CUDA else value.__dlpack__()
    pointer = ctypes.pythonapi.PyCapsule_GetPointer
    pointer.restype, pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    tensor = _Tensor.from_address(pointer(capsule, b"dltensor"))
    element = _TYPES.get((tensor.code, tensor.bits)) if tensor.lanes == 1 else None
    if element is None:
        raise _graphproof.Refused(
            f"'{name}' has elements of DLPack's type {tensor.code} with {tensor.bits} bits and {tensor.lanes} lanes, "
            "which the gate does not know"
        )
    if tensor.device_type not in _CPU + _CUDA or (tensor.device_type in _CUDA and tensor.device_id):
        raise _graphproof.Refused(
            f"'{name}' is on DLPack's device {tensor.device_type}:{tensor.device_id}; the gate judges on the CUDA device 0: "
            "copy it there, or start the program with CUDA_VISIBLE_DEVICES set to its device alone"
        )
    shape = tuple(tensor.shape[at] for at in range(tensor.ndim))
    if tensor.strides and math.prod(shape) > 1:
        strides, dense = tuple(tensor.strides[at] for at in range(tensor.ndim)), 1
        for extent, stride in zip(reversed(shape), reversed(strides)):
            if extent != 1 and stride != dense:
                raise _graphproof.Refused(
                    f"'{name}' is not contiguous: its strides are {strides} elements for the shape {shape}; "
                    "make a dense copy of it first"
                )
            dense *= extent
    return (tensor.data or 0) + tensor.byte_offset, shape, element, tensor.device_type in _CUDA
