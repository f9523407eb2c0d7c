"""tinygrad, whose kernels and copies go on the judge's stream.

tinygrad opens a context of its own and enqueues on its null stream, which no capture takes. Its CUDA device speaks to
the driver by one module, `tinygrad.runtime.ops_cuda`: that one is given the primary context, and the judge's stream
while a step runs.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib.abc
import importlib.util
import math
import sys
import threading
from typing import Any, Iterator

from . import _graphproof
from ._arrays import NAMES
from ._frameworks import Described, Framework

_MODULE = "tinygrad.runtime.ops_cuda"
# tinygrad's element types, by the gate's names.
_TYPES = {**NAMES, "e4m3": "fp8e4m3", "e5m2": "fp8e5m2"}
_current: int | None = None
_own = threading.local()


class _Driver:
    """What tinygrad calls the driver by."""

    def __init__(self, cuda: Any) -> None:
        self._cuda = cuda

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cuda, name)

    def _stream(self, stream: Any) -> Any:
        if stream is not None or _current is None:
            return stream
        return ctypes.cast(ctypes.c_void_p(_current), self._cuda.CUstream)

    def cuCtxCreate_v2(self, context: Any, flags: int, device: Any) -> int:
        # The first device is the judge's.
        if device.value == 0:
            return self._cuda.cuDevicePrimaryCtxRetain(context, device)
        return self._cuda.cuCtxCreate_v2(context, flags, device)

    def cuLaunchKernel(self, function: Any, *arguments: Any) -> int:
        *shape, stream, parameters, extra = arguments
        return self._cuda.cuLaunchKernel(function, *shape, self._stream(stream), parameters, extra)

    def cuMemcpyHtoDAsync_v2(self, to: Any, source: Any, size: int, stream: Any) -> int:
        return self._cuda.cuMemcpyHtoDAsync_v2(to, source, size, self._stream(stream))

    def cuMemcpyDtoDAsync_v2(self, to: Any, source: Any, size: int, stream: Any) -> int:
        return self._cuda.cuMemcpyDtoDAsync_v2(to, source, size, self._stream(stream))


def _attach(module: Any) -> None:
    if not isinstance(module.cuda, _Driver):
        module.cuda = _Driver(module.cuda)


class _WhenImported(importlib.abc.MetaPathFinder):
    """Attaches to tinygrad's CUDA device when it is imported: it opens a context with its first array."""

    def find_spec(self, name: str, path: Any, target: Any = None) -> Any:
        if name != _MODULE:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is None or spec.loader is None:
            return spec
        load = spec.loader.exec_module

        def exec_module(module: Any) -> None:
            load(module)
            _attach(module)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def attach() -> None:
    """Lets tinygrad's arrays be in the judge's context, from its first one on."""
    if _MODULE in sys.modules:
        if not sys.modules[_MODULE].CUDADevice.devices:
            _attach(sys.modules[_MODULE])
    elif not any(isinstance(finder, _WhenImported) for finder in sys.meta_path):
        sys.meta_path.insert(0, _WhenImported())


class Tinygrad(Framework):
    """tinygrad: its tensors are realised on the judge's stream. A step under `TinyJit` is judged as the function that
    it is made of, since the judge captures it."""

    name = "tinygrad"
    # A capture may allocate nothing, and a graph has one address for each result.
    drops = True

    def holds(self, value: Any) -> bool:
        tinygrad = sys.modules.get("tinygrad")
        return tinygrad is not None and isinstance(value, tinygrad.Tensor)

    def describe(self, name: str, value: Any) -> Described:
        kind = next((own for own, theirs in _TYPES.items() if theirs == _name(value.dtype)), None)
        if kind is None:
            raise _graphproof.Refused(f"'{name}' has elements of type {value.dtype}, which the gate does not know")
        shape = tuple(value.shape)
        if not all(isinstance(extent, int) for extent in shape):
            raise _graphproof.Refused(f"'{name}' has a shape with variables, {shape}: give it one of numbers")
        if value.device not in ("CUDA", "CUDA:0"):
            raise _graphproof.Refused(f"'{name}' is on {value.device}; the gate judges on CUDA: give `.to('CUDA')`, or set DEV=CUDA")
        if not isinstance(sys.modules[_MODULE].cuda, _Driver):
            raise _graphproof.Refused("tinygrad has opened its device before: import graphproof before the first tensor is made")
        buffer = self.dense(value).uop.buffer
        address = buffer._buf.value if buffer.is_allocated() else 0
        return Described(address, shape, kind, True)

    def dense(self, value: Any) -> Any:
        dense = value.contiguous().realize()
        # A view of a larger buffer stays one.
        return dense if dense.uop.buffer.size == math.prod(dense.shape) else (value + 0).contiguous().realize()

    def wrap(self, ptr: int, shape: tuple[int, ...], kind: str) -> Any:
        from tinygrad import Tensor, dtypes

        return Tensor.from_blob(ptr, shape, dtype=getattr(dtypes, _TYPES[kind]), device="CUDA")

    @contextlib.contextmanager
    def using(self, stream: Any) -> Iterator[None]:
        global _current
        _settle()
        before, _current = _current, int(stream)
        try:
            yield
        finally:
            _current = before

    @contextlib.contextmanager
    def as_caller(self) -> Iterator[None]:
        # The cache of compiled kernels is a database whose connection belongs to the thread that opened it.
        helpers = sys.modules["tinygrad.helpers"]
        before = helpers._db_connection
        helpers._db_connection = getattr(_own, "connection", None)
        try:
            yield
        finally:
            _own.connection, helpers._db_connection = helpers._db_connection, before

    def reseed(self, seed: int) -> None:
        sys.modules["tinygrad"].Tensor.manual_seed(seed % (1 << 31))


def _settle() -> None:
    """Lets each run find the same memory for its temporaries, that of the lowest addresses: what runs before it have
    dropped is back in the allocator, in the order of addresses."""
    gc.collect()
    for device in sys.modules[_MODULE].CUDADevice.devices:
        for free in device.allocator.cache.values():
            free.sort(key=lambda memory: -memory.value)


def plain(step: Any) -> Any:
    """The function behind `TinyJit`."""
    jitted = type(step).__module__.startswith("tinygrad.") and callable(getattr(step, "fxn", None))
    return step.fxn if jitted else step


def _name(dtype: Any) -> str | None:
    dtypes = sys.modules["tinygrad"].dtypes
    return next((name for name in _TYPES.values() if getattr(dtypes, name, None) == dtype), None)
