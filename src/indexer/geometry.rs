//! What each lane needs at the lengths of published comparisons: by closed form, and measured.

use graphproof_harness::cuda::Session;
use graphproof_harness::geometry::{self, Measured};
use graphproof_kernels::memory::{self, memory_story};
use graphproof_kernels::shape::PAGE;
use graphproof_kernels::{Lane, Shape};

use crate::receipt::{Geometry, Term};

/// The lanes whose memory grows with the length in ways worth comparing.
pub const LANES: [Lane; 3] = [Lane::Materialized, Lane::Streamed, Lane::Fused];
/// Queries and keys of a batch.
pub const LENGTHS: [u32; 2] = [65_536, 131_072];
/// One batch, one head, d = 128 and topk = 1024: published figures are per head.
const ONE_HEAD: Shape = Shape { sq: 0, sk: 0, b: 1, h: 1, d: 128, topk: 1024, page: PAGE };

/// The geometry of [`LANES`] at [`LENGTHS`], for one head and for the batches and heads of each of
/// the `shapes` that were run. Where the device has the memory, every buffer is allocated, the
/// driver's high-water mark read, and everything freed; nothing is executed. What could not be
/// measured says why.
pub fn geometry(session: &Session, shapes: &[Shape]) -> Vec<Geometry> {
    let mut bases = vec![ONE_HEAD];
    for shape in shapes {
        let base = Shape { b: shape.b, h: shape.h, ..ONE_HEAD };
        if !bases.contains(&base) {
            bases.push(base);
        }
    }
    let at = |base: Shape| LENGTHS.map(|length| Shape { sq: length, sk: length, ..base });
    let shapes = bases.into_iter().flat_map(at);
    shapes.flat_map(|shape| LANES.map(|lane| (lane, shape))).map(|(lane, shape)| one(session, lane, shape)).collect()
}

fn one(session: &Session, lane: Lane, shape: Shape) -> Geometry {
    let story = memory_story(lane, &shape);
    let (measured, not_measured) = match geometry::measure(session, &lane.buffers(&shape)) {
        Ok(Measured::HighWater(bytes)) => (Some(bytes), None),
        Ok(Measured::TooLittle(why)) => (None, Some(why)),
        Err(error) => (None, Some(error.to_string())),
    };
    Geometry {
        step: lane.name().to_owned(),
        shape: shape.to_string(),
        length: u64::from(shape.sk),
        closed_form: bytes(story.bytes()),
        formula: story.formula(),
        terms: story.buffers.iter().map(term).collect(),
        published: story.published.iter().map(term).collect(),
        measured,
        not_measured,
    }
}

fn term(term: &memory::Term) -> Term {
    Term { what: term.what.to_owned(), formula: term.formula.to_owned(), bytes: bytes(term.bytes) }
}

/// The largest shape needs less than 2^63 bytes.
fn bytes(bytes: u128) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}
