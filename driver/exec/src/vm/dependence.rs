//! `griddepcontrol`: grids of which one may begin before another has ended.

use super::ctx::{Ctx, Event};
use super::map::Step;
use crate::code::Inst;

/// What `griddepcontrol` has to do here. With neither the instruction does nothing: the grids ahead have ended, and
/// nothing behind begins early.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Dependence {
    /// Grids that this one depends on are in flight.
    pub waits: bool,
    /// Somebody asks which blocks have let dependent grids begin.
    pub tells: bool,
    /// Blocks of the cluster that have, a bit each.
    pub triggered: u32,
}

/// `griddepcontrol.launch_dependents`. The first thread of a block speaks for all (PTX ISA).
pub(crate) struct LaunchDependents;
impl Step for LaunchDependents {
    fn step(c: &mut Ctx, i: &Inst) -> *const Inst {
        let own = 1 << c.rank;
        if !c.dependence.tells || c.dependence.triggered & own != 0 {
            return std::ptr::from_ref(i).wrapping_add(1);
        }
        c.dependence.triggered |= own;
        let pc = c.pc_of(i);
        c.stop(Event::Triggered { pc })
    }
}

/// `griddepcontrol.wait`.
pub(crate) struct WaitForGrids;
impl Step for WaitForGrids {
    fn step(c: &mut Ctx, i: &Inst) -> *const Inst {
        if !c.dependence.waits {
            return std::ptr::from_ref(i).wrapping_add(1);
        }
        let pc = c.pc_of(i);
        c.stop(Event::Grids { pc })
    }
}
