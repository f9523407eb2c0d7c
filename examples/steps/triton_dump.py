"""Compiles the kernel of triton.toml without a GPU: python3 triton_dump.py, with Triton installed."""

import json
import pathlib

import triton
import triton.language as tl
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource


@triton.jit
def row_softmax(x, y, n, BLOCK: tl.constexpr):
    row = tl.program_id(0)
    columns = tl.arange(0, BLOCK)
    v = tl.load(x + row * n + columns, mask=columns < n, other=-float("inf"))
    e = tl.exp(v - tl.max(v, axis=0))
    tl.store(y + row * n + columns, e / tl.sum(e, axis=0), mask=columns < n)


if __name__ == "__main__":
    source = ASTSource(row_softmax, {"x": "*fp32", "y": "*fp32", "n": "i32", "BLOCK": "constexpr"}, {(3,): 256})
    kernel = triton.compile(source, target=GPUTarget("cuda", 80, 32), options={"num_warps": 4})
    here = pathlib.Path(__file__).parent
    (here / "row_softmax.ptx").write_text(kernel.asm["ptx"])
    kept = ["name", "num_warps", "num_ctas", "shared", "global_scratch_size", "global_scratch_align",
            "profile_scratch_size", "profile_scratch_align", "launch_cooperative_grid", "triton_version"]
    said = {key: getattr(kernel.metadata, key) for key in kept if hasattr(kernel.metadata, key)}
    (here / "row_softmax.json").write_text(json.dumps(said, indent=1) + "\n")
