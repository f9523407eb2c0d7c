"""What the package does beside judging: reports, bad inputs, stubs."""

import ast
import json
import pathlib
import xml.etree.ElementTree

import graphproof
import numpy
import pytest
from graphproof import _graphproof
from planted import clean

cuda = pytest.importorskip("numba.cuda")

N = 256


@cuda.jit
def twice(x, y):
    i = cuda.grid(1)
    if i < x.size:
        y[i] = 2 * x[i]


def inputs(index):
    return {"x": numpy.full(N, index + 1, numpy.float32), "y": numpy.zeros(N, numpy.float32)}


def step(x, y, stream):
    twice[2, 128, stream](x, y)


def still_usable():
    clean(step, inputs, steps=2)


def test_every_form_of_a_report(tmp_path):
    report = graphproof.gate(step, inputs, steps=2, name="a step")
    report.raise_for_findings()
    for form in ("json", "html", "junit", "sarif", "trace"):
        getattr(report, form)(tmp_path / form)
    kept = graphproof.Report.read(tmp_path / "json")
    assert kept.passed and kept.receipt["lanes"][0]["step"] == "a-step"
    assert "<html" in (tmp_path / "html").read_text()
    assert xml.etree.ElementTree.parse(tmp_path / "junit").getroot().tag == "testsuites"
    assert json.loads((tmp_path / "sarif").read_text())["version"] == "2.1.0"
    assert "a-step" in str(report) and repr(report) == "<graphproof.Report pass>"


def test_a_failure_has_the_report():
    def frozen(x, y, n, stream):
        twice[n, 128, stream](x, y)

    report = graphproof.gate(frozen, lambda index: {**inputs(index), "n": 1 + index % 2}, steps=3)
    with pytest.raises(graphproof.GateFailure) as raised:
        report.raise_for_findings()
    assert raised.value.report is report and "V" in str(raised.value)
    assert report.findings[0].help and report.findings[0].severity == "error"


def test_a_declared_output_and_contract():
    clean(step, inputs, outputs=["y"], contract={"y": "sorted-values"}, steps=2)
    with pytest.raises(graphproof.Refused, match="no input 'z'; it has x, y"):
        graphproof.gate(step, inputs, state="z")
    with pytest.raises(graphproof.Refused, match="no array 'z'"):
        graphproof.gate(step, inputs, contract={"z": "bits"})


@pytest.mark.parametrize(
    "arrays, told",
    [
        (lambda index: {**inputs(index), "x": numpy.zeros((N, 2), numpy.float32)[:, 0]}, "'x' is not contiguous"),
        (lambda index: {**inputs(index), "x": numpy.zeros(N, complex)}, "'x' has elements of type <c16"),
        (lambda index: {}, "the inputs hold no array"),
    ],
)
def test_inputs_that_no_graph_can_take(arrays, told):
    with pytest.raises(graphproof.Refused, match=told):
        graphproof.gate(step, arrays)
    still_usable()


class At:
    """An array by its address."""

    def __init__(self, address):
        self.address = address

    @property
    def __cuda_array_interface__(self):
        return {"shape": (N,), "typestr": "<f4", "data": (self.address, False), "version": 3}


def test_an_array_of_another_context():
    driver = pytest.importorskip("cuda.bindings.driver")

    def ok(answer):
        assert answer[0] == 0, answer
        return answer[1] if len(answer) == 2 else None

    still_usable()
    context = ok(driver.cuCtxCreate(None, 0, 0))
    address = int(ok(driver.cuMemAlloc(4 * N)))
    ok(driver.cuCtxPopCurrent())
    try:
        with pytest.raises(graphproof.Refused, match="'x' belongs to another CUDA context"):
            graphproof.gate(step, lambda index: {**inputs(index), "x": At(address)})
    finally:
        ok(driver.cuCtxDestroy(context))
    still_usable()


class ByDlpack:
    """An array that tells of itself by DLPack alone."""

    def __init__(self, array):
        self.array = array

    def __dlpack__(self, **options):
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()


def test_arrays_by_dlpack():
    clean(step, lambda index: {name: ByDlpack(array) for name, array in inputs(index).items()}, steps=2)
    with pytest.raises(graphproof.Refused, match="'x' is not contiguous: its strides are \\(2,\\) elements"):
        graphproof.gate(step, {"x": ByDlpack(numpy.zeros((N, 2), numpy.float32)[:, 0]), "y": numpy.zeros(N, numpy.float32)})
    with pytest.raises(graphproof.Refused, match="'x' has elements of DLPack's type 5"):
        graphproof.gate(step, {"x": ByDlpack(numpy.zeros(N, complex))})


def test_a_step_that_does_nothing():
    with pytest.raises(graphproof.Refused, match="nothing to compare"):
        graphproof.gate(lambda x: None, lambda index: {"x": numpy.zeros(4, numpy.float32)})


def test_options_that_are_none():
    with pytest.raises(graphproof.Refused, match="sideways"):
        graphproof.gate(step, inputs, stream="sideways")


def test_a_result_that_is_there_already_at_step_0():
    report = clean(step, lambda index: {**inputs(index), "x": numpy.full(N, index, numpy.float32)}, steps=3)
    assert [b["role"] for b in report.receipt["lanes"][0]["memory"]["buffers"] if b["name"] == "y"] == ["output"]


def test_inputs_of_another_shape():
    with_shape = lambda index: {**inputs(index), "x": numpy.ones(N if index < 3 else N + 1, numpy.float32)}  # noqa: E731
    with pytest.raises(graphproof.Refused, match=r"f32 \(257,\) at step 3 and was f32 \(256,\) at step 0"):
        graphproof.gate(step, with_shape, steps=6)
    still_usable()


def test_results_of_another_shape():
    made = []

    def growing(x, stream):
        made.append(cuda.device_array(N + len(made), numpy.float32, stream=stream))
        return made[-1]

    report = graphproof.gate(growing, lambda index: {"x": numpy.zeros(N, numpy.float32)}, steps=3)
    assert not report.passed and "and returned result: f32 (256,) at first" in str(report)
    still_usable()


def test_an_exception_while_it_is_captured():
    calls = []

    def raising(x, y, stream):
        calls.append(1)
        twice[2, 128, stream](x, y)
        if len(calls) > 4:
            raise ValueError("on the way")

    report = graphproof.gate(raising, inputs, steps=3)
    assert not report.passed and "ValueError: on the way" in str(report)
    assert report.findings[0].line == raising.__code__.co_firstlineno + 4
    still_usable()


def test_what_the_step_raises_before_it_is_judged():
    def broken(x, y):
        raise KeyError("x")

    with pytest.raises(KeyError):
        graphproof.gate(broken, inputs)
    still_usable()


def test_the_other_driver_comes_too_late():
    with pytest.raises(graphproof.Refused):
        graphproof.use_driver("system")
    assert graphproof.use_driver().kind == "software"


def test_the_stubs_name_what_the_extension_has():
    stub = pathlib.Path(graphproof.__file__).with_name("_graphproof.pyi")
    assert stub.with_name("py.typed").exists()
    kinds = (ast.FunctionDef, ast.ClassDef)
    body = ast.parse(stub.read_text()).body
    told = {node.name for node in body if isinstance(node, kinds)} | {"__version__"}
    assert told == {name for name in dir(_graphproof) if name == "__version__" or not name.startswith("__")}
