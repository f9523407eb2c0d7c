"""A function as the judge sees it: buffers, runs, captures."""

from __future__ import annotations

import contextlib
import inspect
from dataclasses import dataclass
from typing import Any, Callable, Iterable, Mapping

from . import _graphproof, _places, _runs
from ._frameworks import Described, Framework, known, leaves, of, rebuilt

# Random numbers of the device begin here, apart for each step.
_SEEDS = 1_000_003


@dataclass
class Buffer:
    """One array of the step."""

    name: str
    role: str
    type: str
    shape: tuple[int, ...]
    framework: Framework


def _parameters(function: Callable[..., Any]) -> Mapping[str, inspect.Parameter] | None:
    try:
        return inspect.signature(function).parameters
    except (TypeError, ValueError):
        return None


def accepts(function: Callable[..., Any], name: str) -> bool:
    """Whether a function has a parameter of this name."""
    return name in (_parameters(function) or {})


def positional(function: Callable[..., Any]) -> list[str] | None:
    """The names of a function's positional parameters; None where they cannot be told."""
    parameters = _parameters(function)
    if parameters is None:
        return None
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [parameter.name for parameter in parameters.values() if parameter.kind in kinds]


def _described(framework: Framework, name: str, array: Any) -> Described:
    """Reads an array. Raises `Refused` for one that the gate cannot take."""
    described = framework.describe(name, array)
    if described.on_device and described.ptr and _graphproof.is_of_another_context(described.ptr):
        raise _graphproof.Refused(
            f"'{name}' belongs to another CUDA context than the primary one of device 0, where the gate judges: make it "
            "there, or copy it to the host first"
        )
    return described


class _Hole:
    """Stands where an array of the inputs goes."""

    __cuda_array_interface__ = None


class Subject:
    """A step, its inputs, and what a run before has shown of its buffers. Called by the extension."""

    unpadded: "Subject | None" = None

    def __init__(
        self,
        step: Callable[..., Any],
        inputs: Any,
        name: str,
        state: Iterable[str],
        outputs: Iterable[str],
        contract: Mapping[str, Any],
        before: Callable[..., Any] | None,
        seed: int,
    ) -> None:
        self.step, self.inputs, self.name, self.before = step, inputs, name, before
        self._names = positional(step)
        self._wants_stream = accepts(step, "stream")
        self._place = _places.of_code(step)
        place = _places.of_code(before) if before is not None else None
        self.before_place = place[:2] if place else None
        self._kept: list[Any] = []
        # What the replayed graph's run returned, as long as the graph lives.
        self._of_graph: list[Any] = []
        self._arrays: dict[tuple[str, int], Any] = {}
        self._drawn = seed
        self._values: Any = None
        self._results: list[tuple[str, tuple[int, ...], str]] | None = None
        self._graph: Any = None
        self._first = self._call_inputs(0, seed)
        self._described = {key: (framework, array) for key, framework, array in self._read(self._first)}
        own = (framework for framework, _ in self._described.values() if type(framework) is not Framework)
        # Arrays of no framework are given as those of the kernels' framework.
        self.framework = next(own, None) or _of_kernels(step) or known()[-1]
        self._described = {
            key: (self.framework if type(framework) is Framework else framework, array)
            for key, (framework, array) in self._described.items()
        }
        self.captures = self.framework.captures
        self._declared = {"state": set(state), "output": set(outputs)}
        self._contract = dict(contract)
        self._discover(seed)

    # Inputs

    def _call_inputs(self, index: int, seed: int) -> Any:
        if not callable(self.inputs):
            value = self.inputs
        else:
            names = positional(self.inputs)
            count = 2 if names is None else min(len(names), 2)
            value = self.inputs(*(index, seed)[:count])
        if isinstance(value, Mapping):
            return dict(value)
        value = value if isinstance(value, (tuple, list)) and not hasattr(value, "_fields") else (value,)
        names = [name for name in self._names or [] if name != "stream"]
        return {names[at] if at < len(names) else f"argument{at}": part for at, part in enumerate(value)}

    def _read(self, values: dict[str, Any]) -> Iterable[tuple[str, Framework, Described]]:
        for name, array in leaves(values, ""):
            framework = of(array)
            assert framework is not None
            yield name, framework, _described(framework, name, array)

    def fill(self, index: int, seed: int) -> dict[str, bytes]:
        """The inputs of a step."""
        self._kept.clear()
        self._drawn = seed * _SEEDS + index
        if self._graph is not None:
            self._graph.seed = self._drawn
        values = self._call_inputs(index, seed)
        images = {}
        seen = set()
        for name, _, array in self._read(values):
            seen.add(name)
            _, first = self._described.get(name, (None, None))
            if first is None or (first.shape, first.type) != (array.shape, array.type):
                was = f"{first.type} {first.shape}" if first else "not there"
                raise self._changed(f"the input '{name}' is {array.type} {array.shape} at step {index} and was {was} at step 0")
            if self._roles[name] == "input":
                images[name] = array.content()
        missing = set(self._described) - seen
        if missing:
            raise self._changed(f"the input '{sorted(missing)[0]}' of step 0 is not there at step {index}")
        # What is not made anew from buffers need not live on.
        self._values = rebuilt(values, "", dict.fromkeys(self._described, _Hole()))
        values.clear()
        self.framework.settle()
        return images

    def initial(self, seed: int) -> dict[str, bytes]:
        """State before the first step."""
        return {name: self._images[name] for name, role in self._roles.items() if role == "state"}

    def _changed(self, text: str) -> Exception:
        error = _graphproof.Refused(f"{text}: a graph has one shape; judge each by itself")
        error.graphproof_place = self._place  # type: ignore[attr-defined]
        return error

    # Before the judge

    def _discover(self, seed: int) -> None:
        """Runs the step, as users do, to see what it returns and which of its inputs it changes."""
        self._values = self._first
        images = {name: array.content() for name, (_, array) in self._described.items()}
        if not images:
            raise _graphproof.Refused("the inputs hold no array: a step without inputs has nothing to be judged on")
        memory = {name: _graphproof.Memory(image) for name, image in images.items()}
        arrays = {
            name: framework.wrap(memory[name].ptr, array.shape, array.type)
            for name, (framework, array) in self._described.items()
        }

        def run() -> tuple[Any, dict[str, bytes]]:
            with self.framework.as_caller():
                self.framework.reseed(self._drawn)
                result = self._call(arrays, None)
            _graphproof.synchronize()
            return result, {name: _graphproof.download(memory[name].ptr, len(image)) for name, image in images.items()}

        result, after = run()
        returned = self._flat(result, {memory[name].ptr: name for name in memory})
        roles = dict.fromkeys(images, "input")
        for kind, names in self._declared.items():
            for name in names:
                if name not in roles:
                    raise _graphproof.Refused(f"{kind}: the step has no input '{name}'; it has {', '.join(sorted(roles))}")
                roles[name] = kind
        changed = {name for name in images if after[name] != images[name]}
        # What it writes may be what was there: the next inputs tell more.
        others = self._next_inputs(seed)
        for name, image in others.items():
            memory[name].upload(image)
        if others:
            _, of_next = run()
            changed |= {name for name in images if of_next[name] != others[name]}
            for name, image in images.items():
                memory[name].upload(image)
        changed = sorted(name for name in changed if roles[name] == "input")
        # What the step overwrites whatever was there is a result; what it reads before is state.
        other = {name: _other(images[name], self._described[name][1].type) for name in changed}
        for name in changed:
            memory[name].upload(other[name] or after[name])
        for name in set(images) - set(changed):
            memory[name].upload(images[name])
        if changed:
            _, again = run()
            for name in changed:
                overwritten = other[name] is not None and again[name] == after[name]
                roles[name] = "output" if overwritten else "state"
        self._roles, self._images = roles, images
        self._buffers = [
            Buffer(name, roles[name], array.type, array.shape, framework)
            for name, (framework, array) in self._described.items()
        ]
        self._results = [(name, array.shape, array.type) for name, framework, array, _ in returned]
        self._buffers += [Buffer(name, "output", array.type, array.shape, framework) for name, framework, array, _ in returned]
        if not returned and not changed and not any(role != "input" for role in roles.values()):
            raise _graphproof.Refused("the step returns no array and changes none of its inputs: there is nothing to compare; name what it writes by outputs=")
        self._kept.clear()

    def _next_inputs(self, seed: int) -> dict[str, bytes]:
        """The arrays of step 1, where they are made for it and are like those of step 0."""
        if not callable(self.inputs):
            return {}
        values = self._call_inputs(1, seed)
        arrays = {name: array for name, _, array in self._read(values)}
        kind = {name: (array.shape, array.type) for name, array in arrays.items()}
        if kind != {name: (array.shape, array.type) for name, (_, array) in self._described.items()}:
            return {}
        return {name: array.content() for name, array in arrays.items()}

    # Runs

    @property
    def summary(self) -> str:
        """One line on the step."""
        inputs = [f"{b.name} {b.type}{list(b.shape)}" for b in self._buffers if b.role == "input"]
        return f"{self.framework.name}: {self.name}({', '.join(inputs[:6])}{', …' if len(inputs) > 6 else ''})"

    @property
    def buffers(self) -> list[tuple[str, str, str, list[int], str, str | None]]:
        """What the step declares."""
        declared = []
        for buffer in self._buffers:
            contract = self._contract.get(buffer.name, "bits")
            agreement, lengths = contract if isinstance(contract, tuple) else (contract, None)
            declared.append((buffer.name, buffer.role, buffer.type, list(buffer.shape) or [1], agreement, lengths))
        known = {buffer.name for buffer in self._buffers}
        for name in self._contract:
            if name not in known:
                raise _graphproof.Refused(f"contract: the step has no array '{name}'; it has {', '.join(sorted(known))}")
        return declared

    def _call(self, arrays: dict[str, Any], stream: Any) -> Any:
        values = rebuilt(self._values, "", arrays)
        arguments = [values.pop(name) for name in self._names or [] if name in values]
        extra = [values.pop(name) for name in list(values) if name.startswith("argument") and name[8:].isdigit()]
        if self._wants_stream:
            values["stream"] = self.framework.default_stream() if stream is None else stream
        return self.step(*arguments, *extra, **values)

    def _flat(self, result: Any, addresses: dict[int, str]) -> list[tuple[str, Framework, Described, Any]]:
        """The arrays that the step returned, but for those that are its inputs."""
        self._kept.append(result)
        found = list(leaves(result, "" if isinstance(result, dict) or hasattr(result, "_fields") else "result"))
        taken = set(self._described)
        flat = []
        for name, array in found:
            framework = of(array)
            assert framework is not None
            array = framework.dense(array)
            self._kept.append(array)
            described = _described(framework, name, array)
            if described.ptr in addresses:
                continue
            if not described.on_device:
                raise self._changed(f"the result '{name}' is on the host, where no graph writes it")
            name = f"{name}.result" if name in taken else name
            flat.append((name, framework, described, array))
        return flat

    def prepare(self, index: int, replay: bool, addresses: list[tuple[str, int]], stream: int) -> None:
        """The host's work before a step."""
        self._kept.clear()
        for name, address in addresses:
            self._array(name, address)
        if self.before is not None:
            with self.framework.as_caller():
                self.before(*(index,)[: len(positional(self.before) or [])])

    def _array(self, name: str, address: int) -> Any:
        array = self._arrays.get((name, address))
        if array is None:
            buffer = next(buffer for buffer in self._buffers if buffer.name == name)
            array = buffer.framework.wrap(address, buffer.shape, buffer.type)
            self._arrays[name, address] = array
        return array

    def record(
        self, stream: int, addresses: list[tuple[str, int]], capturing: bool, held: bool, noting: bool
    ) -> list[tuple[str, int, int]]:
        """Runs the step on the judge's memory and stream; gives what it returned, to be copied. With `noting`, what
        each line left is in `noted` then."""
        arrays = {name: self._array(name, address) for name, address in addresses}
        if self.framework.drops:
            self._kept.clear()
        own = self.framework.stream(stream)
        if self._place:
            _graphproof.line(*self._place)
        with _runs.without_collector(capturing or held), self.framework.as_caller(), self.framework.using(own):
            if not capturing:
                self.framework.reseed(self._drawn)
            call = lambda: self._call(arrays, own)  # noqa: E731
            self.noted: list[tuple[str, int, str, int]] = []
            note = (lambda *place: self.noted.append((*place[:3], _runs.digest(place[3])))) if noting else None
            result = _places.follow(call, note) if capturing or held or noting else call()
            returned = self._flat(result, {address: name for name, address in addresses})
        if capturing and self.framework.keeps and self._graph is None:
            self._of_graph.extend(self._kept)
        now = [(name, array.shape, array.type) for name, _, array, _ in returned]
        if now != self._results:
            first, then = next(
                ((a, b) for a, b in zip(now + [None], (self._results or []) + [None]) if a != b), (None, None)
            )
            text = lambda result: f"{result[0]}: {result[2]} {result[1]}" if result else "nothing"  # noqa: E731
            raise self._changed(f"the step returns {text(first)} now, and returned {text(then)} at first")
        return [(name, array.ptr, array.nbytes) for name, _, array, _ in returned]

    # Captures of the framework's own

    def begin(self, stream: int, mode: str) -> None:
        """Begins a capture."""
        self.framework.begin(stream, mode)  # type: ignore[attr-defined]

    def end(self) -> Any:
        """Ends it."""
        graph = self.framework.end()  # type: ignore[attr-defined]
        graph.seed = self._drawn
        if self._graph is None:
            # The first is the one that is replayed.
            self._graph = graph
        return graph

    def lost(self, addresses: list[int]) -> list[tuple[int, str, str | None, int]]:
        """What the framework's allocator has taken back."""
        with contextlib.suppress(Exception):
            return self.framework.lost(addresses)
        return []


# Where the types of kernels are defined, and whose they are.
_KERNELS = (("numba.cuda", "numba-cuda"), ("numba_cuda", "numba-cuda"), ("triton.runtime", "Triton"))


def _of_kernels(step: Callable[..., Any]) -> Framework | None:
    """The framework of the kernels that a function names."""
    step = getattr(step, "__func__", step)
    code, names = getattr(step, "__code__", None), getattr(step, "__globals__", {})
    cells = getattr(step, "__closure__", None) or ()
    values = [names.get(name) for name in getattr(code, "co_names", ())]
    for value in values + [cell.cell_contents for cell in cells if cell != type(cell)()]:
        for module, name in _KERNELS:
            if type(value).__module__.startswith(module):
                return next(framework for framework in known() if framework.name == name)
    return None


def _other(image: bytes, kind: str) -> bytes | None:
    """Content that differs everywhere from `image`, and that may be read without harm; None where there is none."""
    if kind in ("f16", "bf16", "f32", "f64"):
        # NaN is no index and no length.
        other = b"\xff" * len(image)
        return None if other == image else other
    return None
