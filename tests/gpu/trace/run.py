#!/usr/bin/env python3
"""Asks a GPU whether `graphproof trace` explains each program's fault at its line, and is silent about the
same program without it.

    run.py GRAPHPROOF OUT [NAME...]

What must be told stands in the programs: `# told: ID` behind the line. Writes OUT/NAME.fault.json,
OUT/NAME.clean.json and OUT/trace.txt; the exit code is 0 if all is as it must be.
"""
import json
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
HELPERS = {"common", "run"}


def expected(program):
    lines = program.read_text().splitlines()
    marks = ((at, re.search(r"# told: ([A-Z]\d\d)", line)) for at, line in enumerate(lines, 1))
    return {(mark.group(1), program.name, at) for at, mark in marks if mark}


def trace(graphproof, out, program, variant):
    report = out / f"{program.stem}.{variant}.json"
    command = [graphproof, "trace", "--json", str(report), "--", sys.executable, str(program), variant]
    try:
        ran = subprocess.run(command, capture_output=True, text=True, timeout=150)
        text, code = ran.stdout + ran.stderr, ran.returncode
    except subprocess.TimeoutExpired:
        text, code = "timed out", -1
    (out / f"{program.stem}.{variant}.txt").write_text(text)
    if not report.exists():
        return None, None, f"no report, exit code {code}: {text[-300:]}"
    told = json.loads(report.read_text())
    found, rows = set(), []
    for process in told["processes"]:
        for finding in process["findings"]:
            site = finding.get("site") or {}
            found.add((finding["id"], Path(site.get("file", "-")).name, site.get("line", 0)))
        rows += [f"{row['place']}: {row['call']}: model {row['model']}, driver {row['driver']}" for row in process["disagreements"]]
    seen = sum(process["calls"] for process in told["processes"])
    return found, rows, "" if seen else "no call was recorded"


def judge(graphproof, out, program):
    lines, good = [], True
    for variant, wanted in (("fault", expected(program)), ("clean", set())):
        found, rows, problem = trace(graphproof, out, program, variant)
        right = not problem and found == wanted
        good &= right
        show = lambda told: ", ".join(f"{id} {file}:{line}" for id, file, line in sorted(told)) or "nothing"
        told = problem or show(found)
        lines.append(f"{'ok  ' if right else 'FAIL'} {program.stem:10} {variant}: told {told}" + ("" if right else f"; wanted {show(wanted)}"))
        lines += [f"       disagreement: {row}" for row in rows or []]
    return good, lines


def main():
    graphproof, out, names = sys.argv[1], Path(sys.argv[2]), sys.argv[3:]
    out.mkdir(parents=True, exist_ok=True)
    programs = [file for file in sorted(HERE.glob("*.py")) if file.stem not in HELPERS and (not names or file.stem in names)]
    with ThreadPoolExecutor(6) as pool:
        results = list(pool.map(lambda program: judge(graphproof, out, program), programs))
    text = "\n".join(line for _, lines in results for line in lines)
    right = sum(good for good, _ in results)
    text += f"\n{right} of {len(results)} programs are told rightly, with and without their fault\n"
    print(text)
    (out / "trace.txt").write_text(text)
    sys.exit(right != len(results))


main()
