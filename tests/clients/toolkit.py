"""NVIDIA's headers and run-time compiler, from the Python package index: no CUDA installation."""

import pathlib
import subprocess
import sys
import venv

ROOT = pathlib.Path(__file__).resolve().parents[2]
HEADER = "nvidia-cuda-runtime==13.5.37"
# cudarc's tests compile for compute_53, which the NVRTC of CUDA 13 has left behind; the header of
# half-precision numbers is that of the compiler.
COMPILER = "nvidia-cuda-nvrtc-cu12==12.8.93"
COMPILER_HEADERS = "nvidia-cuda-runtime-cu12==12.8.90"
# Beside the compiler that kernels/regenerate.py pins; git ignores the folder.
FOLDER = ROOT / ".cuda" / "clients"
# Compilers that need each other, and what uses them, in one environment.
ENVIRONMENT = ROOT / ".cuda" / "python"
REQUIREMENTS = [
    "numpy==2.4.6",
    "nvidia-cuda-cccl==13.0.85",
    "nvidia-cuda-crt==13.0.88",
    "nvidia-cuda-nvcc==13.0.88",
    "nvidia-cuda-nvrtc==13.0.88",
    "nvidia-cuda-runtime==13.0.96",
    "nvidia-nvvm==13.0.88",
    "triton==3.9.0",
]


def fetch(requirement):
    """Installs a pinned package unless it is there; returns the folder of NVIDIA's packages."""
    name, version = requirement.split("==")
    folder = FOLDER / name
    if not (folder / f"{name.replace('-', '_')}-{version}.dist-info").is_dir():
        print(f"installing {requirement} into {folder.relative_to(ROOT)}/", file=sys.stderr)
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        pip += ["--root-user-action=ignore", "--no-deps", "--upgrade", "--target", folder, requirement]
        if subprocess.run(pip).returncode:
            sys.exit(f"pip could not install {requirement}")
    return folder / "nvidia"


def include():
    """The folder of cuda.h."""
    return fetch(HEADER) / "cu13" / "include"


def compiler():
    """The folders of libnvrtc and of the headers that it compiles."""
    return fetch(COMPILER) / "cuda_nvrtc" / "lib", fetch(COMPILER_HEADERS) / "cuda_runtime" / "include"


def environment():
    """The Python of a virtual environment with REQUIREMENTS, made anew when they have changed."""
    python, stamp = ENVIRONMENT / "bin" / "python", ENVIRONMENT / "requirements.txt"
    wanted = "\n".join(REQUIREMENTS) + "\n"
    if not stamp.exists() or stamp.read_text() != wanted:
        print(f"installing {', '.join(REQUIREMENTS)} into {ENVIRONMENT.relative_to(ROOT)}/", file=sys.stderr)
        venv.create(ENVIRONMENT, clear=True, with_pip=True)
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *REQUIREMENTS]
        if subprocess.run(pip).returncode:
            sys.exit(f"pip could not install {', '.join(REQUIREMENTS)}")
        stamp.write_text(wanted)
    return str(python)
