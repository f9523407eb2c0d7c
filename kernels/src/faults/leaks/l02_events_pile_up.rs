//! L02: an event is made for every other step and never destroyed.
//!
//! Planted: the host makes an event before each second replay and keeps them all.
//! Stands for: pytorch/pytorch#190308, objects of abandoned captures that pile up.
//! Found by: regression over how many are alive. Clean twin: keeps four and destroys the oldest.

use crate::faults::prelude::*;

/// See the file.
pub const FAULT: Fault = Fault {
    row: "L02",
    name: "events-pile-up",
    group: Group::Leaks,
    title: "makes an event for every other step and destroys none",
    stands_for: "pytorch/pytorch#190308",
    expected: Expected::new(Id::L02, Check::Growth).by_record_only(),
    sticky: None,
    hangs: false,
    step,
    file: file!(),
};

fn step(variant: Variant) -> Planted {
    let kept: Mutex<Vec<raw::Event>> = Mutex::default();
    Plant::small(FAULT.name)?
        .prepare(move |index, cx| {
            if cx.phase() != Phase::Replay || !index.is_multiple_of(2) {
                return Ok(());
            }
            let mut kept = locked(&kept);
            kept.push(raw::Event::new()?);
            if !variant.planted() && kept.len() > 4 {
                cx.check("cuEventDestroy_v2", kept.remove(0).destroy())?;
            }
            Ok(())
        })
        .step()
}
