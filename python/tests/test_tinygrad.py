"""Steps of tinygrad's, clean and with planted faults."""

import os

os.environ.setdefault("DEV", "CUDA")

import graphproof  # noqa: E402
import numpy  # noqa: E402
import pytest  # noqa: E402
from planted import clean, fault  # noqa: E402

tinygrad = pytest.importorskip("tinygrad")
Tensor, TinyJit = tinygrad.Tensor, tinygrad.TinyJit

N = 64


def inputs(index):
    x = numpy.random.default_rng(index).standard_normal((4, N)).astype(numpy.float32)
    return {"x": Tensor(x), "y": Tensor(numpy.zeros((4, N), numpy.float32))}


def test_clean():
    weights = Tensor(numpy.eye(N, dtype=numpy.float32) * 3).realize()

    def step(x, y):
        y.assign((x @ weights).relu() + x.sum(axis=1, keepdim=True)).realize()

    clean(step, inputs)


def test_a_jitted_step_is_judged_as_its_function():
    @TinyJit
    def step(x):
        return (x.relu() * 2).contiguous().sum(axis=1).realize()

    report = clean(step, lambda index: {"x": inputs(index)["x"]})
    assert report.receipt["lanes"][0]["step"] == "step"


def test_clean_with_state():
    def step(x, total):
        total.assign(total + x).realize()

    clean(step, lambda index: {"x": inputs(index)["x"], "total": inputs(index)["y"]})


def test_float_baked():
    def step(x, y, a):
        y.assign(x * a).realize()  # FAULT

    fault(["V01", "R01", "V02", "C02"], step, lambda index: {**inputs(index), "a": 1.0 + index})


def test_item():
    def step(x, y):
        if x.max().item() > 100:  # FAULT
            return
        y.assign(x * 2).realize()

    fault(["S01", "S03", "S04", "S05", "S06"], step, inputs)


def test_host_branch():
    hot = numpy.zeros(1)

    def step(x, y):
        y.assign(x * 2 if hot[0] < 3 else x - 1).realize()  # FAULT

    def before(index):
        hot[0] = index

    fault(["V02", "R01"], step, inputs, before=before)


def test_another_device():
    with pytest.raises(graphproof.Refused, match="'x' is on CPU; the gate judges on CUDA"):
        graphproof.gate(lambda x: x, lambda index: {"x": inputs(index)["x"].to("CPU")})
