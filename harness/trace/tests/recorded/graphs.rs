//! Executable graphs, updates, and what comes between replays.

use graphproof_door::Range;
use graphproof_harness::finding::{Id, Severity};

use crate::memory::with_input;
use crate::program::{GLOBAL, MAIN, Program, S};

#[test]
fn executable_graphs_that_pile_up_are_told_and_a_set_of_them_is_not() {
    let piles = |replays: &[u64], keeps: bool| {
        let mut program = Program::new();
        program.streams();
        for turn in 0..4u64 {
            let (graph, exec) = (0x100 + turn, 0x200 + turn);
            program.begin(11, GLOBAL).launch(12, S).end(15, graph).instantiate(16, graph, exec).replay(17, exec);
            for &exec in replays {
                program.replay(18, exec);
            }
            if !keeps {
                program.ok(19, "cuGraphExecDestroy", &[("hGraphExec", exec)], &[]);
            }
        }
        program
    };
    let finding = piles(&[], true).finds(Id::L02, 16);
    assert!(finding.seen.contains("4 executable graphs"), "{finding:#?}");
    // An interpreter that ends lets go of all.
    let mut late = piles(&[], true);
    for exec in 0x200..0x204 {
        late.ok(90, "cuGraphExecDestroy", &[("hGraphExec", exec)], &[]);
    }
    late.finds(Id::L02, 16);
    piles(&[], false).is_clean();
    // Each is launched again after the next was made.
    let mut set = Program::new();
    set.streams();
    for turn in 0..4u64 {
        set.begin(11, GLOBAL).launch(12, S).end(15, 0x100 + turn).instantiate(16, 0x100 + turn, 0x200 + turn);
    }
    for turn in 0..8u64 {
        set.replay(20, 0x200 + turn % 4);
    }
    let process = set.is_clean();
    assert!(process.alive.iter().any(|alive| (alive.count, alive.what.as_str()) == (4, "executable graphs")));
}

#[test]
fn a_refused_update_is_told_with_reason_and_node() {
    let updated = |code: u32| {
        let mut program = with_input();
        let stack = program.stack(40);
        let made = program.made.call(MAIN, "cuGraphExecUpdate_v2", &[("hGraphExec", 0x20), ("hGraph", 0x11)], code);
        let mut info = 2u32.to_le_bytes().to_vec();
        info.extend([0; 4]);
        info.extend(0xabcu64.to_le_bytes());
        info.extend([0; 8]);
        made.stack(stack).pointee("resultInfo", &info).end();
        program
    };
    let mut program = updated(910);
    let finding = program.replay(41, 0x20).finds(Id::V06, 40);
    assert!(finding.seen.contains("TOPOLOGY_CHANGED, at node 0xabc"), "{finding:#?}");
    assert_eq!((finding.severity, finding.origin.as_ref().map(|site| site.line)), (Severity::Error, Some(41)));
    // Who makes a new one has done what is to be done.
    updated(910).ok(41, "cuGraphExecDestroy", &[("hGraphExec", 0x20)], &[]).is_clean();
    updated(0).replay(41, 0x20).is_clean();
}

#[test]
fn what_comes_between_replays_is_told() {
    let replays = |between: &dyn Fn(&mut Program)| {
        let mut program = with_input();
        for _ in 0..4 {
            between(&mut program);
            program.replay(31, 0x20);
        }
        program.ok(50, "cuStreamSynchronize", &[("hStream", S)], &[]);
        program
    };
    let wait = |program: &mut Program| {
        program.ok(40, "cuStreamSynchronize", &[("hStream", S)], &[]);
    };
    let finding = replays(&wait).finds(Id::S14, 40);
    assert!(finding.severity == Severity::Warning && finding.seen.contains("4 of 4"), "{finding:#?}");
    let load = |program: &mut Program| {
        program.ok(41, "cuModuleLoadData", &[], &[]);
    };
    replays(&load).finds(Id::S11, 41);
    let copy = |program: &mut Program| {
        let ends = [("dstDevice", 0x7000), ("srcHost", 0x99), ("ByteCount", 8), ("hStream", S)];
        program.ok(42, "cuMemcpyHtoDAsync_v2", &ends, &[]);
    };
    replays(&copy).finds(Id::S09, 42);
    let allocates = |program: &mut Program| {
        program.ok(43, "cuMemAlloc_v2", &[("bytesize", 1)], &[("dptr", 0x8000)]);
    };
    let process = replays(&allocates).is_clean();
    let [all] = &process.loops[..] else { panic!("{process:#?}") };
    assert_eq!((all.launches, all.between.len(), all.between[0].count), (5, 1, 4));
    replays(&|_| {}).is_clean();
}

#[test]
fn layers_and_changes_between_captures_of_one_place_are_told() {
    let mut program = Program::new();
    program.streams();
    for (turn, value) in [(0u64, 0x7000u64), (1, 0x7008)] {
        program.made.range(MAIN, &Range::Push("model".to_owned()));
        program.begin(11, GLOBAL);
        program.made.range(MAIN, &Range::Push("layer 3".to_owned()));
        program.launch(12, S);
        program.made.range(MAIN, &Range::Pop);
        program.end(15, 0x10 + turn).instantiate(16, 0x10 + turn, 0x20 + turn).dump(0x10 + turn, 0x20 + turn, value);
        program.made.range(MAIN, &Range::Pop);
    }
    let process = program.is_clean();
    assert_eq!(
        (process.captures[0].layer.as_str(), process.graphs[0].nodes[0].layer.as_str()),
        ("model", "model / layer 3")
    );
    assert_eq!(process.captures[1].changed, ["node 0 (kernel add): 1 parameter words differ"]);
}
