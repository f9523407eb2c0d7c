"""The host reads a value back in the middle of the captured step."""
import torch
from common import N, PLANTED, warm

x = torch.ones(N, device="cuda")


def step(x):
    y = x * 2
    if PLANTED:
        if (y > 1).any().item():  # told: S01
            y = y + 1
    return y + 3


warm(step, x)
graph = torch.cuda.CUDAGraph()
try:
    with torch.cuda.graph(graph):
        out = step(x)
    graph.replay()
    torch.cuda.synchronize()
except RuntimeError as error:
    print(type(error).__name__)
