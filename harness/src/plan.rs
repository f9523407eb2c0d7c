//! Checks a step's declaration before anything is allocated.

use std::collections::HashSet;
use std::sync::Arc;

use crate::error::RunError;
use crate::step::{BufferSpec, DType, Role, Step, Valid};

/// Of an allocation, in bytes.
const MOST_ALIGNED: usize = 2 << 20;

/// The step's buffers, checked, and the bytes of one set of them.
///
/// # Errors
/// A name twice, a size of zero or beyond `usize`, a contract that names a missing buffer.
pub fn check_specs(step: &dyn Step) -> Result<(Arc<[BufferSpec]>, u64), RunError> {
    let specs = step.buffers();
    let fail = |why: String| Err(RunError::Declaration(format!("step '{}': {why}", step.name())));
    let mut names = HashSet::new();
    let mut total = 0u64;
    for spec in &specs {
        if !names.insert(spec.name.as_ref()) {
            return fail(format!("buffer '{}' is declared twice", spec.name));
        }
        let shape = &spec.shape;
        let Some(bytes) = spec.bytes().filter(|&bytes| bytes <= isize::MAX as usize) else {
            return fail(format!("buffer '{}' of shape {shape:?} is too large for this machine", spec.name));
        };
        if bytes == 0 {
            return fail(format!("buffer '{}' of shape {shape:?} is empty", spec.name));
        }
        total = total.saturating_add(bytes as u64);
        if let Valid::Within { extents } = &spec.contract.valid
            && (extents.len() != shape.len() || extents.iter().zip(shape).any(|(extent, whole)| extent > whole))
        {
            return fail(format!("the contract of '{}' counts {extents:?} of the shape {shape:?}", spec.name));
        }
        let aligns = |align: &usize| align.is_power_of_two() && (spec.dtype.size()..=MOST_ALIGNED).contains(align);
        if let Some(align) = spec.align.filter(|align| !aligns(align)) {
            let (name, least) = (&spec.name, spec.dtype.size());
            return fail(format!(
                "'{name}' asks for an alignment of {align}; it is a power of two from {least} to 2 MiB"
            ));
        }
        if let Valid::RowPrefix { lengths } = &spec.contract.valid {
            let rows = bytes / spec.dtype.size() / shape.last().copied().unwrap_or(1);
            match specs.iter().find(|other| other.name == *lengths) {
                Some(other)
                    if other.elements() == Some(rows)
                        && matches!(other.dtype, DType::I32 | DType::U32)
                        && other.role != Role::Scratch => {}
                Some(_) => {
                    return fail(format!(
                        "the contract of '{}' takes its row lengths from '{lengths}', which must be i32 or u32 with \
                         {rows} elements and not scratch",
                        spec.name
                    ));
                }
                None => return fail(format!("the contract of '{}' names '{lengths}', which is no buffer", spec.name)),
            }
        }
    }
    if !specs.iter().any(|spec| matches!(spec.role, Role::Output | Role::State)) {
        return fail("it declares no output and no state, so there is nothing to compare".to_owned());
    }
    Ok((specs.into(), total))
}
