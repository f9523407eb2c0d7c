"""Lists of what a client's tests do on our libraries: a result that is not the listed one is an error, and so is
an unexpected pass.

A list has one test a line: the result (pass, fail, skip, hang), the test, and for all but a pass the reason.
"""

import sys


def read(path):
    """Test: (expected result, reason)."""
    found = {}
    for line in path.read_text().splitlines() if path.exists() else []:
        if line and not line.startswith("#"):
            result, name, *reason = line.split(maxsplit=2)
            found[name] = (result, reason[0] if reason else "")
            if result != "pass" and not reason:
                sys.exit(f"{path.name}: {name} has no reason")
    return found


def compare(path, head, results, outputs):
    """Compares results with the list; with --bless writes it anew, keeping the reasons."""
    known, lines, wrong, count = read(path), [], [], {}
    for name, result in sorted(results.items()):
        want, reason = known.pop(name, ("pass", ""))
        count[result] = count.get(result, 0) + 1
        lines.append(f"{result:5}{name} {reason if result != 'pass' else ''}".rstrip())
        if result != want:
            wrong.append(name)
            print(f"{name}: expected {want}, got {result}\n{outputs.get(name, '')}")
    for name in known:
        wrong.append(name)
        print(f"{name}: listed, but there is no such test")
    print(", ".join(f"{number} {result}" for result, number in sorted(count.items())), f"of {len(results)} tests")
    if "--bless" in sys.argv:
        path.write_text(f"# {head}: result, test, reason.\n" + "\n".join(lines) + "\n")
    elif wrong:
        sys.exit(f"{len(wrong)} unexpected results; if they are right, run with --bless and say why in {path.name}")
