#!/usr/bin/env python3
"""Runs Python programs that make their own kernels on our libraries, without a GPU.

    python3 tests/clients/python_tests.py [--bless] [--only WORD]

Those under tests/clients/python are ours: cuda-core, cuda-bindings, tinygrad and Triton publish no tests in their
packages. numba-cuda's are its own. Each file or module runs in a process of its own, so that one that ends or
hangs takes no other with it.
"""

import os
import re
import subprocess
import sys
import xml.etree.ElementTree

import environment
import expectations
import libraries
import toolkit

TESTS = toolkit.ROOT / "tests" / "clients" / "python"
LIST = TESTS / "results.txt"
TARGET = toolkit.ROOT / "target" / "python-tests"
SECONDS = 240
# Modules of numba-cuda's test package, one for each of the things that it does with the driver.
NUMBA = """cudadrv.test_streams cudadrv.test_events cudadrv.test_cuda_memory cudadrv.test_cuda_driver
    cudadrv.test_context_stack cudadrv.test_host_alloc cudadrv.test_linker cudadrv.test_cuda_ndarray
    cudapy.test_array cudapy.test_constmem cudapy.test_sync cudapy.test_warp_ops cudapy.test_reduction
    cudapy.test_complex cudapy.test_blackscholes cudapy.test_localmem cudapy.test_operator
    cudapy.test_record_dtype cudapy.test_gufunc""".split()


def words(output):
    return "\n".join(output.splitlines()[-40:])


def own(python, file, variables):
    """Results of one of our files."""
    report = TARGET / f"{file.stem}.xml"
    report.unlink(missing_ok=True)
    command = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--timeout", "120", "--junitxml", report, file]
    try:
        done = subprocess.run(command, env=variables, cwd=TARGET, capture_output=True, text=True, timeout=SECONDS)
        output = done.stdout + done.stderr
    except subprocess.TimeoutExpired:
        return {file.stem: "hang"}, {file.stem: f"no end after {SECONDS} s"}
    if not report.exists():
        return {file.stem: "fail"}, {file.stem: words(output)}
    results, outputs = {}, {}
    for case in xml.etree.ElementTree.parse(report).iter("testcase"):
        name = f"{file.stem}::{case.get('name')}".replace(" ", "")
        failed = [part for part in case if part.tag in ("failure", "error")]
        skipped = any(part.tag == "skipped" for part in case)
        results[name] = "fail" if failed else "skip" if skipped else "pass"
        outputs[name] = "\n".join(words(part.text or "") for part in failed)
    return results, outputs


def replay(python, file, variables):
    """A program of README's: its one result."""
    try:
        done = subprocess.run([python, file], env=variables, capture_output=True, text=True, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        return {file.stem: "hang"}, {file.stem: f"no end after {SECONDS} s"}
    right = done.returncode == 0 and "every value right" in done.stdout
    return {file.stem: "pass" if right else "fail"}, {file.stem: words(done.stdout + done.stderr)}


# `test_name (numba….Class.test_name) ... ok`; what a test prints may stand between.
LINE = re.compile(r"^(test\w+) \(numba(?:_cuda\.numba)?\.cuda\.tests\.([\w.]+)\)", re.M)
ENDS = re.compile(r"(?:^|\.\.\. |\s)(ok|FAIL|ERROR|expected failure|skipped .*)$", re.M)


def numba(python, module, variables):
    """Results of a module of numba-cuda's tests."""
    command = [python, "-W", "ignore", "-m", "unittest", "-v", f"numba.cuda.tests.{module}"]
    try:
        done = subprocess.run(command, env=variables, cwd=TARGET, capture_output=True, text=True, timeout=SECONDS)
        output = done.stderr
    except subprocess.TimeoutExpired as error:
        output = (error.stderr or b"").decode(errors="replace") + "\nhang\n"
    listed = output.split("\n======")[0].split("\n------")[0]
    found = list(LINE.finditer(listed))
    results = {}
    for n, match in enumerate(found):
        end = found[n + 1].start() if n + 1 < len(found) else len(listed)
        said = ENDS.search(listed, match.end(), end)
        name = f"numba.{match.group(2)}"
        if not name.endswith(f".{match.group(1)}"):
            name += f".{match.group(1)}"
        said = said.group(1) if said else "hang"
        results[name] = {"ok": "pass", "expected failure": "pass", "FAIL": "fail", "ERROR": "fail"}.get(said, said[:4])
    if not results:
        results = {f"numba.{module}": "fail"}
    return results, dict.fromkeys(results, words(output))


def main():
    python = environment.python()
    TARGET.mkdir(parents=True, exist_ok=True)
    variables = {
        **os.environ,
        **libraries.make(TARGET / "libraries"),
        # For compilers that include CUDA's headers.
        "CUDA_PATH": str(environment.toolkit_folder()),
        "CUDA_HOME": str(environment.toolkit_folder()),
        "DEV": "CUDA",
        "GRAPHPROOF_NOTES": str(TARGET / "notes.txt"),
        "NUMBA_CUDA_LOW_OCCUPANCY_WARNINGS": "0",
    }
    only = sys.argv[sys.argv.index("--only") + 1] if "--only" in sys.argv else ""
    results, outputs = {}, {}
    jobs = [(replay, file) for file in sorted(TESTS.glob("*_replay.py"))]
    jobs += [(own, file) for file in sorted(TESTS.glob("test_*.py"))]
    jobs += [(numba, module) for module in NUMBA]
    for job, what in jobs:
        if only in str(what):
            for target, found in zip((results, outputs), job(python, what, variables)):
                target.update(found)
    if only:
        sys.exit("\n".join(f"{result} {name}\n{outputs[name]}" for name, result in results.items() if result == "fail"))
    expectations.compare(LIST, "Python programs on our libraries", results, outputs)


if __name__ == "__main__":
    main()
