"""A library's copy from pageable memory becomes a node that holds its address. (PyTorch's own copy refuses.)"""
import ctypes

import torch
from common import N, PLANTED, driver, warm

x = torch.ones(N, device="cuda")
batch = torch.ones(N)
if not PLANTED:
    batch = batch.pin_memory()
cuda = driver()


def upload():
    stream = ctypes.c_void_p(torch.cuda.current_stream().cuda_stream)
    to, source, size = ctypes.c_uint64(x.data_ptr()), ctypes.c_void_p(batch.data_ptr()), ctypes.c_size_t(4 * N)
    return cuda.cuMemcpyHtoDAsync_v2(to, source, size, stream)  # told: A11


def step(x):
    upload()
    return x * 2


warm(step, x)
graph = torch.cuda.CUDAGraph()
with torch.cuda.graph(graph):
    out = step(x)
graph.replay()
torch.cuda.synchronize()
