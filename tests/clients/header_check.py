#!/usr/bin/env python3
"""Compiles our C ABI, and the table of the driver API, against NVIDIA's own cuda.h.

    python3 tests/clients/header_check.py           exit 1 if gcc finds a difference
    python3 tests/clients/header_check.py --print   also print the C program

Rust's `repr(C)` structures are written down again in C, field by field, and each is compared with
the structure of the same name in cuda.h: size, and offset of each field. Each entry point becomes
a function type that must be the one cuda.h declares, as does each line of driver/api/functions.txt,
per-thread forms included; no function of cuda.h may be missing there. Enumerators and result codes are compared by
value. The enumerators that our sources use as plain numbers are listed in header_check.c.
"""

import pathlib
import re
import subprocess
import sys

import toolkit

ABI = toolkit.ROOT / "driver" / "src" / "abi"
MODEL = toolkit.ROOT / "driver" / "model" / "src"
HERE = pathlib.Path(__file__).resolve().parent

SCALARS = {
    "c_uint": "unsigned int",
    "u32": "unsigned int",
    "c_int": "int",
    "i32": "int",
    "c_char": "char",
    "u8": "unsigned char",
    "c_uchar": "unsigned char",
    "c_ushort": "unsigned short",
    "u16": "unsigned short",
    "usize": "size_t",
    "u64": "cuuint64_t",
    "i64": "long long",
    "c_ulonglong": "unsigned long long",
    "f32": "float",
    "c_void": "void",
    "BlockToShared": "CUoccupancyB2DSize",
    "Option<CUgraphRecaptureCallback>": "CUgraphRecaptureCallback",
    "CUhostFn": "CUhostFn",
}
# Our name of a structure: cuda.h's name, where they differ.
STRUCTURES = {
    "CUDA_KERNEL_NODE_PARAMS": "CUDA_KERNEL_NODE_PARAMS_v2",
    "CUDA_MEMSET_NODE_PARAMS": "CUDA_MEMSET_NODE_PARAMS_v1",
    "CUDA_HOST_NODE_PARAMS": "CUDA_HOST_NODE_PARAMS_v1",
    "CUDA_MEM_ALLOC_NODE_PARAMS": "CUDA_MEM_ALLOC_NODE_PARAMS_v1",
    "CUDA_MEMCPY2D": "CUDA_MEMCPY2D_v2",
    "CUDA_MEMCPY3D": "CUDA_MEMCPY3D_v2",
    "CUDA_BATCH_MEM_OP_NODE_PARAMS": "CUDA_BATCH_MEM_OP_NODE_PARAMS_v1",
}
# Our name of a field: cuda.h's, or None for a field that stands for a union.
FIELDS = {
    ("CUDA_KERNEL_NODE_PARAMS", "launch"): "func",
    ("CUDA_MEMSET_NODE_PARAMS_v2", "fill"): "dst",
    ("CUDA_HOST_NODE_PARAMS", "function"): "fn",
    ("CUDA_HOST_NODE_PARAMS_v2", "host"): "fn",
    **{
        ("CUmemAllocationProp", name): f"allocFlags.{name}"
        for name in ("compressionType", "gpuDirectRDMACapable", "usage", "reserved")
    },
    ("CUgraphEdgeData", "kind"): "type",
    ("CUgraphNodeParams", "member"): "reserved1",
    # CUDA 13.5 made its first two bytes a flag.
    ("CUmemPoolProps", "reserved"): None,
    ("CUlaunchAttributeValue", "0"): None,
    ("CUstreamBatchMemOpParams", "0"): None,
}
# Arguments that we take as numbers (host pointers are checked before use) or as any pointer.
ARGUMENTS = {
    ("cuMemcpyHtoD_v2", "srcHost"): "void *",
    ("cuMemcpyHtoDAsync_v2", "srcHost"): "void *",
    ("cuMemcpyDtoH_v2", "dstHost"): "void *",
    ("cuMemcpyDtoHAsync_v2", "dstHost"): "void *",
    ("cuMemcpyHtoA_v2", "srcHost"): "void *",
    ("cuMemcpyHtoAAsync_v2", "srcHost"): "void *",
    ("cuMemcpyAtoH_v2", "dstHost"): "void *",
    ("cuMemcpyAtoHAsync_v2", "dstHost"): "void *",
    # The places where cuda.h does not call a 64-bit number cuuint64_t.
    ("cuCtxGetId", "ctxId"): "unsigned long long *",
    ("cuStreamGetId", "streamId"): "unsigned long long *",
    ("cuStreamGetGreenCtx", "phCtx"): "CUgreenCtx *",
    ("cuStreamGetCtx_v2", "pGreenCtx"): "CUgreenCtx *",
    ("cuCtxGetExecAffinity", "pExecAffinity"): "CUexecAffinityParam *",
    ("cuCtxCreate_v3", "paramsArray"): "CUexecAffinityParam *",
    ("cuDeviceGetDevResource", "type_"): "CUdevResourceType",
    ("cuDevResourceGenerateDesc", "phDesc"): "CUdevResourceDesc *",
    ("cuGreenCtxCreate", "phCtx"): "CUgreenCtx *",
    ("cuGreenCtxCreate", "desc"): "CUdevResourceDesc",
    ("cuGreenCtxDestroy", "hCtx"): "CUgreenCtx",
    ("cuGreenCtxGetDevResource", "hCtx"): "CUgreenCtx",
    ("cuGreenCtxGetDevResource", "type_"): "CUdevResourceType",
    ("cuGreenCtxGetId", "greenCtx"): "CUgreenCtx",
    ("cuGreenCtxGetId", "greenCtxId"): "unsigned long long *",
    ("cuGreenCtxRecordEvent", "hCtx"): "CUgreenCtx",
    ("cuGreenCtxStreamCreate", "greenCtx"): "CUgreenCtx",
    ("cuGreenCtxWaitEvent", "hCtx"): "CUgreenCtx",
    ("cuLinkCreate_v2", "stateOut"): "CUlinkState *",
    **{
        (f"cuLink{name}", "state"): "CUlinkState"
        for name in ("AddData_v2", "AddFile_v2", "Complete", "Destroy")
    },
}


def sources(folder):
    return {path: path.read_text() for path in sorted(folder.rglob("*.rs"))}


def c_type(rust, prefix):
    """A Rust type as C; `prefix` goes before structures of ours."""
    rust = rust.strip()
    for pointer, qualifier in (("*mut ", ""), ("*const ", "const ")):
        if rust.startswith(pointer):
            inner = c_type(rust[len(pointer) :], prefix)
            # `const` qualifies the pointee: behind a pointer it goes after the star.
            return f"{inner} {qualifier}*" if inner.endswith("*") else f"{qualifier}{inner} *"
    if rust in SCALARS:
        return SCALARS[rust]
    return prefix.get(rust, STRUCTURES.get(rust, rust))


def structures(text):
    pattern = r"#\[repr\(C[^\]]*\]\n(?:#\[[^\n]*\n)*pub struct (\w+) ?(\{.*?\n\}|\([^;]*\);)"
    for name, body in re.findall(pattern, text, re.S):
        if body.startswith("("):
            yield name, [("0", body[1:-2].removeprefix("pub "))]
        else:
            yield name, re.findall(r"^    pub (\w+): ([^\n]*),$", body, re.M)


def layouts():
    """C structures that repeat ours, and what must hold of them."""
    files = ("types", "graph_types", "array", "texture")
    text = "\n".join((ABI / f"{name}.rs").read_text() for name in files)
    edge = (MODEL / "graph" / "edge.rs").read_text()
    found = list(structures(text)) + [("CUgraphEdgeData", f) for n, f in structures(edge) if n == "EdgeData"]
    # Structures within structures come first.
    order, known = [], {name for name, _ in found}
    while found:
        for item in found:
            within = {re.sub(r"[\[\];\d ]", "", rust) for _, rust in item[1]} & known
            if not within - {name for name, _ in order}:
                order.append(item)
                found.remove(item)
                break
        else:
            sys.exit("structures contain each other")
    prefix = {name: f"rs_{name}" for name in known}
    for name, fields in order:
        theirs = STRUCTURES.get(name, name)
        lines = []
        for field, rust in fields:
            array = re.fullmatch(r"\[(.*); (\d+)\]", rust)
            base = c_type(array[1] if array else rust, {} if "*" in rust else prefix)
            lines.append(f"    {base} f_{field}{f'[{array[2]}]' if array else ''};")
        yield f"typedef struct {{\n" + "\n".join(lines) + f"\n}} rs_{name};"
        yield f"_Static_assert(sizeof(rs_{name}) == sizeof({theirs}), \"size of {theirs}\");"
        for field, _ in fields:
            named = FIELDS.get((name, field), field.removesuffix("_"))
            if named is not None:
                where = f"offsetof(rs_{name}, f_{field}) == offsetof({theirs}, {named})"
                yield f"_Static_assert({where}, \"{theirs}.{named}\");"


def entry_points():
    pattern = r"^    fn (cu[A-Z]\w*)\(([^)]*)\)\s*(?:on [^{]*)?\{"
    for text in sources(ABI).values():
        for name, arguments in re.findall(pattern, text, re.M):
            parts = [part.strip() for part in arguments.replace("\n", " ").split(",") if part.strip()]
            pairs = [[half.strip() for half in part.split(":", 1)] for part in parts]
            yield name, [ARGUMENTS.get((name, argument)) or c_type(rust, {}) for argument, rust in pairs]


def table():
    """Names, forms included, and argument types of driver/api/functions.txt; None without a declaration."""
    for line in (toolkit.ROOT / "driver" / "api" / "functions.txt").read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        head, rest = line.split("(", 1)
        name, _since, form, _class = head.split()
        listed = rest.split(")")[0]
        types = None
        if listed != "...":
            arguments = [argument.split(" ", 1)[1] for argument in listed.split(", ") if argument]
            types = [re.sub(r"\w+$", "", argument).strip() for argument in arguments]
        yield name, types
        if form != "-":
            yield f"{name}_{form}", types


def results():
    """Result codes, and the constants whose comment names the enumerator."""
    text = (toolkit.ROOT / "driver" / "api" / "src" / "result.rs").read_text()
    for value, name in re.findall(r'^\s*\w+ = (\d+) "(\w+)" ', text, re.M):
        yield name, value
    pattern = r"/// `(CU_\w+)`[^\n]*\n(?:\s*///[^\n]*\n|\s*#\[[^\n]*\n)*\s*(?:pub )?(?:const \w+: \w+|[A-Z]\w*) = ([\dx <]+)[;,]"
    for text in [*sources(ABI).values(), *sources(MODEL).values()]:
        yield from re.findall(pattern, text)


def declared(include):
    """The prototypes of cuda.h, old versions included."""
    source = "#define __CUDA_API_VERSION_INTERNAL\n#include <cuda.h>\n"
    gcc = ["gcc", "-E", "-P", "-I", include, "-x", "c", "-"]
    text = subprocess.run(gcc, input=source, capture_output=True, text=True, check=True).stdout
    return set(re.findall(r"\bCUresult\s+(cu[A-Z]\w*)\s*\(", text))


def main():
    include = toolkit.include()
    known = declared(include)
    lines = [(HERE / "header_check.c").read_text(), *layouts()]
    checked, absent = 0, []
    for name, arguments in sorted(entry_points()):
        if name not in known:
            absent.append(name)
            continue
        checked += 1
        types = ", ".join(arguments) or "void"
        lines.append(f"PROTOTYPE({name}, {types});")
    rows = dict(table())
    missing = sorted(known - rows.keys())
    if missing:
        sys.exit(f"functions of cuda.h {toolkit.HEADER} that driver/api/functions.txt lacks: {', '.join(missing)}")
    listed = {name: types for name, types in rows.items() if name in known and types is not None}
    lines += [f"ROW({name}, {', '.join(types) or 'void'});" for name, types in sorted(listed.items())]
    lines += [f"VALUE({name}, {value});" for name, value in sorted(set(results()))]
    lines.append("int main(void) { return 0; }\n")
    program = "\n".join(lines)
    if "--print" in sys.argv:
        print(program)
    # Whether a pointee is const is a promise to the caller, not part of the binary interface, and our
    # signatures make it more often than cuda.h does: the word is taken out on both sides.
    gcc = ["gcc", "-std=gnu11", "-Wall", "-Werror", "-Dconst=", "-fmax-errors=0", "-I", include]
    if subprocess.run(gcc + ["-fsyntax-only", "-x", "c", "-"], input=program, text=True).returncode:
        sys.exit("our C ABI differs from cuda.h")
    asserts = program.count("_Static_assert(") + program.count("\nVALUE(") - 1
    print(f"{len(listed)} of {len(rows)} functions of the table have the types of cuda.h")
    print(f"{checked} prototypes, {asserts} sizes, offsets and values agree with cuda.h {toolkit.HEADER}")
    print(f"not in this cuda.h (older or newer CUDA): {', '.join(absent) or 'none'}")


if __name__ == "__main__":
    main()
