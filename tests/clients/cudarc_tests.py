#!/usr/bin/env python3
"""Runs cudarc's own driver tests against our libcuda.

    python3 tests/clients/cudarc_tests.py           exit 1 if a result is not the expected one
    python3 tests/clients/cudarc_tests.py --bless   write cudarc_tests.txt anew

cudarc's source is the one that the workspace's lock file names. Each test runs in a process of its
own, in the folder of NVIDIA's headers: one test includes cuda_fp16.h, and NVRTC looks there first.
The expected results lie in cudarc_tests.txt; an unexpected pass is an error too.
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys

import toolkit

LIST = pathlib.Path(__file__).resolve().with_suffix(".txt")
TARGET = toolkit.ROOT / "target" / "cudarc"
FEATURES = "std,driver,nvrtc,f16,dynamic-loading,cuda-13000"
SECONDS = 60


def cargo(*arguments):
    command = ["cargo", *arguments]
    done = subprocess.run(command, cwd=toolkit.ROOT, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))} failed")
    return done.stdout


def artifacts(*arguments):
    for line in cargo(*arguments, "--message-format=json-render-diagnostics").splitlines():
        message = json.loads(line)
        if message.get("reason") == "compiler-artifact":
            yield message


def library():
    """Our libcuda, as README's build leaves it."""
    for message in artifacts("build", "--release"):
        if message["target"]["name"] == "graphproof_driver":
            for file in message["filenames"]:
                if file.endswith(".so"):
                    return pathlib.Path(file)
    sys.exit("cargo built no cdylib of graphproof-driver")


def tests():
    """cudarc's test program."""
    packages = json.loads(cargo("metadata", "--format-version", "1"))["packages"]
    manifest = next(package["manifest_path"] for package in packages if package["name"] == "cudarc")
    options = ["--no-default-features", "--features", FEATURES, "--lib", "--no-run", "--target-dir", TARGET]
    for message in artifacts("test", "--manifest-path", manifest, *options):
        if message["target"]["name"] == "cudarc" and message.get("executable"):
            return message["executable"]
    sys.exit("cargo built no test program of cudarc")


def expected():
    """Test: (expected result, reason)."""
    found = {}
    for line in LIST.read_text().splitlines() if LIST.exists() else []:
        if line and not line.startswith("#"):
            result, name, *reason = line.split(maxsplit=2)
            found[name] = (result, reason[0] if reason else "")
    return found


def main():
    nvrtc, include = toolkit.compiler()
    libraries = TARGET / "libcuda"
    libraries.mkdir(parents=True, exist_ok=True)
    shutil.copy(library(), libraries / "libcuda.so")
    program = tests()
    paths = [str(libraries), str(nvrtc), os.environ.get("LD_LIBRARY_PATH", "")]
    environment = {**os.environ, "LD_LIBRARY_PATH": ":".join(filter(None, paths)), "RUST_BACKTRACE": "0"}

    listed = subprocess.run([program, "--list", "--format", "terse"], env=environment, capture_output=True, text=True)
    names = sorted(line.removesuffix(": test") for line in listed.stdout.splitlines() if line.endswith(": test"))
    known, lines, wrong, count = expected(), [], [], {}
    for name in names:
        want, reason = known.pop(name, ("pass", ""))
        if want == "skip" and reason:
            result, output = "skip", ""
        else:
            command = [program, "--exact", name, "--test-threads=1"]
            try:
                done = subprocess.run(
                    command, env=environment, cwd=include, capture_output=True, text=True, timeout=SECONDS
                )
                result, output = ("fail" if done.returncode else "pass"), done.stdout + done.stderr
            except subprocess.TimeoutExpired:
                result, output = "hang", f"no end after {SECONDS} s"
        count[result] = count.get(result, 0) + 1
        lines.append(f"{result:5}{name} {reason}".rstrip())
        if result != want:
            wrong.append(name)
            print(f"{name}: expected {want}, got {result}\n{output}")
    for name in known:
        wrong.append(name)
        print(f"{name}: listed, but cudarc has no such test")
    print(", ".join(f"{number} {result}" for result, number in sorted(count.items())), f"of {len(names)} tests")
    if "--bless" in sys.argv:
        head = "# cudarc's driver and NVRTC tests on our libcuda: result, test, reason.\n"
        LIST.write_text(head + "\n".join(lines) + "\n")
    elif wrong:
        sys.exit(f"{len(wrong)} unexpected results; if they are right, run with --bless and say why in {LIST.name}")


if __name__ == "__main__":
    main()
