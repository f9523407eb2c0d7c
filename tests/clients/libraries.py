#!/usr/bin/env python3
"""Makes the folder that a program needs to run in front of the software driver.

    python3 tests/clients/libraries.py FOLDER [--release]

writes the libraries into FOLDER under the names that programs load, and prints the variables that put them
in front of NVIDIA's.
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys

import toolkit

NAMES = {
    "graphproof_driver": ["libcuda.so.1", "libcuda.so"],
    "graphproof_runtime": ["libcudart.so.13", "libcudart.so.12", "libcudart.so"],
    "graphproof_compilers": ["libnvJitLink.so.12", "libnvJitLink.so.13", "libnvrtc.so.12", "libnvrtc.so.13"],
}
# Each name a file of its own: it goes by the name that it was loaded under.
APART = ["graphproof_compilers"]
# Python packages look for these beside themselves first, and take one that is loaded already.
PRELOADED = ["libnvJitLink.so.13", "libnvrtc.so.13"]


def make(folder, *options):
    """Builds the libraries and puts them into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    command = ["cargo", "build", "--message-format=json-render-diagnostics", *options]
    for name in NAMES:
        command += ["--package", name.replace("_", "-")]
    done = subprocess.run(command, cwd=toolkit.ROOT, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit("cargo built no libraries")
    for line in done.stdout.splitlines():
        message = json.loads(line)
        if message.get("reason") != "compiler-artifact":
            continue
        for file in message["filenames"]:
            if file.endswith(".so") and message["target"]["name"] in NAMES:
                first, *others = NAMES[message["target"]["name"]]
                (folder / first).unlink(missing_ok=True)
                shutil.copy(file, folder / first)
                for name in others:
                    (folder / name).unlink(missing_ok=True)
                    # Of one file, however it is named, a process loads one copy: two drivers would be two worlds.
                    place = shutil.copy if message["target"]["name"] in APART else os.symlink
                    place(folder / first if place is shutil.copy else first, folder / name)
    return folder


def variables(folder):
    """What puts the folder in front."""
    search = [str(folder), os.environ.get("LD_LIBRARY_PATH", "")]
    return {"LD_LIBRARY_PATH": ":".join(filter(None, search)), "LD_PRELOAD": ":".join(PRELOADED)}


if __name__ == "__main__":
    arguments = [argument for argument in sys.argv[1:] if not argument.startswith("--")]
    if len(arguments) != 1:
        sys.exit(__doc__)
    made = make(pathlib.Path(arguments[0]).resolve(), *(option for option in sys.argv[1:] if option.startswith("--")))
    for name, value in variables(made).items():
        print(f"export {name}={value}")
