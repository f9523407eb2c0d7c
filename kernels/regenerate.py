#!/usr/bin/env python3
"""Makes kernels/ptx from kernels/cu with the pinned NVRTC, or checks that it is up to date.

    python3 kernels/regenerate.py            write kernels/ptx/*.ptx and kernels/ptx/manifest.json
    python3 kernels/regenerate.py --check    compile in memory and compare byte for byte; exit 1 on a difference
    python3 kernels/regenerate.py --ptxas    also assemble each PTX for its GPUs and print registers

The compiler is fetched from the Python package index into .cuda/ in the repository root, which
git ignores; no GPU and no CUDA installation is needed. `graphproof --compile` looks there too.
"""

import argparse
import ctypes
import difflib
import hashlib
import json
import pathlib
import subprocess
import sys
import tempfile
import venv

NVRTC = "nvidia-cuda-nvrtc-cu12==12.8.93"
PTXAS = "nvidia-cuda-nvcc-cu12==12.8.93"

KERNELS = pathlib.Path(__file__).resolve().parent
SOURCES = KERNELS / "cu"
OUTPUT = KERNELS / "ptx"
TOOLS = KERNELS.parent / ".cuda"
OPTIONS_FILE = SOURCES / "options.txt"


# A source that needs another target than options.txt says so in its first line.
OWN_OPTION = "// nvrtc: "


def options(source=None):
    """NVRTC options, one a line; shared with the run-time compiler of the Rust crate. An option of the
    source's own replaces the shared one of the same name."""
    shared = OPTIONS_FILE.read_text().split()
    first = source.read_text().split("\n", 1)[0] if source else ""
    own = first.removeprefix(OWN_OPTION).split() if first.startswith(OWN_OPTION) else []
    names = {option.split("=")[0] for option in own}
    return [option for option in shared if option.split("=")[0] not in names] + own


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def installed(requirement):
    """The package's folder in .cuda/, installing it there first if its version differs."""
    name, version = requirement.split("==")
    python = TOOLS / "bin" / "python"
    if not python.exists():
        print(f"creating {TOOLS.name}/", file=sys.stderr)
        try:
            venv.create(TOOLS, with_pip=True)
        except (OSError, subprocess.CalledProcessError) as error:
            sys.exit(f"cannot create {TOOLS.name}/ ({error}): Python needs its venv and pip modules (Debian: python3-venv)")
    probe = f"import importlib.metadata as m; print(m.version('{name}'))"
    found = subprocess.run([python, "-c", probe], capture_output=True, text=True)
    if found.stdout.strip() != version:
        print(f"installing {requirement} into {TOOLS.name}/", file=sys.stderr)
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", requirement]
        if subprocess.run(pip).returncode:
            sys.exit(f"pip could not install {requirement} into {TOOLS.name}/")
    packages = sorted(TOOLS.glob("lib/python3*/site-packages/nvidia"))
    if not packages:
        sys.exit(f"{requirement} installed, but {TOOLS.name}/ holds no nvidia package folder")
    return packages[-1]


class Nvrtc:
    """The few NVRTC calls needed, through ctypes."""

    def __init__(self, packages):
        folder = packages / "cuda_nvrtc" / "lib"
        # libnvrtc opens its builtins by bare name and has no search path of its own: load them
        # first, by absolute path.
        for builtins in sorted(folder.glob("libnvrtc-builtins.so.*")):
            ctypes.CDLL(str(builtins), mode=ctypes.RTLD_GLOBAL)
        self.library = ctypes.CDLL(str(folder / "libnvrtc.so.12"))
        self.library.nvrtcGetErrorString.restype = ctypes.c_char_p

    def check(self, code, what):
        if code:
            sys.exit(f"{what}: {self.library.nvrtcGetErrorString(code).decode()}")

    def version(self):
        major, minor = ctypes.c_int(), ctypes.c_int()
        self.check(self.library.nvrtcVersion(ctypes.byref(major), ctypes.byref(minor)), "nvrtcVersion")
        return f"{major.value}.{minor.value}"

    def text(self, program, size_of, get):
        size = ctypes.c_size_t()
        self.check(size_of(program, ctypes.byref(size)), "NVRTC size query")
        buffer = ctypes.create_string_buffer(size.value)
        self.check(get(program, buffer), "NVRTC read")
        return buffer.value

    def compile(self, source, headers):
        """PTX of one .cu file. `headers` are (name, text) pairs; nothing is read from disk."""
        program = ctypes.c_void_p()
        texts = (ctypes.c_char_p * len(headers))(*[text for _, text in headers])
        names = (ctypes.c_char_p * len(headers))(*[name.encode() for name, _ in headers])
        self.check(
            self.library.nvrtcCreateProgram(
                ctypes.byref(program), source.read_bytes(), source.name.encode(), len(headers), texts, names
            ),
            "nvrtcCreateProgram",
        )
        flags = [option.encode() for option in options(source)]
        code = self.library.nvrtcCompileProgram(program, len(flags), (ctypes.c_char_p * len(flags))(*flags))
        log = self.text(program, self.library.nvrtcGetProgramLogSize, self.library.nvrtcGetProgramLog).decode()
        if log.strip():
            print(log, file=sys.stderr)
        self.check(code, source.name)
        ptx = self.text(program, self.library.nvrtcGetPTXSize, self.library.nvrtcGetPTX)
        self.check(self.library.nvrtcDestroyProgram(ctypes.byref(program)), "nvrtcDestroyProgram")
        return ptx


def build():
    """File name -> bytes of everything that belongs in kernels/ptx."""
    nvrtc = Nvrtc(installed(NVRTC))
    headers = [(path.name, path.read_bytes()) for path in sorted(SOURCES.glob("*.cuh"))]
    files = {}
    for source in sorted(SOURCES.glob("*.cu")):
        files[source.stem + ".ptx"] = nvrtc.compile(source, headers)
    inputs = sorted([*SOURCES.glob("*.cu"), *SOURCES.glob("*.cuh"), OPTIONS_FILE])
    manifest = {
        "compiler": NVRTC,
        "nvrtc": nvrtc.version(),
        "options": options(),
        "sources": {path.name: sha256(path.read_bytes()) for path in inputs},
        "ptx": {name: sha256(data) for name, data in files.items()},
    }
    files["manifest.json"] = (json.dumps(manifest, indent=2) + "\n").encode()
    return files


def present():
    return {path.name: path.read_bytes() for path in OUTPUT.glob("*") if path.suffix in (".ptx", ".json")}


def check(files):
    """Number of files that differ, each described on standard error."""
    committed = present()
    wrong = 0
    for name in sorted(files.keys() | committed.keys()):
        made, kept = files.get(name), committed.get(name)
        if made == kept:
            continue
        wrong += 1
        if kept is None:
            print(f"{name}: missing in kernels/ptx", file=sys.stderr)
        elif made is None:
            print(f"{name}: no source in kernels/cu makes it", file=sys.stderr)
        else:
            lines = list(
                difflib.unified_diff(kept.decode().splitlines(), made.decode().splitlines(), "committed", "compiled", n=0, lineterm="")
            )
            print(f"{name}: differs; {len(lines)} lines of diff, the first:", file=sys.stderr)
            print("\n".join(lines[:12]), file=sys.stderr)
    return wrong


def assemble(files):
    """Runs ptxas over each PTX and prints its registers and spills."""
    ptxas = installed(PTXAS) / "cuda_nvcc" / "bin" / "ptxas"
    with tempfile.TemporaryDirectory() as folder:
        for name, data in files.items():
            if not name.endswith(".ptx"):
                continue
            path = pathlib.Path(folder) / name
            path.write_bytes(data)
            for arch in ("sm_90a",) if b".target sm_90a" in data else ("sm_80", "sm_90"):
                print(f"== {name} for {arch}", flush=True)
                subprocess.run([ptxas, f"-arch={arch}", "-v", path, "-o", f"{path}.cubin"], check=True, stderr=subprocess.STDOUT)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare with kernels/ptx and write nothing")
    parser.add_argument("--ptxas", action="store_true", help="also assemble for the GPUs of each")
    arguments = parser.parse_args()
    files = build()
    if arguments.ptxas:
        assemble(files)
    if arguments.check:
        wrong = check(files)
        if wrong:
            print(f"{wrong} of {len(files)} files differ: run python3 kernels/regenerate.py and commit kernels/ptx", file=sys.stderr)
            return 1
        print(f"{len(files)} files in kernels/ptx are what {NVRTC} makes of kernels/cu")
        return 0
    OUTPUT.mkdir(exist_ok=True)
    for name in present().keys() - files.keys():
        (OUTPUT / name).unlink()
    for name, data in files.items():
        (OUTPUT / name).write_bytes(data)
    for name, data in files.items():
        print(f"{len(data):8} bytes  kernels/ptx/{name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
