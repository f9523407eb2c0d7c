"""The one virtual environment of the Python clients: pinned packages, no CUDA installation."""

import hashlib
import pathlib
import shutil
import subprocess
import sys

import toolkit

REQUIREMENTS = pathlib.Path(__file__).resolve().with_name("requirements.txt")
FOLDER = toolkit.FOLDER / "environment"


def python():
    """The environment's Python; where the pins have changed, their packages are installed first."""
    program = FOLDER / "bin" / "python"
    stamp = FOLDER / "stamp"
    made_by = f"{sys.version}\n"
    wanted = made_by + hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()
    found = stamp.read_text() if stamp.exists() else ""
    if found == wanted:
        return program
    print(f"installing {REQUIREMENTS.name} into {FOLDER.relative_to(toolkit.ROOT)}/", file=sys.stderr)
    if not found.startswith(made_by):
        shutil.rmtree(FOLDER, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", FOLDER], check=True)
    pip = [program, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    if subprocess.run([*pip, "--requirement", REQUIREMENTS]).returncode:
        sys.exit("pip could not install the clients' environment")
    stamp.write_text(wanted)
    return program


def packages():
    """Its site-packages."""
    return next((FOLDER / "lib").glob("python3*")) / "site-packages"


def toolkit_folder():
    """The folder of NVIDIA's compiler, headers and libraries in it: nvcc is bin/nvcc."""
    python()
    return packages() / "nvidia" / "cu13"
