//! Closed forms of device memory, at any shape and without a device.

use std::fmt;

use crate::layout;
use crate::shape::Shape;
use crate::steps::Lane;

/// One term of a lane's memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Term {
    /// What it is: the buffer's name, or what the formula describes.
    pub what: &'static str,
    /// The formula, in extents and bytes of an element: `sq·b·h·sk·4`.
    pub formula: &'static str,
    /// Its value in bytes.
    pub bytes: u128,
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} = {:.1} MiB", self.what, self.formula, mebibytes(self.bytes))
    }
}

/// A size in MiB.
pub fn mebibytes(bytes: u128) -> f64 {
    bytes as f64 / (1u64 << 20) as f64
}

/// What one lane needs at one shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemoryStory {
    /// The lane.
    pub lane: Lane,
    /// The shape.
    pub shape: Shape,
    /// Every buffer of the step, in order; their sum is [`bytes`](Self::bytes).
    pub buffers: Vec<Term>,
    /// Figures that published comparisons use, not part of the sum.
    pub published: Vec<Term>,
}

impl MemoryStory {
    /// Bytes of all buffers.
    pub fn bytes(&self) -> u128 {
        self.buffers.iter().map(|term| term.bytes).sum()
    }

    /// Bytes of the term called `what`, of either list.
    pub fn term(&self, what: &str) -> Option<u128> {
        self.buffers.iter().chain(&self.published).find(|term| term.what == what).map(|term| term.bytes)
    }

    /// The sum in words: `slab sq·b·h·sk·4 + scores b·sq·sk·4 + …`.
    pub fn formula(&self) -> String {
        let terms: Vec<String> = self.buffers.iter().map(|term| format!("{} {}", term.what, term.formula)).collect();
        terms.join(" + ")
    }
}

/// The closed forms of `lane` at `shape`, which need not be one that can be run.
pub fn memory_story(lane: Lane, shape: &Shape) -> MemoryStory {
    let [sq, sk, b, h, d, topk] = [shape.sq, shape.sk, shape.b, shape.h, shape.d, shape.topk].map(u128::from);
    let words = u128::from(layout::mask_words(shape));
    let mut buffers = Vec::new();
    let mut published = Vec::new();
    let mut term = |what, formula, bytes| buffers.push(Term { what, formula, bytes });
    match lane {
        Lane::Decode | Lane::DecodePaged => {
            let splits = u128::from(layout::splits(shape));
            let (parts, _) = layout::decode_select(shape);
            term("q", "b·h·d·2", b * h * d * 2);
            term("w", "b·h·4", b * h * 4);
            term("new key", "b·d·2", b * d * 2);
            term("limits", "2·b·4", 2 * b * 4);
            if lane == Lane::DecodePaged {
                let pages = u128::from(layout::row_pages(shape));
                term("block table", "b·⌈sk/page⌉·4", b * pages * 4);
                term("pages", "b·⌈sk/page⌉·page·d·2", b * pages * u128::from(shape.page) * d * 2);
            } else {
                term("index cache", "sk·b·d·2", sk * b * d * 2);
            }
            term("position", "b·4", b * 4);
            term("candidates", "b·sk·4", b * sk * 4);
            if parts > 1 {
                term("passed", "b·sk·8", b * sk * 8);
            }
            term("split statistics and bounds", "b·splits·12", b * splits * 12);
            term("tally", "b·16", b * 16);
            term("kept outputs", "b·topk·6", b * topk * 6);
            term("running max and sum", "b·8", b * 8);
            term("bit mask", "b·⌈sk/32⌉·4", b * words * 4);
        }
        _ => {
            term("q", "sq·b·h·d·2", sq * b * h * d * 2);
            term("k", "sk·b·d·2", sk * b * d * 2);
            term("w", "sq·b·h·4", sq * b * h * 4);
            term("limits", "2·b·sq·4", 2 * b * sq * 4);
            term("kept outputs", "b·sq·topk·6", b * sq * topk * 6);
        }
    }
    match lane {
        Lane::Materialized => {
            term("slab", "sq·b·h·sk·4", sq * b * h * sk * 4);
            term("scores", "b·sq·sk·4", b * sq * sk * 4);
            term("additive mask", "b·sq·sk·4", b * sq * sk * 4);
            published.push(Term { what: "slab in bf16", formula: "sq·b·h·sk·2", bytes: sq * b * h * sk * 2 });
        }
        Lane::Streamed => {
            term("scores", "b·sq·sk·4", b * sq * sk * 4);
            term("additive mask", "b·sq·sk·4", b * sq * sk * 4);
        }
        Lane::Fused | Lane::FusedMma | Lane::FusedWgmma | Lane::FusedFp8 => {
            if lane == Lane::FusedFp8 {
                term("q in e4m3", "sq·b·h·d", sq * b * h * d);
                term("k in e4m3", "sk·b·d", sk * b * d);
                term("scaled w", "sq·b·h·4", sq * b * h * 4);
                term("scales of k", "sk·b·4", sk * b * 4);
            }
            term("running max and sum", "b·sq·8", b * sq * 8);
            term("bit mask", "b·sq·⌈sk/32⌉·4", b * sq * words * 4);
        }
        Lane::Decode | Lane::DecodePaged => {}
    }
    MemoryStory { lane, shape: *shape, buffers, published }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u128 = 1 << 20;

    #[test]
    fn the_published_figures_follow_from_the_formulas() {
        for (length, slab, kept) in [(65_536, 8192, 384), (131_072, 32_768, 768)] {
            let shape = Shape { sq: length, sk: length, b: 1, h: 1, d: 128, topk: 1024, ..Shape::default() };
            let materialized = memory_story(Lane::Materialized, &shape);
            assert_eq!(materialized.term("slab in bf16"), Some(slab * MIB));
            assert_eq!(materialized.term("slab"), Some(2 * slab * MIB));
            assert_eq!(memory_story(Lane::Fused, &shape).term("kept outputs"), Some(kept * MIB));
        }
    }

    #[test]
    fn the_formula_names_every_term() {
        let story = memory_story(Lane::Streamed, &Shape::default());
        assert_eq!(
            story.formula(),
            "q sq·b·h·d·2 + k sk·b·d·2 + w sq·b·h·4 + limits 2·b·sq·4 + kept outputs b·sq·topk·6 \
             + scores b·sq·sk·4 + additive mask b·sq·sk·4"
        );
        assert_eq!(story.bytes(), 65_536 + 65_536 + 2048 + 512 + 24_576 + 131_072 + 131_072);
    }
}
