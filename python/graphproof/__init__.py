"""Proves that a GPU step is safe to run as a CUDA graph.

    import graphproof

    report = graphproof.gate(step, inputs=make_inputs, steps=64)
    report.raise_for_findings()

`gate` runs the step eagerly twice, captures it twice, replays the graph over many steps with fresh inputs, and
compares every bit. It works on arrays of PyTorch, CuPy, numba-cuda, tinygrad and anything
else with `__cuda_array_interface__` or DLPack; numpy arrays reach the step as `graphproof.Array`.

Without a GPU the driver is graphproof's own, where GRAPHPROOF_DRIVER=software is set before this module is imported
(or `use_driver("software")` is called before a framework asks for CUDA): it executes PTX, so steps of numba-cuda,
of tinygrad and of kernels that are there as PTX run on it. PyTorch's kernels are machine code and need a GPU.
"""

from ._arrays import Array, Stream
from ._driver import Driver, Unavailable, use_driver
from ._gate import gate
from ._graphproof import Refused, __version__
from ._report import Finding, GateFailure, Report
from ._trace import Call, trace

__all__ = [
    "Array",
    "Call",
    "Driver",
    "Finding",
    "GateFailure",
    "Refused",
    "Report",
    "Stream",
    "Unavailable",
    "__version__",
    "gate",
    "trace",
    "use_driver",
]
