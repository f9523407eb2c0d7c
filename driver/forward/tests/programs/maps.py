"""Encodes tensor maps, again and again, and prints the bytes of each that differs."""

import ctypes

from capture import check, cuda, handle


def main():
    check(cuda.cuInit(0))
    context, data = handle(), ctypes.c_uint64()
    check(cuda.cuDevicePrimaryCtxRetain(ctypes.byref(context), 0))
    check(cuda.cuCtxSetCurrent(context))
    check(cuda.cuMemAlloc_v2(ctypes.byref(data), ctypes.c_size_t(4096)))
    room = ctypes.create_string_buffer(192)
    map = ctypes.c_void_p(-(-ctypes.addressof(room) // 64) * 64)
    extents, strides = (ctypes.c_uint64 * 2)(32, 32), (ctypes.c_uint64 * 1)(128)
    box, steps = (ctypes.c_uint * 2)(32, 8), (ctypes.c_uint * 2)(1, 1)
    print(data.value)
    for _ in range(3):
        check(cuda.cuTensorMapEncodeTiled(map, 7, 2, data, extents, strides, box, steps, 0, 0, 0, 0))  # encoded here
    print(ctypes.string_at(map.value, 128).hex())
    assert cuda.cuTensorMapEncodeTiled(map, 7, 6, data, extents, strides, box, steps, 0, 0, 0, 0)
    for _ in range(2):
        check(cuda.cuTensorMapReplaceAddress(map, ctypes.c_uint64(data.value + 256)))
    print(ctypes.string_at(map.value, 128).hex())


if __name__ == "__main__":
    main()
