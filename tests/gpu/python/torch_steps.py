"""Steps of PyTorch's, Triton's and CuPy's, judged on a GPU: clean ones, and one planted fault each at a marked line.

    python torch_steps.py [--json FILE] [--only WORD] [--receipts FOLDER] [--jobs N]

Needs the package graphproof, PyTorch from 2.8 on and a GPU. Each step runs in a process of its own, so that a
fault which costs the device costs only its step. Exits with 1 where a fault is not told at its line, or a clean
twin is not silent.
"""

import argparse
import concurrent.futures
import inspect
import json
import pathlib
import subprocess
import sys
import time

import graphproof
import torch
import torch.nn.functional as F

try:
    import triton
    import triton.language as tl
except ImportError:
    triton = None
try:
    import cupy
except ImportError:
    cupy = None

Q, K, HEADS, DIM, KEPT = 32, 256, 4, 64, 32
CASES = {}


def case(ids=(), **options):
    """Registers a function that gives a step and its inputs; with `ids`, one of them at the line marked FAULT."""

    def add(make):
        CASES[make.__name__] = (make, tuple(ids), options)
        return make

    return add


def generator(index):
    return torch.Generator(device="cuda").manual_seed(index)


def normal(index, *shape, dtype=torch.bfloat16):
    return torch.randn(*shape, device="cuda", dtype=dtype, generator=generator(index + sum(shape)))


def indexer_inputs(index):
    g = index * 7
    return normal(g, Q, HEADS, DIM), normal(g + 1, K, DIM), normal(g + 2, Q, HEADS, dtype=torch.float32)


def one(index):
    return (normal(index, 64, 64, dtype=torch.float32),)


def scores(q, k, w):
    return torch.einsum("qhk,qh->qk", torch.relu(torch.einsum("qhd,kd->qhk", q.float(), k.float())), w)


# Clean


@case()
def indexer():
    def step(q, k, w):
        kept = scores(q, k, w).topk(KEPT, dim=-1)
        mask = torch.full((Q, K), float("-inf"), device="cuda")
        mask.scatter_(1, kept.indices, 0.0)
        return kept.values, kept.indices, mask

    return step, indexer_inputs


@case()
def module():
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(64, 128), torch.nn.GELU(), torch.nn.Linear(128, 64)).cuda()
    return torch.no_grad()(net.forward), one


@case()
def compiled():
    def step(x):
        return torch.softmax(x * 2.0 + 1.0, dim=-1).sum(dim=0)

    return torch.compile(step), one


@case()
def dropout():
    return lambda x: F.dropout(x, 0.5, training=True), one


@case(state=["total"])
def accumulated():
    def step(x, total):
        total.add_(x)
        return total * 2.0

    return step, lambda index: (*one(index), torch.zeros(64, 64, device="cuda"))


@case()
def forked():
    side = torch.cuda.Stream()

    def step(x):
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            b = x.cos()
        a = x.sin()
        torch.cuda.current_stream().wait_stream(side)
        return a + b

    return step, one


@case()
def scalar_on_device():
    return lambda x, scale: x * scale, lambda index: (*one(index), torch.full((), float(index), device="cuda"))


@case()
def masked():
    return lambda x: torch.where(x > 0, x, torch.zeros_like(x)), one


@case()
def workspace():
    held = torch.empty(64, 64, device="cuda")

    def step(x):
        held.zero_()
        held.add_(x)
        return held * 3.0

    return step, one


@case()
def mixed():
    weights = torch.randn(64, 64, device="cuda", dtype=torch.bfloat16)

    def step(x):
        return (x.bfloat16() @ weights).float().cumsum(dim=0)

    return step, one


if triton is not None:

    @triton.jit
    def scaled(x, y, n, BLOCK: tl.constexpr):
        at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
        tl.store(y + at, tl.load(x + at, mask=at < n) * 2.0, mask=at < n)

    @triton.jit
    def scaled_by(x, y, scale, n, BLOCK: tl.constexpr):
        at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
        tl.store(y + at, tl.load(x + at, mask=at < n) * scale, mask=at < n)

    @case()
    def triton_kernel():
        def step(x):
            y = torch.empty_like(x)
            scaled[(16,)](x, y, x.numel(), BLOCK=256)
            return y

        return step, one

    @case(["V01"])
    def triton_value_baked():
        def step(x, scale):
            y = torch.empty_like(x)
            scaled_by[(16,)](x, y, scale, x.numel(), BLOCK=256)  # FAULT
            return y

        return step, lambda index: (*one(index), 0.5 + index)


if cupy is not None:

    def of_cupy(index):
        return (cupy.random.RandomState(index).standard_normal((64, 64), dtype=cupy.float32),)

    @case()
    def cupy_arrays():
        # What CuPy's pool hands out within a capture goes back to it, and on to others.
        held = cupy.empty((64, 64), cupy.float32)

        def step(x):
            cupy.maximum(x, 0, out=held)
            return cupy.multiply(held, 2, out=held)

        return step, of_cupy

    @case()
    def cupy_returned():
        # The graph's user has the array that the captured run returned.
        return lambda x: cupy.maximum(x, 0), of_cupy

    @case()
    def cupy_raw_kernel():
        source = "extern \"C\" __global__ void twice(const float *x, float *y) { int i = blockIdx.x * 256 + threadIdx.x; y[i] = 2 * x[i]; }"
        kernel, held = cupy.RawKernel(source, "twice"), cupy.empty((64, 64), cupy.float32)

        def step(x):
            kernel((16,), (256,), (x, held))
            return held

        return step, of_cupy

    @case(state=["total"])
    def cupy_state():
        held = cupy.empty((64, 64), cupy.float32)

        def step(x, total):
            cupy.add(total, x, out=total)
            return cupy.multiply(total, 2, out=held)

        return step, lambda index: (*of_cupy(index), cupy.zeros((64, 64), cupy.float32))

    @case()
    def cupy_forked():
        side = cupy.cuda.Stream(non_blocking=True)
        left, held = cupy.empty((64, 64), cupy.float32), cupy.empty((64, 64), cupy.float32)

        def step(x):
            current = cupy.cuda.get_current_stream()
            side.wait_event(current.record())
            with side:
                cupy.multiply(x, 3, out=left)
            current.wait_event(side.record())
            return cupy.add(x, left, out=held)

        return step, of_cupy

    @case(["A07", "A09"], before=True)
    def cupy_freed():
        held = {"w": cupy.full((64, 64), 3, cupy.float32)}
        out = cupy.empty((64, 64), cupy.float32)

        def step(x):
            return cupy.multiply(x, held["w"], out=out)  # FAULT

        def before(index):
            held["w"] = held["w"].copy() if index > 2 else held["w"]

        return step, of_cupy, before

    @case(["S01", "S08", "S14", "S09", "A11", "C13"])
    def cupy_branch():
        held = cupy.empty((64, 64), cupy.float32)

        def step(x):
            if x[0, 0] > 0:  # FAULT
                return cupy.multiply(x, 2, out=held)
            return cupy.multiply(x, 3, out=held)

        return step, of_cupy

    @case(["A01", "A07", "A09", "C11"])
    def cupy_intermediate():
        def step(x):
            return cupy.maximum(x, 0) * 2  # FAULT

        return step, of_cupy

    @case(["S01", "S08", "S14", "S09", "A11", "C13"])
    def cupy_item():
        def step(x):
            return x * float(x[0, 0])  # FAULT

        return step, of_cupy

    @case(["V01"])
    def cupy_float_baked():
        held = cupy.empty((64, 64), cupy.float32)

        def step(x, scale):
            return cupy.multiply(x, scale, out=held)  # FAULT

        return step, lambda index: (*of_cupy(index), 0.5 + index)


# Planted faults


@case(["S01", "S08", "S14", "C13"])
def item():
    def step(x):
        return x * x.sum().item()  # FAULT

    return step, one


@case(["V01", "R01"])
def float_baked():
    def step(x, scale):
        return x * scale  # FAULT

    return step, lambda index: (*one(index), 0.5 + index)


@case(["S01", "S08", "S14", "C13"])
def host_branch():
    def step(x):
        if x.mean() > 0:  # FAULT
            return x + 1
        return x - 1

    return step, one


@case(["V07", "R01", "A07", "A09"])
def rebound():
    held = {"h": torch.zeros(64, 64, device="cuda")}

    def step(x):
        held["h"] = held["h"] + x  # FAULT
        return held["h"] * 2.0

    return step, one


@case(["A07", "A09"], before=True)
def freed():
    held = {"w": torch.randn(64, 64, device="cuda")}

    def step(x):
        return x * held["w"]  # FAULT

    def before(index):
        held["w"] = held["w"].clone() if index > 2 else held["w"]

    return step, one, before


@case(["C13", "C11", "C12", "V07"])
def unregistered_generator():
    own = torch.Generator(device="cuda")

    def step(x):
        return x + torch.randn(64, 64, device="cuda", generator=own)  # FAULT

    return step, one


@case(["V07", "R01"])
def memset_skipped():
    held = torch.zeros(64, 64, device="cuda")

    def step(x):
        held.add_(x)
        # What is told is the line whose result differs.
        return held * 3.0  # FAULT

    return step, one


@case(["S01", "S08", "S14", "C13"])
def where_of_dynamic_shape():
    def step(x):
        return x.flatten()[torch.where(x.flatten() > 0)[0]].sum()  # FAULT

    return step, one


@case(["C12", "C13", "S01", "S03", "S14"])
def other_thread():
    import threading

    def step(x):
        thread = threading.Thread(target=torch.cuda.synchronize)
        thread.start()
        thread.join()
        return x * 2.0  # FAULT

    return step, one


@case(["L01", "L03", "A07", "R01", "V07"])
def growing_cache():
    cache = []

    def step(x):
        cache.append(x.clone())
        # What is told is the line whose result differs.
        return torch.stack(cache).sum(dim=0)  # FAULT

    return step, one


def judge(name, receipts):
    make, ids, options = CASES[name]
    made = make()
    step, inputs = made[:2]
    options = dict(options)
    if options.pop("before", False):
        options["before"] = made[2]
    source, first = inspect.getsourcelines(make)
    marked = [first + at for at, line in enumerate(source) if "# FAULT" in line]
    began = time.perf_counter()
    report = graphproof.gate(step, inputs, steps=16, name=name, patience=30, **options)
    seconds = time.perf_counter() - began
    if receipts:
        report.json(pathlib.Path(receipts) / f"{name}.json")
    print(report)
    found = [{"id": f.id, "file": f.file, "line": f.line, "seen": f.seen} for f in report.findings]
    told = [f for f in report.findings if f.id in ids and f.line in marked]
    as_expected = bool(told) if ids else report.passed
    # The last line is the parent's.
    print(json.dumps({"case": name, "fault": list(ids), "line": marked, "found": found, "ok": as_expected, "seconds": round(seconds, 1)}))


def run(name, receipts):
    """Judges a case in a process of its own; what it says, and its result."""
    command = [sys.executable, __file__, "--case", name]
    if receipts:
        command += ["--receipts", receipts]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        output, last = done.stdout + done.stderr, (done.stdout.strip().splitlines() or [""])[-1]
    except subprocess.TimeoutExpired as error:
        output, last = f"no end after 120 s\n{(error.stdout or b'').decode(errors='replace')}", ""
    try:
        return output, json.loads(last)
    except ValueError:
        return output, {"case": name, "ok": False, "error": output[-3000:]}


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--json")
    arguments.add_argument("--only", default="")
    arguments.add_argument("--receipts")
    arguments.add_argument("--jobs", type=int, default=1)
    arguments.add_argument("--case")
    given = arguments.parse_args()
    if given.case:
        return judge(given.case, given.receipts)
    if given.receipts:
        pathlib.Path(given.receipts).mkdir(parents=True, exist_ok=True)
    results = []
    names = [name for name in CASES if given.only in name]
    with concurrent.futures.ThreadPoolExecutor(given.jobs) as pool:
        for output, result in pool.map(lambda name: run(name, given.receipts), names):
            results.append(result)
            found = " ".join(f"{f['id']}@{f['line']}" for f in result.get("found", []))
            said = f"wanted {result.get('fault')} @{result.get('line')}; found {found}; {result.get('seconds')} s"
            print(f"{'ok  ' if result['ok'] else 'MISS'} {result['case']}: {said}", flush=True)
            if not result["ok"]:
                print(output[-3000:], flush=True)
            if given.json:
                pathlib.Path(given.json).write_text(json.dumps(results, indent=1))
    good = sum(result["ok"] for result in results)
    print(f"{good} of {len(results)} as expected; PyTorch {torch.__version__}, {torch.cuda.get_device_name()}")
    return 0 if good == len(results) else 1


if __name__ == "__main__":
    sys.exit(main())
