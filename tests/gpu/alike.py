#!/usr/bin/env python3
"""Whether programs print the same, and end the same, with and without `graphproof trace` in front of the driver.

    alike.py GRAPHPROOF OUT [--driver DRIVER] [PROGRAM [ARGUMENT...]]

Without a program: the twenty graph programs of recorder.py, a compiled model and two processes. Writes what each
printed to OUT; the exit code is 0 if all are alike.
"""
import difflib
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
SECONDS = 150


def run(command, variables):
    """What a command printed on standard output, and how it ended."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, env={**os.environ, **variables})
    except subprocess.TimeoutExpired:
        return "", f"no end after {SECONDS} s", ""
    return done.stdout, f"exit code {done.returncode}", done.stderr


def alike(graphproof, out, driver, program):
    """Runs a program both ways; gives what differs, a line each."""
    command = [sys.executable, *program]
    name = Path(program[0]).stem + "".join(f".{argument}" for argument in program[1:])
    plain, ended, errors = run(command, {})
    traced, traced_ended, traced_errors = run(
        [graphproof, "trace", "--driver", driver, "--json", str(out / f"{name}.json"), "--", *command], {}
    )
    (out / f"{name}.plain.txt").write_text(plain + errors)
    (out / f"{name}.traced.txt").write_text(traced + traced_errors)
    differs = list(difflib.unified_diff(plain.splitlines(), traced.splitlines(), "without", "with", lineterm="", n=0))
    if ended != traced_ended or ended != "exit code 0":
        differs.append(f"{ended} without, {traced_ended} with the recorder")
    if not plain.strip():
        differs.append("nothing was printed")
    if not (out / f"{name}.json").exists():
        differs.append("nothing was recorded")
    return name, len(plain.splitlines()), differs


def main():
    graphproof, out, rest = sys.argv[1], Path(sys.argv[2]), sys.argv[3:]
    driver = rest[1] if rest[:1] == ["--driver"] else "system"
    program = rest[2:] if rest[:1] == ["--driver"] else rest
    out.mkdir(parents=True, exist_ok=True)
    recorder = str(HERE / "recorder.py")
    programs = [program] if program else [[recorder, "results"], [recorder, "compiled"], [recorder, "workers"]]
    failed = 0
    for name, lines, differs in (alike(graphproof, out, driver, program) for program in programs):
        failed += bool(differs)
        print(f"{'FAIL' if differs else 'ok  '} {name}: {lines} lines", *differs, sep="\n       ")
    print(f"{len(programs) - failed} of {len(programs)} print the same with and without the recorder")
    sys.exit(failed != 0)


main()
