#!/usr/bin/env python3
"""Times one decode step of the indexer in PyTorch and what else is there, eagerly and as a CUDA graph.

    decode_bench.py SK B OUT.json

One query row a batch, 64 heads, d = 128, topk = 2048, on random keys: scores of all keys, then the topk largest, as
the decode lane does it, without its append, statistics and mask. Figures are medians by CUDA events.
"""

import json
import pathlib
import statistics
import sys

import peers
import torch

HEADS, DEPTH, TOPK = 64, 128, 2048
RUNS = 20


def microseconds(work, runs: int = RUNS, together: int = 20) -> float:
    work()
    torch.cuda.synchronize()
    times = []
    for _ in range(runs):
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        for _ in range(together):
            work()
        end.record()
        end.synchronize()
        times.append(begin.elapsed_time(end) * 1e3 / together)
    return statistics.median(times)


def graph_of(work):
    side = torch.cuda.Stream()
    with torch.cuda.stream(side):
        for _ in range(3):
            work()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        work()
    return graph


def main(keys: int, rows: int, out: pathlib.Path) -> None:
    q = torch.randn(rows, HEADS, DEPTH, device="cuda", dtype=torch.bfloat16)
    k = torch.randn(rows, keys, DEPTH, device="cuda", dtype=torch.bfloat16)
    w = torch.randn(rows, HEADS, device="cuda")
    topk = min(TOPK, keys)

    def scores():
        dots = torch.matmul(k, q.transpose(1, 2))
        return (torch.relu(dots).float() * w[:, None, :]).sum(-1)

    compiled = torch.compile(scores)
    variants = {"torch.compile + torch.topk": lambda: compiled().topk(topk)}
    if peers.flashinfer is not None:
        variants["torch.compile + FlashInfer, sorted"] = lambda: peers.flashinfer_topk(compiled(), topk)
    found = {"peers": peers.found(), "device": torch.cuda.get_device_name(), "keys": keys, "rows": rows, "variants": {}}
    for name, work in variants.items():
        try:
            eager = microseconds(work)
            graph = microseconds(graph_of(work).replay)
            found["variants"][name] = {"eager_us": eager, "graph_us": graph}
            print(f"sk={keys} b={rows} {name:<40} eager {eager:8.1f} us, graph {graph:8.1f} us")
        except Exception as error:  # A variant that cannot run is a result too.
            found["variants"][name] = {"error": (str(error).splitlines() or [repr(error)])[0][:200]}
            print(f"{name}: {error}", file=sys.stderr)
    out.write_text(json.dumps(found, indent=1) + "\n")
    print("; ".join(f"{name} {version}" for name, version in found["peers"].items()))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), pathlib.Path(sys.argv[3]))
