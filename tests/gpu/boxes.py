#!/usr/bin/env python3
"""Asks a driver where the bytes of boxes of interleaved tensor maps lie, case by case as an H200 was asked.

    boxes.py LIBCUDA [CASES]

LIBCUDA is NVIDIA's libcuda.so.1, or the software driver with GRAPHPROOF_COMPUTE_CAPABILITY=9.0. CASES says how it is
written, and what an H200 answered; by default it is the file that the tests of the interpreter read. Prints the cases
that are answered otherwise; the exit code is 0 if there are none. Needs Python's standard library only.
"""

import array
import ctypes as C
import os
import re
import struct
import sys

CASES = os.path.join(
    os.path.dirname(os.path.abspath(__file__)), "..", "..", "driver/exec/tests/ptx/hopper/interleaved/h200.txt"
)
MEMORY, SHARED, PART = 64 << 20, 64 << 10, 4096
UNTOUCHED = 0xDEADBEEF
NAN = 0x7FF77FF7
# `cuFuncSetAttribute`: dynamic shared memory.
MAX_DYNAMIC_SHARED = 8


def kernel(rank):
    """Loads a box, or stores one; what shared memory holds after a load goes to `out`."""
    parameters = "".join(f", .param .b32 c{n}" for n in range(rank))
    loads = "".join(f"  ld.param.b32 %c{n}, [c{n}];\n" for n in range(rank))
    at = ", ".join(f"%c{n}" for n in range(rank))
    return f"""
.visible .entry box{rank}(.param .align 64 .b8 map[128], .param .b64 out, .param .b32 bytes, .param .b32 store{parameters})
{{
  .reg .b32 %r<8>, %c<5>; .reg .b64 %d<6>; .reg .pred %p<3>;
  ld.param.b64 %d0, [out];
  ld.param.b32 %r0, [bytes];
  ld.param.b32 %r1, [store];
{loads}  mov.b64 %d1, map;
  cvta.param.u64 %d1, %d1;
  mov.u32 %r2, box;
  mov.u32 %r3, %tid.x;
  setp.ne.u32 %p0, %r3, 0;
  setp.ne.u32 %p1, %r1, 0;
  @%p0 bra MEET;
  mbarrier.init.shared.b64 [barrier], 1;
MEET:
  fence.proxy.async;
  bar.sync 0;
  @%p0 bra END;
  @%p1 bra STORE;
  mbarrier.arrive.expect_tx.shared.b64 %d2, [barrier], %r0;
  cp.async.bulk.tensor.{rank}d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%r2], [%d1, {{{at}}}], [barrier];
WAIT:
  mbarrier.try_wait.shared.b64 %p2, [barrier], %d2;
  @!%p2 bra WAIT;
  bra END;
STORE:
  cp.async.bulk.tensor.{rank}d.global.shared::cta.tile.bulk_group [%d1, {{{at}}}], [%r2];
  cp.async.bulk.commit_group;
  cp.async.bulk.wait_group 0;
END:
  bar.sync 0;
  @%p1 bra DONE;
COPY:
  setp.ge.u32 %p2, %r3, {SHARED // 4};
  @%p2 bra DONE;
  shl.b32 %r4, %r3, 2;
  cvt.u64.u32 %d3, %r4;
  add.u64 %d3, %d0, %d3;
  add.u32 %r4, %r2, %r4;
  ld.shared.b32 %r5, [%r4];
  st.global.b32 [%d3], %r5;
  add.u32 %r3, %r3, 128;
  bra COPY;
DONE:
  ret;
}}
""".replace(
        # Both ways begin with what `out` holds.
        "  setp.ne.u32 %p0, %r3, 0;\n",
        f"""FILL:
  setp.ge.u32 %p2, %r3, {SHARED // 4};
  @%p2 bra FILLED;
  shl.b32 %r4, %r3, 2;
  cvt.u64.u32 %d3, %r4;
  add.u64 %d3, %d0, %d3;
  ld.global.b32 %r5, [%d3];
  add.u32 %r4, %r2, %r4;
  st.shared.b32 [%r4], %r5;
  add.u32 %r3, %r3, 128;
  bra FILL;
FILLED:
  mov.u32 %r3, %tid.x;
  setp.ne.u32 %p0, %r3, 0;
""",
    )


PTX = (
    ".version 8.0\n.target sm_90\n.address_size 64\n.extern .shared .align 1024 .b8 box[];\n"
    ".shared .align 8 .b64 barrier;\n" + "".join(map(kernel, (3, 4, 5)))
)


def cases(path):
    """Of each line its text, the arguments, and the units as a list."""
    for line in open(path):
        if line.startswith("#"):
            continue
        head, _, units = line.rstrip("\n").partition(" : ")
        way, *words = head.split(" ")
        small = [int(word) for word in words[:4]]
        lists = [[int(n, 16 if at == 1 else 10) for n in word.split(",")] for at, word in enumerate(words[4:])]
        yield head, (way == "store", small, *lists), spelt(units)


def spelt(units):
    """The units without `*N`."""
    found = []
    for unit in units.split():
        what, _, count = unit.partition("*")
        for n in range(int(count or 1)):
            numbers = re.fullmatch("[0-9a-f]+(<[0-9a-f]+)?", what)
            found.append("<".join(f"{int(part, 16) + n:x}" for part in what.split("<")) if numbers else what)
    return found


class Driver:
    def __init__(self, path):
        self.cuda = C.CDLL(path)
        self.call("cuInit", 0)
        context, module = C.c_void_p(), C.c_void_p()
        self.call("cuDevicePrimaryCtxRetain", C.byref(context), 0)
        self.call("cuCtxSetCurrent", context)
        self.call("cuModuleLoadData", C.byref(module), PTX.encode())
        self.kernels = {}
        for rank in (3, 4, 5):
            kernel = C.c_void_p()
            self.call("cuModuleGetFunction", C.byref(kernel), module, f"box{rank}".encode())
            self.call("cuFuncSetAttribute", kernel, MAX_DYNAMIC_SHARED, SHARED)
            self.kernels[rank] = kernel
        self.tensor, self.out = C.c_uint64(), C.c_uint64()
        self.call("cuMemAlloc_v2", C.byref(self.tensor), C.c_size_t(MEMORY))
        self.call("cuMemAlloc_v2", C.byref(self.out), C.c_size_t(SHARED))
        # Each word of the tensor says which it is; 0 is none.
        self.words = array.array("I", range(1, MEMORY // 4 + 1)).tobytes()
        self.write(self.tensor, self.words)

    def call(self, name, *arguments):
        code = getattr(self.cuda, name)(*arguments)
        if code:
            raise SystemExit(f"{name} answers {code}")

    def write(self, to, data):
        self.call("cuMemcpyHtoD_v2", to, data, C.c_size_t(len(data)))

    def read(self, source, size):
        data = C.create_string_buffer(size)
        self.call("cuMemcpyDtoH_v2", data, source, C.c_size_t(size))
        return data.raw

    def ask(self, store, small, dimensions, strides, sizes, steps, corner):
        interleave, swizzle, data_type, fill = small
        rank = len(dimensions)
        buffer = C.create_string_buffer(192)
        base = C.addressof(buffer) + 63 & ~63
        words = lambda kind, values: (kind * len(values))(*values)
        self.call(
            "cuTensorMapEncodeTiled", C.c_void_p(base), data_type, rank, C.c_void_p(self.tensor.value),
            words(C.c_uint64, dimensions), words(C.c_uint64, strides), words(C.c_uint32, sizes),
            words(C.c_uint32, steps), interleave, swizzle, 0, fill,
        )
        # All that is laid out is told to the mbarrier: pixels of one slice of channels.
        told = 16 * interleave
        for at, (size, step) in enumerate(zip(sizes, steps)):
            told *= 1 if at == rank - 2 else -(-size // step)
        first = range(1, SHARED // 4 + 1) if store else [UNTOUCHED] * (SHARED // 4)
        self.write(self.out, array.array("I", first).tobytes())
        if store:
            self.call("cuMemsetD8_v2", self.tensor, 0, C.c_size_t(MEMORY))
        values = [(C.c_char * 128).from_address(base), self.out, C.c_uint32(told), C.c_uint32(store)]
        values += [C.c_int32(place) for place in corner]
        parameters = (C.c_void_p * len(values))(*[C.addressof(value) for value in values])
        self.call("cuLaunchKernel", self.kernels[rank], 1, 1, 1, 128, 1, 1, SHARED, None, parameters, None)
        if self.cuda.cuCtxSynchronize():
            return None
        if not store:
            return [name(unit) for unit in units(self.read(self.out, SHARED))]
        found = self.read(self.tensor, MEMORY)
        self.write(self.tensor, self.words)
        # Most of it is as it was.
        parts = ((at, found[at : at + PART]) for at in range(0, MEMORY, PART))
        changed = ((at, part) for at, part in parts if part != bytes(PART))
        places = ((at // 16 + n, unit) for at, part in changed for n, unit in enumerate(units(part)))
        return [f"{place:x}<{name(unit)}" for place, unit in places if any(unit)]


def units(data):
    return struct.iter_unpack("<4I", data)


def name(unit):
    """A unit of 16 bytes, by what its words say."""
    first = unit[0]
    if set(unit) <= {0, NAN, UNTOUCHED} and len(set(unit)) == 1:
        return {0: "z", NAN: "n", UNTOUCHED: "."}[first]
    whole = first % 4 == 1 and unit == tuple(range(first, first + 4))
    return f"{(first - 1) // 4:x}" if whole else "mixed"


def ask_all(library, asked, pipe):
    """In a child: the answer to each case, a line each; a fault ends the context, and the child."""
    driver = Driver(library)
    for _, arguments, wanted in asked:
        found = driver.ask(*arguments)
        if found is not None and not arguments[0]:
            found = found[: len(wanted)] + [unit for unit in found[len(wanted) :] if unit != "."]
        pipe.write(("fault" if found is None else " ".join(found) or "nothing") + "\n")
        pipe.flush()
        if found is None:
            os._exit(0)
    os._exit(0)


def main():
    library, path = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else CASES
    asked = list(cases(path))
    answers = []
    while len(answers) < len(asked):
        reader, writer = os.pipe()
        child = os.fork()
        if not child:
            ask_all(library, asked[len(answers) :], os.fdopen(writer, "w"))
        os.close(writer)
        new = [line.split() for line in os.fdopen(reader)]
        os.waitpid(child, 0)
        if not new:
            raise SystemExit(f"no answer to: {asked[len(answers)][0]}")
        answers += new
    others = [(head, found) for (head, _, wanted), found in zip(asked, answers) if found != wanted]
    for head, found in others:
        print(f"{head} : {' '.join(found)}")
    print(f"{len(asked) - len(others)} of {len(asked)} boxes lie as on an H200")
    sys.exit(bool(others))


if __name__ == "__main__":
    main()
