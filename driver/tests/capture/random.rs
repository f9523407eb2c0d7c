//! Random sequences of calls: the state machine never panics and keeps its invariants.
use std::collections::HashSet;

use super::support::*;
use graphproof_driver::abi::CUresult;
use graphproof_driver::software::capture::{CaptureStatus, DependencyUpdate};
use graphproof_driver::software::graph::NodeInfo;
use graphproof_driver::software::work::NodeParams;
use graphproof_driver::software::{EventId, StreamId, SyncTarget, ThreadId};
use proptest::prelude::*;

#[derive(Debug, Clone)]
enum Call {
    Begin(usize, usize, u64),
    BeginToGraph(usize, usize),
    Recapture(usize),
    End(usize, u64),
    Work(usize, u32),
    Alloc(usize),
    Free(usize, u64),
    Record(u64, usize),
    Wait(usize, u64),
    SyncStream(usize, u64),
    SyncEvent(u64, u64),
    SyncContext(u64),
    Unsafe(u64),
    Exchange(u64, usize),
    SyncCopy,
    Update(usize, usize, bool),
    Info(usize),
    DestroyStream(usize),
    DestroyEvent(u64),
    Manual(usize),
}

fn call() -> impl Strategy<Value = Call> {
    let (s, e, t, m) = (0..7usize, 0..4u64, 1..4u64, 0..3usize);
    prop_oneof![
        3 => (s.clone(), m.clone(), t.clone()).prop_map(|(s, m, t)| Call::Begin(s, m, t)),
        1 => (s.clone(), m.clone()).prop_map(|(s, m)| Call::BeginToGraph(s, m)),
        1 => s.clone().prop_map(Call::Recapture),
        4 => (s.clone(), t.clone()).prop_map(|(s, t)| Call::End(s, t)),
        9 => (s.clone(), 0..4u32).prop_map(|(s, v)| Call::Work(s, v)),
        1 => s.clone().prop_map(Call::Alloc),
        1 => (s.clone(), 0..6u64).prop_map(|(s, a)| Call::Free(s, a)),
        6 => (e.clone(), s.clone()).prop_map(|(e, s)| Call::Record(e, s)),
        6 => (s.clone(), e.clone()).prop_map(|(s, e)| Call::Wait(s, e)),
        1 => (s.clone(), t.clone()).prop_map(|(s, t)| Call::SyncStream(s, t)),
        1 => (e.clone(), t.clone()).prop_map(|(e, t)| Call::SyncEvent(e, t)),
        1 => t.clone().prop_map(Call::SyncContext),
        1 => t.clone().prop_map(Call::Unsafe),
        1 => (t.clone(), m).prop_map(|(t, m)| Call::Exchange(t, m)),
        1 => Just(Call::SyncCopy),
        1 => (s.clone(), 0..9usize, any::<bool>()).prop_map(|(s, n, set)| Call::Update(s, n, set)),
        1 => s.clone().prop_map(Call::Info),
        1 => s.clone().prop_map(Call::DestroyStream),
        1 => e.prop_map(Call::DestroyEvent),
        1 => s.prop_map(Call::Manual),
    ]
}

fn streams() -> [StreamId; 7] {
    [LEGACY, S, U, V, non_blocking(20), non_blocking(21), per_thread(22)]
}

#[derive(Default)]
struct Run {
    model: Model,
    ids: HashSet<u64>,
    nodes: Vec<u64>,
    graphs: Vec<u64>,
    next_address: u64,
}

impl Run {
    fn began(&mut self, id: Result<graphproof_driver::software::CaptureId, CUresult>) {
        if let Ok(id) = id {
            assert!(id.0 != 0 && self.ids.insert(id.0), "capture ids are unique");
        }
    }

    fn ended(&mut self, stream: StreamId, before: CaptureStatus, thread: ThreadId) {
        let enrolled: Vec<StreamId> =
            streams().into_iter().filter(|&other| self.model.status(other) == before).collect();
        let result = self.model.capture.end(&mut self.model.graphs, thread, stream);
        match (before, result) {
            (CaptureStatus::None, result) => assert_eq!(result, Err(CUresult::ILLEGAL_STATE)),
            (_, Err(CUresult::STREAM_CAPTURE_UNMATCHED)) => {
                assert_eq!(self.model.status(stream), CaptureStatus::Invalidated);
            }
            (CaptureStatus::Invalidated, result) => {
                assert_eq!(result, Err(CUresult::STREAM_CAPTURE_INVALIDATED));
                assert_eq!(self.model.status(stream), CaptureStatus::None);
            }
            (CaptureStatus::Active, result) => {
                assert_eq!(self.model.status(stream), CaptureStatus::None);
                if let Ok(graph) = result {
                    self.check_acyclic(graph);
                    self.graphs.push(graph);
                }
            }
        }
        // A capture leaves all its streams at once: none is left without its capture.
        let ongoing = self.model.capture.ongoing();
        let capturing = enrolled.iter().filter(|&&other| self.model.status(other) != CaptureStatus::None).count();
        assert!(ongoing > 0 || capturing == 0);
    }

    fn check_acyclic(&self, graph: u64) {
        // A captured node is made after what it depends on.
        let order: Vec<u64> = self.model.graphs.nodes(graph).expect("a graph").map(|(node, _)| node).collect();
        assert!(self.model.edges(graph).iter().all(|(from, to)| from < to), "{order:?}");
    }

    fn step(&mut self, call: Call) {
        let all = streams();
        let model = &mut self.model;
        match call {
            Call::Begin(s, m, t) => {
                let id = model.capture.begin(&mut model.graphs, ThreadId(t), all[s], MODES[m]);
                self.began(id);
            }
            Call::BeginToGraph(s, m) => {
                let graph = self.graphs.last().copied().unwrap_or(0);
                let after: Vec<_> = self.nodes.last().map(|&node| full(node)).into_iter().collect();
                let id = model.capture.begin_to_graph(&mut model.graphs, T, all[s], graph, &after, MODES[m]);
                self.began(id);
            }
            Call::Recapture(s) => {
                let graph = self.graphs.first().copied().unwrap_or(0);
                let id = model.capture.begin_recapture(&mut model.graphs, T, all[s], MODES[0], graph, None);
                self.began(id);
            }
            Call::End(s, t) => {
                let before = model.status(all[s]);
                self.ended(all[s], before, ThreadId(t));
            }
            Call::Work(s, value) => {
                let before = model.status(all[s]);
                let result = model.enqueue(all[s], fill(value));
                if before == CaptureStatus::Invalidated {
                    assert_eq!(result, Err(CUresult::STREAM_CAPTURE_INVALIDATED));
                }
                self.nodes.extend(result.ok().flatten());
            }
            Call::Alloc(s) => {
                self.next_address += 0x1000;
                let _ = model
                    .enqueue(all[s], NodeParams::MemAlloc { address: self.next_address, size: 8, pool: 0, device: 0 });
            }
            Call::Free(s, a) => {
                let _ = model.enqueue(all[s], NodeParams::MemFree { address: a * 0x1000 });
            }
            Call::Record(e, s) => {
                let _ = model.record(EventId(e), all[s]);
            }
            Call::Wait(s, e) => {
                let _ = model.wait(all[s], EventId(e));
            }
            Call::SyncStream(s, t) => {
                let before = model.status(all[s]);
                let result = model.capture.sync_call(ThreadId(t), SyncTarget::Stream(all[s]));
                assert!(before == CaptureStatus::None || result.is_err());
            }
            Call::SyncEvent(e, t) => {
                let _ = model.capture.sync_call(ThreadId(t), SyncTarget::Event(EventId(e)));
            }
            Call::SyncContext(t) => {
                let ongoing = model.capture.ongoing() > 0;
                let result = model.capture.sync_call(ThreadId(t), SyncTarget::Context(CONTEXT));
                assert!(!ongoing || result.is_err());
            }
            Call::Unsafe(t) => {
                let _ = model.capture.unsafe_call(ThreadId(t));
            }
            Call::Exchange(t, m) => {
                model.capture.exchange_mode(ThreadId(t), MODES[m] as u32);
            }
            Call::SyncCopy => {
                let _ = model.capture.name_stream(LEGACY);
            }
            Call::Update(s, n, set) => {
                let how = if set { DependencyUpdate::Set } else { DependencyUpdate::Add };
                let nodes: Vec<_> = self.nodes.get(n).map(|&node| full(node)).into_iter().collect();
                let _ = model.capture.update_dependencies(&model.graphs, all[s], &nodes, how);
            }
            Call::Info(s) => {
                let _ = model.capture.info(all[s]).map(|(status, info)| {
                    assert_eq!(info.is_some(), status == CaptureStatus::Active);
                });
            }
            Call::DestroyStream(s) => {
                model.capture.stream_destroyed(all[s]);
                assert_eq!(model.status(all[s]), CaptureStatus::None);
            }
            Call::DestroyEvent(e) => model.capture.event_destroyed(EventId(e)),
            Call::Manual(s) => {
                let graph = model.capture.info(all[s]).ok().and_then(|(_, info)| info.map(|info| info.graph));
                if let Some(graph) = graph {
                    let _ = model.graphs.add_node(graph, &[], NodeParams::Empty, NodeInfo::default());
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_keeps_the_invariants(calls in prop::collection::vec(call(), 1..80)) {
        let mut run = Run::default();
        for call in calls {
            run.step(call);
            // Without captures no stream captures, and the other way round.
            let capturing = streams().iter().any(|&stream| run.model.status(stream) != CaptureStatus::None);
            prop_assert_eq!(capturing, run.model.capture.ongoing() > 0);
        }
        // Whatever happened, every capture can be ended from its origin.
        for stream in streams() {
            for thread in 1..4 {
                let _ = run.model.capture.end(&mut run.model.graphs, ThreadId(thread), stream);
            }
        }
        prop_assert_eq!(run.model.capture.ongoing(), 0);
        prop_assert!(streams().iter().all(|&stream| run.model.status(stream) == CaptureStatus::None));
    }
}
