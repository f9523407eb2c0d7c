"""CuPy: its arrays, its streams and their captures, and what its memory pool has taken back."""

from __future__ import annotations

import contextlib
import math
import sys
import threading
from typing import Any, ContextManager, Iterator

from . import _graphproof, _places
from ._arrays import TYPES, Stream
from ._frameworks import Framework

_MODES = {
    "global": "streamCaptureModeGlobal",
    "thread-local": "streamCaptureModeThreadLocal",
    "relaxed": "streamCaptureModeRelaxed",
}


class CuPy(Framework):
    """The judge's stream is the current one while the step runs; it is captured by `Stream.begin_capture` where that
    gives the graph away (CuPy from 14 on), else by the driver's own calls."""

    name = "CuPy"
    # That of `Stream.begin_capture`: the pool may have to grow in a capture.
    mode = "relaxed"
    keeps = True

    def __init__(self) -> None:
        self._streams: dict[int, Any] = {}
        self._open: Any = None
        self._pool: Pool | None = None
        self._thread = threading.local()

    @property
    def captures(self) -> bool:  # type: ignore[override]
        cupy = sys.modules.get("cupy")
        # The graph that this prints is kept.
        return cupy is not None and hasattr(cupy.cuda.Graph, "debug_dot_str")

    def holds(self, value: Any) -> bool:
        cupy = sys.modules.get("cupy")
        return cupy is not None and isinstance(value, cupy.ndarray)

    def wrap(self, ptr: int, shape: tuple[int, ...], kind: str) -> Any:
        import cupy

        size = math.prod(shape) * TYPES[kind][1]
        memory = cupy.cuda.UnownedMemory(ptr, size, None)
        return cupy.ndarray(shape, TYPES[kind][0], cupy.cuda.MemoryPointer(memory, 0))

    def stream(self, handle: int) -> Any:
        import cupy

        # One for each: it keeps what a capture on it needs.
        if handle not in self._streams:
            from_external = getattr(cupy.cuda.Stream, "from_external", None)
            made = from_external(Stream(handle)) if from_external else cupy.cuda.ExternalStream(handle)
            self._streams[handle] = made
        return self._streams[handle]

    def default_stream(self) -> Any:
        import cupy

        return cupy.cuda.Stream.null

    def using(self, stream: Any) -> ContextManager[Any]:
        return stream

    def dense(self, value: Any) -> Any:
        import cupy

        return cupy.ascontiguousarray(value)

    def reseed(self, seed: int) -> None:
        import cupy

        cupy.random.seed(seed % (1 << 32))

    @contextlib.contextmanager
    def saved(self) -> Iterator[None]:
        self._pool = Pool()
        try:
            yield
        finally:
            self._pool = None
            self._streams.clear()

    @contextlib.contextmanager
    def as_caller(self) -> Iterator[None]:
        # The judge's thread has hooks of its own, and they end with it.
        if self._pool is not None and getattr(self._thread, "watches", None) is not self._pool:
            self._thread.watches = self._pool
            _hook(self._pool).__enter__()
        yield

    def begin(self, handle: int, mode: str) -> None:
        """Begins a capture on the judge's stream."""
        import cupy

        stream = self.stream(handle)
        stream.begin_capture(getattr(cupy.cuda.runtime, _MODES[mode]))
        self._open = stream
        if self._pool is not None:
            self._pool.capture_begins()

    def end(self) -> "CuPyGraph":
        """Ends it."""
        if self._open is None:
            raise _graphproof.Refused("no capture was begun")
        stream, self._open = self._open, None
        try:
            return CuPyGraph(stream.end_capture(), self, self._pool.handed_out_in_capture() if self._pool else {})
        finally:
            if self._pool is not None:
                self._pool.capture_ends()

    def lost(self, addresses: list[int]) -> list[tuple[int, str, str | None, int]]:
        return self._pool.lost(addresses) if self._pool is not None else []


class CuPyGraph:
    """A graph of CuPy's, which instantiates it at once."""

    def __init__(self, graph: Any, framework: CuPy, handed_out: dict[int, int]) -> None:
        self._graph, self._framework = graph, framework
        self._handed_out = handed_out
        self.raw = int(graph.graph)
        self.seed = 0

    def owns(self, address: int) -> bool:
        """No memory belongs to it alone."""
        return False

    def handed_out(self, address: int) -> bool:
        """Whether it lies in a block that the pool handed out in the capture."""
        return any(base <= address < base + size for base, size in self._handed_out.items())

    def instantiate(self) -> int:
        """The executable graph."""
        return int(self._graph.graphExec)

    def replay(self, handle: int) -> None:
        """Enqueues a replay."""
        self._graph.launch(stream=self._framework.stream(handle))


class Pool:
    """What CuPy's pools have handed out and taken back since the first capture, whose graph is replayed.

    A block that goes back, in the capture or later, is the next array's: nothing of the pool belongs to a graph.
    """

    def __init__(self) -> None:
        self._captures = 0
        self._capturing = False
        # In the capture in progress, or the last one: address to bytes.
        self._handed_out: dict[int, int] = {}
        self._open = False
        # Address to bytes, and to the line that asked for it.
        self._places: dict[int, tuple[str, int]] = {}
        self._in_capture: dict[int, int] = {}
        self._gone: dict[int, int] = {}

    def capture_begins(self) -> None:
        """A capture begins; what goes back is looked at in the first only, whose graph is replayed."""
        self._captures += 1
        self._handed_out, self._open = {}, True
        self._capturing = self._captures == 1

    def capture_ends(self) -> None:
        """It ends: what went back in it and is nobody's is gone."""
        if self._capturing:
            self._gone.update(self._in_capture)
        self._capturing = self._open = False

    def handed_out_in_capture(self) -> dict[int, int]:
        """The blocks that became an array's in the capture in progress, or the last one: address to bytes."""
        return dict(self._handed_out)

    def handed_out(self, address: int, size: int) -> None:
        """A block is an array's now."""
        if self._open:
            self._handed_out[address] = size
        frame = sys._getframe(1)
        while frame is not None and not _places.shown(frame.f_code.co_filename):
            frame = frame.f_back  # type: ignore[assignment]
        if frame is not None:
            self._places[address] = (str(_places.shown(frame.f_code.co_filename)), frame.f_lineno)
        else:
            self._places.pop(address, None)
        if self._capturing:
            for known in [known for known, bytes in self._in_capture.items() if address <= known < address + size]:
                del self._in_capture[known]

    def taken_back(self, address: int, size: int) -> None:
        """A block is the pool's again."""
        if self._capturing:
            self._in_capture[address] = size
        elif self._captures:
            self._gone.setdefault(address, size)

    def lost(self, addresses: list[int]) -> list[tuple[int, str, str | None, int]]:
        """Which of the addresses of a graph lie in blocks that are gone."""
        told = []
        for address in addresses:
            block = next((base for base, size in self._gone.items() if base <= address < base + size), None)
            if block is not None:
                what = f"is free in CuPy's pool: the array that was there is gone (block of {self._gone[block]} bytes)"
                file, line = self._places.get(block, (None, 0))
                told.append((address, what, file, line))
        return told


def _hook(pool: Pool) -> Any:
    """CuPy tells it of each block."""
    from cupy.cuda import MemoryHook

    class Hook(MemoryHook):
        name = "graphproof"

        def malloc_postprocess(self, **block: Any) -> None:
            if block["mem_ptr"]:
                pool.handed_out(block["mem_ptr"], block["mem_size"])

        def free_postprocess(self, **block: Any) -> None:
            pool.taken_back(block["mem_ptr"], block["mem_size"])

    return Hook()
