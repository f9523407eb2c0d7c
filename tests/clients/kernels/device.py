"""A few calls of the CUDA driver API, on any libcuda."""

import ctypes
import re

import numpy as np

SUCCESS = 0
MAX_DYNAMIC_SHARED_SIZE_BYTES = 8
JIT_ERROR_LOG_BUFFER, JIT_ERROR_LOG_BUFFER_SIZE_BYTES = 5, 6


class DeviceError(Exception):
    pass


class Device:
    def __init__(self, library):
        self.cuda = ctypes.CDLL(str(library))
        self.context = ctypes.c_void_p()
        device = ctypes.c_int()
        self.call("cuInit", 0)
        self.call("cuDeviceGet", ctypes.byref(device), 0)
        self.call("cuDevicePrimaryCtxRetain", ctypes.byref(self.context), device)
        self.call("cuCtxSetCurrent", self.context)

    def call(self, name, *arguments):
        code = getattr(self.cuda, name)(*arguments)
        if code != SUCCESS:
            text = ctypes.c_char_p()
            self.cuda.cuGetErrorName(code, ctypes.byref(text))
            raise DeviceError(f"{name}: {text.value.decode() if text.value else code}")

    def load(self, ptx):
        """A module of PTX text."""
        module, log = ctypes.c_void_p(), ctypes.create_string_buffer(4096)
        names = (ctypes.c_int * 2)(JIT_ERROR_LOG_BUFFER, JIT_ERROR_LOG_BUFFER_SIZE_BYTES)
        values = (ctypes.c_void_p * 2)(ctypes.addressof(log), len(log))
        try:
            self.call("cuModuleLoadDataEx", ctypes.byref(module), ptx.encode(), 2, names, values)
        except DeviceError as error:
            raise DeviceError(f"{error}: {log.value.decode()}") from None
        return module

    def run(self, module, ptx, entry, grid, block, arguments, shared=0):
        """Launches an entry and waits. An array goes to the device and comes back; a number has the type that
        the entry declares. Parameters that the entry has beyond these are zero. Returns the arrays."""
        function = ctypes.c_void_p()
        self.call("cuModuleGetFunction", ctypes.byref(function), module, entry.encode())
        if shared > 48 * 1024:
            self.call("cuFuncSetAttribute", function, MAX_DYNAMIC_SHARED_SIZE_BYTES, shared)
        values, memory = [], []
        for n, kind in enumerate(parameters(ptx, entry)):
            value = arguments[n] if n < len(arguments) else 0
            if isinstance(value, np.ndarray):
                address = ctypes.c_uint64()
                self.call("cuMemAlloc_v2", ctypes.byref(address), ctypes.c_size_t(value.nbytes))
                data = np.ascontiguousarray(value)
                self.call("cuMemcpyHtoD_v2", address, data.ctypes.data_as(ctypes.c_void_p), ctypes.c_size_t(data.nbytes))
                memory.append((address, data))
                values.append(address)
            else:
                values.append(kind(value))
        pointers = (ctypes.c_void_p * len(values))(*[ctypes.addressof(value) for value in values])
        extent = [*grid, *[1] * (3 - len(grid)), *block, *[1] * (3 - len(block))]
        self.call("cuLaunchKernel", function, *extent, shared, None, pointers, None)
        self.call("cuCtxSynchronize")
        results = []
        for address, data in memory:
            result = np.empty_like(data)
            self.call("cuMemcpyDtoH_v2", result.ctypes.data_as(ctypes.c_void_p), address, ctypes.c_size_t(data.nbytes))
            self.call("cuMemFree_v2", address)
            results.append(result)
        return results


KINDS = {
    "u64": ctypes.c_uint64,
    "b64": ctypes.c_uint64,
    "s64": ctypes.c_int64,
    "u32": ctypes.c_uint32,
    "b32": ctypes.c_uint32,
    "s32": ctypes.c_int32,
    "f32": ctypes.c_float,
    "f64": ctypes.c_double,
}


def entries(ptx):
    """The names of a PTX text's entries."""
    return re.findall(r"\.entry\s+([\w$]+)", ptx)


def parameters(ptx, entry):
    """The types of an entry's parameters."""
    declared = re.search(rf"\.entry\s+{re.escape(entry)}\s*\(([^)]*)\)", ptx)
    return [KINDS[kind] for kind in re.findall(r"\.param\s+\.(\w+)", declared.group(1))] if declared else []
