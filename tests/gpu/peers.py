"""What others offer for the indexer's scores and top-k, where it is installed: Triton, FlashInfer, DeepGEMM.

Nothing here is needed: `found` says which are there, with their versions, and which are not.
"""

import importlib
import importlib.metadata
import inspect

import torch

# The package's name on the index, by the module's.
PEERS = {"torch": "torch", "triton": "triton", "flashinfer": "flashinfer-python", "deep_gemm": "deep_gemm"}


def load(name: str):
    try:
        return importlib.import_module(name)
    except Exception:  # Absent, or not for this machine: said by `found` either way.
        return None


triton, flashinfer, deep_gemm = (load(name) for name in ("triton", "flashinfer", "deep_gemm"))


def found() -> dict:
    """Versions, or "absent"."""

    def version(module: str, package: str) -> str:
        loaded = load(module)
        if loaded is None:
            return "absent"
        try:
            return importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            return getattr(loaded, "__version__", "of unknown version")

    return {module: version(module, package) for module, package in PEERS.items()}


if triton is not None:
    import triton.language as tl

    @triton.jit
    def _scores(
        q, k, w, out, rows, keys, H: tl.constexpr, D: tl.constexpr, KEYS: tl.constexpr, ROWS: tl.constexpr
    ):
        """A tile of keys stays; query rows pass: out[row, key] = sum over heads of w * relu(k . q)."""
        key = tl.program_id(0) * KEYS + tl.arange(0, KEYS)
        depth = tl.arange(0, D)
        head = tl.arange(0, H)
        tile = tl.load(k + key[:, None] * D + depth[None, :], mask=key[:, None] < keys, other=0.0)
        first = tl.program_id(1) * ROWS
        for row in tl.range(first, min(first + ROWS, rows)):
            queries = tl.load(q + row.to(tl.int64) * H * D + head[None, :] * D + depth[:, None])
            dots = tl.dot(tile, queries)
            weights = tl.load(w + row * H + head)
            sums = tl.sum(tl.maximum(dots, 0.0) * weights[None, :], axis=1)
            tl.store(out + row.to(tl.int64) * keys + key, sums, mask=key < keys)


def triton_scores(q, k, w, out) -> None:
    """q [rows, h, d], k [keys, d] bf16, w [rows, h] fp32 into out [rows, keys] fp32."""
    (rows, h, d), keys = q.shape, k.shape[0]
    tile, together = 128, 64
    grid = (triton.cdiv(keys, tile), triton.cdiv(rows, together))
    _scores[grid](q, k, w, out, rows, keys, h, d, tile, together, num_warps=4, num_stages=3)


def flashinfer_topk(scores, topk: int):
    """Sorted; deterministic where the version has a choice."""
    options = {"sorted": True}
    if "deterministic" in inspect.signature(flashinfer.top_k).parameters:
        options["deterministic"] = True
    return flashinfer.top_k(scores, topk, **options)


def deep_gemm_inputs(q, k, w):
    """What `fp8_mqa_logits` takes: e4m3 with a scale a vector, that of a query in its weight."""

    def quantized(x):
        scale = x.float().abs().amax(-1, keepdim=True).clamp(1e-4) / 448.0
        scale = torch.exp2(torch.ceil(torch.log2(scale)))
        return (x.float() / scale).to(torch.float8_e4m3fn), scale.squeeze(-1)

    (q8, q_scale), (k8, k_scale) = quantized(q), quantized(k)
    rows, keys = q.shape[0], k.shape[0]
    start = torch.zeros(rows, dtype=torch.int32, device=q.device)
    return q8, (k8, k_scale), w * q_scale, start, torch.full_like(start, keys)
