//! What a block needs to change from the code of a kernel to the one without meetings.

use super::ir::Ir;
use super::slots::Slots;
use crate::parting::{Move, Parting};
use crate::slot::RegisterSlot;

/// The change from code with slots `from`, which meets at `meetings`, to code with `slots`, in
/// which operation n begins at instruction `starts[n]`.
pub(super) fn parting(ir: &Ir, from: &Slots, meetings: Vec<u32>, slots: &Slots, starts: &[u32]) -> Parting {
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
            (starts[first] + u32::from(defined), starts[last])
        });
        moves.push(Move { from, to, live });
    }
    Parting { meetings, moves }
}
