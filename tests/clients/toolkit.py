"""NVIDIA's header and run-time compiler, from the Python package index: no CUDA installation."""

import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
# One version of both: NVRTC and the headers that it compiles belong together.
PACKAGES = ["nvidia-cuda-runtime==13.5.37", "nvidia-cuda-nvrtc==13.5.37"]
# Beside the compiler that kernels/regenerate.py pins; git ignores the folder.
FOLDER = ROOT / ".cuda" / "clients"


def fetch(packages):
    """Installs what is missing of the pinned packages; returns their common folder."""
    for requirement in packages:
        name, version = requirement.split("==")
        if (FOLDER / f"{name.replace('-', '_')}-{version}.dist-info").is_dir():
            continue
        print(f"installing {requirement} into {FOLDER.relative_to(ROOT)}/", file=sys.stderr)
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        if subprocess.run(pip + ["--no-deps", "--upgrade", "--target", FOLDER, requirement]).returncode:
            sys.exit(f"pip could not install {requirement}")
    return FOLDER / "nvidia" / "cu13"


def include():
    """The folder of cuda.h."""
    return fetch(PACKAGES[:1]) / "include"


def nvrtc():
    """The folder of libnvrtc.so.13."""
    return fetch(PACKAGES) / "lib"
