"""Twenty programs with graphs whose results are printed, and the speed of eager loops and replays.

    recorder.py results     the results, one line each: the same with and without the recorder
    recorder.py speed [N]   an eager small operation and a replay, N times with and without: under `graphproof trace`
    recorder.py compiled    torch.compile(mode="reduce-overhead")
    recorder.py workers     two processes with a graph each
"""
import ctypes
import hashlib
import json
import os
import statistics
import sys
import time

import torch


def digest(*tensors):
    whole = hashlib.sha256()
    for tensor in tensors:
        whole.update(tensor.detach().float().cpu().numpy().tobytes())
    return whole.hexdigest()[:16]


def warm(step):
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(side)


def captured(step, **how):
    warm(step)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, **how):
        out = step()
    return graph, out


def elementwise():
    x = torch.arange(1000.0, device="cuda")
    graph, y = captured(lambda: x * 2 + 1)
    graph.replay()
    x.add_(5)
    graph.replay()
    return digest(y)


def matmul():
    a = torch.randn(256, 256, device="cuda")
    graph, y = captured(lambda: a @ a.t())
    graph.replay()
    return digest(y)


def reduction():
    x = torch.randn(4096, device="cuda")
    graph, y = captured(lambda: x.sum() + x.max())
    graph.replay()
    return digest(y)


def forked():
    x = torch.randn(4096, device="cuda")
    other = torch.cuda.Stream()

    def step():
        other.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(other):
            left = x * 3
        right = x + 1
        torch.cuda.current_stream().wait_stream(other)
        return left + right

    graph, y = captured(step)
    graph.replay()
    return digest(y)


def random_numbers():
    graph, y = captured(lambda: torch.rand(1000, device="cuda"))
    torch.manual_seed(7)
    graph.replay()
    first = y.clone()
    graph.replay()
    return digest(first, y)


def shared_pool():
    x = torch.ones(1000, device="cuda")
    first, y = captured(lambda: x + 1)
    second, z = captured(lambda: y * 2, pool=first.pool())
    first.replay()
    second.replay()
    return digest(z)


def training():
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.ReLU(), torch.nn.Linear(64, 8)).cuda()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01, capturable=True)
    x, target = torch.randn(32, 64, device="cuda"), torch.randn(32, 8, device="cuda")

    def step():
        optimizer.zero_grad(set_to_none=True)
        loss = torch.nn.functional.mse_loss(model(x), target)
        loss.backward()
        optimizer.step()
        return loss

    graph, loss = captured(step)
    for _ in range(5):
        graph.replay()
    return digest(loss, *model.parameters())


def graphed_callable():
    torch.manual_seed(0)
    model = torch.nn.Linear(32, 32).cuda()
    x = torch.randn(8, 32, device="cuda", requires_grad=True)
    graphed = torch.cuda.make_graphed_callables(model, (x,))
    y = graphed(x)
    y.sum().backward()
    return digest(y, x.grad)


def convolution():
    torch.manual_seed(0)
    conv = torch.nn.Conv2d(3, 8, 3).cuda()
    x = torch.randn(2, 3, 16, 16, device="cuda")
    graph, y = captured(lambda: conv(x))
    graph.replay()
    return digest(y)


def attention():
    torch.manual_seed(0)
    q = torch.randn(2, 4, 64, 32, device="cuda", dtype=torch.float16)
    graph, y = captured(lambda: torch.nn.functional.scaled_dot_product_attention(q, q, q))
    graph.replay()
    return digest(y)


def copies():
    pinned = torch.arange(1000.0).pin_memory()
    x = torch.zeros(1000, device="cuda")
    graph, _ = captured(lambda: x.copy_(pinned, non_blocking=True))
    graph.replay()
    torch.cuda.synchronize()
    pinned.mul_(2)
    graph.replay()
    return digest(x)


def memset():
    x = torch.ones(1000, device="cuda")
    graph, _ = captured(lambda: x.zero_())
    x.fill_(3)
    graph.replay()
    return digest(x)


def indexing():
    x, index = torch.randn(1000, device="cuda"), torch.arange(0, 1000, 7, device="cuda")
    graph, y = captured(lambda: x[index] * 2)
    graph.replay()
    return digest(y)


def scatter():
    x, index = torch.zeros(100, device="cuda"), torch.arange(0, 100, 3, device="cuda")
    graph, _ = captured(lambda: x.scatter_add_(0, index, torch.ones(34, device="cuda")))
    x.zero_()
    graph.replay()
    return digest(x)


def sorting():
    torch.manual_seed(0)
    x = torch.randn(5000, device="cuda")
    graph, y = captured(lambda: torch.topk(x, 50).values)
    graph.replay()
    return digest(y)


def events():
    x = torch.ones(1000, device="cuda")
    start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    graph, y = captured(lambda: x * 4)
    start.record()
    graph.replay()
    end.record()
    end.synchronize()
    return f"{digest(y)} {start.elapsed_time(end) > 0}"


def relaxed():
    x = torch.ones(1000, device="cuda")
    graph, y = captured(lambda: x - 4, capture_error_mode="relaxed")
    graph.replay()
    return digest(y)


def thread_local():
    x = torch.ones(1000, device="cuda")
    graph, y = captured(lambda: x - 5, capture_error_mode="thread_local")
    graph.replay()
    return digest(y)


def refused():
    x = torch.ones(1000, device="cuda")
    graph = torch.cuda.CUDAGraph()
    try:
        with torch.cuda.graph(graph):
            (x * 2).sum().item()
    except RuntimeError as error:
        return str(error).splitlines()[0]
    return "not refused"


def reset():
    x = torch.ones(1000, device="cuda")
    total = 0
    for turn in range(5):
        graph, y = captured(lambda: x * turn)
        graph.replay()
        total += y.sum().item()
        graph.reset()
    return total


def results():
    for step in [elementwise, matmul, reduction, forked, random_numbers, shared_pool, training, graphed_callable,
                 convolution, attention, copies, memset, indexing, scatter, sorting, events, relaxed, thread_local,
                 refused, reset]:
        torch.manual_seed(0)
        print(f"{step.__name__:18} {step()}", flush=True)


def eager_and_replay():
    """Microseconds of an eager small operation and of a replay of 20, in this process: medians."""
    x = torch.ones(100, device="cuda")
    for _ in range(2000):
        x.add_(1)
    graph, _ = captured(lambda: [x.add_(1) for _ in range(20)])

    def middle(body, turns, rounds):
        times = []
        for _ in range(rounds):
            torch.cuda.synchronize()
            began = time.perf_counter()
            for _ in range(turns):
                body()
            torch.cuda.synchronize()
            times.append((time.perf_counter() - began) / turns * 1e6)
        return statistics.median(times)

    return middle(lambda: x.add_(1), 4000, 15), middle(graph.replay, 500, 7)


def speed(pairs):
    """Forks processes with and without the recorder in turns: run it under `graphproof trace`.

    Which libcuda.so.1 a process has is whichever it loads first, and PyTorch loads it when it first needs it.
    """
    found = (os.path.join(folder, "libcuda.so.1") for folder in os.environ["LD_LIBRARY_PATH"].split(":"))
    ours, real = [path for path in found if os.path.exists(path)][:2]
    times = {ours: [], real: []}
    for turn in range(2 * pairs):
        library = (ours, real)[(turn + turn // 2) % 2]
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            ctypes.CDLL(library, mode=ctypes.RTLD_GLOBAL)
            os.write(writer, json.dumps(eager_and_replay()).encode())
            os._exit(0)
        os.close(writer)
        times[library].append(json.loads(os.fdopen(reader).read()))
        os.waitpid(child, 0)
    for at, name in enumerate(["eager operation", "replay of 20"]):
        past, through = ([one[at] for one in times[library]] for library in (real, ours))
        more = sorted(b / a for a, b in zip(past, through))
        print(
            f"{name}: {statistics.median(past):.3f} us past the recorder, {statistics.median(through):.3f} us through it;"
            f" pair by pair {statistics.median(more):.3f} times (quartiles {more[len(more) // 4]:.3f} to"
            f" {more[len(more) * 3 // 4]:.3f}); the least {min(past):.3f} and {min(through):.3f} us"
        )


def compiled():
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(128, 256), torch.nn.GELU(), torch.nn.Linear(256, 16)).cuda()
    step = torch.compile(model, mode="reduce-overhead")
    x = torch.randn(32, 128, device="cuda")
    with torch.no_grad():
        for _ in range(5):
            torch.compiler.cudagraph_mark_step_begin()
            y = step(x).clone()
    print("compiled", torch.allclose(y, model(x), atol=1e-3))


def worker(index, results):
    torch.manual_seed(index)
    x = torch.randn(1000, device="cuda")
    graph, y = captured(lambda: x * index)
    graph.replay()
    results.put((index, digest(y)))


def workers():
    import torch.multiprocessing as multiprocessing

    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    running = [context.Process(target=worker, args=(index, queue)) for index in (1, 2)]
    [process.start() for process in running]
    found = sorted(queue.get() for _ in running)
    [process.join() for process in running]
    print("workers", found)


if __name__ == "__main__":
    if sys.argv[1] == "speed":
        speed(int(sys.argv[2]) if len(sys.argv) > 2 else 20)
    else:
        {"results": results, "compiled": compiled, "workers": workers}[sys.argv[1]]()
