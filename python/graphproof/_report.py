"""What a run says."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import Any

from . import _graphproof

Path = str | os.PathLike[str]


class GateFailure(AssertionError):
    """The step is not safe to replay. `report` has all that is known."""

    def __init__(self, report: "Report") -> None:
        super().__init__(str(report))
        self.report = report


@dataclass(frozen=True)
class Finding:
    """One fault. `graphproof explain ID` tells what it means and how to fix it."""

    id: str
    """Its id in the catalogue: `S01`."""
    title: str
    """What is wrong, in one line."""
    severity: str
    """`error`, or `warning` for what does not fail the gate."""
    check: str
    """The check that found it."""
    file: str | None
    """Where, if that is known."""
    line: int | None
    """Line, from 1."""
    what: str
    """What stands there."""
    expected: str
    """What should have been."""
    seen: str
    """What was seen."""
    notes: tuple[str, ...]
    """Further facts."""
    help: str
    """How to fix it."""
    allowed: str | None
    """Who says that it does not fail the gate."""


class Report:
    """The outcome of a gate."""

    def __init__(self, receipt: _graphproof.Receipt) -> None:
        self._receipt = receipt
        self.receipt: dict[str, Any] = json.loads(receipt.json())
        """The receipt, as `--json` writes it; `docs/receipt.schema.json` describes it."""

    @classmethod
    def read(cls, path: Path) -> "Report":
        """A receipt that was kept by `json`. Raises `Refused` for a file that is none."""
        return cls(_graphproof.read_receipt(path))

    @property
    def passed(self) -> bool:
        """Whether the gate passes."""
        return self.receipt["verdict"] == "pass"

    @property
    def findings(self) -> list[Finding]:
        """All findings, in the order in which the report tells them."""
        found = []
        for lane in self.receipt["lanes"]:
            for finding in lane["findings"]:
                site = finding.get("site") or {}
                found.append(
                    Finding(
                        id=finding["id"],
                        title=finding["title"],
                        severity=finding["severity"],
                        check=finding["check"],
                        file=site.get("file"),
                        line=site.get("line"),
                        what=site.get("what", ""),
                        expected=finding["expected"],
                        seen=finding["seen"],
                        notes=tuple(finding["notes"]),
                        help=finding["help"],
                        allowed=finding.get("allowed"),
                    )
                )
        return found

    @property
    def not_checked(self) -> list[str]:
        """What this run did not look for, and why."""
        return [reason for lane in self.receipt["lanes"] for reason in lane["not_checked"]]

    @property
    def device_lost(self) -> bool:
        """Whether the device is unusable for the rest of the process, after a fault of a kernel or a hang."""
        return self._receipt.poisoned

    def raise_for_findings(self) -> None:
        """Raises `GateFailure` where the gate does not pass."""
        if not self.passed:
            raise GateFailure(self)

    def json(self, path: Path) -> None:
        """Writes the receipt, for `graphproof diff` and `graphproof report`."""
        self._receipt.write("json", path)

    def html(self, path: Path) -> None:
        """Writes a report of one page that needs nothing else."""
        self._receipt.write("html", path)

    def junit(self, path: Path) -> None:
        """Writes JUnit's XML."""
        self._receipt.write("junit", path)

    def sarif(self, path: Path) -> None:
        """Writes SARIF 2.1.0."""
        self._receipt.write("sarif", path)

    def trace(self, path: Path) -> None:
        """Writes the timelines for Perfetto."""
        self._receipt.write("trace", path)

    def __str__(self) -> str:
        return self._receipt.text()

    def __repr__(self) -> str:
        ids = ", ".join(finding.id for finding in self.findings)
        return f"<graphproof.Report {self.receipt['verdict']}{': ' + ids if ids else ''}>"
