"""Gives nodes of executable graphs other memory, by each function that does, and prints where it lies."""

import ctypes

from capture import PTX, check, cuda, handle


class Kernel(ctypes.Structure):
    """CUDA_KERNEL_NODE_PARAMS_v2; the first version ends before `kern`."""

    _fields_ = [
        ("func", ctypes.c_void_p),
        ("grid", ctypes.c_uint * 3),
        ("block", ctypes.c_uint * 3),
        ("shared", ctypes.c_uint),
        ("parameters", ctypes.c_void_p),
        ("extra", ctypes.c_void_p),
        ("kern", ctypes.c_void_p),
        ("ctx", ctypes.c_void_p),
    ]


class Fill(ctypes.Structure):
    """CUDA_MEMSET_NODE_PARAMS_v2; the first version ends before `ctx`."""

    _fields_ = [
        ("dst", ctypes.c_uint64),
        ("pitch", ctypes.c_size_t),
        ("value", ctypes.c_uint),
        ("element", ctypes.c_uint),
        ("width", ctypes.c_size_t),
        ("height", ctypes.c_size_t),
        ("ctx", ctypes.c_void_p),
    ]


class Copy(ctypes.Structure):
    """CUDA_MEMCPY3D, as words."""

    _fields_ = [("words", ctypes.c_uint64 * 25)]


def copy(out, source):
    words = (ctypes.c_uint64 * 25)()
    words[4], words[6], words[15], words[17] = 2, source, 2, out
    words[22:25] = [4, 1, 1]
    return Copy(words)


class NodeParams(ctypes.Structure):
    """CUgraphNodeParams, as words."""

    _fields_ = [("words", ctypes.c_uint64 * 32)]

    @classmethod
    def of(cls, kind, structure, skip):
        made = cls()
        made.words[0] = kind
        ctypes.memmove(ctypes.addressof(made) + 8 * skip, ctypes.byref(structure), ctypes.sizeof(structure))
        return made


def allocate():
    out = ctypes.c_uint64()
    check(cuda.cuMemAlloc_v2(ctypes.byref(out), ctypes.c_size_t(4096)))
    return out.value


def main():
    check(cuda.cuInit(0))
    context, module, function = handle(), handle(), handle()
    check(cuda.cuDevicePrimaryCtxRetain(ctypes.byref(context), 0))
    check(cuda.cuCtxSetCurrent(context))
    check(cuda.cuModuleLoadData(ctypes.byref(module), PTX))
    check(cuda.cuModuleGetFunction(ctypes.byref(function), module, b"fill"))
    first, source, *others = [allocate() for _ in range(8)]
    kept = []

    def kernel(out):
        values = ctypes.c_uint64(out), ctypes.c_uint32(7)
        pointers = (ctypes.c_void_p * 2)(*map(ctypes.addressof, values))
        kept.append((values, pointers))
        one = (ctypes.c_uint * 3)(1, 1, 1)
        return Kernel(function, one, one, 0, ctypes.addressof(pointers), None, None, None)

    def fill(out):
        return Fill(out, 0, 9, 4, 1, 1, None)

    graph, executable = handle(), handle()
    nodes = [handle() for _ in range(3)]
    check(cuda.cuGraphCreate(ctypes.byref(graph), 0))
    given = kernel(first), copy(first, source), fill(first)
    check(cuda.cuGraphAddKernelNode_v2(ctypes.byref(nodes[0]), graph, None, ctypes.c_size_t(0), ctypes.byref(given[0])))
    check(cuda.cuGraphAddMemcpyNode(ctypes.byref(nodes[1]), graph, None, ctypes.c_size_t(0), ctypes.byref(given[1]), context))
    check(cuda.cuGraphAddMemsetNode(ctypes.byref(nodes[2]), graph, None, ctypes.c_size_t(0), ctypes.byref(given[2]), context))
    check(cuda.cuGraphInstantiateWithFlags(ctypes.byref(executable), graph, ctypes.c_uint64(0)))

    set_kernel, set_copy, set_fill, set_node = (
        cuda.cuGraphExecKernelNodeSetParams_v2,
        cuda.cuGraphExecMemcpyNodeSetParams,
        cuda.cuGraphExecMemsetNodeSetParams,
        cuda.cuGraphExecNodeSetParams,
    )
    check(set_kernel(executable, nodes[0], ctypes.byref(kernel(others[0]))))
    check(set_copy(executable, nodes[1], ctypes.byref(copy(others[1], source)), context))
    check(set_fill(executable, nodes[2], ctypes.byref(fill(others[2])), context))
    check(set_node(executable, nodes[0], ctypes.byref(NodeParams.of(0, kernel(others[3]), 2))))
    check(set_node(executable, nodes[1], ctypes.byref(NodeParams.of(1, copy(others[4], source), 4))))
    check(set_node(executable, nodes[2], ctypes.byref(NodeParams.of(2, fill(others[5]), 2))))
    # Refused: nothing changes.
    assert set_kernel(executable, nodes[2], ctypes.byref(kernel(first)))
    check(cuda.cuGraphLaunch(executable, None))
    check(cuda.cuStreamSynchronize(None))
    print(*others)


if __name__ == "__main__":
    main()
