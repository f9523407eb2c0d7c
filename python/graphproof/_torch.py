"""PyTorch: its allocator, its generators and its graphs."""

from __future__ import annotations

import contextlib
import sys
import threading
from typing import Any, ContextManager, Iterator

from . import _graphproof, _places
from ._arrays import NAMES, Array
from ._frameworks import Described, Framework

# PyTorch's element types, by the gate's names.
_TYPES = {**NAMES, "e4m3": "float8_e4m3fn", "e5m2": "float8_e5m2"}
_MODES = {"global": "global", "thread-local": "thread_local", "relaxed": "relaxed"}


class Torch(Framework):
    """Captures with `torch.cuda.CUDAGraph`, so that intermediate tensors come from the graph's private pool and
    the generators are registered; replays with `CUDAGraph.replay`."""

    name = "PyTorch"
    captures = True

    def __init__(self) -> None:
        self._settings: dict[str, Any] = {}
        self._open: tuple[Any, Any] | None = None

    def holds(self, value: Any) -> bool:
        torch = sys.modules.get("torch")
        return torch is not None and isinstance(value, torch.Tensor)

    def describe(self, name: str, value: Any) -> Described:
        import torch

        kind = str(value.dtype).removeprefix("torch.")
        kind = next((own for own, theirs in _TYPES.items() if theirs == kind), kind)
        if kind not in _TYPES:
            raise _graphproof.Refused(f"'{name}' has elements of type {value.dtype}, which the gate does not know")
        if value.layout != torch.strided or not value.is_contiguous():
            raise _graphproof.Refused(
                f"'{name}' is not contiguous: its strides are {tuple(value.stride()) if value.layout == torch.strided else value.layout} "
                f"for the shape {tuple(value.shape)}; give `.contiguous()`"
            )
        if value.device.type not in ("cpu", "cuda") or (value.is_cuda and value.device.index not in (None, 0)):
            raise _graphproof.Refused(
                f"'{name}' is on {value.device}; the gate judges on cuda:0: give `.to('cuda:0')`, or start the program "
                f"with CUDA_VISIBLE_DEVICES={value.device.index or 0}, which makes that device cuda:0"
            )
        return Described(value.data_ptr(), tuple(value.shape), kind, value.is_cuda)

    def wrap(self, ptr: int, shape: tuple[int, ...], kind: str) -> Any:
        import torch

        dtype = getattr(torch, _TYPES[kind])
        carrier = {"bf16": "i16", "e4m3": "u8", "e5m2": "u8", "u16": "i16", "u32": "i32", "u64": "i64", "bool": "u8"}
        array = torch.as_tensor(Array(ptr, shape, carrier.get(kind, kind)), device="cuda:0")
        return array if array.dtype == dtype else array.view(dtype)

    def stream(self, handle: int) -> Any:
        import torch

        return torch.cuda.ExternalStream(handle, device="cuda:0")

    def default_stream(self) -> Any:
        import torch

        return torch.cuda.current_stream()

    def using(self, stream: Any) -> ContextManager[Any]:
        import torch

        return torch.cuda.stream(stream)

    def dense(self, value: Any) -> Any:
        return value.detach().contiguous()

    def reseed(self, seed: int) -> None:
        import torch

        torch.cuda.default_generators[0].manual_seed(seed % (1 << 63))

    @contextlib.contextmanager
    def saved(self) -> Iterator[None]:
        import torch

        torch.cuda.init()
        state = torch.cuda.get_rng_state(0)
        self._settings = {
            "grad": torch.is_grad_enabled(),
            "inference": torch.is_inference_mode_enabled(),
            "autocast": (torch.is_autocast_enabled("cuda"), torch.get_autocast_dtype("cuda")),
        }
        try:
            yield
        finally:
            with contextlib.suppress(RuntimeError):
                torch.cuda.set_rng_state(state, 0)

    @contextlib.contextmanager
    def as_caller(self) -> Iterator[None]:
        import torch

        settings = self._settings
        if not settings:
            yield
            return
        enabled, dtype = settings["autocast"]
        with torch.cuda.device(0), torch.inference_mode(settings["inference"]):
            # Within inference mode, gradients are off in any case.
            with torch.set_grad_enabled(settings["grad"] and not settings["inference"]):
                with torch.autocast("cuda", dtype=dtype, enabled=enabled):
                    yield

    def begin(self, handle: int, mode: str) -> None:
        """Begins a capture on the judge's stream."""
        import torch

        if not hasattr(torch.cuda.CUDAGraph, "raw_cuda_graph"):
            raise _graphproof.Refused(
                f"PyTorch {torch.__version__} does not give its graphs away (CUDAGraph.raw_cuda_graph, from 2.8 on)"
            )
        graph = torch.cuda.CUDAGraph(keep_graph=True)
        current = torch.cuda.stream(self.stream(handle))
        current.__enter__()
        self._open = (graph, current)
        graph.capture_begin(capture_error_mode=_MODES[mode])

    def end(self) -> "TorchGraph":
        """Ends it; nothing of a capture that failed is left behind."""
        import torch

        if self._open is None:
            raise _graphproof.Refused("no capture was begun")
        (graph, current), self._open = self._open, None
        try:
            graph.capture_end()
        except BaseException:
            # PyTorch leaves its allocator in the capture where the driver gives no graph.
            with contextlib.suppress(Exception):
                torch._C._cuda_endAllocateToPool(0, graph.pool())
            with contextlib.suppress(Exception):
                torch._C._cuda_releasePool(0, graph.pool())
            raise
        finally:
            current.__exit__(None, None, None)
        return TorchGraph(graph, self)

    def lost(self, addresses: list[int]) -> list[tuple[int, str, str | None, int]]:
        import torch

        segments = torch.cuda.memory_snapshot()
        told = []
        for address in addresses:
            for segment in segments:
                base, size = segment["address"], segment["total_size"]
                if not base <= address < base + size:
                    continue
                at = base
                for block in segment["blocks"]:
                    if at <= address < at + block["size"] and not block["state"].startswith("active"):
                        frames = block.get("frames") or (block.get("history") or [{}])[-1].get("frames") or []
                        own = next((f for f in frames if _places.shown(f["filename"])), None)
                        file = _places.shown(own["filename"]) if own else None
                        what = f"is free in PyTorch's allocator: the tensor that was there is gone (block of {block['size']} bytes)"
                        told.append((address, what, file, own["line"] if own else 0))
                    at += block["size"]
        return told


class TorchGraph:
    """A graph of PyTorch's."""

    def __init__(self, graph: Any, framework: Torch) -> None:
        self._graph = graph
        self._framework = framework
        self.raw: int = graph.raw_cuda_graph()
        self._pool = tuple(graph.pool())
        self._spans: list[tuple[int, int]] | None = None
        self.seed = 0

    def owns(self, address: int) -> bool:
        """Whether an address lies in the graph's private pool."""
        if self._spans is None:
            import torch

            self._spans = [
                (segment["address"], segment["total_size"])
                for segment in torch.cuda.memory_snapshot()
                if tuple(segment.get("segment_pool_id", (0, 0))) == self._pool
            ]
        return any(base <= address < base + size for base, size in self._spans)

    def handed_out(self, address: int) -> bool:
        """What a capture hands out lies in its private pool."""
        return False

    def instantiate(self) -> int:
        """Makes the executable graph; 0 where PyTorch does not tell its handle."""
        self._graph.instantiate()
        return int(self._graph.raw_cuda_graph_exec()) if hasattr(self._graph, "raw_cuda_graph_exec") else 0

    def replay(self, handle: int) -> None:
        """Enqueues a replay, with random numbers that begin where the eager run's began."""
        with self._framework.using(self._framework.stream(handle)):
            self._framework.reseed(self.seed)
            self._graph.replay()
