#!/usr/bin/env python3
"""Asks a device of sm_90 for bits: how boxes lie in shared memory, how matrices do, and how sums are rounded.

    python3 tests/clients/hopper/probe.py FILE            ask the libcuda of GRAPHPROOF_LIBCUDA, write the answers
    python3 tests/clients/hopper/probe.py FILE --against  ask it, and compare with the answers of FILE

numpy has to be there. The answers of an H200 (driver 580.159.04) lie in h200.npz, of sums those of the first blocks.
"""

import argparse
import ctypes
import pathlib
import sys

import numpy

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import cuda  # noqa: E402
from cuda import integer  # noqa: E402

HEAD = """.version 8.3
.target sm_90a
.address_size 64
.visible .entry k({parameters})
{{
.reg .pred %p<8>;
.reg .b32 %r<300>;
.reg .f32 %f<300>;
.reg .b64 %d<20>;
.shared .align 1024 .b8 tile[32768];
.shared .align 8 .b64 bar;
mov.u32 %r0, %tid.x;
mov.u32 %r20, %ctaid.x;
"""

# A box into `tile` + offset; then `tile` as it is. The wait gives up: the bytes may be other than expected.
BOX = HEAD.format(parameters=".param .align 64 .b8 map[128], .param .u64 out, .param .u32 offset, .param .u32 bytes, "
                  ".param .u32 x, .param .u32 y") + """
ld.param.u64 %d0, [out];
ld.param.u32 %r1, [offset];
ld.param.u32 %r2, [bytes];
ld.param.u32 %r3, [x];
ld.param.u32 %r4, [y];
mov.b64 %d1, map;
cvta.param.u64 %d1, %d1;
mov.u32 %r5, tile;
mov.u32 %r6, bar;
mov.u32 %r7, %r0;
FILL:
mad.lo.u32 %r8, %r7, 4, %r5;
mov.u32 %r9, 0x55555555;
st.shared.u32 [%r8], %r9;
add.u32 %r7, %r7, 128;
setp.lt.u32 %p1, %r7, 8192;
@%p1 bra FILL;
fence.proxy.async.shared::cta;
bar.sync 0;
setp.ne.u32 %p2, %r0, 0;
@%p2 bra DONE;
mbarrier.init.shared.b64 [%r6], 1;
mbarrier.arrive.expect_tx.shared::cta.b64 _, [%r6], %r2;
add.u32 %r10, %r5, %r1;
cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes [%r10], [%d1, {%r3, %r4}], [%r6];
mov.u32 %r11, 0;
WAIT:
mbarrier.try_wait.parity.shared::cta.b64 %p3, [%r6], 0, 1000;
add.u32 %r11, %r11, 1;
setp.lt.u32 %p4, %r11, 40;
@%p3 bra DONE;
@%p4 bra WAIT;
DONE:
bar.sync 0;
mov.u32 %r7, %r0;
COPY:
mad.lo.u32 %r8, %r7, 4, %r5;
ld.shared.u32 %r9, [%r8];
mad.wide.u32 %d2, %r7, 4, %d0;
st.global.u32 [%d2], %r9;
add.u32 %r7, %r7, 128;
setp.lt.u32 %p1, %r7, 8192;
@%p1 bra COPY;
setp.eq.u32 %p5, %r0, 0;
selp.u32 %r12, 1, 0, %p3;
@%p5 st.global.u32 [%d0+32768], %r12;
ret;
}
"""

SIZES = {"u8": 1, "u32": 4, "f16": 2, "bf16": 2, "f32": 4}


def boxes(device):
    """Name: shared memory behind a load, and whether the bytes were those of the box."""
    function = device.function(device.load(BOX.encode() + b"\0"), "k")
    found = {}

    def ask(name, kind, width, rows, swizzle, offset=0, x=0, y=0, fill=0, strides=None, expected=None, steps=(1, 1)):
        size = SIZES[kind]
        dims = (max(width, 64) + 64 // size, rows + 8)
        pitch = strides or dims[0] * size
        tensor = numpy.arange(dims[1] * pitch, dtype=numpy.uint32).astype(numpy.uint16).view(numpy.uint8)[: dims[1] * pitch].copy()
        place = device.put(tensor)
        made = device.map(place, kind, dims, (width, rows), swizzle, [pitch], fill, steps)
        out = device.put(numpy.zeros(8193, numpy.uint32))
        total = expected or width * size * -(-rows // steps[1])
        device.launch(function, (1,), (128,), [made, out, integer(offset), integer(total), ctypes.c_int(x), ctypes.c_int(y)])
        found["box " + name] = device.get(out, 8193, numpy.uint32)

    for swizzle, span in enumerate((256, 32, 64, 128)):
        for inner in (16, 32, 48, 64, 80, 96, 112, 128):
            if inner <= span:
                ask(f"swizzle {swizzle} row {inner}", "u8", inner, 17, swizzle)
        for offset in (128, 256, 512, 896):
            ask(f"swizzle {swizzle} offset {offset}", "u8", min(span, 128), 17, swizzle, offset)
        ask(f"swizzle {swizzle} outside", "f16", min(span, 128) // 2, 12, swizzle, x=-8, y=-3)
    for kind in ("f16", "bf16", "f32"):
        ask(f"fill {kind}", kind, 16, 4, 0, x=-8, y=-1, fill=1)
    ask("step 2", "u8", 64, 9, 0, steps=(1, 2))
    ask("step 3 swizzled", "u8", 64, 16, 2, steps=(1, 3), y=2)
    return found


# Type: bytes of an element, depth, type of the sums, words of D, tail.
PRODUCTS = {
    "bf16": (2, "m64n8k16.f32.bf16.bf16", "f", 4, ", 1, 1, 0, 0"),
    "f16": (2, "m64n8k16.f32.f16.f16", "f", 4, ", 1, 1, 0, 0"),
    "f16 half": (2, "m64n8k16.f16.f16.f16", "r", 2, ", 1, 1, 0, 0"),
    "tf32": (4, "m64n8k8.f32.tf32.tf32", "f", 4, ", 1, 1"),
    "e4m3": (1, "m64n8k32.f32.e4m3.e4m3", "f", 4, ", 1, 1"),
    "e5m2": (1, "m64n8k32.f32.e5m2.e5m2", "f", 4, ", 1, 1"),
    "e4m3 half": (1, "m64n8k32.f16.e4m3.e4m3", "r", 2, ", 1, 1"),
}


def product_text(shape, family, words, tail):
    """A product a block: A and B from `image` (64 and 8 lines of 32 bytes, in matrices of 8 x 16 bytes), sums from `sums`."""
    names = [f"%{family}{100 + n}" for n in range(words)]
    load = "".join(f"ld.global.b32 {name}, [%d4+{4 * n}];\n" for n, name in enumerate(names))
    store = "".join(f"st.global.b32 [%d5+{4 * n}], {name};\n" for n, name in enumerate(names))
    return HEAD.format(parameters=".param .u64 out, .param .u64 image, .param .u64 sums") + f"""
ld.param.u64 %d0, [out];
ld.param.u64 %d1, [image];
ld.param.u64 %d2, [sums];
mad.wide.u32 %d1, %r20, 2304, %d1;
mul.wide.u32 %d3, %r0, 16;
add.u64 %d1, %d1, %d3;
mov.u32 %r1, tile;
mad.lo.u32 %r2, %r0, 16, %r1;
ld.global.v4.u32 {{%r3, %r4, %r5, %r6}}, [%d1];
st.shared.v4.u32 [%r2], {{%r3, %r4, %r5, %r6}};
setp.ge.u32 %p1, %r0, 16;
@%p1 bra COPIED;
ld.global.v4.u32 {{%r3, %r4, %r5, %r6}}, [%d1+2048];
st.shared.v4.u32 [%r2+2048], {{%r3, %r4, %r5, %r6}};
COPIED:
fence.proxy.async.shared::cta;
bar.sync 0;
mad.lo.u32 %r7, %r20, 128, %r0;
mad.wide.u32 %d4, %r7, {4 * words}, %d2;
mad.wide.u32 %d5, %r7, {4 * words}, %d0;
{load}setp.eq.u32 %p2, 0, 0;
cvt.u64.u32 %d6, %r1;
and.b64 %d6, %d6, 0x3ffff;
shr.u64 %d6, %d6, 4;
or.b64 %d7, %d6, {64 << 16 | 8 << 32};
add.u64 %d8, %d6, {2048 >> 4};
or.b64 %d8, %d8, {8 << 16 | 8 << 32};
wgmma.fence.sync.aligned;
wgmma.mma_async.sync.aligned.{shape} {{{", ".join(names)}}}, %d7, %d8, %p2{tail};
wgmma.commit_group.sync.aligned;
wgmma.wait_group.sync.aligned 0;
{store}ret;
}}
"""


def random_elements(kind, random, shape, spread):
    """Bits of elements: singles of many sizes, cut to the type."""
    x = random.standard_normal(shape) * 2.0 ** random.integers(-spread, spread + 1, shape)
    return cut(kind, numpy.where(random.random(shape) < 0.05, 0, x).astype(numpy.float32))


def cut(kind, x):
    """The bits of singles, cut to the type."""
    if kind.startswith("bf16"):
        return (x.view(numpy.uint32) >> 16).astype(numpy.uint16).view(numpy.uint8)
    if kind.startswith("f16"):
        return x.astype(numpy.float16).view(numpy.uint8)
    if kind.startswith("tf32"):
        return (x.view(numpy.uint32) & 0xFFFFE000).view(numpy.uint8)
    if kind.startswith("e5m2"):
        return (x.astype(numpy.float16).view(numpy.uint16) >> 8).astype(numpy.uint8)
    # e4m3: sign, exponent and fraction of a half, with another bias; what is too large or small goes.
    half = numpy.clip(x, -240, 240).astype(numpy.float16)
    bits = half.view(numpy.uint16).astype(numpy.int32)
    magnitude = numpy.clip(((bits & 0x7FFF) >> 7) - (8 << 3), 0, 0x77)
    return (magnitude | (bits >> 8 & 0x80)).astype(numpy.uint8)


def sums(device):
    """Name: inputs and D of random products."""
    found = {}
    for number, (kind, (size, shape, family, words, tail)) in enumerate(PRODUCTS.items()):
        function = device.function(device.load(product_text(shape, family, words, tail).encode() + b"\0"), "k")
        for spread in (0, 3, 8):
            random = numpy.random.default_rng(100 * number + spread)
            blocks = 24
            image = numpy.empty((blocks, 2304), numpy.uint8)
            a = random_elements(kind, random, (blocks, 64, 32 // size), spread).reshape(blocks, 64, 2, 16)
            b = random_elements(kind, random, (blocks, 8, 32 // size), spread).reshape(blocks, 8, 2, 16)
            image[:, :2048] = a.transpose(0, 2, 1, 3).reshape(blocks, -1)
            image[:, 2048:] = b.transpose(0, 2, 1, 3).reshape(blocks, -1)
            c = random.standard_normal((blocks, 128, 4)) * 2.0 ** random.integers(-2 * spread, 2 * spread + 3, (blocks, 128, 4))
            c[: blocks // 3] = 0
            start = numpy.clip(c, -60000, 60000).astype(numpy.float16).view(numpy.uint32) if family == "r" else c.astype(numpy.float32)
            out = device.put(numpy.zeros((blocks, 128, words), numpy.uint32))
            device.launch(function, (blocks,), (128,), [out, device.put(image), device.put(start)])
            found[f"sums {kind} {spread}"] = device.get(out, (blocks, 128, words), numpy.uint32)
    return found


def steps(device):
    """Name: D of one large product and small ones 2^-row of it, at several places along k; 1 or the sum is the large one."""
    found = {}
    places = [(1,), (2,), (3,), (4,), (7,), (1, 2), (1, 4), (1, 2, 3)]
    for kind, (size, shape, family, words, tail) in PRODUCTS.items():
        function = device.function(device.load(product_text(shape, family, words, tail).encode() + b"\0"), "k")
        deep, cases = 32 // size, [(1, 1, 1), (1, 1, -1), (0, 1, 1), (0, 1, -1), (1, 1.5, 1), (1, 1.5, -1), (0, 1.75, 1.5), (1, 1.75, -1.5)]
        image = numpy.empty((len(cases), 2304), numpy.uint8)
        start = numpy.zeros((len(cases), 128, words), numpy.uint32)
        for n, (in_product, large, small) in enumerate(cases):
            a, b = numpy.zeros((64, deep), numpy.float32), numpy.zeros((8, deep), numpy.float32)
            # Half of the exponent comes from each factor: types of eight bits have few.
            exponents = numpy.arange(64) // (2 if size < 4 and "bf16" not in kind else 1)
            a[:, 1:] = (small * 2.0 ** -(exponents // 2))[:, None]
            if in_product:
                a[:, 0], b[:, 0] = large, 1
            else:
                value = int(numpy.float16(large).view(numpy.uint16)) * 0x10001 if family == "r" else numpy.float32(large).view(numpy.uint32)
                start[n] = value
            for column, ks in enumerate(places):
                for k in ks:
                    b[column, k] = 1
            # The other half: a row at a time cannot have it in B, so A has it all where the type allows.
            if size == 4 or kind == "bf16":
                a[:, 1:] = (small * 2.0**-exponents)[:, None]
            a, b = cut(kind, a).reshape(64, 2, 16), cut(kind, b).reshape(8, 2, 16)
            image[n, :2048], image[n, 2048:] = a.transpose(1, 0, 2).reshape(-1), b.transpose(1, 0, 2).reshape(-1)
        out = device.put(numpy.zeros((len(cases), 128, words), numpy.uint32))
        device.launch(function, (len(cases),), (128,), [out, device.put(image), device.put(start)])
        found[f"steps {kind}"] = device.get(out, (len(cases), 128, words), numpy.uint32)
    return found


def ask(device):
    """All answers."""
    return boxes(device) | sums(device) | steps(device)


def against(device, file):
    """Says where a device's answers are not those of the file; gives how many differ."""
    wanted, found = numpy.load(file), ask(device)
    wrong = 0
    for name, answer in found.items():
        # The file may hold the first blocks alone.
        differs = (answer[: len(wanted[name])] != wanted[name]).mean()
        wrong += differs > 0
        if differs:
            print(f"WRONG  {name}: {100 * differs:.2f} % of the words differ")
    print(f"{len(found) - wrong} of {len(found)} answers have the bits of {file.name}")
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=pathlib.Path)
    parser.add_argument("--against", action="store_true")
    arguments = parser.parse_args()
    device = cuda.Device(cuda.library())
    if arguments.against:
        return 1 if against(device, arguments.file) else 0
    numpy.savez_compressed(arguments.file, **ask(device))
    return 0


if __name__ == "__main__":
    sys.exit(main())
