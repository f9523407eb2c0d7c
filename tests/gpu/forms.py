#!/usr/bin/env python3
"""Runs every scalar and matrix form of docs/ptx.md on a driver, or compares two such runs.

    forms.py run LIBCUDA OUT [TARGET]   results of each form on seeded inputs, one line a form
    forms.py compare A B                forms whose bits differ, with the first lane that does

LIBCUDA is NVIDIA's libcuda.so.1 or the software driver. TARGET (sm_90 by default) is the module's;
a form that the driver does not take is written as such. Needs Python's standard library only.
"""

import ctypes
import os
import random
import re
import struct
import sys

PAGE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "docs", "ptx.md")
SUBJECTS = ("Integer", "Functions", "Comparison", "Logic", "Conversion", "Video", "Warp")
# Lanes of these see each other, or read memory: other tests run them.
ELSEWHERE = re.compile(r"\(?(shfl|vote|match|redux|elect|activemask|ldmatrix|stmatrix|movmatrix)\b|wmma\.store|.*\.shared")
EDGES = [
    0, 1, 2, 31, 32, 33, 127, 128, 255, 0x7FFF, 0x8000, 0xFFFF, 0x10001, 0x7C003C00, 0xFC00BC00, 0x7F80FF80,
    0x7FFF7FFF, 0x80007FFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0x3F800000, 0xBF800000, 0x7F800000, 0xFF800000,
    0x7FC00000, 0x3FF, 0x83FF0400, 0x807FFFFF, 0x800000, 0x7F7FFFFF, 0xFFFF0000, 0x3FF00000, 0x7FF00000, 0x477FE000,
    0x43E00000, 0x43E80000, 0x47700000, 0x3F000000, 0xC0000000,
]
MATRIX_TYPES = ("f16", "bf16", "tf32", "f32", "e4m3", "e5m2", "f64", "s32", "s8", "u8", "s4", "u4", "b1")
REGISTERS = {"h": ".b16", "r": ".b32", "d": ".b64", "f": ".f32", "g": ".f64", "p": ".pred", "q": ".pred"}


def patterns():
    """The patterns of the page's code blocks, under the headings of `SUBJECTS`."""
    subject, inside = "", False
    for line in open(PAGE):
        line = line.rstrip("\n")
        if line.startswith("## "):
            subject = line[3:]
        elif line == "```":
            inside = not inside
        elif inside and subject.startswith(SUBJECTS) and not ELSEWHERE.match(line):
            yield line


def expand(pattern):
    """The instructions of a pattern, as (words, operands)."""
    head, _, operands = pattern.partition(" ")
    found = [""]
    while m := re.search(r"\{([^}]*)\}|\(([^)]*)\)", head):
        choices = m.group(1).split("|") + [""] if m.group(1) is not None else m.group(2).split("|")
        found = [f + head[: m.start()] + c for f in found for c in choices]
        head = head[m.end() :]
    return [(f + head, operands) for f in found]


def bits_of_single(x):
    return struct.unpack("I", struct.pack("f", x))[0]


def any_word(rng):
    kind = rng.randrange(6)
    if kind < 2:
        return rng.choice(EDGES)
    if kind == 2:
        return rng.getrandbits(32)
    if kind == 3:
        return bits_of_single(rng.uniform(-600, 600))
    if kind == 4:
        return rng.randrange(0x3000, 0x5400) << 16 | rng.randrange(0xB000, 0xD400)
    return rng.randrange(64)


def e4m3(x):
    sign, x = (128 if x < 0 else 0), abs(x)
    for code in range(127):
        e, m = code >> 3, code & 7
        if x == (m / 512 if e == 0 else (1 + m / 8) * 2.0 ** (e - 7)):
            return sign | code
    raise ValueError(x)


def element(ty, rng):
    """Bits and width of a small number: sums of products of these are exact in every format."""
    x = (rng.randrange(16) - 7) / 2
    half = lambda v: struct.unpack("H", struct.pack("e", v))[0]
    if ty == "f64":
        return struct.unpack("Q", struct.pack("d", x))[0], 64
    if ty in ("f32", "tf32"):
        return bits_of_single(x), 32
    if ty == "bf16":
        return bits_of_single(x) >> 16, 16
    if ty == "f16":
        return half(x), 16
    if ty == "e5m2":
        return half(float(round(x))) >> 8, 8
    if ty == "e4m3":
        return e4m3(x), 8
    if ty == "s32":
        return rng.getrandbits(17), 32
    width = {"s8": 8, "u8": 8, "s4": 4, "u4": 4, "b1": 1}[ty]
    return rng.getrandbits(width), width


def elements(ty, rng):
    """The words of a register full of elements."""
    bits, width = element(ty, rng)
    if width == 64:
        return [bits & 0xFFFFFFFF, bits >> 32]
    word = bits
    for at in range(width, 32, width):
        word |= element(ty, rng)[0] << at
    return [word]


class Kernel:
    """A kernel around one instruction: text, words a lane reads and writes."""

    def __init__(self, number, head, operands):
        self.form, self.inputs, self.outputs = f"{head} {operands}", [], 0
        opcode = head.split(".")[0]
        kinds = [w for w in head.split(".") if w in MATRIX_TYPES] if opcode in ("mma", "wmma") else []
        if opcode == "wmma" and len(kinds) == 2:
            kinds = [kinds[0], "f16", "f16", kinds[1]]
        self.sparse_single = "tf32" in head
        names, load, outs, parts = [], "", [], []
        for place, part in enumerate(re.split(r",\s*(?![^{]*\})", operands)):

            def register(m):
                nonlocal load
                letter = m.group(2)
                if part == "[d]":
                    return m.group(1) + "m"
                name = f"{letter}{len(names)}"
                names.append(name)
                if place == 0:
                    outs.append((letter, name))
                    return m.group(1) + name
                kind = kinds[place] if place < len(kinds) else "metadata" if kinds and place == 4 else None
                at, wide = 4 * sum(w for _, w in self.inputs), letter in "dg"
                self.inputs.append((kind, 2 if wide else 1))
                if letter == "h":
                    load += f"ld.global.u32 t, [i+{at}];\ncvt.u16.u32 {name}, t;\n"
                elif letter in "pq":
                    load += f"ld.global.u32 t, [i+{at}];\nand.b32 t, t, 1;\nsetp.ne.u32 {name}, t, 0;\n"
                elif wide:
                    load += f"ld.global.u32 t, [i+{at}];\nld.global.u32 u, [i+{at + 4}];\nmov.b64 {name}, {{t, u}};\n"
                else:
                    load += f"ld.global.b32 {name}, [i+{at}];\n"
                return m.group(1) + name

            parts.append(re.sub(r"(^|[^\w.%])([hrdfgpq])(?!\w)", register, part))
        if head.startswith("wmma.load"):
            # A stride that every type allows; the kernel's second buffer is the matrix.
            parts[2:] = ["64"] if len(parts) > 2 else []
            load, self.inputs = "", []
        store = ""
        for letter, name in outs:
            at = 4 * self.outputs
            self.outputs += 2 if letter in "dg" else 1
            if letter == "h":
                store += f"cvt.u32.u16 t, {name};\nst.global.u32 [o+{at}], t;\n"
            elif letter in "pq":
                store += f"selp.u32 t, 1, 0, {name};\nst.global.u32 [o+{at}], t;\n"
            elif letter in "dg":
                store += f"mov.b64 {{t, u}}, {name};\nst.global.u32 [o+{at}], t;\nst.global.u32 [o+{at + 4}], u;\n"
            else:
                store += f"st.global.b32 [o+{at}], {name};\n"
        before = "add.cc.u32 t, 0xffffffff, tid;\n" if opcode in ("addc", "subc", "madc") else ""
        after = ""
        if ".cc" in head:
            after = f"addc.u32 t, 0, 0;\nst.global.u32 [o+{4 * self.outputs}], t;\n"
            self.outputs += 1
        size = 4 * max(sum(w for _, w in self.inputs), 1)
        declared = "".join(f".reg {REGISTERS[n[0]]} {n};\n" for n in names)
        space = "cvta.to.global.u64 m, m;\n" if ".global" in head else ""
        self.name = f"k{number}"
        self.text = (
            f".visible .entry {self.name}(.param .u64 a, .param .u64 b, .param .u64 c)\n{{\n.reg .b64 i, o, m;\n"
            f".reg .b32 t, u, tid;\n{declared}mov.u32 tid, %tid.x;\nld.param.u64 i, [a];\nld.param.u64 o, [b];\n"
            f"ld.param.u64 m, [c];\n{space}mad.wide.u32 i, tid, {size}, i;\nmad.wide.u32 o, tid, {4 * self.outputs}, o;\n"
            f"{load}{before}{head} {', '.join(parts)};\n{after}{store}ret;\n}}\n"
        )

    def words(self, seed):
        rng, found = random.Random(seed), []
        for _ in range(32):
            for kind, width in self.inputs:
                if kind == "metadata":
                    # Places of two kept elements, in order.
                    choices = [4, 14] if self.sparse_single else [4, 8, 12, 9, 13, 14]
                    found.append(sum(rng.choice(choices) << 4 * n for n in range(8)))
                elif kind:
                    found += elements(kind, rng)
                else:
                    found += [any_word(rng) for _ in range(width)]
        return found


class Driver:
    def __init__(self, path):
        self.cuda = ctypes.CDLL(path)
        device, context = ctypes.c_int(), ctypes.c_void_p()
        self.call("cuInit", 0)
        self.call("cuDeviceGet", ctypes.byref(device), 0)
        self.call("cuDevicePrimaryCtxRetain", ctypes.byref(context), device)
        self.call("cuCtxSetCurrent", context)
        self.buffers = [self.allocate(n) for n in (1 << 14, 1 << 14, 1 << 17)]
        rng = random.Random(7)
        matrix = struct.pack("32768I", *(rng.getrandbits(32) for _ in range(32768)))
        self.call("cuMemcpyHtoD_v2", self.buffers[2], matrix, ctypes.c_size_t(len(matrix)))

    def call(self, name, *arguments):
        status = getattr(self.cuda, name)(*arguments)
        if status:
            raise RuntimeError(f"{name} answered {status}")

    def allocate(self, size):
        pointer = ctypes.c_uint64()
        self.call("cuMemAlloc_v2", ctypes.byref(pointer), ctypes.c_size_t(size))
        return pointer

    def module(self, text):
        module = ctypes.c_void_p()
        status = self.cuda.cuModuleLoadData(ctypes.byref(module), text.encode())
        return None if status else module

    def run(self, module, kernel, words):
        function = ctypes.c_void_p()
        self.call("cuModuleGetFunction", ctypes.byref(function), module, kernel.name.encode())
        size = 128 * kernel.outputs
        self.call("cuMemsetD8_v2", self.buffers[1], ctypes.c_ubyte(0xA5), ctypes.c_size_t(size))
        if words:
            data = struct.pack(f"{len(words)}I", *words)
            self.call("cuMemcpyHtoD_v2", self.buffers[0], data, ctypes.c_size_t(len(data)))
        arguments = (ctypes.c_void_p * 3)(*(ctypes.cast(ctypes.byref(b), ctypes.c_void_p) for b in self.buffers))
        self.call("cuLaunchKernel", function, 1, 1, 1, 32, 1, 1, 0, None, arguments, None)
        result = ctypes.create_string_buffer(size)
        self.call("cuMemcpyDtoH_v2", result, self.buffers[1], ctypes.c_size_t(size))
        return result.raw


def run(library, out, target="sm_90"):
    driver = Driver(library)
    header = f".version 8.6\n.target {target}\n.address_size 64\n"
    forms = [form for pattern in patterns() for form in expand(pattern)]
    kernels = [Kernel(number, *form) for number, form in enumerate(forms)]
    refused = 0
    with open(out, "w") as file:
        for start in range(0, len(kernels), 32):
            group = kernels[start : start + 32]
            together = driver.module(header + "".join(k.text for k in group))
            for kernel in group:
                words = kernel.words(kernel.form)
                inputs = struct.pack(f"{len(words)}I", *words).hex()
                try:
                    module = together or driver.module(header + kernel.text)
                    answer = driver.run(module, kernel, words).hex() if module else "refused"
                except RuntimeError as error:
                    answer = f"refused: {error}"
                refused += answer.startswith("refused")
                file.write(f"{kernel.form}|{answer}|{inputs}\n")
    print(f"{len(kernels)} forms, {refused} refused")


def read(path):
    return {form: (answer, inputs) for form, answer, inputs in (line.rstrip("\n").split("|") for line in map(fold, open(path)))}


def fold(line):
    """`p|q` of a form is no separator."""
    return re.sub(r"\b([pr])\|([pq])\b", r"\1/\2", line)


def compare(first, second):
    a, b = read(first), read(second)
    same, different, unasked = 0, 0, 0
    for form, (x, inputs) in a.items():
        y = b.get(form, ("refused", ""))[0]
        if x.startswith("refused") or y.startswith("refused"):
            unasked += 1
        elif x == y:
            same += 1
        else:
            different += 1
            size = len(x) // 32
            lanes = [n for n in range(32) if x[n * size : (n + 1) * size] != y[n * size : (n + 1) * size]]
            n, width = lanes[0], len(inputs) // 32
            at = slice(n * size, (n + 1) * size)
            print(f"{form}: {len(lanes)} lanes; lane {n} of {inputs[n * width : (n + 1) * width]}: {x[at]} {y[at]}")
    print(f"{same} forms alike, {different} different, {unasked} not run by both")
    return 1 if different else 0


if __name__ == "__main__":
    command = {"run": run, "compare": compare}.get(sys.argv[1] if len(sys.argv) > 1 else "")
    if command is None:
        sys.exit(__doc__)
    sys.exit(command(*sys.argv[2:]))
