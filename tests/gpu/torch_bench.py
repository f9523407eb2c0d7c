#!/usr/bin/env python3
"""Times the indexer's scores and top-k in PyTorch, and in Triton, FlashInfer and DeepGEMM where they are installed, on the
inputs that `graphproof bench step --dump` kept.

    torch_bench.py DUMP_FOLDER OUT.json

score[i, j] = sum over h of w[i, h] * relu(q[i, h] . k[j]), then the topk largest of each row; every key is
visible (the inputs of step 0). The slab [sq, h, sk] does not fit at long lengths, so rows go through in
chunks, as large as keeps the slab within 8 GiB; so do those of variants that write scores only. Compared with what the lanes kept: the picks as sets, and
the scores of common picks.
"""

import json
import pathlib
import statistics
import sys

import numpy as np
import peers
import torch

SLAB_BYTES = 8 << 30


def bf16(path: pathlib.Path, *shape: int) -> torch.Tensor:
    bits = np.fromfile(path, dtype=np.int16)
    return torch.from_numpy(bits).view(torch.bfloat16).reshape(shape).cuda()


def timed(work, runs: int) -> tuple[float, object]:
    """Median seconds of a run by CUDA events, and its result."""
    result = work()  # Warms up, and compiles what is compiled.
    torch.cuda.synchronize()
    seconds = []
    for _ in range(runs):
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        result = work()
        end.record()
        end.synchronize()
        seconds.append(begin.elapsed_time(end) / 1e3)
    return statistics.median(seconds), result


def main(folder: pathlib.Path, out: pathlib.Path) -> None:
    shape = json.loads((folder / "shape.json").read_text())
    sq, sk, h, d, topk = (shape[name] for name in ("sq", "sk", "h", "d", "topk"))
    assert shape["b"] == 1
    lanes = ("fused-wgmma", "fused-fp8", "fused-mma", "fused")
    lane = next(lane for lane in lanes if (folder / f"{lane}.q.bin").exists())
    q = bf16(folder / f"{lane}.q.bin", sq, h, d)
    k = bf16(folder / f"{lane}.k.bin", sk, d)
    w = torch.from_numpy(np.fromfile(folder / f"{lane}.w.bin", dtype=np.float32)).reshape(sq, h).cuda()
    flop = 2.0 * sq * sk * h * d

    def rows(slab_element: int) -> int:
        return max(1, min(sq, SLAB_BYTES // (h * sk * slab_element)))

    def scores_bf16(q, k, w):
        slab = torch.einsum("qhd,kd->qhk", q, k)
        return torch.einsum("qhk,qh->qk", torch.relu(slab).float(), w)

    def scores_fp32(q, k, w):
        slab = torch.einsum("qhd,kd->qhk", q.float(), k.float())
        return torch.einsum("qhk,qh->qk", torch.relu(slab), w)

    def weighted(slab, w):
        return (torch.relu(slab).float() * w[:, :, None]).sum(1)

    compiled = torch.compile(weighted)

    def scores_compiled(q, k, w):
        return compiled(torch.einsum("qhd,kd->qhk", q, k), w)

    def step(scores, chunk):
        def work():
            kept = [scores(q[i : i + chunk], k, w[i : i + chunk]).topk(min(topk, sk)) for i in range(0, sq, chunk)]
            return torch.cat([part.values for part in kept]), torch.cat([part.indices for part in kept])

        return work

    big = torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16)
    peak_seconds, _ = timed(lambda: big @ big, 20)
    found = {
        "peers": peers.found(),
        "device": torch.cuda.get_device_name(),
        "shape": shape,
        "flop": flop,
        "bf16_matmul_tflops": 2 * 8192**3 / peak_seconds / 1e12,
        "variants": {},
    }
    del big
    # Scores alone, in chunks of rows: a buffer of them is written, then selected from.
    written = max(1, min(sq, SLAB_BYTES // (sk * 4)))

    def scores_triton(q, k, w):
        out = torch.empty(q.shape[0], sk, device="cuda")
        peers.triton_scores(q, k, w, out)
        return out

    def step_with(scores, select, chunk):
        def work():
            return [select(scores(q[i : i + chunk], k, w[i : i + chunk])) for i in range(0, sq, chunk)]

        return work

    def torch_topk(scores):
        return scores.topk(min(topk, sk))

    reference = None
    # float32 needs three slabs at once, bf16 one and its float copy.
    works = [
        ("einsum fp32 + topk", step(scores_fp32, rows(4 * 3)), rows(4 * 3), 1),
        ("einsum bf16 + topk", step(scores_bf16, rows(2 + 4 + 4)), rows(2 + 4 + 4), 3),
        ("einsum bf16 + torch.compile + topk", step(scores_compiled, rows(2 + 4)), rows(2 + 4), 3),
    ]
    selects = [("torch.topk", torch_topk)]
    if peers.flashinfer is not None:
        selects.append(("FlashInfer top-k, sorted", lambda scores: peers.flashinfer_topk(scores, min(topk, sk))))
    if peers.triton is not None:
        works.append(("Triton scores alone", step_with(scores_triton, lambda scores: None, written), written, 5))
        works += [(f"Triton scores + {name}", step_with(scores_triton, select, written), written, 3) for name, select in selects]
    if peers.deep_gemm is not None:
        q8, k8, w8, first, last = peers.deep_gemm_inputs(q, k, w)

        def step_fp8(select):
            def work():
                parts = (slice(i, i + written) for i in range(0, sq, written))
                logits = lambda at: peers.deep_gemm_scores(q8[at], k8, w8[at], first[at], last[at])
                return [select(logits(at)) for at in parts]

            return work

        works.append(("DeepGEMM fp8 logits alone", step_fp8(lambda logits: None), written, 5))
        works += [(f"DeepGEMM fp8 logits + {name}", step_fp8(select), written, 3) for name, select in selects]
    for name, work, chunk, runs in works:
        try:
            torch.cuda.reset_peak_memory_stats()
            seconds, result = timed(work, runs)
            found["variants"][name] = {
                "seconds": seconds,
                "tflops": flop / seconds / 1e12,
                "rows_at_a_time": chunk,
                "peak_bytes": torch.cuda.max_memory_allocated(),
            }
            if name == works[0][0]:
                reference = result
            print(f"{name:<38} {seconds * 1e3:10.2f} ms {flop / seconds / 1e12:8.2f} TFLOP/s, {chunk} rows at a time")
        except Exception as error:  # A variant that cannot run is a result too.
            found["variants"][name] = {"error": str(error).splitlines()[0][:200]}
            print(f"{name}: {error}", file=sys.stderr)
    if reference is not None:
        values, indices = (tensor.cpu().numpy() for tensor in reference)
        found["agreement"] = {
            lane: agreement(folder, lane, values, indices)
            for lane in lanes
            if (folder / f"{lane}.index.bin").exists()
        }
        print(json.dumps(found["agreement"]))
    out.write_text(json.dumps(found, indent=1) + "\n")
    print(f"bf16 matrix product {found['bf16_matmul_tflops']:.0f} TFLOP/s; {found['device']}")
    print("; ".join(f"{name} {version}" for name, version in found["peers"].items()))


def agreement(folder: pathlib.Path, lane: str, values: np.ndarray, indices: np.ndarray) -> dict:
    """How far a lane's picks are those of float32 PyTorch, over at most 2,048 rows."""
    rows, kept = indices.shape
    some = np.linspace(0, rows - 1, min(rows, 2048)).astype(np.int64)
    mine = np.fromfile(folder / f"{lane}.index.bin", dtype=np.int32).reshape(rows, -1)[some, :kept]
    bits = np.fromfile(folder / f"{lane}.score.bin", dtype=np.uint16).reshape(rows, -1)[some, :kept]
    scores = (bits.astype(np.uint32) << 16).view(np.float32)
    common, worst = [], 0.0
    for row, at in enumerate(some):
        theirs = dict(zip(indices[at].tolist(), values[at].tolist()))
        picks = mine[row].tolist()
        both = [place for place, pick in enumerate(picks) if pick in theirs]
        common.append(len(both) / kept)
        scale = max(1.0, float(np.abs(values[at]).max()))
        worst = max([worst] + [abs(float(scores[row, place]) - theirs[picks[place]]) / scale for place in both])
    return {"rows": len(some), "picks_in_common": float(np.mean(common)), "worst_relative_score_difference": worst}


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
