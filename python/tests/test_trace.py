"""The record of a region."""

import graphproof
import numpy
import pytest

cuda = pytest.importorskip("numba.cuda")


def test_calls_have_their_lines():
    x = cuda.to_device(numpy.zeros(4, numpy.float32))
    stream = cuda.stream()
    with graphproof.trace() as record:
        stream.synchronize()
        x.copy_to_host()
    here = test_calls_have_their_lines.__code__.co_firstlineno
    waits = [call for call in record.calls if call.function.startswith("cuStreamSynchronize")]
    assert [(call.line - here, call.failed, call.capturing) for call in waits] == [(4, False, False)]
    assert waits[0].file.endswith("test_trace.py") and waits[0].stack[0][2] and waits[0].stream
    assert [call.line - here for call in record.calls if call.function.startswith("cuMemcpyDtoH")] == [5]
    assert record.dropped == 0 and record.calls == sorted(record.calls, key=lambda call: call.start_ns)


def test_regions_do_not_nest():
    with graphproof.trace():
        with pytest.raises(graphproof.Refused, match="a recording is in progress"):
            with graphproof.trace():
                pass
    with graphproof.trace() as after:
        pass
    assert after.calls == []
