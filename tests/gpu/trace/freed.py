"""The static input is given back; the graph still reads it."""
import torch
from common import PLANTED, warm

x = torch.ones(64 << 20, device="cuda")
keep = torch.empty(1, device="cuda")


def step(x):
    return (x[:1024] * 2).sum()


warm(step, x)
graph = torch.cuda.CUDAGraph()
with torch.cuda.graph(graph):
    out = step(x)
graph.replay()
torch.cuda.synchronize()
if PLANTED:
    x = None
    torch.cuda.empty_cache()
try:
    graph.replay()  # told: A07
    torch.cuda.synchronize()
except RuntimeError as error:
    print(type(error).__name__)
