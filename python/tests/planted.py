"""What the tests of planted faults have in common."""

import inspect

import graphproof


def marked(function):
    """The lines of a function that carry the mark FAULT."""
    lines, first = inspect.getsourcelines(function)
    return [first + at for at, line in enumerate(lines) if "# FAULT" in line]


def clean(step, inputs, **options):
    """Judges a step that must pass without a word."""
    report = graphproof.gate(step, inputs, **{"steps": 6, **options})
    assert report.passed and not report.findings, str(report)
    return report


def fault(ids, step, inputs, planted=None, **options):
    """Judges a step whose fault, one of `ids`, must be told at the marked line of `planted`."""
    report = graphproof.gate(step, inputs, **{"steps": 6, **options})
    lines = marked(planted or step)
    assert lines, "no line is marked"
    told = [(finding.id, finding.line, finding.file) for finding in report.findings]
    assert not report.passed, str(report)
    here = inspect.getsourcefile(planted or step)
    right = [id for id, line, file in told if id in ids and line in lines and file and here.endswith(file.split("/")[-1])]
    assert right, f"wanted one of {ids} at {lines}, told {told}\n{report}"
    return report
