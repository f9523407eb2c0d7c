"""Which lines are the user's, and what an exception says of them."""

from __future__ import annotations

import functools
import linecache
import os
import re
import sys
import sysconfig
from types import FrameType, TracebackType
from typing import Any, Callable

from . import _graphproof

_OWN = os.path.dirname(os.path.abspath(__file__))
_LIBRARIES = tuple(
    os.path.abspath(path) + os.sep
    for path in {sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib"), os.path.dirname(os.__file__)}
    if path
)


@functools.lru_cache(maxsize=4096)
def shown(file: str) -> str | None:
    """How a finding names a file of the user's; None for one of a library's."""
    if file.startswith("<"):
        return None
    path = os.path.abspath(file)
    parts = path.split(os.sep)
    library = "site-packages" in parts or "dist-packages" in parts or path.startswith(_LIBRARIES)
    if library or path.startswith(_OWN + os.sep):
        return None
    # Cython names its sources as they were where the library was built.
    if not os.path.isfile(path) and file not in linecache.cache:
        return None
    relative = os.path.relpath(path)
    return path if relative.startswith("..") else relative


def source(file: str, line: int) -> str:
    """What stands in a line."""
    return linecache.getline(file, line).strip() or "line of the step"


def of_code(function: Any) -> tuple[str, int, str] | None:
    """Where a function begins."""
    while hasattr(function, "__wrapped__"):
        function = function.__wrapped__
    function = getattr(function, "forward", function)
    function = getattr(function, "__func__", function)
    code = getattr(function, "__code__", None)
    if code is None:
        code = getattr(getattr(type(function), "__call__", None), "__code__", None)
    if code is None:
        return None
    file = shown(code.co_filename)
    return (file or code.co_filename, code.co_firstlineno, f"{code.co_name}()")


Note = Callable[[str, int, str, Any], None]


def follow(call: Callable[[], Any], note: Note | None = None) -> Any:
    """Runs `call`, and tells the judge each line of the user's that it comes to. `note` is called for each that is
    done, with its place, what stands there, and the values that its function has then."""

    def told(frame: FrameType) -> None:
        file = shown(frame.f_code.co_filename)
        if file:
            _graphproof.line(file, frame.f_lineno, source(frame.f_code.co_filename, frame.f_lineno))

    # The line that each function has come to.
    come_to: dict[FrameType, int] = {}

    def done(frame: FrameType, result: Any = None) -> None:
        line = come_to.pop(frame, None)
        file = shown(frame.f_code.co_filename)
        if note is not None and line is not None and file:
            note(file, line, source(frame.f_code.co_filename, line), {**frame.f_locals, "return": result})

    def within(frame: FrameType, event: str, value: Any) -> Any:
        if event == "line":
            done(frame)
            come_to[frame] = frame.f_lineno
            told(frame)
        elif event == "return":
            done(frame, value)
            # What follows on the line of the user's that called is its own, however many of a library's lie between.
            caller = frame.f_back
            while caller is not None and not shown(caller.f_code.co_filename):
                caller = caller.f_back
            if caller is not None:
                told(caller)
        return within

    def entered(frame: FrameType, event: str, _: Any) -> Any:
        return within if event == "call" and shown(frame.f_code.co_filename) else None

    before = sys.gettrace()
    sys.settrace(entered)
    try:
        return call()
    finally:
        sys.settrace(before)
        come_to.clear()


_CODES = {
    "STREAM_CAPTURE_UNSUPPORTED": 900,
    "STREAM_CAPTURE_INVALIDATED": 901,
    "STREAM_CAPTURE_MERGE": 902,
    "STREAM_CAPTURE_UNMATCHED": 903,
    "STREAM_CAPTURE_UNJOINED": 904,
    "STREAM_CAPTURE_ISOLATION": 905,
    "STREAM_CAPTURE_IMPLICIT": 906,
    "CAPTURED_EVENT": 907,
    "STREAM_CAPTURE_WRONG_THREAD": 908,
    "ILLEGAL_ADDRESS": 700,
    "ASSERT": 710,
    "LAUNCH_FAILED": 719,
    "ILLEGAL_STATE": 401,
    "NOT_PERMITTED": 800,
    "OUT_OF_MEMORY": 2,
}
# The texts of `cudaGetErrorString`, which is all that some frameworks tell.
_TEXTS = {
    "operation not permitted when stream is capturing": 900,
    "operation failed due to a previous error during capture": 901,
    "would result in a merge of separate capture sequences": 902,
    "capturing stream has unjoined work": 904,
    "dependency created on uncaptured work in another stream": 905,
    "operation would make the legacy stream depend on a capturing blocking stream": 906,
    "operation not permitted on an event last recorded in a capturing stream": 907,
    "attempt to terminate a thread-local capture sequence from another thread": 908,
    "an illegal memory access was encountered": 700,
    "device-side assert triggered": 710,
    "unspecified launch failure": 719,
}


def code_of(text: str) -> int | None:
    """The `CUresult` that a framework's message tells."""
    for name in re.findall(r"CUDA_ERROR_([A-Z_]+[A-Z])", text):
        if name in _CODES:
            return _CODES[name]
    return next((code for words, code in _TEXTS.items() if words in text), None)


def explain(error: BaseException) -> tuple[str, str | None, int, str, int | None, str]:
    """What an exception says: text, file, line, what stands there, and the driver's code and function if it tells
    them."""
    text = f"{type(error).__name__}: {error}".strip()
    first = text.split("\nCUDA kernel errors might be")[0].split("\nSearch for ")[0].split("\nCompile with ")[0]
    text = first if len(first) < 2000 else first[:2000] + " …"
    code, cause = code_of(text), error
    while code is None and (cause.__cause__ or cause.__context__) is not None:
        cause = cause.__cause__ or cause.__context__  # type: ignore[assignment]
        code = code_of(str(cause))
    place = getattr(error, "graphproof_place", None)
    trace: TracebackType | None = error.__traceback__
    while trace is not None:
        file = shown(trace.tb_frame.f_code.co_filename)
        if file:
            place = (file, trace.tb_lineno, source(trace.tb_frame.f_code.co_filename, trace.tb_lineno))
        trace = trace.tb_next
    file, line, what = place or (None, 0, "")
    function = re.search(r"\bcu[A-Z]\w+", text)
    return text, file, line, what, code, function.group() if function else ""
