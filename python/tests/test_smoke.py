"""What is tried in every Python that the wheel is for: the command line, a judged step, the plugin."""

import subprocess
import sys

import pytest

import graphproof

pytest.importorskip("cuda.core")

STEP = '''
import numpy
import pytest
from cuda import core

SOURCE = """extern "C" __global__ void axpy(float a, const float *x, float *y, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] = a * x[i] + 1.0f;
}"""
device = core.Device()
device.set_current()
options = core.ProgramOptions(arch=f"sm_{device.arch}")
axpy = core.Program(SOURCE, code_type="c++", options=options).compile("cubin").get_kernel("axpy")


def launch(stream, a, x, y):
    core.launch(stream, core.LaunchConfig(grid=1, block=64), axpy, numpy.float32(a), x.ptr, y.ptr, numpy.int32(64))


def clean(x, y, stream):
    launch(stream, 2, x, y)


def frozen(x, y, a, stream):
    launch(stream, a, x, y)


def inputs(index):
    return {"x": numpy.full(64, index + 1, numpy.float32), "y": numpy.zeros(64, numpy.float32)}


@pytest.mark.graphproof(steps=3)
def test_clean(graphproof):
    graphproof(clean, inputs)


@pytest.mark.graphproof(steps=3)
def test_frozen(graphproof):
    graphproof(frozen, lambda index: {**inputs(index), "a": index + 1.0})
'''


def test_the_command_line():
    run = [sys.executable, "-m", "graphproof"]
    told = subprocess.run([*run, "--version"], capture_output=True, text=True, check=True)
    assert told.stdout.split() == ["graphproof", graphproof.__version__]
    told = subprocess.run([*run, "explain", "S01"], capture_output=True, text=True, check=True)
    assert "S01" in told.stdout
    told = subprocess.run([*run, "gate", "--step", "no-such"], capture_output=True, text=True)
    assert told.returncode == 2, told


def test_steps_by_the_plugin(pytester):
    pytester.makepyfile(test_steps=STEP)
    ran = pytester.runpytest_subprocess("--graphproof-html", "pages")
    ran.assert_outcomes(passed=1, failed=1)
    line = 1 + next(at for at, line in enumerate(STEP.lstrip("\n").splitlines()) if "core.launch(" in line)
    ran.stdout.fnmatch_lines(["*V01*", f"*test_steps.py:{line}*"])
    assert list((pytester.path / "pages").glob("*.html"))
