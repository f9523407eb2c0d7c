"""The driver calls of a region."""

from __future__ import annotations

from dataclasses import dataclass
from types import TracebackType

from . import _graphproof, _places
from ._driver import use_driver


@dataclass(frozen=True)
class Call:
    """One call of the CUDA driver API."""

    function: str
    """The exported name: `cuLaunchKernel`."""
    stream: int | None
    """The stream that it was given; None for a call without one."""
    capturing: bool
    """Whether that stream was being captured."""
    result: int | None
    """The `CUresult`; None for a call that has not returned."""
    thread: int
    """A number of the calling thread."""
    start_ns: int
    """Host time from the start of the region, in nanoseconds."""
    duration_ns: int
    """Host time in the call, in nanoseconds."""
    stack: tuple[tuple[str, int, str], ...]
    """File, line and function of the user's frames, innermost first."""

    @property
    def failed(self) -> bool:
        """Whether it returned an error; `CUDA_ERROR_NOT_READY` of a query is none."""
        return self.result not in (None, 0, 600)

    @property
    def file(self) -> str | None:
        """The file of the innermost of the user's frames."""
        return self.stack[0][0] if self.stack else None

    @property
    def line(self) -> int | None:
        """Its line, from 1."""
        return self.stack[0][1] if self.stack else None


class trace:
    """Reads the record of a region:

        with graphproof.trace() as record:
            step()
        for call in record.calls: ...

    On the software driver at any time; on NVIDIA's in a program that `graphproof trace -- python PROGRAM` has started.
    Regions do not nest, and hold no gate. Raises `Refused` where calls cannot be recorded.
    """

    def __init__(self) -> None:
        self.calls: list[Call] = []
        """The calls, in the order of their ends; there once the region has ended."""
        self.dropped = 0
        """Calls that found no room."""

    def __enter__(self) -> "trace":
        use_driver()
        self._began = _graphproof.begin_trace()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        told, self.dropped = _graphproof.end_trace(self._began)
        for function, stream, capturing, result, thread, start, duration, frames in told:
            own = ((_places.shown(file), line, name) for file, line, name in frames)
            stack = tuple((file, line, name) for file, line, name in own if file)
            self.calls.append(Call(function, stream, capturing, result, thread, start, duration, stack))
