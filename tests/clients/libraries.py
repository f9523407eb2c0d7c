#!/usr/bin/env python3
"""Builds what a program needs to run in front of the software driver, and puts it into a folder.

    python3 tests/clients/libraries.py FOLDER

is `graphproof libraries FOLDER` after README's build.
"""

import json
import pathlib
import shlex
import subprocess
import sys

import toolkit


def program():
    """Builds the program, with its libraries beside it."""
    command = ["cargo", "build", "--release", "--message-format=json-render-diagnostics"]
    done = subprocess.run(command, cwd=toolkit.ROOT, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit("cargo built no libraries")
    built = (json.loads(line).get("executable") for line in done.stdout.splitlines())
    return next(pathlib.Path(file) for file in built if file and pathlib.Path(file).name == "graphproof")


def make(folder):
    """Builds the libraries and puts them into `folder`; gives the variables that put them in front."""
    command = [program(), "libraries", folder]
    lines = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()
    exports = (shlex.split(line)[1].split("=", 1) for line in lines)
    return dict(exports)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    for name, value in make(pathlib.Path(sys.argv[1]).resolve()).items():
        print(f"export {name}={shlex.quote(value)}")
