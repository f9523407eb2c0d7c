//! Group 23: the block table of a paged index cache is that of the capture.
//!
//! Planted: the host writes a row's block table before each eager step; for replays it wrote it once, before the step
//! that was captured. Every fourth step the row's pages are others.
//! Stands for: block tables of serving engines that are copied into a graph's own buffer at capture only, so that after a
//! preemption keys are read from, and appended to, pages of another sequence.
//! Found by: the bits. Clean twin: writes the table before each replay too.

use crate::faults::prelude::*;
use crate::layout;
use crate::steps::decode;

/// See the file.
pub const FAULT: Fault = Fault {
    row: "G23",
    name: "stale-block-table",
    group: Group::Indexer,
    title: "replays on the block table of the capture",
    stands_for: "block tables that are copied into a graph's own buffer at capture only",
    expected: Expected::new(Id::R01, Check::Bits),
    sticky: None,
    hangs: false,
    step,
    file: file!(),
};

/// The buffer that the graph has for the table.
const TABLE: &str = "graph_table";

fn step(variant: Variant) -> Planted {
    let plant = Plant::indexer(FAULT.name, Lane::DecodePaged)?;
    let shape = *plant.ground().shape();
    let pages = layout::row_pages(&shape);
    plant
        .with([BufferSpec::state(TABLE, DType::U32, [pages as usize])])
        .prepare(move |index, cx| {
            let written = cx.phase() == Phase::Eager || index == 0 || !variant.planted();
            let table: Vec<u32> = (0..pages).map(|page| (page + index as u32 / 4) % pages).collect();
            if written { cx.write(TABLE, bytemuck::cast_slice(&table)) } else { Ok(()) }
        })
        .record(move |cx| decode::record_on(&["pages", TABLE], &shape, cx))
        .step()
}
