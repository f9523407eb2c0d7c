"""The pytest plugin: the fixture `graphproof`, the mark of the same name, and reports.

    def test_step(graphproof):
        graphproof(step, inputs, steps=64)

The fixture judges a step as `graphproof.gate` does and fails the test where the gate does not pass: the failure is
the report, and its place the first finding's. `@pytest.mark.graphproof(steps=64, …)` gives the options of all steps
that a test, a class or a module judges. A test whose step cannot run on this machine is skipped, with the reason.
"""

from __future__ import annotations

import os
import re
from typing import Any, Callable, Iterator

import pytest

from ._report import GateFailure, Report

FORMS = {"html": "a page for each judged step", "json": "the receipt of each judged step"}


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("graphproof", "CUDA graphs")
    for form, what in FORMS.items():
        group.addoption(f"--graphproof-{form}", metavar="FOLDER", help=f"write {what} into FOLDER")
    group.addoption("--graphproof-steps", metavar="N", type=int, help="replays of each step, in place of the tests' own")
    group.addoption(
        "--graphproof-driver",
        metavar="DRIVER",
        choices=["auto", "system", "software"],
        help="the driver of the whole process: auto, system or software (the environment's GRAPHPROOF_DRIVER otherwise)",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "graphproof(**options): options of the steps that the fixture graphproof judges: steps=64, seed=0, …"
    )
    driver = config.getoption("--graphproof-driver")
    if driver:
        # Before what the tests import asks for CUDA; a driver that is not there is told with the first step.
        os.environ["GRAPHPROOF_DRIVER"] = driver
        if driver == "software":
            from ._driver import use_driver

            use_driver(driver)


class Judge:
    """What the fixture is: call it as `graphproof.gate`."""

    def __init__(self, request: pytest.FixtureRequest) -> None:
        self._request = request
        self.reports: list[Report] = []
        """The reports of the steps that the test has judged."""

    def __call__(self, step: Callable[..., Any], inputs: Any, **options: Any) -> Report:
        """Judges a step, and fails the test where the gate does not pass. Arguments and errors are those of
        `graphproof.gate`; options given here go before those of the mark."""
        report = self.report(step, inputs, **options)
        report.raise_for_findings()
        return report

    def report(self, step: Callable[..., Any], inputs: Any, **options: Any) -> Report:
        """Judges a step and gives the report, whatever it says."""
        from . import Unavailable, gate

        config = self._request.config
        given: dict[str, Any] = {}
        # The nearest mark goes before those of its class and module.
        for mark in reversed(list(self._request.node.iter_markers("graphproof"))):
            given.update(mark.kwargs)
        given.update(options)
        if config.getoption("--graphproof-steps"):
            given["steps"] = config.getoption("--graphproof-steps")
        try:
            report = gate(step, inputs, **given)
        except Unavailable as error:
            pytest.skip(str(error))
        self.reports.append(report)
        self._tell(report)
        return report

    def _tell(self, report: Report) -> None:
        receipt = report.receipt
        ids = [finding.id for finding in report.findings]
        # What `record_property` does, without its warning about a family of JUnit's that forbids properties of tests.
        record = lambda *entry: self._request.node.user_properties.append(entry)  # noqa: E731
        record("graphproof.verdict", receipt["verdict"])
        record("graphproof.driver", f"{receipt['driver']['kind']}: {receipt['device']['name']}")
        record("graphproof.steps", receipt["request"]["steps"])
        record("graphproof.findings", " ".join(ids))
        for reason in report.not_checked:
            record("graphproof.not_checked", reason)
        for form in FORMS:
            folder = self._request.config.getoption(f"--graphproof-{form}")
            if folder:
                os.makedirs(folder, exist_ok=True)
                getattr(report, form)(os.path.join(folder, f"{self._file()}.{form}"))

    def _file(self) -> str:
        """A name of the judged step for a file: that of the test, and the number of its step from the second on."""
        name = re.sub(r"[^\w.\[\]-]+", "-", self._request.node.nodeid).strip("-")
        return name if len(self.reports) == 1 else f"{name}-{len(self.reports)}"


@pytest.fixture
def graphproof(request: pytest.FixtureRequest) -> Judge:
    """Judges whether steps may be captured into a CUDA graph: `graphproof(step, inputs, steps=64)`."""
    return Judge(request)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    report = yield
    error = call.excinfo.value if call.excinfo is not None else None
    if isinstance(error, GateFailure):
        first = next((f for f in error.report.findings if f.severity == "error" and not f.allowed), None)
        place = f"{first.file}:{first.line}: {first.id}: {first.title}\n\n" if first is not None and first.file else ""
        # The judge's own frames say nothing of the step.
        report.longrepr = f"{place}{error}"
    return report
