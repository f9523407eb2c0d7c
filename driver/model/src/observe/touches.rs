//! The bytes that copies, fills and memory operations touch; kernels tell theirs themselves.

use graphproof_exec::{Access, Span};

use crate::memory::memory;
use crate::params::{CopyParams, End};
use crate::work::{MemsetWork, NodeParams};

/// Rows told apart; of a copy with more, the padding between them counts too.
const MOST_ROWS: usize = 1 << 14;

/// What work touches that is no kernel.
pub(crate) fn spans_of(params: &NodeParams) -> Vec<Span> {
    match params {
        NodeParams::Memcpy(work) => copy_spans(&work.params, work.staged.is_some()),
        NodeParams::Memset(work) => fill_spans(work),
        // The operations of a stream on memory are strong (PTX ISA: as `.relaxed` at least).
        NodeParams::BatchMemOp(operations) => operations
            .iter()
            .filter(|operation| operation.check_kind().is_ok())
            .filter_map(|operation| operation.place())
            .map(|(address, len)| Span { address, len, access: Access::Atomic })
            .collect(),
        _ => Vec::new(),
    }
}

/// What a copy touches; the source of a `staged` one was read at the call.
pub(crate) fn copy_spans(copy: &CopyParams, staged: bool) -> Vec<Span> {
    let [width, height, depth] = copy.extent;
    if height == 0 || depth == 0 {
        return Vec::new();
    }
    let side = |end: &End, access| {
        let [x, y, z] = end.at;
        let Some(base) = end.base() else {
            let part = memory().space.part_of_array(end.array, end.at, copy.extent);
            return part.map_or_else(Vec::new, |(first, row, slice)| block(first, copy.extent, [row, slice], access));
        };
        let pitch = if end.pitch == 0 { x + width } else { end.pitch };
        let rows = if end.rows == 0 { y + height } else { end.rows };
        let first = base + (z * pitch * rows + y * pitch + x) as u64;
        block(first, copy.extent, [pitch, pitch * rows], access)
    };
    let write = side(&copy.dst, Access::Write);
    if staged { write } else { [side(&copy.src, Access::Read), write].concat() }
}

fn fill_spans(work: &MemsetWork) -> Vec<Span> {
    let width = work.width * work.element_size as usize;
    block(work.dst, [width, work.height, 1], [work.pitch, 0], Access::Write)
}

/// The rows of a block of memory, joined where they lie side by side.
fn block(first: u64, [width, height, depth]: [usize; 3], [pitch, slice]: [usize; 2], access: Access) -> Vec<Span> {
    if width == 0 || height == 0 {
        return Vec::new();
    }
    let whole = ((depth - 1) * slice + (height - 1) * pitch + width) as u64;
    let dense = (height == 1 || pitch == width) && (depth == 1 || slice == width * height);
    if dense || height.saturating_mul(depth) > MOST_ROWS {
        return vec![Span { address: first, len: whole, access }];
    }
    let rows = (0..depth).flat_map(|z| (0..height).map(move |y| (z * slice + y * pitch) as u64));
    rows.map(|at| Span { address: first + at, len: width as u64, access }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_side_by_side_are_one_span_and_others_are_not() {
        let spans = |pitch| block(100, [4, 3, 1], [pitch, 0], Access::Write);
        assert_eq!(spans(4), [Span { address: 100, len: 12, access: Access::Write }]);
        let starts: Vec<u64> = spans(10).iter().map(|span| span.address).collect();
        assert_eq!(starts, [100, 110, 120]);
        assert!(block(100, [0, 3, 1], [4, 0], Access::Write).is_empty());
    }
}
