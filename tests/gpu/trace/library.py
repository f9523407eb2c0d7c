"""A library grows its workspace by itself while the step that uses it is captured."""
import ctypes

import torch
from common import N, PLANTED, driver, warm

x = torch.ones(N, device="cuda")
cuda = driver()
workspace = ctypes.c_uint64(0)


def grow():
    return cuda.cuMemAlloc_v2(ctypes.byref(workspace), ctypes.c_size_t(1 << 20))  # told: A01


def step(x):
    return x * 2


warm(step, x)
if not PLANTED:
    grow()
graph = torch.cuda.CUDAGraph()
try:
    with torch.cuda.graph(graph):
        if PLANTED:
            grow()
        out = step(x)
    graph.replay()
    torch.cuda.synchronize()
except RuntimeError as error:
    print(type(error).__name__)
