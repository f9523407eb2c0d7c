"""What is known of CuPy's pool and captures; steps of CuPy's need a GPU, and are judged by tests/gpu/python."""

import pytest
from graphproof._cupy import CuPy, CuPyGraph, Pool
from planted import marked


def allocate(pool, address):
    pool.handed_out(address, 512)  # FAULT


def captured():
    """A pool after a capture: an array of before, an intermediate, a result in the block of another intermediate."""
    pool = Pool()
    allocate(pool, 0x1000)
    pool.taken_back(0x1000, 512)
    allocate(pool, 0x1000)
    pool.capture_begins()
    allocate(pool, 0x2000)
    pool.taken_back(0x2000, 512)
    allocate(pool, 0x3000)
    pool.taken_back(0x3000, 512)
    allocate(pool, 0x3000)
    pool.capture_ends()
    return pool


def test_an_intermediate_of_a_capture_is_lost_with_the_line_that_made_it():
    [(address, what, file, line)] = captured().lost([0x1010, 0x2010, 0x3000])
    assert (address, [line]) == (0x2010, marked(allocate))
    assert file.endswith("test_cupy.py") and "block of 512 bytes" in what


def test_what_goes_back_after_the_capture_is_lost_whoever_has_it_then():
    pool = captured()
    pool.taken_back(0x1000, 512)
    allocate(pool, 0x1000)
    # Another capture's graph is not replayed.
    pool.capture_begins()
    pool.capture_ends()
    assert [address for address, *_ in pool.lost([0x1000, 0x11FF, 0x1200, 0x3000])] == [0x1000, 0x11FF]


def test_what_a_capture_was_handed_out_is_known_by_its_graph():
    class Graph:
        graph = 0

    pool, graphs = Pool(), []
    allocate(pool, 0x1000)
    for result in 0x2000, 0x3000:
        pool.capture_begins()
        allocate(pool, result)
        graphs.append(CuPyGraph(Graph(), CuPy(), pool.handed_out_in_capture()))
        pool.capture_ends()
    # Each has its own, and neither what was there before; the pool may take it back all the same.
    addresses = 0x1000, 0x2000, 0x21FF, 0x2200, 0x3000
    assert [[graph.handed_out(address) for address in addresses] for graph in graphs] == [
        [False, True, True, False, False],
        [False, False, False, False, True],
    ]
    assert not any(graph.owns(address) for graph in graphs for address in addresses)
    pool.taken_back(0x2000, 512)
    assert [address for address, *_ in pool.lost([0x2000, 0x3000])] == [0x2000]


def test_captures_of_cupy_itself():
    cupy = pytest.importorskip("cupy")
    framework = CuPy()
    assert framework.captures == hasattr(cupy.cuda.Graph, "debug_dot_str")
    # The stream that is captured is the one that is current in the step.
    assert framework.stream(64) is framework.stream(64) and framework.stream(64).ptr == 64
    with framework.saved(), framework.as_caller(), framework.as_caller():
        assert framework.lost([0x1000]) == []
