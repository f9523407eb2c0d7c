"""Every request captures a graph of its own, and keeps it."""
import torch
from common import N, PLANTED, warm

x = torch.ones(N, device="cuda")
kept = []


def step(x):
    return x * 2


warm(step, x)
for request in range(5):
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):  # told: L02
        out = step(x)
    graph.replay()
    torch.cuda.synchronize()
    if PLANTED:
        kept.append(graph)
