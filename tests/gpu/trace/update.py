"""An executable graph is updated with a graph of another shape, and the refusal is overlooked."""
import ctypes

import torch
from common import N, PLANTED, driver, warm

x = torch.ones(N, device="cuda")
cuda = driver()


def capture(step):
    graph = torch.cuda.CUDAGraph(keep_graph=True)
    with torch.cuda.graph(graph):
        step(x)
    return graph


def once(x):
    x.mul_(2)


def twice(x):
    x.mul_(2)
    x.add_(1)


warm(twice, x)
first, second = capture(once), capture(twice if PLANTED else once)
executable = ctypes.c_uint64(0)
cuda.cuGraphInstantiateWithFlags(ctypes.byref(executable), ctypes.c_uint64(first.raw_cuda_graph()), ctypes.c_uint64(0))
stream = ctypes.c_uint64(torch.cuda.Stream().cuda_stream)
info = (ctypes.c_uint64 * 3)()
cuda.cuGraphLaunch(executable, stream)
cuda.cuGraphExecUpdate_v2(executable, ctypes.c_uint64(second.raw_cuda_graph()), info)  # told: V06
cuda.cuGraphLaunch(executable, stream)
torch.cuda.synchronize()
cuda.cuGraphExecDestroy(executable)
