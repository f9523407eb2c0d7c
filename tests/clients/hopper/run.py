#!/usr/bin/env python3
"""Runs the kernels of this folder on sm_90 and holds them against numpy, and bits against those of an H200.

    python3 tests/clients/hopper/run.py              on the software driver that cargo builds
    python3 tests/clients/hopper/run.py --ptx DIR    write the PTX and its launches into DIR, run nothing
    GRAPHPROOF_LIBCUDA=libcuda.so.1 python3 … --from DIR    run them there: on a GPU, with numpy alone
    python3 tests/clients/hopper/run.py --only NAME  kernels whose name holds NAME

CUDA C++ is compiled by NVRTC, Triton's kernels by Triton, all from the Python package index.
"""

import argparse
import ctypes
import json
import os
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent


def nvrtc(source):
    """PTX for compute_90a."""
    import toolkit

    libraries, _ = toolkit.compiler()
    ctypes.CDLL(str(libraries / "libnvrtc-builtins.so.12.8"))
    compiler = ctypes.CDLL(str(libraries / "libnvrtc.so.12"))
    program = ctypes.c_void_p()
    compiler.nvrtcCreateProgram(ctypes.byref(program), source.encode(), b"kernels.cu", 0, None, None)
    options = [b"--gpu-architecture=compute_90a", b"--std=c++17", b"-default-device", b"-lineinfo"]
    code = compiler.nvrtcCompileProgram(program, len(options), (ctypes.c_char_p * len(options))(*options))
    size = ctypes.c_size_t()
    compiler.nvrtcGetProgramLogSize(program, ctypes.byref(size))
    log = ctypes.create_string_buffer(size.value)
    compiler.nvrtcGetProgramLog(program, log)
    if code:
        sys.exit(f"NVRTC refuses kernels.cu:\n{log.value.decode()}")
    compiler.nvrtcGetPTXSize(program, ctypes.byref(size))
    ptx = ctypes.create_string_buffer(size.value)
    compiler.nvrtcGetPTX(program, ptx)
    return ptx.raw


def compiled():
    """The PTX of everything: of kernels.cu, and of Triton's kernels with how they are launched."""
    import prelude
    import triton_kernels

    return nvrtc(prelude.text((HERE / "kernels.cu").read_text())), triton_kernels.compiled()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ptx", type=pathlib.Path)
    parser.add_argument("--from", dest="source", type=pathlib.Path)
    parser.add_argument("--only", default="")
    arguments = parser.parse_args()
    sys.path[:0] = [str(HERE), str(HERE.parent)]
    if not arguments.source:
        import toolkit

        # numpy and Triton are there.
        python = toolkit.environment()
        if not os.path.samefile(sys.prefix, toolkit.ENVIRONMENT):
            os.execv(python, [python, *sys.argv])
        plain, triton = compiled()
        if arguments.ptx:
            arguments.ptx.mkdir(parents=True, exist_ok=True)
            (arguments.ptx / "kernels.ptx").write_bytes(plain)
            (arguments.ptx / "triton.json").write_text(json.dumps(triton))
            return 0
    else:
        plain = (arguments.source / "kernels.ptx").read_bytes()
        triton = json.loads((arguments.source / "triton.json").read_text())
    if "GRAPHPROOF_LIBCUDA" not in os.environ:
        from cudarc_tests import library

        os.environ.update(GRAPHPROOF_LIBCUDA=str(library()), GRAPHPROOF_COMPUTE_CAPABILITY="9.0")
    return judge(plain, triton, arguments.only)


def judge(plain, triton, only):
    import checks
    import cuda
    import probe
    import triton_checks

    device = cuda.Device(cuda.library())
    module = device.load(plain + b"\0")
    ran, wrong = 0, []
    tasks = [(name, check, lambda name=name: (device.function(module, name), {})) for name, check in checks.CHECKS]
    for name, check in triton_checks.CHECKS:
        tasks.append((name, check, lambda name=name: triton_checks.prepare(device, triton[name])))
    for name, check, prepare in tasks:
        if only not in name:
            continue
        ran += 1
        try:
            function, fixed = prepare()

            def run(grid, block, given, **options):
                device.launch(function, grid, fixed.get("block", block), [*given, *fixed.get("extra", [])], **{**options, **fixed.get("options", {})})

            check(device, run)
            print(f"ok     {name}", flush=True)
        except (AssertionError, RuntimeError) as error:
            wrong.append(name)
            print(f"WRONG  {name}: {error}", flush=True)
            if isinstance(error, RuntimeError) and "cuLaunch" not in str(error) and "Module" not in str(error):
                print("the context is lost; what follows was not run", flush=True)
                break
    print(f"{ran - len(wrong)} of {ran} kernels agree with numpy")
    if not wrong and not only:
        # The same process, so that a lost context shows above.
        wrong = probe.against(device, HERE / "h200.npz")
    return 1 if wrong or not ran else 0


if __name__ == "__main__":
    sys.exit(main())
