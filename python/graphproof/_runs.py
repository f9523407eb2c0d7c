"""What surrounds a run of a step: no collector in what is judged, and digests of what its lines leave."""

from __future__ import annotations

import contextlib
import gc
import hashlib
from typing import Any, Iterator

from ._frameworks import leaves, of


@contextlib.contextmanager
def without_collector(judged: bool) -> Iterator[None]:
    """Keeps Python's collector out of a capture, and of a run on a held stream: when it runs is chance, and what it
    frees may be anybody's."""
    runs = gc.isenabled()
    if judged:
        gc.disable()
    try:
        yield
    finally:
        if judged and runs:
            gc.enable()


# Of one line, more is not looked at.
_MOST_NOTED = 64 << 20


def digest(values: Any) -> int:
    """What arrays among the values of a line hold, in 64 bits; waits for all work."""
    made = hashlib.blake2b(digest_size=8)
    left = _MOST_NOTED
    # What cannot be read tells nothing: a list that holds itself, an array on another device.
    with contextlib.suppress(RecursionError):
        for name, array in leaves(values, ""):
            with contextlib.suppress(Exception):
                framework = of(array)
                assert framework is not None
                described = framework.describe(name, framework.dense(array))
                left -= described.nbytes
                if left < 0:
                    break
                made.update(name.encode())
                made.update(described.content())
    return int.from_bytes(made.digest(), "little")
