//! L07: another host thread refills pinned memory that the replay in flight copies from.
//!
//! Planted: the thread writes the next step's factor into the one staging buffer that the graph's copy reads,
//! as soon as the replay is launched.
//! Stands for: input threads that fill the staging of the next step.
//! Found by: replays that are held until the thread is done. Clean twin: the thread writes to a buffer of its
//! own, which the host's work before the next step takes over.

use crate::faults::prelude::*;

/// See the file.
pub const FAULT: Fault = Fault {
    row: "L07",
    name: "thread-refills-staging",
    group: Group::Order,
    title: "lets another host thread refill pinned memory that the replay copies from",
    stands_for: "input threads that fill the staging of the next step",
    expected: Expected::new(Id::L07, Check::HostThreads),
    sticky: None,
    hangs: false,
    step,
    file: file!(),
};

fn step(variant: Variant) -> Planted {
    let parts: Arc<OnceLock<(raw::Pinned, u64)>> = Arc::default();
    let (filled, refilled) = (Arc::clone(&parts), Arc::clone(&parts));
    let next = Arc::new(AtomicU64::new(0));
    let planned = Arc::clone(&next);
    let factor_of = |index: u64| (1.0 + index as f32).to_bits();
    Plant::small(FAULT.name)?
        .prepare(move |index, _| {
            let (staging, _) = once(&filled, || {
                let staging = raw::Pinned::new(4).map_err(|error| StepError::other(format!("{error:?}")))?;
                Ok((staging, allocated(4)?))
            })?;
            let planned = planned.load(Ordering::Relaxed) as u32;
            // What the thread has planned is this step's; the first step's nobody has.
            staging.poke(if planned == factor_of(index) { planned } else { factor_of(index) });
            Ok(())
        })
        .record(move |cx| {
            let (staging, factor) = parts.get().ok_or_else(|| StepError::other("the host has filled nothing"))?;
            cx.check("cuMemcpyHtoDAsync", raw::upload_async(*factor, staging.bytes(), cx.stream()))?;
            cx.launch(Launch::new("scale_by").block([N, 1, 1]).buffer("x").buffer("y").value(*factor).value(N))
        })
        .beside_replay(move |index, cx| {
            cx.phase();
            next.store(u64::from(factor_of(index + 1)), Ordering::Relaxed);
            if variant.planted()
                && let Some((staging, _)) = refilled.get()
            {
                staging.poke(factor_of(index + 1));
            }
            Ok(())
        })
        .step()
}
