"""NVRTC, nvcc and Triton, each to PTX for sm_80, without a GPU. Results are kept beside the environment."""

import ctypes
import hashlib
import json
import os
import pathlib
import subprocess
import sys

import toolkit

HERE = pathlib.Path(__file__).resolve().parent
TARGET = 80


def kept(what, make):
    """The texts that `make` gives for `what` (JSON), made once."""
    file = toolkit.ENVIRONMENT / "ptx" / hashlib.sha256(json.dumps(what).encode()).hexdigest()
    if not file.exists():
        made = make()
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps(made))
    return json.loads(file.read_text())


def toolkit_folder():
    return next(toolkit.ENVIRONMENT.glob("lib/python3*/site-packages/nvidia/cu13"))


def nvrtc(name):
    source = (HERE / name).read_text()
    return kept(["nvrtc", toolkit.REQUIREMENTS, source], lambda: run_nvrtc(name, source))


def run_nvrtc(name, source):
    folder = toolkit_folder()
    # libnvrtc opens its builtins by their bare name.
    for builtins in folder.glob("lib/libnvrtc-builtins.so.*"):
        ctypes.CDLL(str(builtins), mode=ctypes.RTLD_GLOBAL)
    library = ctypes.CDLL(str(next(folder.glob("lib/libnvrtc.so.13"))))

    def text(size_of, get):
        size = ctypes.c_size_t()
        size_of(program, ctypes.byref(size))
        buffer = ctypes.create_string_buffer(size.value)
        get(program, buffer)
        return buffer.value.decode()

    program = ctypes.c_void_p()
    library.nvrtcCreateProgram(ctypes.byref(program), source.encode(), name.encode(), 0, None, None)
    options = [f"--gpu-architecture=compute_{TARGET}", "--std=c++17", f"-I{folder / 'include'}"]
    flags = (ctypes.c_char_p * len(options))(*[option.encode() for option in options])
    if library.nvrtcCompileProgram(program, len(options), flags):
        sys.exit(text(library.nvrtcGetProgramLogSize, library.nvrtcGetProgramLog))
    return text(library.nvrtcGetPTXSize, library.nvrtcGetPTX)


def nvcc(name):
    source = HERE / name
    return kept(["nvcc", toolkit.REQUIREMENTS, source.read_text()], lambda: run_nvcc(source))


def run_nvcc(source):
    folder = toolkit_folder()
    command = [folder / "bin" / "nvcc", "-ptx", f"-arch=compute_{TARGET}", "-std=c++17", "-o", "-"]
    command += [f"-I{folder / 'include'}", f"-I{folder / 'include' / 'cccl'}", source]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"nvcc: {done.stderr}")
    return done.stdout


def triton(kernel, signature, constants, warps):
    """PTX, entry, bytes of shared memory and threads of a block of a Triton kernel."""
    what = ["triton", toolkit.REQUIREMENTS, kernel.__name__, kernel.src, signature, constants, warps]
    return kept(what, lambda: run_triton(kernel, signature, constants, warps))


def run_triton(kernel, signature, constants, warps):
    os.environ["TRITON_CACHE_DIR"] = str(toolkit.ENVIRONMENT / "triton")
    # Its default, which it will change.
    os.environ["TRITON_DEFAULT_FP_FUSION"] = "1"
    from triton import compile
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    types = dict(zip(kernel.arg_names, signature))
    source = ASTSource(kernel, {**types, **{name: "constexpr" for name in constants}}, constants)
    made = compile(source, target=GPUTarget("cuda", TARGET, 32), options={"num_warps": warps})
    return [made.asm["ptx"], made.metadata.name, made.metadata.shared, 32 * warps]
