//! Padding: the padded step beside a declared one without.

use crate::compare::{compare, coordinates, element_text};
use crate::finding::{Check, Finding, Id};
use crate::step::{BufferSpec, HostBuffers, Role, Valid};

const CHECK: Check = Check::Unpadded;

/// Findings for the outputs and states of `step` that differ: what the padded step, then the plain one, left,
/// each with its inputs before, with the buffer's name. Buffers are compared by name, as far as both go: of a plain buffer with fewer
/// rows, those that it has.
pub fn check(
    step: u64,
    [padded, plain]: &[Vec<BufferSpec>; 2],
    (before, left): &(HostBuffers, HostBuffers),
    (before_plain, right): &(HostBuffers, HostBuffers),
) -> Vec<(String, Finding)> {
    let mut found = Vec::new();
    for spec in plain.iter().filter(|spec| matches!(spec.role, Role::Output | Role::State)) {
        let Some(own) = padded.iter().find(|own| own.name == spec.name) else { continue };
        if own.dtype != spec.dtype || own.shape.last() != spec.shape.last() {
            continue;
        }
        let (Ok(left), Ok(right)) = (left.bytes(&spec.name), right.bytes(&spec.name)) else { continue };
        let common = left.len().min(right.len());
        let lengths = lengths(own, before, before_plain);
        // The padded step's contract says what counts.
        let judged = BufferSpec { contract: own.contract.clone(), ..spec.clone() };
        let Some(difference) = compare(&judged, &right[..common], &left[..common], lengths.as_deref()) else {
            continue;
        };
        let place = format!("{} '{}'{}", spec.role, spec.name, coordinates(&spec.shape, difference.index));
        let text = |bytes: &[u8]| element_text(spec.dtype, bytes);
        found.push((
            spec.name.to_string(),
            Finding::new(Id::R05, CHECK)
                .at_step(step)
                .contrast(
                    format!("without padding: {place} = {}", text(&difference.left)),
                    format!("with padding: {place} = {}", text(&difference.right)),
                )
                .note(format!("'{}' differs, eagerly too: eager execution and replay share the fault", spec.name)),
        ));
    }
    found
}

fn lengths(spec: &BufferSpec, before: &HostBuffers, plain: &HostBuffers) -> Option<Vec<i32>> {
    let Valid::RowPrefix { lengths } = &spec.contract.valid else { return None };
    let bytes = plain.bytes(lengths).or_else(|_| before.bytes(lengths)).ok()?;
    Some(bytes.chunks_exact(4).map(bytemuck::pod_read_unaligned).collect())
}
