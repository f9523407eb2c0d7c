#!/usr/bin/env python3
"""Runs the execution tests under valgrind: the interpreter's own memory.

    python3 tests/clients/memory_check.py           exit 1 if a test reads or writes what is nobody's

An access behind a register file, a block's shared memory or its code would otherwise pass wherever the
memory behind it is mapped. The checker is shown a planted one first and has to find it. Properties run on a
part of their cases (GRAPHPROOF_CASES_DIVISOR): each takes some forty times as long here.

Needs valgrind; where it is missing and this is root, it is installed (Debian).
"""

import concurrent.futures
import json
import os
import shutil
import subprocess
import sys

import toolkit

DIVISOR = 400
FOUND = 97
CHECKER = ["valgrind", "--quiet", f"--error-exitcode={FOUND}"]
# Two halves, since valgrind runs one thread at a time. Left out is what decodes and does not execute, and what
# spends its time in a loop of two instructions until another block has its turn.
HALVES = [
    ["--skip", "math::", "--skip", "refusal::", "--skip", "waiting::the_last_block_may_be_waited_for"],
    ["--skip", "math::documented", "math::"],
]


def built(*arguments):
    """The test program of the engine that these arguments of cargo name: one of those of `cargo test --workspace`,
    since one package alone would be built anew, with fewer features of what it stands on."""
    command = ["cargo", "test", "--workspace", *arguments, "--no-run"]
    command += ["--message-format=json-render-diagnostics"]
    done = subprocess.run(command, cwd=toolkit.ROOT, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed")
    for line in done.stdout.splitlines():
        message = json.loads(line)
        ours = "driver/exec" in message.get("package_id", "")
        if ours and message.get("reason") == "compiler-artifact" and message.get("executable"):
            return message["executable"]
    sys.exit(f"{' '.join(command)} built no test program")


def check(program, arguments, **environment):
    """Exit code and output of a test program under the checker. Two test threads: each test is then one of
    its own, so that what a thread keeps from one launch to the next is that test's."""
    command = [*CHECKER, program, "--test-threads=2", *arguments]
    environment = {**os.environ, "GRAPHPROOF_CASES_DIVISOR": str(DIVISOR), **environment}
    folder = toolkit.ROOT / "driver" / "exec"
    done = subprocess.run(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    return done.returncode, done.stdout


def main():
    if not shutil.which("valgrind"):
        subprocess.run(["apt-get", "update", "-q"], check=True)
        subprocess.run(["apt-get", "install", "-y", "-q", "--no-install-recommends", "valgrind"], check=True)

    room, execution = built("--test", "room"), built("--test", "ptx")
    fault = ["memory_ends_where_it_says"]
    for plant, expected in [("", 0), ("past-the-end", FOUND)]:
        code, output = check(room, fault, GRAPHPROOF_PLANT=plant)
        if code != expected or ("Invalid write" in output) != (expected == FOUND) or "running 1 test" not in output:
            sys.exit(f"{output}\nthe checker is no good: exit {code} with {plant or 'nothing'} planted")

    with concurrent.futures.ThreadPoolExecutor() as pool:
        results = list(pool.map(lambda half: check(execution, half), HALVES))
    for code, output in results:
        if code:
            print(output)
        else:
            print(next(line for line in output.splitlines() if line.startswith("test result: ")))
    if any(code for code, _ in results):
        sys.exit("the execution tests are not clean under valgrind")


if __name__ == "__main__":
    main()
