//! What a block needs to change from the code of a kernel to the one without meetings.

use super::emit::Begins;
use super::ir::Ir;
use super::slots::Slots;
use crate::parting::{Move, Parting};
use crate::slot::RegisterSlot;

/// The change from code with slots `from`, whose operations begin as `begins` says, to code with `slots`, whose
/// operations begin as `others` says.
pub(super) fn parting(ir: &Ir, from: &Slots, begins: &[Begins], slots: &Slots, others: &[Begins]) -> Parting {
    const ALWAYS: (u32, u32) = (0, u32::MAX);
    let mut moves = Vec::new();
    for (&from, &to) in from.fixed.iter().zip(&slots.fixed) {
        moves.push(Move { from: RegisterSlot::Uniform(from), to: RegisterSlot::Uniform(to), live: ALWAYS });
    }
    for (r, (from, to)) in from.registers.iter().zip(&slots.registers).enumerate() {
        let (Some(from), Some(to)) = (*from, *to) else { continue };
        // Registers share slots where they are not live together: only what is live may move. One
        // that begins with its definition is not there before it.
        let live = slots.ranges[r].map_or(ALWAYS, |(first, last)| {
            let defined = ir.nodes[first].d.contains(&(r as u32));
            (others[first].itself + u32::from(defined), others[last].itself)
        });
        moves.push(Move { from, to, live });
    }
    let both = begins.iter().zip(others);
    let mut places: Vec<(u32, u32)> =
        both.flat_map(|(from, to)| [(from.all, to.all), (from.itself, to.itself)]).collect();
    // What begins at one instruction is either a batch, and lanes stand before the first of it, or takes none.
    places.dedup_by_key(|&mut (from, _)| from);
    Parting { places, moves }
}
