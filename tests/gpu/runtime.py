#!/usr/bin/env python3
"""Builds the C++ programs that the software driver is tested with, and runs them on NVIDIA's runtime and a GPU: what
they ask for is what CUDA answers, and no habit of ours.

    runtime.py FOLDER      of the sources; needs nvcc, from CUDA 13 on
"""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

SECONDS = 60


def build(nvcc, source, folder):
    stubs = pathlib.Path(nvcc).resolve().parents[1] / "lib64" / "stubs"
    options = {"contexts": [f"-L{stubs}", "-lcuda"], "per_thread": ["--default-stream", "per-thread"]}
    program = folder / source.stem
    command = [nvcc, "-std=c++17", "-arch=native", "-cudart", "shared", *options.get(source.stem, []), "-o", program, source]
    done = subprocess.run(command, capture_output=True, text=True)
    return program, done.stderr if done.returncode else ""


def run(program):
    """What a program says that is not as it must be."""
    # All that differs, and not only the first.
    variables = {**os.environ, "CHECK_GOES_ON": "1"}
    try:
        done = subprocess.run([program], env=variables, capture_output=True, text=True, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        return f"no end after {SECONDS} s"
    said = done.stdout + done.stderr
    return "" if done.returncode == 0 and said == "ok\n" else said + f"exit code {done.returncode}\n"


def main():
    sources = sorted(pathlib.Path(sys.argv[1]).glob("*.cu"))
    nvcc = shutil.which("nvcc")
    if not nvcc:
        sys.exit("no nvcc here: not run")
    good = 0
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor() as pool:
        for program, error in pool.map(lambda source: build(nvcc, source, pathlib.Path(folder)), sources):
            wrong = error or run(program)
            good += not wrong
            print(f"{'FAIL' if wrong else 'ok  '} {program.name}\n{wrong}".rstrip(), flush=True)
    print(f"{good} of {len(sources)} programs find what they ask for")
    return 0 if good == len(sources) else 1


if __name__ == "__main__":
    sys.exit(main())
