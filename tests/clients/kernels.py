#!/usr/bin/env python3
"""Compiles kernels with NVIDIA's compilers and with Triton for sm_80, runs them on our libcuda, and compares
with numpy. No GPU and no CUDA installation is needed.

    python3 tests/clients/kernels.py           exit 1 if a kernel's result is not numpy's
    python3 tests/clients/kernels.py NAME...   only those whose name has one of these in it

Sources lie in tests/clients/kernels/; compilers and numpy come from the Python package index, pinned in
toolkit.py, into an environment that git ignores.
"""

import os
import sys

import cudarc_tests
import toolkit


def main(names):
    # The cases need numpy and Triton.
    python = toolkit.environment()
    if not os.path.samefile(sys.prefix, toolkit.ENVIRONMENT):
        os.execv(python, [python, *sys.argv])
    sys.path.insert(0, str(toolkit.ROOT / "tests" / "clients" / "kernels"))
    from cases import all_cases
    from device import Device, DeviceError

    device, modules, wrong, count = Device(cudarc_tests.library()), {}, [], 0
    for case in all_cases():
        if names and not any(name in case.name for name in names):
            continue
        count += 1
        ptx, entry, grid, block, shared = case.launch
        try:
            if ptx not in modules:
                modules[ptx] = device.load(ptx)
            results = device.run(modules[ptx], ptx, entry, grid, block, case.arguments, shared)
            why = case.wrong(results)
            if not why and case.blind(results):
                why = "a wrong value would not be seen"
        except DeviceError as error:
            why = str(error)
        if why:
            wrong.append(case.name)
            print(f"{case.name}: {why}")
    if not count:
        sys.exit("no kernel has such a name")
    if wrong:
        sys.exit(f"{len(wrong)} of {count} kernels are wrong: {', '.join(wrong)}")
    print(f"{count} kernels give numpy's results")


if __name__ == "__main__":
    main(sys.argv[1:])
