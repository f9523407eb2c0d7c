//! The indexer step in scalar Rust: what every lane must leave in its outputs, bit for bit.
//!
//! Written from the step's definition (sort, loops) and not from the kernels' algorithms (radix
//! select, tiles); only the order of floating-point operations is shared, because it is part of
//! the definition. The lanes on `wgmma` add up as Hopper's tensor cores do, which is written down
//! here; the portable lanes on tensor cores add up as the device at hand does: there the scores here
//! are an approximation, see [`close_enough`].

mod compare;
mod fp8;
mod score;
mod select;
mod statistics;
mod tensor_core;

use std::collections::BTreeMap;

use graphproof_harness::error::StepResult;
use graphproof_harness::step::HostBuffers;

pub use compare::{Mismatch, close_enough};
pub use score::{effective, row_scores};
pub use select::{Pick, pick};
pub use statistics::{Statistics, exp_nonpositive, of_row, of_splits, of_warpgroups};

use crate::layout;
use crate::shape::Shape;
use crate::steps::Lane;
use tensor_core::{Factor, Operands};

/// Bytes that outputs and states must hold after one step, by buffer name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expected {
    /// Buffer name → bytes, as in device memory.
    pub buffers: BTreeMap<&'static str, Vec<u8>>,
}

impl Expected {
    fn set<T: bytemuck::Pod>(&mut self, name: &'static str, cells: &[T]) {
        self.buffers.insert(name, bytemuck::cast_slice(cells).to_vec());
    }
}

/// One query row's limits, clamped as the kernels clamp them: `[low, high)` within `0..keys`.
pub fn clamp(start: i32, end: i32, keys: u32) -> (usize, usize) {
    let within = |value: i32| usize::try_from(value).unwrap_or(0).min(keys as usize);
    let (low, high) = (within(start), within(end));
    (low, high.max(low))
}

/// Effective scores of every row: [b, sq, sk] fp32, or [b, 1, sk] for the decode lane after its
/// append. -inf stands outside the limits and for NaN.
///
/// # Errors
/// A buffer that `inputs` does not hold: all inputs of the lane, and for decode its state.
pub fn scores(lane: Lane, shape: &Shape, inputs: &HostBuffers) -> StepResult<Vec<f32>> {
    let step = Images::read(lane, shape, inputs)?;
    Ok(step.rows().flat_map(|(batch, row)| step.row(batch, row)).collect())
}

/// What the lane's outputs, and states, must hold after one step on `inputs`, which hold the
/// images of the lane's inputs and, for decode, of its states before the step.
///
/// # Errors
/// A buffer that `inputs` does not hold.
pub fn expected(lane: Lane, shape: &Shape, inputs: &HostBuffers) -> StepResult<Expected> {
    let step = Images::read(lane, shape, inputs)?;
    let (keys, topk) = (shape.sk as usize, shape.topk as usize);
    let (mut index, mut score) = (Vec::new(), Vec::new());
    let (mut mask, mut bits) = (Vec::new(), Vec::new());
    let (mut max, mut sum) = (Vec::new(), Vec::new());
    for (batch, row) in step.rows() {
        let scores = step.row(batch, row);
        let picks = pick(&scores, topk);
        index.extend((0..topk).map(|i| picks.get(i).map_or(-1, |pick| pick.index as i32)));
        score.extend((0..topk).map(|i| picks.get(i).map_or(select::NO_SCORE, Pick::score_bits)));
        let statistics = match lane {
            Lane::Materialized | Lane::Streamed => {
                let first = mask.len();
                mask.resize(first + keys, f32::NEG_INFINITY);
                picks.iter().for_each(|pick| mask[first + pick.index] = 0.0);
                continue;
            }
            Lane::Fused => of_row(&scores, statistics::by_half_tile),
            Lane::FusedMma => of_row(&scores, statistics::by_pair),
            Lane::FusedWgmma | Lane::FusedFp8 => of_warpgroups(&scores),
            Lane::Decode | Lane::DecodePaged => of_splits(&scores, layout::split_keys(shape) as usize),
        };
        let first = bits.len();
        bits.resize(first + layout::mask_words(shape) as usize, 0u32);
        picks.iter().for_each(|pick| bits[first + pick.index / 32] |= 1 << (pick.index % 32));
        max.push(statistics.maximum);
        sum.push(statistics.sum);
    }
    let mut expected = Expected::default();
    expected.set("index", &index);
    expected.set("score", &score);
    match lane {
        Lane::Materialized | Lane::Streamed => expected.set("mask", &mask),
        Lane::Fused | Lane::FusedMma | Lane::FusedWgmma | Lane::FusedFp8 | Lane::Decode | Lane::DecodePaged => {
            expected.set("max", &max);
            expected.set("sum_exp", &sum);
            expected.set("bits", &bits);
        }
    }
    if lane.decodes() {
        let next: Vec<u32> = step.positions.iter().map(|position| position.wrapping_add(1)).collect();
        match &step.pages {
            Some(pages) => expected.set("pages", pages),
            None => expected.set("cache", &step.key_bits),
        }
        expected.set("position", &next);
    }
    Ok(expected)
}

/// The host images of one step, widened, with the decode lane's append already done.
struct Images {
    shape: Shape,
    queries: usize,
    q: Vec<f32>,
    k: Vec<f32>,
    key_bits: Vec<u16>,
    /// The cache in pages, as it is afterwards.
    pages: Option<Vec<u16>>,
    w: Vec<f32>,
    start: Vec<i32>,
    end: Vec<i32>,
    positions: Vec<u32>,
    /// Of a lane on `wgmma`.
    operands: Option<Operands>,
}

impl Images {
    fn read(lane: Lane, shape: &Shape, inputs: &HostBuffers) -> StepResult<Self> {
        let width = shape.b as usize * shape.d as usize;
        let mut pages = None;
        let (queries, key_bits, positions) = if lane.decodes() {
            let positions = inputs.slice::<u32>("position")?.to_vec();
            let fresh = inputs.slice::<u16>("new_key")?;
            let d = shape.d as usize;
            let slot = |position: u32| (position % shape.sk) as usize;
            let cache = if lane == Lane::DecodePaged {
                let mut all = inputs.slice::<u16>("pages")?.to_vec();
                let all_len = all.len();
                let table = inputs.slice::<u32>("block_table")?;
                let (page, row) = (shape.page as usize, layout::row_pages(shape) as usize);
                // Where a slot's key lies; none on a page that is not there.
                let place = |batch: usize, slot: usize| {
                    let first = table[batch * row + slot / page] as usize * page * d;
                    Some(first + slot % page * d).filter(|at| at + d <= all_len)
                };
                for (batch, &position) in positions.iter().enumerate() {
                    if let Some(at) = place(batch, slot(position)) {
                        all[at..][..d].copy_from_slice(&fresh[batch * d..][..d]);
                    }
                }
                let mut dense = vec![0u16; shape.sk as usize * width];
                for (at, key) in dense.chunks_mut(d).enumerate() {
                    if let Some(from) = place(at % shape.b as usize, at / shape.b as usize) {
                        key.copy_from_slice(&all[from..][..d]);
                    }
                }
                pages = Some(all);
                dense
            } else {
                let mut cache = inputs.slice::<u16>("cache")?.to_vec();
                for (batch, &position) in positions.iter().enumerate() {
                    cache[slot(position) * width + batch * d..][..d].copy_from_slice(&fresh[batch * d..][..d]);
                }
                cache
            };
            (1, cache, positions)
        } else {
            (shape.sq as usize, inputs.slice::<u16>("k")?.to_vec(), Vec::new())
        };
        let (q, k, w) = (score::widen(inputs.slice("q")?), score::widen(&key_bits), inputs.slice("w")?.to_vec());
        let factor = match lane {
            Lane::FusedWgmma => Some(Factor::Bf16),
            Lane::FusedFp8 => Some(Factor::E4m3),
            _ => None,
        };
        let operands = factor.map(|factor| Operands::new(factor, shape.d as usize, &q, &k, &w));
        Ok(Images {
            shape: *shape,
            queries,
            q,
            k,
            key_bits,
            pages,
            w,
            start: inputs.slice("start")?.to_vec(),
            end: inputs.slice("end")?.to_vec(),
            positions,
            operands,
        })
    }

    /// (batch, query row), in the order of the outputs.
    fn rows(&self) -> impl Iterator<Item = (usize, usize)> {
        let queries = self.queries;
        (0..self.shape.b as usize).flat_map(move |batch| (0..queries).map(move |row| (batch, row)))
    }

    /// Effective scores of one row, over all keys.
    fn row(&self, batch: usize, row: usize) -> Vec<f32> {
        let Shape { sk, b, h, d, .. } = self.shape;
        let (b, h, d) = (b as usize, h as usize, d as usize);
        // Slots of the cache that hold a key once the new one is there.
        let held = self.positions.get(batch).map_or(sk, |&position| position.saturating_add(1).min(sk));
        let cell = batch * self.queries + row;
        let (low, high) = clamp(self.start[cell], self.end[cell], held);
        let source = (row * b + batch) * h;
        let scores = match &self.operands {
            Some(operands) => (low..high).map(|key| operands.score(source, h, key * b + batch)).collect(),
            None => {
                let keys = &self.k[batch * d..];
                row_scores(&self.q[source * d..][..h * d], &self.w[source..][..h], keys, b * d, low..high)
            }
        };
        let mut row = vec![f32::NEG_INFINITY; sk as usize];
        for (cell, score) in row[low..high].iter_mut().zip(scores) {
            *cell = effective(score);
        }
        row
    }
}

#[cfg(test)]
mod tests;
