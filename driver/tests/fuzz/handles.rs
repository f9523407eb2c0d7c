//! The handles and addresses that the driver gave out.

use std::collections::BTreeSet;
use std::sync::Mutex;

/// The top bytes of handles.
#[allow(missing_docs)]
pub mod kind {
    pub const CONTEXT: u8 = 0x11;
    pub const STREAM: u8 = 0x12;
    pub const EVENT: u8 = 0x13;
    pub const MODULE: u8 = 0x14;
    pub const FUNCTION: u8 = 0x15;
    pub const LIBRARY: u8 = 0x16;
    pub const KERNEL: u8 = 0x17;
    pub const MEMORYPOOL: u8 = 0x18;
    pub const GREENCONTEXT: u8 = 0x19;
    pub const ARRAY: u8 = 0x1a;
    pub const TEXTURE: u8 = 0x1c;
    pub const SURFACE: u8 = 0x1d;
    pub const GRAPH: u8 = 0x21;
    pub const GRAPHNODE: u8 = 0x22;
    pub const GRAPHEXEC: u8 = 0x23;
    pub const USEROBJECT: u8 = 0x24;
    pub const CONDITIONAL: u8 = 0x25;
    /// Not a handle: addresses that the driver gave out.
    pub const ADDRESS: u8 = 0x7f;
    /// Not a handle: host memory that the driver allocated. It is freed and never copied to.
    pub const PINNED: u8 = 0x7e;
}

/// Handles of one kind that are remembered.
const KEEP: usize = 24;

/// Handles by kind, the destroyed ones among them.
#[derive(Debug)]
pub struct Handles {
    pub(super) known: [Vec<u64>; 128],
    /// Those that must be destroyed for nothing to leak.
    owned: BTreeSet<u64>,
}

/// What the threads of one run share.
pub static HANDLES: Mutex<Handles> = Mutex::new(Handles { known: [const { Vec::new() }; 128], owned: BTreeSet::new() });

impl Handles {
    /// Remembers one that a call answered; `at` chooses which older one it replaces.
    pub(super) fn add(&mut self, kind: u8, value: u64, at: u64) {
        let known = &mut self.known[kind as usize];
        match known.len() {
            KEEP => known[at as usize % KEEP] = value,
            _ => known.push(value),
        }
        use kind::*;
        if matches!(
            kind,
            CONTEXT
                | LIBRARY
                | MEMORYPOOL
                | GRAPH
                | GRAPHEXEC
                | USEROBJECT
                | GREENCONTEXT
                | ARRAY
                | TEXTURE
                | SURFACE
                | ADDRESS
                | PINNED
        ) {
            self.owned.insert(value);
        }
    }

    /// Everything that wants to be destroyed; forgotten here.
    pub fn take_owned(&mut self) -> impl Iterator<Item = u64> + use<> {
        std::mem::take(&mut self.owned).into_iter()
    }

    /// Takes one back that exists and could not be destroyed yet.
    pub fn keep_owned(&mut self, value: u64) {
        self.owned.insert(value);
    }
}
