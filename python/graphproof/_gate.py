"""The gate as a function."""

from __future__ import annotations

import os
from typing import Any, Callable, Iterable, Mapping

from . import _graphproof, _tinygrad
from ._driver import Driver, Unavailable, use_driver
from ._report import Report
from ._subject import Subject

Contract = str | tuple[str, str]


def gate(
    step: Callable[..., Any],
    inputs: Any,
    *,
    steps: int = 64,
    seed: int = 0,
    state: Iterable[str] = (),
    outputs: Iterable[str] = (),
    contract: Mapping[str, Contract] | None = None,
    unpadded: tuple[Callable[..., Any], Any] | None = None,
    before: Callable[..., Any] | None = None,
    name: str | None = None,
    driver: str | None = None,
    stream: str = "blocking",
    mode: str | None = None,
    pipelined: bool = False,
    orders: int = 0,
    retries: int | None = None,
    patience: int | None = None,
    config: str | os.PathLike[str] | None = None,
) -> Report:
    """Judges whether `step` may be captured into a CUDA graph and replayed.

    `step` is called as users call it, with the arrays that `inputs` gives; it returns arrays, or changes some of its
    inputs, or both. One with a parameter called `stream` is given the stream that its work must be put on.

    `inputs` makes the arguments of a step: a function of its index (and of the seed, if it takes two arguments) that
    gives a tuple, or a dictionary by the names of the parameters. Arrays may be on the device or on the host, and lie
    in tuples, lists and dictionaries; other values are passed as they are. It must depend on nothing but its arguments.

    `state` names inputs that are carried from step to step, `outputs` inputs that the step only writes. What is not
    named is found by running the step: an input that it changes is state, unless it is overwritten whatever was there.

    `contract` says how eager runs and replays must agree, by the name of the array (`result`, or `result.0` in a
    tuple, for what the step returns): `bits`, which holds where nothing is said, `index-set` or `sorted-values`. With
    `(agreement, lengths)` only the first elements of each row count, as the i32 array `lengths` says.

    `unpadded` is the same step without padding, with its inputs, as a reference. `before` is the host's work between
    two steps, called with the index of the step.

    `steps`, `seed`, `stream`, `mode`, `pipelined`, `orders`, `retries`, `patience` and `config` are those of
    `graphproof gate`; `driver` is `auto`, `system` or `software`, see `use_driver`. Without a `mode`, the capture has that
    of the framework: `relaxed` for CuPy, `global` for others.

    Raises `Refused` where the step could not be judged, `Unavailable` where that is for want of a GPU, and what the
    step raises where it does not run at all.
    """
    in_use = use_driver(driver)
    step = _tinygrad.plain(step)
    name = name or getattr(step, "__name__", None) or type(step).__name__
    name = "".join(part if part.isalnum() or part in "-_." else "-" for part in name).strip("-") or "step"
    contract = contract or {}
    try:
        subject = Subject(step, inputs, name, _names(state), _names(outputs), contract, before, seed)
        if unpadded is not None:
            other, of_other = unpadded
            subject.unpadded = Subject(other, of_other, f"{name}-unpadded", _names(state), _names(outputs), {}, None, seed)
    except Exception as error:
        if unavailable := _unavailable(error, in_use):
            raise unavailable from error
        raise
    options = ["--steps", str(steps), "--seed", str(seed), "--stream", stream]
    options += ["--mode", mode or subject.framework.mode]
    options += ["--pipelined"] if pipelined else []
    options += ["--orders", str(orders)] if orders else []
    options += ["--retries", str(retries)] if retries is not None else []
    options += ["--patience", str(patience)] if patience is not None else []
    options += ["--config", os.fspath(config)] if config is not None else ["--no-config"]
    with subject.framework.saved():
        return Report(_graphproof.judge(subject, options))


def _names(names: str | Iterable[str]) -> list[str]:
    return [names] if isinstance(names, str) else list(names)


# Frameworks whose kernels are machine code, by the names of their packages.
_MACHINE_CODE = {"torch": "PyTorch", "cupy": "CuPy"}


def _unavailable(error: Exception, driver: Driver) -> Unavailable | None:
    """What an error means that such a framework raised where there is no GPU."""
    trace = error.__traceback__ if driver.kind == "software" else None
    while trace is not None:
        package = trace.tb_frame.f_globals.get("__name__", "").partition(".")[0]
        if package in _MACHINE_CODE:
            return Unavailable(
                f"{_MACHINE_CODE[package]}'s kernels are machine code and need a GPU; this process runs on the software "
                f"driver, which executes PTX ({type(error).__name__}: {error})"
            )
        trace = trace.tb_next
    return None
