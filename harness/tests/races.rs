//! Random graphs of copies between buffers on two streams: a race is told exactly where two nodes touch the
//! same bytes, one writing, and no path of events orders them.

mod common;

use std::sync::OnceLock;

use common::{TestStep, judge};
use cudarc::driver::sys::{self, CUevent, CUstream};
use graphproof_harness::context::{Launch, StepContext};
use graphproof_harness::error::{StepError, StepResult};
use graphproof_harness::finding::Id;
use graphproof_harness::step::{BufferSpec, DType};

const N: usize = 32;
const BUFFERS: usize = 4;
const NODES: usize = 6;

/// SplitMix64.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*state ^ *state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb) ^ mixed >> 31
}

/// One node: on the side stream or the main one, a copy of `count` elements, after a wait for the other stream
/// or not.
#[derive(Debug, Clone, Copy)]
struct Link {
    side: bool,
    waits: bool,
    from: usize,
    to: usize,
    count: usize,
}

fn links(seed: u64) -> Vec<Link> {
    let mut state = seed;
    let mut draw = |below: u64| next(&mut state) % below;
    (0..NODES)
        .map(|_| {
            let (from, shift) = (draw(BUFFERS as u64) as usize, 1 + draw(BUFFERS as u64 - 1) as usize);
            let count = [N, N / 2][draw(2) as usize];
            Link { side: draw(2) == 1, waits: draw(3) == 0, from, to: (from + shift) % BUFFERS, count }
        })
        .collect()
}

/// Whether two nodes race, by the definition: `before[j]` has a bit for each node before node `j`.
fn races(links: &[Link]) -> bool {
    let mut before = [0u32; NODES];
    for j in 0..NODES {
        let mut earlier: Vec<usize> = (0..j).filter(|&i| links[i].side == links[j].side).collect();
        if links[j].waits {
            earlier.extend(0..j);
        }
        // A wait of an earlier node of the same stream orders what comes after it too.
        for i in earlier {
            before[j] |= 1 << i | before[i];
        }
    }
    let overlap = |a: &Link, b: &Link| a.to == b.to || a.to == b.from || a.from == b.to;
    (0..NODES).any(|j| (0..j).any(|i| before[j] >> i & 1 == 0 && overlap(&links[i], &links[j])))
}

struct Side {
    stream: CUstream,
    events: [CUevent; 2],
}

// SAFETY: stream and event handles may be used from any thread.
unsafe impl Send for Side {}
// SAFETY: as above.
unsafe impl Sync for Side {}

fn side() -> Result<Side, StepError> {
    let (mut stream, mut events) = (std::ptr::null_mut(), [std::ptr::null_mut(); 2]);
    // SAFETY: the pointers are to locals.
    let made = unsafe {
        [
            sys::cuStreamCreate(&mut stream, 1),
            sys::cuEventCreate(&mut events[0], 2),
            sys::cuEventCreate(&mut events[1], 2),
        ]
    };
    assert!(made.iter().all(|&code| code == sys::CUresult::CUDA_SUCCESS), "{made:?}");
    Ok(Side { stream, events })
}

/// Lets `to` wait for `from`.
fn wait(cx: &mut StepContext<'_>, event: CUevent, from: CUstream, to: CUstream) -> StepResult<()> {
    // SAFETY: handles that are alive.
    let (recorded, waited) = unsafe { (sys::cuEventRecord(event, from), sys::cuStreamWaitEvent(to, event, 0)) };
    cx.check("cuEventRecord", recorded)?;
    cx.check("cuStreamWaitEvent", waited)
}

fn step(links: Vec<Link>) -> TestStep {
    let names = || (0..BUFFERS).map(|buffer| format!("b{buffer}"));
    let mut buffers = vec![BufferSpec::input("in", DType::F32, [N]), BufferSpec::output("out", DType::F32, [N])];
    buffers.extend(names().map(|name| BufferSpec::scratch(name, DType::F32, [N])));
    let own = OnceLock::new();
    TestStep::new(buffers, move |cx| {
        if own.get().is_none() {
            let _ = own.set(side()?);
        }
        let Some(Side { stream, events }) = own.get() else { return Err(StepError::other("no stream")) };
        let main = cx.stream();
        for buffer in 0..BUFFERS {
            cx.copy(&format!("b{buffer}"), "in")?;
        }
        wait(cx, events[0], main, *stream)?;
        for link in &links {
            let (own, other) = if link.side { (*stream, main) } else { (main, *stream) };
            if link.waits {
                wait(cx, events[1], other, own)?;
            }
            let copy = Launch::new("copy_elements").block([N as u32, 1, 1]);
            let copy = copy.buffer(format!("b{}", link.from)).buffer(format!("b{}", link.to));
            cx.launch_on(own, copy.value(link.count as u32))?;
        }
        wait(cx, events[1], *stream, main)?;
        cx.copy("out", "in")
    })
}

#[test]
fn a_race_is_told_where_there_is_one_and_only_there() {
    let (mut with, mut without) = (0, 0);
    for seed in 0..40 {
        let links = links(seed);
        let races = races(&links);
        let outcome = judge(step(links.clone()), 2);
        let told = outcome.report.findings.iter().any(|finding| finding.id == Id::L05);
        assert_eq!(told, races, "seed {seed}: {links:#?}\n{:#?}", outcome.report.findings);
        *(if races { &mut with } else { &mut without }) += 1;
    }
    assert!(with >= 5 && without >= 5, "{with} with a race, {without} without");
}
