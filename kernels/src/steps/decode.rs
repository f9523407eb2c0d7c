//! The decode lanes: append to the index cache, dense or in pages, and score it over the whole chip, select, advance.

use graphproof_harness::context::{Launch, StepContext};
use graphproof_harness::error::StepResult;
use graphproof_harness::rng::Stream;
use graphproof_harness::step::{BufferSpec, DType, HostBuffers};

use super::lane::{Lane, extents};
use crate::inputs;
use crate::layout;
use crate::shape::Shape;

/// Where a row of several blocks lists the keys that can be among its best.
const PASSED: &str = "passed";
/// Which page has which slots of a row.
pub(crate) const TABLE: &str = "block_table";
/// In a block table: no page yet.
pub(crate) const NO_PAGE: u32 = u32::MAX;
/// Steps for which a row keeps its pages.
const KEEPS_PAGES: u64 = 4;
/// A position that is neither near topk nor near the end of the default cache.
const FEW: u32 = 256;

pub(super) fn buffers(lane: Lane, shape: &Shape) -> Vec<BufferSpec> {
    let [_, sk, b, h, d, topk] = extents(shape);
    let (page, row, all) = (shape.page as usize, layout::row_pages(shape) as usize, layout::pages(shape) as usize);
    let cache = match lane {
        Lane::DecodePaged => {
            [BufferSpec::input(TABLE, DType::U32, [b, row]), BufferSpec::state("pages", DType::Bf16, [all, page, d])]
                .to_vec()
        }
        _ => vec![BufferSpec::state("cache", DType::Bf16, [sk, b, d])],
    };
    let splits = layout::splits(shape) as usize;
    let mut buffers = vec![
        BufferSpec::input("q", DType::Bf16, [1, b, h, d]),
        BufferSpec::input("w", DType::F32, [1, b, h]),
        BufferSpec::input("new_key", DType::Bf16, [1, b, d]),
        BufferSpec::input("start", DType::I32, [b, 1]),
        BufferSpec::input("end", DType::I32, [b, 1]),
        BufferSpec::state("position", DType::U32, [b]),
        BufferSpec::scratch("candidates", DType::U32, [b, sk]),
        BufferSpec::scratch("split_max", DType::F32, [b, splits]),
        BufferSpec::scratch("split_sum", DType::F32, [b, splits]),
        BufferSpec::scratch("split_bound", DType::U32, [b, splits]),
        BufferSpec::scratch("tally", DType::U32, [b, 4]),
        BufferSpec::output("index", DType::I32, [b, 1, topk]),
        BufferSpec::output("score", DType::Bf16, [b, 1, topk]),
        BufferSpec::output("max", DType::F32, [b, 1]),
        BufferSpec::output("sum_exp", DType::F32, [b, 1]),
        BufferSpec::output("bits", DType::U32, [b, 1, layout::mask_words(shape) as usize]),
    ];
    if layout::decode_select(shape).0 > 1 {
        buffers.push(BufferSpec::scratch(PASSED, DType::U64, [b, sk]));
    }
    // Behind the other inputs.
    buffers.splice(5..5, cache);
    buffers
}

/// Where the position of `batch` starts: just before the cache wraps round, at an empty cache,
/// before topk, or before a few hundred keys; seed and batch choose.
fn first_position(shape: &Shape, seed: u64, batch: u64) -> u32 {
    let last = shape.sk - 1;
    match seed.wrapping_add(batch) % 4 {
        0 => last - last / 16,
        1 => 0,
        2 => shape.topk.saturating_sub(8).min(last),
        _ => FEW.saturating_sub(8).min(last),
    }
}

/// What an engine's block table holds in step `index`: pages for the slots that have keys in the end, which are others
/// every few steps, as behind a preemption.
pub(super) fn fill_table(shape: &Shape, index: u64, seed: u64, inputs: &mut HostBuffers) -> StepResult<()> {
    let row = layout::row_pages(shape) as usize;
    let mut free: Vec<u32> = (0..layout::pages(shape)).collect();
    let random = Stream::new(seed, [index / KEEPS_PAGES, u64::from(NO_PAGE)]);
    for at in (1..free.len()).rev() {
        free.swap(at, random.below(at as u64, at as u32 + 1) as usize);
    }
    let table = inputs.slice_mut::<u32>(TABLE)?;
    for (batch, (entries, pages)) in table.chunks_mut(row).zip(free.chunks(row)).enumerate() {
        let keys = u64::from(first_position(shape, seed, batch as u64)) + index + 1;
        let held = keys.min(u64::from(shape.sk)).div_ceil(u64::from(shape.page)) as usize;
        entries.fill(NO_PAGE);
        entries[..held].copy_from_slice(&pages[..held]);
    }
    Ok(())
}

pub(super) fn init_state(lane: Lane, shape: &Shape, seed: u64, state: &mut HostBuffers) -> StepResult<()> {
    let cache = if lane == Lane::DecodePaged { "pages" } else { "cache" };
    inputs::fill_cache(seed, state.slice_mut(cache)?);
    for (batch, position) in state.slice_mut::<u32>("position")?.iter_mut().enumerate() {
        *position = first_position(shape, seed, batch as u64);
    }
    Ok(())
}

pub(super) fn record(lane: Lane, shape: &Shape, cx: &mut StepContext<'_>) -> StepResult<()> {
    let keys: &[&str] = if lane == Lane::DecodePaged { &["pages", TABLE] } else { &["cache"] };
    record_on(keys, shape, cx)
}

/// The step on the cache in one buffer, or in pages and the block table in two.
pub(crate) fn record_on(keys: &[&str], shape: &Shape, cx: &mut StepContext<'_>) -> StepResult<()> {
    let Shape { sk, b, h, d, topk, page, .. } = *shape;
    let splits = layout::splits(shape);
    let paged = keys.len() > 1;
    let kernel = if paged { "decode_paged" } else { "decode_score" };
    let score = Launch::new(format!("{kernel}_d{d}_h{}", layout::decode_heads(shape)))
        .grid([splits, b, 1])
        .block([layout::DECODE_THREADS, 1, 1])
        .shared(layout::decode_score_shared(shape));
    let score = keys.iter().fold(score.buffer("q"), |score, name| score.buffer(*name));
    let score = ["new_key", "w", "start", "end", "position"].into_iter().fold(score, Launch::buffer);
    let score = ["candidates", "split_max", "split_sum", "split_bound", "tally", "bits"]
        .into_iter()
        .fold(score, Launch::buffer);
    let split = layout::split_keys(shape);
    cx.launch(match paged {
        true => [sk, h, split, topk, page, layout::pages(shape)].into_iter().fold(score, Launch::value),
        false => [sk, b, h, split, topk].into_iter().fold(score, Launch::value),
    })?;
    // Last: it advances the position, whose old value the other one reads.
    let (parts, threads) = layout::decode_select(shape);
    let passed = if parts > 1 { PASSED } else { "candidates" };
    let select = Launch::new("decode_select")
        .grid([parts + 1, b, 1])
        .block([threads, 1, 1])
        .shared(layout::decode_select_shared(shape));
    let select = ["candidates", passed, "split_max", "split_sum", "split_bound", "tally"]
        .into_iter()
        .fold(select, Launch::buffer);
    let select = ["index", "score", "max", "sum_exp", "bits", "position"].into_iter().fold(select, Launch::buffer);
    cx.launch([splits, sk, topk].into_iter().fold(select, Launch::value))
}

#[cfg(test)]
mod tests {
    use graphproof_harness::step::Role;

    use super::*;

    #[test]
    fn a_block_table_names_each_page_once_and_those_of_keys_alone() {
        let shape = Shape { sk: 1000, b: 3, page: 128, ..Shape::default() };
        let table = |index| {
            let mut images = HostBuffers::zeroed(&buffers(Lane::DecodePaged, &shape), |role| role == Role::Input);
            fill_table(&shape, index, 1, &mut images).unwrap();
            images.slice::<u32>(TABLE).unwrap().to_vec()
        };
        // Batch 0 begins at an empty cache, batch 1 before topk, batch 2 before 256.
        let first = table(0);
        let held =
            |table: &[u32]| table.chunks(8).map(|row| row.iter().filter(|&&page| page != NO_PAGE).count()).collect();
        let counts: Vec<usize> = held(&first);
        assert_eq!(counts, [1, 1, 2]);
        let counts: Vec<usize> = held(&table(900));
        assert_eq!(counts, [8, 8, 8]);
        let mut named: Vec<u32> = first.iter().copied().filter(|&page| page != NO_PAGE).collect();
        named.sort_unstable();
        named.dedup();
        assert_eq!(named.len(), 4);
        assert!(named.iter().all(|&page| page < 24));
        assert_eq!(table(3), first);
        assert_ne!(table(4), first);
    }

    #[test]
    fn positions_start_near_every_boundary() {
        let shape = Shape { b: 4, ..Shape::default() };
        assert_eq!([0, 1, 2, 3].map(|batch| first_position(&shape, 0, batch)), [480, 0, 56, 248]);
        let tiny = Shape { sk: 1, topk: 1, ..shape };
        assert_eq!([0, 1, 2, 3].map(|batch| first_position(&tiny, 0, batch)), [0; 4]);
    }
}
