#!/usr/bin/env python3
"""Builds the wheel of the Python package, installs it into a fresh virtual environment and runs its tests there.

    python3 tests/clients/python_package.py [pytest's arguments]

The frameworks come from the clients' one environment; the package from the wheel alone. What docs/own-step.md shows
of Python is run as it stands there. The same wheel is tried in a few tests in every further Python of this machine.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys

import environment
import interpreters
import toolkit

TARGET = toolkit.ROOT / "target" / "python-package"
TESTS = toolkit.ROOT / "python" / "tests"
GUIDE = toolkit.ROOT / "docs" / "own-step.md"
# `$ GRAPHPROOF_DRIVER=software python judge.py` is run with the fresh environment's Python.
COMMAND = re.compile(r"^\$ (?:\w+=\w+ )?(python .*)$", re.M)


def wheel(python):
    """The wheel, built as users build it."""
    folder = TARGET / "wheels"
    shutil.rmtree(folder, ignore_errors=True)
    manifest = toolkit.ROOT / "python" / "Cargo.toml"
    build = [python.with_name("maturin"), "build", "--release", "--locked", "--quiet", "--out", folder]
    if subprocess.run([*build, "--manifest-path", manifest, "--interpreter", python]).returncode:
        sys.exit("maturin built no wheel")
    (made,) = folder.iterdir()
    if not re.fullmatch(r"graphproof-[\d.]+-cp310-abi3-(many)?linux_\w+\.whl", made.name):
        sys.exit(f"{made.name} is no wheel for every Python from 3.10 on")
    return made


def installed(python, made):
    """The Python of a fresh environment with the wheel and the clients' packages in it."""
    folder = TARGET / "environment"
    subprocess.run([python, "-m", "venv", "--clear", "--without-pip", folder], check=True)
    fresh = folder / "bin" / "python"
    packages = next((folder / "lib").glob("python3*")) / "site-packages"
    # As if they were installed there: some look for their libraries beside themselves, in the environment's folder.
    for package in pathlib.Path(environment.packages()).iterdir():
        (packages / package.name).symlink_to(package)
    install(python, fresh, made)
    return fresh


def install(python, fresh, made):
    """Installs the wheel alone into an environment."""
    pip = [python, "-m", "pip", "--python", fresh, "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--no-index", "--no-deps", "--force-reinstall", made], check=True)


def elsewhere(python, made, variables):
    """Tries the wheel in the further Pythons of this machine; gives what went wrong, and which were tried."""
    tried, failed = [sys.version_info[:2]], []
    for version, program in interpreters.further().items():
        name = f"Python {version[0]}.{version[1]}"
        other = interpreters.prepared(version, program)
        if other is None:
            failed.append(f"{name}: its packages cannot be installed")
            continue
        install(python, other, made)
        tests = [TESTS / file for file in ("test_smoke.py", "test_cuda_core.py")]
        command = [other, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--timeout", "120", "-W", "ignore", "--tb=short"]
        done = subprocess.run([*command, *tests], cwd=TARGET, env=variables, capture_output=True, text=True)
        if done.returncode or " skipped" in done.stdout:
            failed.append(f"{name}:\n{done.stdout}{done.stderr}")
        tried.append(version)
    return failed, tried


def walk(fresh, variables):
    """Does what the guide's section on Python says, in a folder of its own; gives what went wrong."""
    section = GUIDE.read_text().split("\n## In Python\n")[1].split("\n## ")[0]
    folder = TARGET / "guide"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, text in re.findall(r"`(\w+\.py)`[^\n]*:\n\n```python\n(.*?)```", section, re.S):
        (folder / name).write_text(text)
    commands = COMMAND.findall(section)
    for command in commands:
        words = command.split()
        done = subprocess.run([fresh, *words[1:]], cwd=folder, env=variables, capture_output=True, text=True, timeout=120)
        if done.returncode:
            return f"$ {command}\n{done.stdout}{done.stderr}"
    if not (folder / "report.html").exists() or len(commands) < 2:
        return f"{GUIDE.name}: its commands ({commands}) leave no report.html"
    return None


def main():
    python = pathlib.Path(environment.python())
    TARGET.mkdir(parents=True, exist_ok=True)
    made = wheel(python)
    fresh = installed(python, made)
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    variables["CUDA_PATH"] = variables["CUDA_HOME"] = str(environment.toolkit_folder())
    variables["GRAPHPROOF_DRIVER"] = "software"
    pytest = [fresh, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--timeout", "120", "-W", "ignore"]
    code = subprocess.run([*pytest, *(sys.argv[1:] or ["--tb=short"]), TESTS], cwd=TARGET, env=variables).returncode
    if code:
        sys.exit(code)
    if said := walk(fresh, variables):
        sys.exit(said)
    failed, tried = elsewhere(python, made, variables)
    if failed:
        sys.exit("\n".join(failed))
    missing = [f"3.{minor}" for minor in interpreters.MINORS if (3, minor) not in tried]
    told = ", ".join(f"{major}.{minor}" for major, minor in sorted(tried))
    absent = f"; not on this machine: {', '.join(missing)}" if missing else ""
    print(f"the wheel's tests and docs/own-step.md's Python pass; tried in Python {told}{absent}")


if __name__ == "__main__":
    main()
