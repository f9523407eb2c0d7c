"""Which driver the process speaks to."""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
import warnings
from dataclasses import dataclass

from . import _graphproof, _tinygrad

VARIABLE = "GRAPHPROOF_DRIVER"

# Stands where Triton calls NVIDIA's assembler. The software driver executes PTX, and takes it as it is; the words
# of `--version` are part of the key under which Triton keeps what it made.
ASSEMBLER = """\
#!/bin/sh
from= to= last=
for word do
    case $word in
    --version) echo "graphproof hands PTX to the software driver, as if by Cuda compilation tools, release 12.8"; exit ;;
    *.ptx) from=$word ;;
    esac
    [ "$last" = -o ] && to=$word
    last=$word
done
exec cp "$from" "$to"
"""


class Unavailable(_graphproof.Refused):
    """The step needs a GPU, and the process runs on the software driver."""


@dataclass(frozen=True)
class Driver:
    """A driver and its device."""

    kind: str
    """`system` for NVIDIA's, `software` for graphproof's own."""
    device: str
    """The device's name, as `cuDeviceGetName` says."""
    compute_capability: tuple[int, int]
    """Major and minor."""


_in_use: Driver | None = None


def use_driver(choice: str | None = None) -> Driver:
    """Puts a driver in place for the process, and opens the primary context of device 0.

    `choice` is `auto` (NVIDIA's where it has a device, else the software driver), `system` or `software`; without
    one it is GRAPHPROOF_DRIVER, or `auto`. The first call decides. The software driver answers to the names
    libcuda.so.1, libnvrtc and libnvJitLink from then on: call this before a framework asks for CUDA.

    Raises `Refused`: there is no such driver, or another libcuda is loaded already.
    """
    global _in_use
    choice = choice or os.environ.get(VARIABLE) or "auto"
    if _in_use is not None and choice in ("auto", _in_use.kind):
        return _in_use
    folder = tempfile.mkdtemp(prefix="graphproof-")
    try:
        kind, device, capability = _graphproof.use_driver(choice, folder, [path for path in sys.path if path])
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    if kind == "software":
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        # Triton links its launchers against a libcuda in this folder; those that search take it from here.
        os.environ["TRITON_LIBCUDA_PATH"] = folder
        assembler = os.path.join(folder, "ptxas")
        with open(assembler, "w", encoding="ascii") as file:
            file.write(ASSEMBLER)
        os.chmod(assembler, 0o755)
        os.environ["TRITON_PTXAS_PATH"] = os.environ["TRITON_PTXAS_BLACKWELL_PATH"] = assembler
        os.environ["LD_LIBRARY_PATH"] = os.pathsep.join(filter(None, [folder, os.environ.get("LD_LIBRARY_PATH")]))
        os.environ.setdefault("NUMBA_CUDA_LOW_OCCUPANCY_WARNINGS", "0")
        # cuda-core, of the stand-in: it links by the driver then, as is meant.
        warnings.filterwarnings("ignore", message="libnvJitLink.* is too old", category=RuntimeWarning)
    else:
        shutil.rmtree(folder, ignore_errors=True)
    _tinygrad.attach()
    _in_use = Driver(kind, device, capability)
    return _in_use


if os.environ.get(VARIABLE) == "software":
    use_driver("software")
