"""The pytest plugin, in pytest runs of its own."""

import xml.etree.ElementTree

STEP = """
    import numpy
    import pytest
    from numba import cuda

    @cuda.jit
    def axpy(a, x, y):
        i = cuda.grid(1)
        if i < x.size:
            y[i] = a * x[i]

    def inputs(index):
        return {"x": numpy.full(64, index + 1, numpy.float32), "y": numpy.zeros(64, numpy.float32)}

    def clean(x, y, stream):
        axpy[1, 64, stream](numpy.float32(2), x, y)

    def with_value(index):
        return {**inputs(index), "a": index + 1.0}

    def frozen(x, y, a, stream):
        axpy[1, 64, stream](numpy.float32(a), x, y)  # FAULT
"""
FAULT = 1 + next(at for at, line in enumerate(STEP.splitlines()) if "# FAULT" in line)


def properties(case):
    return {entry.get("name"): entry.get("value") for entry in case.iter("property")}


def test_passes_failures_and_reports(pytester):
    pytester.makepyfile(
        test_steps=STEP.replace("\n    ", "\n").lstrip("\n").replace("import numpy\n", "import numpy\n", 1)
        + """
@pytest.mark.graphproof(steps=3)
def test_clean(graphproof):
    report = graphproof(clean, inputs)
    assert report.receipt["request"]["steps"] == 3
    graphproof(clean, inputs, steps=2)

def test_frozen(graphproof):
    graphproof(frozen, with_value, steps=3)

def test_looked_at(graphproof):
    assert [f.id for f in graphproof.report(frozen, with_value, steps=3).findings][0] == "V01"
"""
    )
    result = pytester.runpytest_inprocess("--graphproof-html=pages", "--graphproof-json=kept", "--junitxml=junit.xml", "-q")
    result.assert_outcomes(passed=2, failed=1)
    line = FAULT - 1
    result.stdout.fnmatch_lines([f"*test_steps.py:{line}: V01: *", f"*--> test_steps.py:{line}*"])
    assert "_pytest.py" not in result.stdout.str()
    pages = sorted(path.name for path in (pytester.path / "pages").iterdir())
    assert pages == [
        "test_steps.py-test_clean-2.html",
        "test_steps.py-test_clean.html",
        "test_steps.py-test_frozen.html",
        "test_steps.py-test_looked_at.html",
    ]
    assert len(list((pytester.path / "kept").iterdir())) == 4
    cases = {case.get("name"): case for case in xml.etree.ElementTree.parse(pytester.path / "junit.xml").iter("testcase")}
    assert properties(cases["test_frozen"])["graphproof.verdict"] == "fail"
    assert properties(cases["test_frozen"])["graphproof.findings"].startswith("V01")
    assert properties(cases["test_clean"])["graphproof.driver"].startswith("software: ")


def test_a_framework_that_needs_a_gpu_is_skipped(pytester):
    # As PyTorch does on a machine without a GPU.
    pytester.makepyfile(torch='def randn(*shape, device):\n    raise RuntimeError("Found no NVIDIA driver on your system.")\n')
    pytester.makepyfile(
        test_steps="""
        import torch

        def test_step(graphproof):
            graphproof(lambda x: x, lambda index: torch.randn(4, device="cuda"))
        """
    )
    result = pytester.runpytest_subprocess("-rs", "-q")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["*PyTorch's kernels are machine code and need a GPU*"])


def test_the_options_of_all(pytester):
    pytester.makepyfile(
        STEP.replace("\n    ", "\n")
        + """
class TestAll:
    pytestmark = pytest.mark.graphproof(steps=5, seed=3)

    @pytest.mark.graphproof(steps=4)
    def test_nearest(self, graphproof):
        lane = graphproof(clean, inputs).receipt["lanes"][0]
        assert (lane["steps_asked"], lane["seed"]) == (2, 3)
"""
    )
    pytester.runpytest_inprocess("--graphproof-steps=2", "-q").assert_outcomes(passed=1)
    pytester.runpytest_inprocess("-q").assert_outcomes(failed=1)
