"""A side stream is forked from the capture and not joined to it again."""
import torch
from common import N, PLANTED, warm

x = torch.ones(N, device="cuda")
side = torch.cuda.Stream()


def step(x):
    main = torch.cuda.current_stream()
    side.wait_stream(main)
    with torch.cuda.stream(side):
        z = x * 3  # told: C04
    y = x * 2
    if not PLANTED:
        main.wait_stream(side)
    return y, z


warm(lambda x: x * 3, x)
graph = torch.cuda.CUDAGraph()
try:
    with torch.cuda.graph(graph):
        out = step(x)
    graph.replay()
    torch.cuda.synchronize()
except RuntimeError as error:
    print(type(error).__name__)
