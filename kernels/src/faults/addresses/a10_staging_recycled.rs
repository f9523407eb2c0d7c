//! A10: a pinned staging buffer is freed while a graph copies from it.
//!
//! Planted: the host allocates fresh staging for each step and frees the last; the captured copy keeps
//! the address of the first.
//! Stands for: microsoft/onnxruntime#32121 and PaddlePaddle/Paddle#78568.
//! Found by: the addresses, before the replay. Clean twin: one staging buffer, written anew.

use crate::faults::prelude::*;

/// See the file.
pub const FAULT: Fault = Fault {
    row: "A10",
    name: "staging-recycled",
    group: Group::Addresses,
    title: "frees pinned staging that the graph copies from",
    stands_for: "microsoft/onnxruntime#32121",
    expected: Expected::new(Id::A10, Check::Addresses),
    sticky: None,
    hangs: false,
    step,
    file: file!(),
};

fn step(variant: Variant) -> Planted {
    let staging: Arc<Mutex<Option<raw::Pinned>>> = Arc::default();
    let owner = Arc::clone(&staging);
    Plant::small(FAULT.name)?
        .with([BufferSpec::scratch("factor", DType::F32, [1])])
        .prepare(move |index, cx| {
            let mut staging = locked(&owner);
            let fresh = variant.planted() && cx.phase() == Phase::Eager;
            if fresh || staging.is_none() {
                let new = raw::Pinned::new(4).map_err(|error| StepError::Other(format!("{error:?}")))?;
                if let Some(old) = staging.replace(new) {
                    cx.check("cuMemFreeHost", old.free())?;
                }
            }
            if let Some(staging) = staging.as_ref() {
                staging.poke(varied(index, 0, 0).to_bits());
            }
            Ok(())
        })
        .record(move |cx| {
            let (factor, stream) = (cx.address("factor")?, cx.stream());
            let staging = locked(&staging);
            let staging = staging.as_ref().ok_or_else(|| StepError::Other("no staging buffer".to_owned()))?;
            cx.check("cuMemcpyHtoDAsync_v2", raw::upload_async(factor, staging.bytes(), stream))?;
            cx.launch(Launch::new("scale_by").block([N, 1, 1]).buffer("x").buffer("y").buffer("factor").value(N))
        })
        .step()
}
