"""A synchronisation hides between the replays of a loop."""
import torch
from common import N, PLANTED, warm

x = torch.ones(N, device="cuda")
batches = [torch.full((N,), float(i), device="cuda") for i in range(6)]


def step(x):
    return x * 2


def log_progress():
    if PLANTED:
        torch.cuda.current_stream().synchronize()  # told: S14


warm(step, x)
graph = torch.cuda.CUDAGraph()
with torch.cuda.graph(graph):
    out = step(x)
for batch in batches:
    x.copy_(batch)
    graph.replay()
    log_progress()
torch.cuda.synchronize()
