"""What differs between frameworks: their arrays, their streams, their captures."""

from __future__ import annotations

import contextlib
import ctypes
import math
import sys
from dataclasses import dataclass
from typing import Any, ContextManager, Iterator

from . import _dlpack, _graphproof
from ._arrays import OF_INTERFACE, TYPES, Array, Stream


@dataclass(frozen=True)
class Described:
    """An array, as the gate needs it."""

    ptr: int
    shape: tuple[int, ...]
    type: str
    on_device: bool

    @property
    def nbytes(self) -> int:
        """Length in bytes."""
        return math.prod(self.shape) * TYPES[self.type][1]

    def content(self) -> bytes:
        """Its bytes, once all work before is done."""
        if self.on_device:
            return _graphproof.download(self.ptr, self.nbytes)
        return ctypes.string_at(self.ptr, self.nbytes)


class Framework:
    """Arrays of no framework: numpy's, and whatever tells of itself by `__cuda_array_interface__` or DLPack."""

    name = "arrays"
    captures = False
    drops = False
    """Whether what a run has returned is dropped before the next: its memory is then the next one's."""
    mode = "global"
    """In which mode it captures where nothing is said."""
    keeps = False
    """Whether what a captured run has returned must be kept for its graph: no pool of the graph's own holds it."""

    def holds(self, value: Any) -> bool:
        """Whether a value is an array of this framework."""
        return hasattr(type(value), "__cuda_array_interface__") or _is_numpy(value) or _dlpack.speaks(value)

    def describe(self, name: str, value: Any) -> Described:
        """Reads an array. Raises `Refused` for one that the gate cannot take."""
        if not _is_numpy(value) and not hasattr(type(value), "__cuda_array_interface__"):
            return Described(*_dlpack.read(name, value))
        if _is_numpy(value):
            interface, on_device = value.__array_interface__, False
        else:
            interface, on_device = value.__cuda_array_interface__, True
        kind = OF_INTERFACE.get(interface["typestr"])
        if kind is None:
            raise _graphproof.Refused(f"'{name}' has elements of type {interface['typestr']}, which the gate does not know")
        shape = tuple(int(extent) for extent in interface["shape"])
        strides = interface.get("strides")
        if strides is not None and tuple(strides) != _dense(shape, TYPES[kind][1]) and math.prod(shape) > 1:
            raise _graphproof.Refused(
                f"'{name}' is not contiguous: its strides are {tuple(strides)} bytes for the shape {shape}; "
                "make a dense copy of it first"
            )
        return Described(interface["data"][0], shape, kind, on_device)

    def wrap(self, ptr: int, shape: tuple[int, ...], kind: str) -> Any:
        """An array of this framework over memory of the judge's."""
        return Array(ptr, shape, kind)

    def stream(self, handle: int) -> Any:
        """A stream of this framework over the judge's."""
        return Stream(handle)

    def default_stream(self) -> Any:
        """The default stream, by the framework's own name for it."""
        return self.stream(0)

    def using(self, stream: Any) -> ContextManager[Any]:
        """What the step enqueues goes on `stream`, where the framework has a current one."""
        return contextlib.nullcontext()

    def dense(self, value: Any) -> Any:
        """A result without gaps, copied on the current stream where it has some."""
        return value

    def reseed(self, seed: int) -> None:
        """Starts the framework's random numbers on the device anew."""

    def saved(self) -> ContextManager[Any]:
        """Keeps what `reseed` changes."""
        return contextlib.nullcontext()

    def as_caller(self) -> ContextManager[Any]:
        """Runs on this thread with the settings of the thread that called the gate."""
        return contextlib.nullcontext()

    def settle(self) -> None:
        """Frees what the framework would free later: that of the inputs is no memory of the step's."""

    def lost(self, addresses: list[int]) -> list[tuple[int, str, str | None, int]]:
        """Which addresses the framework's allocator has taken back."""
        return []


def _is_numpy(value: Any) -> bool:
    numpy = sys.modules.get("numpy")
    return numpy is not None and isinstance(value, numpy.ndarray)


def _dense(shape: tuple[int, ...], size: int) -> tuple[int, ...]:
    strides: list[int] = []
    for extent in reversed(shape):
        strides.insert(0, size)
        size *= extent
    return tuple(strides)


class Numba(Framework):
    """numba-cuda: its device arrays; kernels are given the stream in their launch, `kernel[grid, block, stream]`."""

    name = "numba-cuda"

    def holds(self, value: Any) -> bool:
        return type(value).__module__.startswith(("numba.cuda", "numba_cuda")) and super().holds(value)

    def wrap(self, ptr: int, shape: tuple[int, ...], kind: str) -> Any:
        from numba import cuda

        return cuda.as_cuda_array(Array(ptr, shape, kind), sync=False)

    def stream(self, handle: int) -> Any:
        from numba import cuda

        return cuda.external_stream(handle)

    def default_stream(self) -> Any:
        from numba import cuda

        return cuda.default_stream()

    def settle(self) -> None:
        from numba import cuda

        cuda.current_context().memory_manager.deallocations.clear()


class Triton(Framework):
    """Triton without PyTorch: kernels are launched on arrays of no framework, and on the stream that Triton takes
    for the current one."""

    name = "Triton"

    def holds(self, value: Any) -> bool:
        return False

    @contextlib.contextmanager
    def using(self, stream: Any) -> Iterator[None]:
        import triton

        active = triton.runtime.driver.active
        before = active.get_current_stream
        active.get_current_stream = lambda device: int(stream)
        try:
            yield
        finally:
            active.get_current_stream = before


ALL: list[Framework] = []


def known() -> list[Framework]:
    """The frameworks, those with arrays of their own first."""
    if not ALL:
        from ._cupy import CuPy
        from ._tinygrad import Tinygrad
        from ._torch import Torch

        ALL.extend([Torch(), CuPy(), Numba(), Tinygrad(), Triton(), Framework()])
    return ALL


def of(value: Any) -> Framework | None:
    """The framework of an array; None for what is no array."""
    return next((framework for framework in known() if framework.holds(value)), None)


def leaves(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    """The arrays in a value with their names, those in tuples, lists and dictionaries too."""
    if of(value) is not None:
        yield name, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, f"{name}.{key}" if name else str(key))
    elif isinstance(value, (tuple, list)):
        fields = getattr(value, "_fields", range(len(value)))
        for key, inner in zip(fields, value):
            yield from leaves(inner, f"{name}.{key}" if name else str(key))


def rebuilt(value: Any, name: str, arrays: dict[str, Any]) -> Any:
    """The same value with the arrays that `arrays` names."""
    if of(value) is not None:
        return arrays[name]
    if isinstance(value, dict):
        inner = {key: rebuilt(part, f"{name}.{key}" if name else str(key), arrays) for key, part in value.items()}
        return inner if type(value) is dict else type(value)(inner)
    if isinstance(value, (tuple, list)):
        fields = getattr(value, "_fields", None)
        keys = fields or range(len(value))
        parts = [rebuilt(part, f"{name}.{key}" if name else str(key), arrays) for key, part in zip(keys, value)]
        return type(value)(*parts) if fields else type(value)(parts)
    return value
