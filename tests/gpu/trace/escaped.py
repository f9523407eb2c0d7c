"""Work on the default stream, while another stream captures, runs once and is in no replay."""
import torch
from common import N, PLANTED, warm

x = torch.ones(N, device="cuda")
y = torch.zeros(N, device="cuda")


def step(x):
    if PLANTED:
        with torch.cuda.stream(torch.cuda.default_stream()):
            y.add_(1)  # told: C02
    else:
        y.add_(1)
    return x * 2


warm(lambda x: y.add_(1), x)
graph = torch.cuda.CUDAGraph()
with torch.cuda.graph(graph):
    out = step(x)
graph.replay()
torch.cuda.synchronize()
