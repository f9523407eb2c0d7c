"""A loader thread waits for its stream while the main thread captures."""
import threading

import torch
from common import N, PLANTED, warm

x = torch.ones(N, device="cuda")
uploads = torch.cuda.Stream()
capturing, done = threading.Event(), threading.Event()


def load():
    capturing.wait()
    try:
        uploads.synchronize()  # told: S07
    except RuntimeError as error:
        print("loader:", type(error).__name__)
    done.set()


def step(x):
    return x * 2 + 1


warm(step, x)
loader = threading.Thread(target=load, name="loader")
loader.start()
graph = torch.cuda.CUDAGraph()
try:
    with torch.cuda.graph(graph, capture_error_mode="global" if PLANTED else "thread_local"):
        out = step(x)
        capturing.set()
        done.wait()
    graph.replay()
    torch.cuda.synchronize()
except RuntimeError as error:
    print("main:", type(error).__name__)
loader.join()
