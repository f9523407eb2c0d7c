//! Group 1: a validation of the picks synchronises.
//!
//! Planted: after the fused lane, `if any(index < 0)` on the host: a copy of the picks into pinned memory
//! and a synchronisation of the stream.
//! Stands for: DatasunriseOU/cppmega upstream_prs/01, `torch.any` in `_scatter_topk_into_index_mask`.
//! Found by: the capture, at the synchronisation. Clean twin: trusts the device.

use crate::faults::prelude::*;

/// See the file.
pub const FAULT: Fault = Fault {
    row: "G01",
    name: "validation-reads-back",
    group: Group::Indexer,
    title: "validates the picks on the host",
    stands_for: "DatasunriseOU/cppmega upstream_prs/01",
    expected: Expected::new(Id::S01, Check::Capture),
    sticky: None,
    hangs: false,
    step,
    file: file!(),
};

fn step(variant: Variant) -> Planted {
    let plant = Plant::indexer(FAULT.name, Lane::Fused)?;
    let lane = plant.ground();
    let staging: Mutex<Option<raw::Pinned>> = Mutex::new(None);
    plant
        .record(move |cx| {
            lane.record(cx)?;
            if !variant.planted() {
                return Ok(());
            }
            let mut staging = locked(&staging);
            if staging.is_none() {
                *staging = Some(raw::Pinned::new(128).map_err(|error| StepError::Other(format!("{error:?}")))?);
            }
            let Some(staging) = staging.as_mut() else { return Ok(()) };
            let (index, stream) = (cx.address("index")?, cx.stream());
            cx.check("cuMemcpyDtoHAsync_v2", raw::download_async(staging.bytes_mut(), index, stream))?;
            cx.check("cuStreamSynchronize", raw::stream_synchronize(stream))?;
            let missing = staging.bytes().chunks_exact(4).any(|word| word[3] & 0x80 != 0);
            std::hint::black_box(missing);
            Ok(())
        })
        .step()
}
