"""tinygrad on its CUDA device: tensors against numpy, and steps that its JIT captures as CUDA graphs."""

import numpy
import pytest
from tinygrad import Device, Tensor, TinyJit, dtypes


def test_the_device_is_cuda():
    assert Device.DEFAULT.split(":")[0] == "CUDA"


def numbers(*shape, seed=0):
    return numpy.random.default_rng(seed).standard_normal(shape).astype(numpy.float32)


@pytest.mark.parametrize(
    "name, of_tensor, of_array",
    [
        ("add", lambda a, b: a + b, lambda a, b: a + b),
        ("product", lambda a, b: a @ b.T, lambda a, b: a @ b.T),
        ("relu", lambda a, b: (a - b).relu(), lambda a, b: numpy.maximum(a - b, 0)),
        ("sum", lambda a, b: (a * b).sum(axis=0), lambda a, b: (a * b).sum(axis=0)),
        ("largest", lambda a, b: a.maximum(b).max(axis=1), lambda a, b: numpy.maximum(a, b).max(axis=1)),
        ("exponent", lambda a, b: (a * 0.1).exp(), lambda a, b: numpy.exp(a * 0.1)),
        ("softmax", lambda a, b: a.softmax(), lambda a, b: numpy.exp(a) / numpy.exp(a).sum(axis=1, keepdims=True)),
        ("transposed", lambda a, b: a.T.contiguous(), lambda a, b: a.T),
    ],
)
def test_tensors_agree_with_numpy(name, of_tensor, of_array):
    a, b = numbers(17, 33), numbers(17, 33, seed=1)
    numpy.testing.assert_allclose(of_tensor(Tensor(a), Tensor(b)).numpy(), of_array(a, b), rtol=2e-5, atol=2e-5)


def test_integers_and_halves():
    values = numpy.arange(-50, 50, dtype=numpy.int32)
    assert (((Tensor(values) * 3) // 2).numpy() == (values * 3) // 2).all()
    halves = Tensor(values).cast(dtypes.half)
    assert ((halves + 0.5).numpy() == values.astype(numpy.float16) + numpy.float16(0.5)).all()


def test_a_captured_step_sees_new_inputs():
    weights = Tensor(numbers(8, 8)).realize()

    @TinyJit
    def step(x):
        return ((x @ weights).relu() + x).realize(), (x * 2).sum().realize()

    w = weights.numpy()
    for seed in range(6):
        x = numbers(4, 8, seed=seed)
        first, second = step(Tensor(x).realize())
        numpy.testing.assert_allclose(first.numpy(), numpy.maximum(x @ w, 0) + x, rtol=1e-5, atol=1e-5)
        numpy.testing.assert_allclose(second.numpy(), (x * 2).sum(), rtol=1e-4, atol=1e-4)


def test_a_captured_step_keeps_state():
    state = Tensor.zeros(4).contiguous().realize()

    @TinyJit
    def step(x):
        state.assign(state * 0.5 + x).realize()
        return (state + 1).realize()

    expected = numpy.zeros(4, dtype=numpy.float32)
    for n in range(6):
        x = numpy.full(4, n, dtype=numpy.float32)
        expected = expected * numpy.float32(0.5) + x
        assert (step(Tensor(x).realize()).numpy() == expected + 1).all()
