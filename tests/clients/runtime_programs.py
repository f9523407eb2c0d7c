#!/usr/bin/env python3
"""Builds the C++ programs of tests/clients/runtime with nvcc, as any program is, and runs them without a GPU.

    python3 tests/clients/runtime_programs.py [--bless]

They are linked with NVIDIA's own libcudart.so.13 (`-cudart shared`) and run on ours, unchanged. The same
program with the runtime in itself must say what is wrong with that.
"""

import os
import pathlib
import subprocess
import sys

import environment
import expectations
import libraries
import toolkit

SOURCES = toolkit.ROOT / "tests" / "clients" / "runtime"
LIST = SOURCES / "results.txt"
TARGET = toolkit.ROOT / "target" / "runtime-programs"
SECONDS = 120
# What is put in front of the programs.
FOLDER = TARGET / "libraries"
# Beside -cudart shared and the target.
OPTIONS = {"contexts": [f"-L{FOLDER}", "-lcuda"], "per_thread": ["--default-stream", "per-thread"]}


def compiler():
    """nvcc's command, without a source."""
    cuda = environment.toolkit_folder()
    links = TARGET / "link"
    links.mkdir(parents=True, exist_ok=True)
    # The package has the library under its full name only.
    for name, file in [("libcudart.so", "libcudart.so.13"), ("libcudadevrt.a", "libcudadevrt.a")]:
        (links / name).unlink(missing_ok=True)
        (links / name).symlink_to(cuda / "lib" / file)
    return [cuda / "bin" / "nvcc", "-std=c++17", "-gencode", "arch=compute_80,code=compute_80", f"-L{links}"]


def run(program, variables):
    try:
        done = subprocess.run([program], env=variables, capture_output=True, text=True, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        return "hang", f"no end after {SECONDS} s"
    output = done.stdout + done.stderr
    return ("pass" if done.returncode == 0 and done.stdout.endswith("ok\n") else "fail"), output


def names(library):
    """What a library exports, with the version of each name."""
    command = ["nm", "-D", "--with-symbol-versions", "--defined-only", library]
    lines = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()
    found = (line.split()[-1].replace("@@", "@") for line in lines)
    return {name for name in found if "@libcudart" in name}


def main():
    nvcc = compiler()
    # The folder, and nothing preloaded.
    variables = {**os.environ, "LD_LIBRARY_PATH": libraries.make(FOLDER)["LD_LIBRARY_PATH"]}
    results, outputs = {}, {}
    for source in sorted(SOURCES.glob("*.cu")):
        name = source.stem
        program = TARGET / f"{name}.program"
        command = [*nvcc, "-cudart", "shared", *OPTIONS.get(name, []), source, "-o", program]
        built = subprocess.run(command, capture_output=True, text=True)
        if built.returncode:
            sys.exit(f"{source.name} does not compile:\n{built.stdout}{built.stderr}")
        results[name], outputs[name] = run(program, variables)

    # One command runs a program as the folder does, and judges its capture.
    trace = [libraries.program(), "trace", "--driver", "software"]
    traced = subprocess.run(
        [*trace, "--", TARGET / "graph_capture.program"], capture_output=True, text=True, timeout=SECONDS
    )
    # Its last capture is broken on purpose, and that is found.
    right = traced.returncode == 0 and traced.stdout.endswith("ok\n") and "error[S01]" in traced.stderr
    results["traced"], outputs["traced"] = ("pass" if right else "fail"), traced.stdout + traced.stderr

    # Machine code alone: refused with the reason, or launched and not executed. Its capture is judged all the same.
    machine = TARGET / "machine.program"
    code = ["arch=compute_80,code=sm_80" if str(option).startswith("arch=") else option for option in nvcc]
    subprocess.run([*code, "-cudart", "shared", SOURCES / "graph_capture.cu", "-o", machine], check=True)
    for name, options, told in [
        ("machine_code_alone", [], "machine code"),
        ("opaque_kernels", ["--opaque-kernels"], "opaque kernels: machine code was not executed"),
    ]:
        done = subprocess.run([*trace, *options, "--", machine], capture_output=True, text=True, timeout=SECONDS)
        right = done.returncode != 0 and told in done.stderr
        results[name], outputs[name] = ("pass" if right else "fail"), done.stdout + done.stderr

    # A program that holds the runtime in itself is told so in one line.
    held = TARGET / "held.program"
    source = SOURCES / "vector_add.cu"
    library = environment.toolkit_folder() / "lib"
    subprocess.run([*nvcc, f"-L{library}", "-cudart", "static", source, "-o", held], check=True)
    result, output = run(held, variables)
    told = [line for line in output.splitlines() if line.startswith("graphproof: ")]
    right = result == "fail" and len(told) == 1 and "nvcc -cudart shared" in told[0]
    results["runtime_in_itself"], outputs["runtime_in_itself"] = ("pass" if right else "fail"), output

    # Every name that NVIDIA's library has is there, in its version.
    missing = names(library / "libcudart.so.13") - names(FOLDER / "libcudart.so.13")
    results["every_name"], outputs["every_name"] = ("fail" if missing else "pass"), " ".join(sorted(missing))
    expectations.compare(LIST, "C++ programs on our libcudart", results, outputs)


if __name__ == "__main__":
    main()
