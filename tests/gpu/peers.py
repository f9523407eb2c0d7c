"""What others offer for the indexer's scores and top-k, where it is installed: Triton, FlashInfer, DeepGEMM.

Nothing here is needed: `found` says which are there, with their versions, and which are not.
"""

import importlib
import importlib.metadata
import inspect

import torch

# The packages that have a module of that name.
PEERS = {
    "torch": ["torch"],
    "triton": ["triton"],
    "flashinfer": ["flashinfer-python"],
    # The second packs the same module for the index.
    "deep_gemm": ["deep_gemm", "sgl-deep-gemm"],
}


def load(name: str):
    try:
        return importlib.import_module(name)
    except Exception:  # Absent, or not for this machine: said by `found` either way.
        return None


triton, flashinfer, deep_gemm = (load(name) for name in ("triton", "flashinfer", "deep_gemm"))


def found() -> dict:
    """Versions, or "absent"."""

    def version(module: str, packages: list[str]) -> str:
        loaded = load(module)
        if loaded is None:
            return "absent"
        for package in packages:
            try:
                return f"{package} {importlib.metadata.version(package)}"
            except importlib.metadata.PackageNotFoundError:
                pass
        return getattr(loaded, "__version__", "of unknown version")

    return {module: version(module, packages) for module, packages in PEERS.items()}


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
    # It takes packed rows only.
    return flashinfer.top_k(scores.contiguous(), topk, **options)


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


def deep_gemm_scores(q8, k8, w8, start, end):
    """Scores [rows, keys] fp32, of every key; packed, as top-k wants them, where the version can do that."""
    keys = k8[0].shape[0]
    try:
        return deep_gemm.fp8_mqa_logits(q8, k8, w8, start, end, clean_logits=False, max_seqlen_k=keys)
    except TypeError:
        return deep_gemm.fp8_mqa_logits(q8, k8, w8, start, end)
