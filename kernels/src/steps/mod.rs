//! The indexer step in its lanes, as [`Step`]s that the harness judges.

pub(crate) mod decode;
mod fp8;
mod fused;
mod lane;
mod materialized;
mod streamed;
mod tail;

use graphproof_harness::context::StepContext;
use graphproof_harness::error::StepResult;
use graphproof_harness::step::{BufferSpec, ClosedForm, HostBuffers, Module, Step};

pub use lane::Lane;

use crate::error::KernelsError;
use crate::inputs::{self, Extents};
use crate::layout::WGMMA_HEADS;
use crate::memory::memory_story;
use crate::ptx::{self, PtxSource};
use crate::shape::{Shape, ShapeError};

/// One lane at one shape, with its PTX.
#[derive(Debug, Clone)]
pub struct IndexerStep {
    lane: Lane,
    shape: Shape,
    modules: Vec<Module>,
}

impl IndexerStep {
    /// Checks the shape and gets the lane's PTX. The decode lane has one query row, whatever
    /// `shape.sq` says.
    ///
    /// # Errors
    /// A shape that cannot be run; stale PTX; no NVRTC, or a source that does not compile.
    pub fn new(lane: Lane, shape: &Shape, source: PtxSource) -> Result<Self, KernelsError> {
        shape.validate()?;
        if Lane::HOPPER.contains(&lane) && shape.h > WGMMA_HEADS {
            return Err(ShapeError::TooLarge { name: "h", value: shape.h, most: WGMMA_HEADS }.into());
        }
        for spec in lane.buffers(shape) {
            if spec.bytes().is_none_or(|bytes| i64::try_from(bytes).is_err()) {
                return Err(ShapeError::Overflow { buffer: spec.name.into_owned(), shape: *shape }.into());
            }
        }
        let modules = lane.modules().iter().map(|stem| ptx::module(stem, source)).collect::<Result<_, _>>()?;
        let shape = if lane.decodes() { Shape { sq: 1, ..*shape } } else { *shape };
        Ok(IndexerStep { lane, shape, modules })
    }

    /// The lane.
    pub fn lane(&self) -> Lane {
        self.lane
    }

    /// The shape.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }
}

impl Step for IndexerStep {
    fn name(&self) -> &str {
        self.lane.name()
    }

    fn summary(&self) -> String {
        format!("{} ({})", self.lane.description(), self.shape)
    }

    fn modules(&self) -> Vec<Module> {
        self.modules.clone()
    }

    fn buffers(&self) -> Vec<BufferSpec> {
        self.lane.buffers(&self.shape)
    }

    fn fill_inputs(&self, index: u64, seed: u64, inputs: &mut HostBuffers) -> StepResult<()> {
        let shape = &self.shape;
        match self.lane {
            Lane::Decode | Lane::DecodePaged => {
                let extents = Extents { sq: 1, sk: 1, first_key: index, visible: shape.sk };
                inputs::fill_step(index, seed, shape, extents, "new_key", inputs)?;
                if self.lane == Lane::DecodePaged { decode::fill_table(shape, index, seed, inputs) } else { Ok(()) }
            }
            _ => {
                let extents = Extents { sq: shape.sq as usize, sk: shape.sk as usize, first_key: 0, visible: shape.sk };
                inputs::fill_step(index, seed, shape, extents, "k", inputs)
            }
        }
    }

    /// A warm-up batch: no row has a key.
    fn fill_dummy(&self, inputs: &mut HostBuffers) -> StepResult<bool> {
        inputs.slice_mut::<i32>("start")?.fill(0);
        inputs.slice_mut::<i32>("end")?.fill(0);
        Ok(true)
    }

    fn init_state(&self, seed: u64, state: &mut HostBuffers) -> StepResult<()> {
        match self.lane {
            lane if lane.decodes() => decode::init_state(lane, &self.shape, seed, state),
            _ => Ok(()),
        }
    }

    fn record(&self, cx: &mut StepContext<'_>) -> StepResult<()> {
        match self.lane {
            Lane::Materialized => materialized::record(&self.shape, cx),
            Lane::Streamed => streamed::record(&self.shape, cx),
            Lane::Fused | Lane::FusedMma | Lane::FusedWgmma => fused::record(self.lane, &self.shape, cx),
            Lane::FusedFp8 => fp8::record(&self.shape, cx),
            Lane::Decode | Lane::DecodePaged => decode::record(self.lane, &self.shape, cx),
        }
    }

    fn closed_form(&self) -> Option<ClosedForm> {
        let story = memory_story(self.lane, &self.shape);
        Some(ClosedForm { formula: story.formula(), bytes: u64::try_from(story.bytes()).ok()? })
    }
}

/// The default suite: the four lanes of the indexer step.
///
/// # Errors
/// As for [`IndexerStep::new`].
pub fn suite(shape: &Shape, source: PtxSource) -> Result<Vec<Box<dyn Step>>, KernelsError> {
    Lane::SUITE.iter().map(|&lane| Ok(Box::new(IndexerStep::new(lane, shape, source)?) as Box<dyn Step>)).collect()
}

/// The step called `name`.
///
/// # Errors
/// An unknown name, and as for [`IndexerStep::new`].
pub fn step(name: &str, shape: &Shape, source: PtxSource) -> Result<Box<dyn Step>, KernelsError> {
    Ok(Box::new(IndexerStep::new(name.parse()?, shape, source)?))
}

#[cfg(test)]
mod tests {
    use graphproof_harness::step::Role;

    use super::*;

    #[test]
    fn the_closed_form_is_the_sum_of_the_buffers() {
        for shape in ["", "sq=3,sk=100,b=2,h=5,d=32,topk=7", "sq=1,sk=4096,h=64,d=128,topk=2048"] {
            let shape: Shape = shape.parse().unwrap();
            for lane in Lane::ALL {
                let step = IndexerStep::new(lane, &shape, PtxSource::Committed).unwrap();
                let bytes: usize = step.buffers().iter().map(|spec| spec.bytes().unwrap()).sum();
                assert_eq!(step.closed_form().unwrap().bytes, bytes as u64, "{} {shape}", lane.name());
            }
        }
    }

    #[test]
    fn inputs_depend_on_index_and_seed_only_and_vary() {
        for lane in Lane::ALL {
            let step = IndexerStep::new(lane, &Shape::default(), PtxSource::Committed).unwrap();
            let image = |index, seed| {
                let mut inputs = HostBuffers::zeroed(&step.buffers(), |role| role == Role::Input);
                step.fill_inputs(index, seed, &mut inputs).unwrap();
                inputs.names().flat_map(|name| inputs.bytes(name).unwrap().to_vec()).collect::<Vec<u8>>()
            };
            assert_eq!(image(3, 1), image(3, 1));
            assert_ne!(image(3, 1), image(3, 2));
            assert_ne!(image(3, 1), image(4, 1));
        }
    }

    #[test]
    fn an_unknown_step_lists_the_known_ones() {
        let error = step("dense", &Shape::default(), PtxSource::Committed).err().unwrap().to_string();
        assert_eq!(
            error,
            "no step is called 'dense'; the steps are materialized, streamed, fused, decode, fused-mma, fused-wgmma, \
             fused-fp8, decode-paged"
        );
    }

    #[test]
    fn more_heads_than_a_kernel_has_room_for_are_refused() {
        let shape = Shape { h: 65, ..Shape::default() };
        for lane in Lane::HOPPER {
            let error = step(lane.name(), &shape, PtxSource::Committed).err().unwrap().to_string();
            assert_eq!(error, "h=65 is more than the 64 that the kernels support");
        }
        assert!(step("fused", &shape, PtxSource::Committed).is_ok());
    }

    #[test]
    fn decode_has_one_query_row() {
        let step = step("decode", &Shape::default(), PtxSource::Committed).unwrap();
        assert!(step.summary().ends_with("(sq=1,sk=512,b=1,h=8,d=64,topk=64)"), "{}", step.summary());
    }

    #[test]
    fn a_buffer_that_overflows_is_named() {
        let shape = Shape { sq: i32::MAX as u32, sk: 1 << 20, b: 65_535, h: 1024, d: 128, topk: 1, ..Shape::default() };
        let error = step("materialized", &shape, PtxSource::Committed).err().unwrap().to_string();
        assert!(error.starts_with("the buffer '"), "{error}");
        assert!(error.contains("more bytes than a 64-bit address space"), "{error}");
    }
}
