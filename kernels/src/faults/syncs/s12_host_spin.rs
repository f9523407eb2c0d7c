//! S12: the host spins on a flag that a kernel raises.
//!
//! Planted: the step clears a word of mapped host memory, launches a kernel that sets it, and spins.
//! No driver call waits, so no capture rule is broken; but a captured kernel does not run, and the
//! host spins for ever.
//! Stands for: hangs of captured processes in NVIDIA's dl-cuda-graph guide ("process hang").
//! Found by: the watchdog, in the capture. Clean twin: does not wait.

use crate::faults::prelude::*;

/// See the file.
pub const FAULT: Fault = Fault {
    row: "S12",
    name: "host-spin",
    group: Group::Syncs,
    title: "spins on a flag in mapped memory that a kernel raises",
    stands_for: "NVIDIA dl-cuda-graph guide, process hang",
    expected: Expected::new(Id::S12, Check::Execution),
    sticky: Some("the host never comes back from the capture"),
    hangs: true,
    step,
    file: file!(),
};

fn step(variant: Variant) -> Planted {
    let flag = OnceLock::new();
    Plant::small(FAULT.name)?
        .record(move |cx| {
            let flag = once(&flag, || {
                raw::Pinned::new(4096).map_err(|error| StepError::Other(format!("cuMemHostAlloc returned {error:?}")))
            })?;
            flag.poke(0);
            cx.launch(scale(3.0))?;
            cx.launch(Launch::new("raise_flag").value(flag.device_address()?))?;
            while variant.planted() && flag.peek() == 0 {
                std::thread::yield_now();
            }
            Ok(())
        })
        .step()
}
