"""The part of the driver API that run.py needs, by ctypes: any libcuda will do."""

import ctypes
import os

import numpy

TYPES = {"u8": 0, "u32": 2, "i32": 3, "f16": 6, "f32": 7, "bf16": 9}


class Attribute(ctypes.Structure):
    _fields_ = [("id", ctypes.c_uint), ("pad", ctypes.c_char * 4), ("value", ctypes.c_uint * 16)]


class Config(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint) for name in ("gx", "gy", "gz", "bx", "by", "bz", "shared")]
    _fields_ += [("stream", ctypes.c_void_p), ("attributes", ctypes.POINTER(Attribute)), ("count", ctypes.c_uint)]


class Map(ctypes.Structure):
    _fields_ = [("words", ctypes.c_ulonglong * 16)]


class Device:
    def __init__(self, library):
        self.cuda = ctypes.CDLL(library)
        self.call("cuInit", 0)
        context = ctypes.c_void_p()
        self.call("cuDevicePrimaryCtxRetain", ctypes.byref(context), 0)
        self.call("cuCtxSetCurrent", context)
        self.kept = []

    def call(self, name, *arguments):
        code = getattr(self.cuda, name)(*arguments)
        if code:
            text = ctypes.c_char_p()
            self.cuda.cuGetErrorName(code, ctypes.byref(text))
            raise RuntimeError(f"{name}: {code} {(text.value or b'?').decode()}")

    def load(self, ptx):
        module = ctypes.c_void_p()
        log, size = ctypes.create_string_buffer(8192), 8192
        options = (ctypes.c_int * 2)(5, 6)
        values = (ctypes.c_void_p * 2)(ctypes.addressof(log), size)
        code = self.cuda.cuModuleLoadDataEx(ctypes.byref(module), ptx, 2, options, values)
        if code:
            raise RuntimeError(f"cuModuleLoadDataEx: {code} {log.value.decode(errors='replace')}")
        return module

    def function(self, module, name):
        function = ctypes.c_void_p()
        self.call("cuModuleGetFunction", ctypes.byref(function), module, name.encode())
        return function

    def put(self, array):
        """A copy of an array on the device; gives its address."""
        array = numpy.ascontiguousarray(array)
        place = ctypes.c_ulonglong()
        self.call("cuMemAlloc_v2", ctypes.byref(place), ctypes.c_size_t(max(array.nbytes, 16)))
        self.call("cuMemcpyHtoD_v2", place, array.ctypes.data_as(ctypes.c_void_p), ctypes.c_size_t(array.nbytes))
        return place

    def get(self, place, shape, dtype):
        array = numpy.empty(shape, dtype)
        self.call("cuMemcpyDtoH_v2", array.ctypes.data_as(ctypes.c_void_p), place, ctypes.c_size_t(array.nbytes))
        return array

    def map(self, place, kind, dims, box, swizzle=0, strides=None, fill=0, steps=None):
        """A tiled tensor map; `dims` and `box` with the innermost first, `strides` in bytes."""
        rank, size = len(dims), {"u8": 1, "f16": 2, "bf16": 2}.get(kind, 4)
        if strides is None:
            strides, stride = [], size
            for dim in dims[:-1]:
                stride *= dim
                strides.append(stride)
        raw = (ctypes.c_byte * 256)()
        found = Map.from_buffer(raw, -ctypes.addressof(raw) % 64)
        self.kept.append(raw)
        u64, u32 = ctypes.c_ulonglong, ctypes.c_uint
        self.call(
            "cuTensorMapEncodeTiled", ctypes.byref(found), TYPES[kind], rank, ctypes.c_void_p(place.value), (u64 * rank)(*dims),
            (u64 * rank)(*strides), (u32 * rank)(*box), (u32 * rank)(*steps or [1] * rank), 0, swizzle, 0, fill,
        )
        return found

    def launch(self, function, grid, block, arguments, shared=0, cluster=None):
        if shared > 48 << 10:
            self.call("cuFuncSetAttribute", function, 8, shared)
        places = [ctypes.cast(ctypes.byref(argument), ctypes.c_void_p) for argument in arguments]
        pointers = (ctypes.c_void_p * len(places))(*places)
        attribute = Attribute(id=4)
        attribute.value[:3] = list(cluster or (1, 1, 1))
        grid, block = list(grid) + [1] * (3 - len(grid)), list(block) + [1] * (3 - len(block))
        config = Config(*grid, *block, shared, None, ctypes.pointer(attribute), 1 if cluster else 0)
        self.call("cuLaunchKernelEx", ctypes.byref(config), function, pointers, None)
        self.call("cuCtxSynchronize")


def integer(value):
    return ctypes.c_uint(value)


def single(value):
    return ctypes.c_float(value)


def library():
    """The libcuda to judge: of GRAPHPROOF_LIBCUDA, else the system's."""
    return os.environ.get("GRAPHPROOF_LIBCUDA", "libcuda.so.1")
