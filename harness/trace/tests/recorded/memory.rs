//! Addresses in graphs: whose they are, and since when they are dead.

use graphproof_door::{Function, GraphDump, GraphNode};
use graphproof_harness::finding::Id;

use crate::program::{GLOBAL, MAIN, NODE, Program, S, U};

/// A graph with a pointer to memory that line 3 allocates, replayed at line 30.
pub fn with_input() -> Program {
    let mut program = Program::new();
    program.streams().ok(3, "cuMemAlloc_v2", &[("bytesize", 4096)], &[("dptr", 0x7000)]);
    program.begin(11, GLOBAL).launch(12, S).end(15, 0x10).instantiate(16, 0x10, 0x20).dump(0x10, 0x20, 0x7100);
    program.replay(30, 0x20);
    program
}

#[test]
fn dead_addresses_are_told_at_the_replay_with_who_freed_them() {
    let mut program = with_input();
    program.ok(31, "cuMemFree_v2", &[("dptr", 0x7000)], &[]).replay(32, 0x20).replay(33, 0x20);
    let finding = program.finds(Id::A07, 32);
    assert_eq!(finding.origin.as_ref().map(|site| site.line), Some(31));
    assert!(
        finding.expected.contains("kernel add grid 4x1x1") && finding.expected.contains("parameter 0"),
        "{finding:#?}"
    );
    for place in ["train.py:3", "the node got it at train.py:12"] {
        assert!(finding.notes.iter().any(|note| note.contains(place)), "{finding:#?}");
    }

    let mut again = with_input();
    again.ok(31, "cuMemFree_v2", &[("dptr", 0x7000)], &[]);
    again.ok(32, "cuMemAlloc_v2", &[("bytesize", 8192)], &[("dptr", 0x7000)]).replay(33, 0x20);
    assert!(again.finds(Id::A08, 33).seen.contains("train.py:32"));

    let mut twin = with_input();
    twin.ok(31, "cuMemFree_v2", &[("dptr", 0x9000)], &[]).replay(32, 0x20);
    let process = twin.is_clean();
    let [graph] = &process.graphs[..] else { panic!("{process:#?}") };
    assert_eq!((graph.pointers, graph.held_bytes, graph.launches, graph.capture), (1, 4096, 2, Some(1)));
    assert_eq!(
        (graph.nodes[0].pointers[0].made.as_str(), graph.nodes[0].place.as_str()),
        ("train.py:3", "train.py:12")
    );
}

/// A tensor map of NVIDIA's: nobody can read an address in it.
fn opaque(seed: u8) -> [u8; 128] {
    std::array::from_fn(|at| (at as u8).wrapping_mul(37) ^ seed)
}

/// A graph whose kernel has a tensor map among its parameters, behind a number in a structure if `inside`. The map is
/// encoded at line 5 for memory that line 3 allocates, and given that of line 4 at line 6 if `replaced`.
fn with_map(inside: bool, replaced: bool, told: bool) -> Program {
    let mut program = Program::new();
    program.streams().ok(3, "cuMemAlloc_v2", &[("bytesize", 4096)], &[("dptr", 0x7000)]);
    program.ok(4, "cuMemAlloc_v2", &[("bytesize", 4096)], &[("dptr", 0x9000)]);
    let mut write = |line: u32, function: &str, address: u64, bytes: Option<[u8; 128]>| {
        let stack = program.stack(line);
        let arguments = [("tensorMap", 0x1000), ("globalAddress", address)];
        let call = program.made.call(MAIN, function, &arguments, 0).stack(stack);
        match bytes {
            Some(bytes) => call.pointee("tensorMap", &bytes).end(),
            None => call.end(),
        }
    };
    write(5, "cuTensorMapEncodeTiled", 0x7100, told.then(|| opaque(1)));
    // Once more before a launch: the record has these bytes, and is not given them again.
    write(7, "cuTensorMapEncodeTiled", 0x7100, None);
    if replaced {
        write(6, "cuTensorMapReplaceAddress", 0x9100, told.then(|| opaque(2)));
    }
    let start = if inside { 64 } else { 0 };
    let function = Function {
        handle: 0xf00,
        is_kernel: false,
        name: "load_box".to_owned(),
        module: 0,
        parameters: Some(vec![(0, start as u32 + 128)]),
    };
    program.made.function(MAIN, &function);
    let mut parameters = vec![0; start];
    parameters.extend(opaque(if replaced { 2 } else { 1 }));
    program.begin(11, GLOBAL).launch(12, S).end(15, 0x10).instantiate(16, 0x10, 0x20);
    let node = GraphNode { handle: NODE, kind: 0, function: 0xf00, parameters, ..GraphNode::default() };
    program.made.graph(MAIN, &GraphDump { graph: 0x10, exec: 0x20, nodes: vec![node], ..GraphDump::default() });
    program.replay(30, 0x20);
    program
}

#[test]
fn a_tensor_map_is_known_by_its_bytes_and_its_address_by_the_call() {
    let free = |mut program: Program, memory: u64| {
        program.ok(31, "cuMemFree_v2", &[("dptr", memory)], &[]).replay(32, 0x20);
        program
    };
    let finding = free(with_map(false, false, true), 0x7000).finds(Id::A07, 32);
    assert!(finding.expected.contains("tensor map of parameter 0, points at memory"), "{finding:#?}");
    assert!(finding.seen.starts_with("0x7100 is not allocated"), "{finding:#?}");
    assert_eq!(finding.origin.as_ref().map(|site| site.line), Some(31));
    for place in ["made by cuMemAlloc_v2 at train.py:3", "the tensor map got the address at train.py:5"] {
        assert!(finding.notes.iter().any(|note| note.contains(place)), "{finding:#?}");
    }
    let process = free(with_map(false, false, true), 0x9000).is_clean();
    let pointer = &process.graphs[0].nodes[0].pointers[0];
    assert_eq!((pointer.place.as_str(), pointer.address.as_str()), ("tensor map of parameter 0", "0x7100"));

    // In a structure, and given another address since.
    let finding = free(with_map(true, true, true), 0x9000).finds(Id::A07, 32);
    assert!(finding.expected.contains("tensor map of parameter 0 at byte 64"), "{finding:#?}");
    assert!(finding.notes.iter().any(|note| note.contains("address at train.py:6")), "{finding:#?}");
    free(with_map(true, true, true), 0x7000).is_clean();

    // Bytes that nobody was seen to encode are no map.
    let process = free(with_map(false, false, false), 0x7000).is_clean();
    assert_eq!(process.graphs[0].pointers, 0);
}

#[test]
fn what_a_node_of_an_executable_graph_is_given_is_followed() {
    let given = |pointer: u64| {
        let mut program = with_input();
        program.ok(20, "cuMemAlloc_v2", &[("bytesize", 64)], &[("dptr", 0x9000)]).gives(21, 0x20, pointer);
        program
    };
    // The memory that it had may go now; the one that it has may not.
    given(0x9000).ok(31, "cuMemFree_v2", &[("dptr", 0x7000)], &[]).replay(32, 0x20).is_clean();
    let finding = given(0x9000).ok(31, "cuMemFree_v2", &[("dptr", 0x9000)], &[]).replay(32, 0x20).finds(Id::A07, 32);
    assert!(finding.notes.iter().any(|note| note.contains("the node got it at train.py:21")), "{finding:#?}");
    // Dead when it is given; alive again for an update from the graph that is read back.
    let mut dead = with_input();
    dead.ok(20, "cuMemAlloc_v2", &[("bytesize", 64)], &[("dptr", 0x9000)]);
    dead.ok(20, "cuMemFree_v2", &[("dptr", 0x9000)], &[]).gives(21, 0x20, 0x9000).replay(32, 0x20);
    assert!(dead.finds(Id::A07, 21).expected.contains("when the node is given it"));
    let mut updated = given(0x9000);
    updated.ok(22, "cuGraphExecUpdate_v2", &[("hGraphExec", 0x20), ("hGraph", 0x11)], &[]).dump(0x11, 0x20, 0x7000);
    updated.ok(31, "cuMemFree_v2", &[("dptr", 0x9000)], &[]).replay(32, 0x20).is_clean();
    let mut updated = given(0x9000);
    updated.ok(22, "cuGraphExecUpdate_v2", &[("hGraphExec", 0x20), ("hGraph", 0x11)], &[]).dump(0x11, 0x20, 0x7000);
    updated.ok(31, "cuMemFree_v2", &[("dptr", 0x7000)], &[]).replay(32, 0x20).finds(Id::A07, 32);
    // Parameters of a kind that is not read: nothing is known of that node.
    let mut unread = with_input();
    unread.ok(21, "cuGraphExecNodeSetParams", &[("hGraphExec", 0x20), ("hNode", NODE)], &[]);
    unread.ok(31, "cuMemFree_v2", &[("dptr", 0x7000)], &[]).replay(32, 0x20).is_clean();
    // Another child graph: what the nodes in it hold is not known.
    let mut child = with_input();
    child.ok(21, "cuGraphExecChildGraphNodeSetParams", &[("hGraphExec", 0x20), ("hNode", 0xb0)], &[]);
    child.ok(31, "cuMemFree_v2", &[("dptr", 0x7000)], &[]).replay(32, 0x20).is_clean();
    let mut child = with_input();
    child.ok(21, "cuGraphExecNodeSetParams", &[("hGraphExec", 0x20), ("hNode", 0xb0)], &[]);
    child.made.given(MAIN, 0x20, &GraphNode { handle: 0xb0, kind: 4, ..GraphNode::default() });
    child.ok(31, "cuMemFree_v2", &[("dptr", 0x7000)], &[]).replay(32, 0x20).is_clean();
    // A node that is switched off follows nothing.
    let switched = |enabled: u64| {
        let mut program = with_input();
        let arguments = [("hGraphExec", 0x20), ("hNode", NODE), ("isEnabled", enabled)];
        program.ok(21, "cuGraphNodeSetEnabled", &arguments, &[]);
        program.ok(31, "cuMemFree_v2", &[("dptr", 0x7000)], &[]).replay(32, 0x20);
        program
    };
    switched(0).is_clean();
    switched(1).finds(Id::A07, 32);
}

#[test]
fn memory_of_every_kind_is_followed() {
    type Arguments = &'static [(&'static str, u64)];
    let kinds: [(&str, Arguments, Arguments, &str, Arguments, Id); 5] = [
        (
            "cuMemAllocAsync",
            &[("bytesize", 64), ("hStream", U)],
            &[("dptr", 0x7000)],
            "cuMemFreeAsync",
            &[("dptr", 0x7000), ("hStream", U)],
            Id::A07,
        ),
        (
            "cuMemMap",
            &[("ptr", 0x7000), ("size", 64)],
            &[],
            "cuMemUnmap",
            &[("ptr", 0x6000), ("size", 0x2000)],
            Id::A07,
        ),
        ("cuMemHostAlloc", &[("bytesize", 64)], &[("pp", 0x7000)], "cuMemFreeHost", &[("p", 0x7000)], Id::A10),
        (
            "cuMemHostRegister_v2",
            &[("p", 0x7000), ("bytesize", 64)],
            &[],
            "cuMemHostUnregister",
            &[("p", 0x7000)],
            Id::A10,
        ),
        (
            "cuModuleGetGlobal_v2",
            &[("hmod", 5)],
            &[("dptr", 0x7000), ("bytes", 64)],
            "cuModuleUnload",
            &[("hmod", 5)],
            Id::A07,
        ),
    ];
    for (make, arguments, written, free, freed, id) in kinds {
        let mut program = Program::new();
        program.streams().ok(3, make, arguments, written);
        program.begin(11, GLOBAL).launch(12, S).end(15, 0x10).dump(0x10, 0x20, 0x7008).instantiate(16, 0x10, 0x20);
        program.replay(30, 0x20).ok(31, free, freed, &[]).replay(32, 0x20).finds(id, 32);
    }
}
