"""What the programs share: whether the fault is planted, and the driver's own functions."""
import ctypes
import sys

import torch

PLANTED = "clean" not in sys.argv[1:]
N = 1 << 16


def driver():
    """The driver that this process has loaded already: whoever stands in front of it sees the calls."""
    return ctypes.CDLL("libcuda.so.1")


def warm(step, *inputs):
    """Runs a step on a side stream before it is captured, as PyTorch's documentation asks for."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(2):
            step(*inputs)
    torch.cuda.current_stream().wait_stream(side)
    torch.cuda.synchronize()
