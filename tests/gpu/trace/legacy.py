"""Work on the legacy stream beside the capture of a stream that was made to wait for it."""
import ctypes

import torch
from common import N, PLANTED, driver, warm

x = torch.ones(N, device="cuda")
blocking = ctypes.c_uint64(0)
driver().cuStreamCreate(ctypes.byref(blocking), 0)
stream = torch.cuda.ExternalStream(blocking.value)


def step(x):
    y = x * 2
    if PLANTED:
        with torch.cuda.stream(torch.cuda.default_stream()):
            y.add_(1)  # told: C01
    else:
        y.add_(1)
    return y


warm(lambda x: x * 2 + 1, x)
graph = torch.cuda.CUDAGraph()
try:
    with torch.cuda.graph(graph, stream=stream):
        out = step(x)
    graph.replay()
    torch.cuda.synchronize()
except RuntimeError as error:
    print(type(error).__name__)
