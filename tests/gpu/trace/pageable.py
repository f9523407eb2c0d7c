"""A copy from pageable memory becomes a node that holds its address."""
import torch
from common import N, PLANTED, warm

x = torch.ones(N, device="cuda")
batch = torch.ones(N)
if not PLANTED:
    batch = batch.pin_memory()


def step(x):
    x.copy_(batch, non_blocking=True)  # told: A11
    return x * 2


warm(step, x)
graph = torch.cuda.CUDAGraph()
with torch.cuda.graph(graph):
    out = step(x)
graph.replay()
torch.cuda.synchronize()
