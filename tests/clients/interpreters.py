"""The Pythons of this machine beside the one that runs the clients, each with an environment for a short test."""

import hashlib
import os
import pathlib
import shutil
import subprocess
import sys

import environment
import toolkit

REQUIREMENTS = pathlib.Path(__file__).resolve().with_name("requirements-smoke.txt")
# Those that the wheel is for.
MINORS = range(10, 15)
ASK = "import sys, sysconfig, venv; print(*sys.version_info[:2], sysconfig.get_config_var('Py_GIL_DISABLED') or 0)"


def asked(program):
    """(major, minor) of a Python; None for what is none, and for one whose wheels are of another kind."""
    try:
        told = subprocess.run([program, "-c", ASK], capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return None
    major, minor, free_threaded = (told.stdout.split() + ["0"] * 3)[:3]
    return None if told.returncode or free_threaded != "0" else (int(major), int(minor))


def further():
    """By (3, minor): the Pythons on the path and those that pyenv keeps, without the version that runs here."""
    kept = pathlib.Path(os.environ.get("PYENV_ROOT", pathlib.Path.home() / ".pyenv")) / "versions"
    named = [shutil.which(f"python3.{minor}") for minor in MINORS]
    found = {}
    for program in [*filter(None, named), *sorted(kept.glob("3.*/bin/python3"))]:
        version = asked(program)
        if version and version != sys.version_info[:2] and version[1] in MINORS:
            found.setdefault(version, program)
    return dict(sorted(found.items()))


def prepared(version, program):
    """The Python of an environment with the packages of the short test; None where they cannot be had for it."""
    folder = toolkit.FOLDER / f"python{version[0]}.{version[1]}"
    python, stamp = folder / "bin" / "python", folder / "stamp"
    wanted = f"{program}\n{hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()}"
    if not stamp.exists() or stamp.read_text() != wanted:
        subprocess.run([program, "-m", "venv", "--clear", "--without-pip", folder], check=True)
        pip = [environment.python(), "-m", "pip", "--python", python, "install", "--quiet", "--disable-pip-version-check"]
        if subprocess.run([*pip, "--only-binary", ":all:", "--requirement", REQUIREMENTS]).returncode:
            return None
        # Compilers and libraries that no Python loads: those of the clients' one environment.
        packages = next((folder / "lib").glob("python3*")) / "site-packages"
        (packages / "nvidia").symlink_to(environment.packages() / "nvidia")
        stamp.write_text(wanted)
    return python
