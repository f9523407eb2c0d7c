//! `malloc` and `free` of kernels: blocks in a heap that the device gives the module.
//!
//! The heap's own memory says what is in use: a header of 16 bytes before each block holds its size
//! and whether it is taken. Memory that is all zero is one free block.

use std::sync::{Mutex, PoisonError};

use super::ctx::{Ctx, each_active};
use super::map::Step;
use super::memory::{GLOBAL, peek, poke};
use crate::code::Inst;
use crate::fault::FaultKind;

/// Bytes of a heap: `CU_LIMIT_MALLOC_HEAP_SIZE`.
pub(crate) const HEAP_BYTES: u32 = 8 << 20;
const HEADER: u32 = 16;
/// Of every block, D (CUDA C Programming Guide, "Dynamic Global Memory Allocation").
const ALIGN: u64 = 16;

/// Blocks of one module may be taken by several threads of ours.
static ONE: Mutex<()> = Mutex::new(());

struct Heap(*mut u8);

impl Heap {
    /// Size of the block whose header is at `at`, and whether it is taken.
    fn header(&self, at: u32) -> (u32, bool) {
        let [size, taken]: [u32; 2] = peek(self.0.wrapping_add(at as usize));
        (if size == 0 { HEAP_BYTES - at - HEADER } else { size }, taken != 0)
    }

    fn set(&mut self, at: u32, size: u32, taken: bool) {
        poke(self.0.wrapping_add(at as usize), [size, u32::from(taken)]);
    }

    /// Offset of a new block, or `None` if there is no room.
    fn take(&mut self, size: u64) -> Option<u32> {
        let size = u32::try_from(size.max(1).next_multiple_of(ALIGN)).ok().filter(|&size| size < HEAP_BYTES)?;
        let mut at = 0;
        while at + HEADER < HEAP_BYTES {
            let (mut room, taken) = self.header(at);
            if !taken {
                // Free neighbours are one block.
                while at + 2 * HEADER + room < HEAP_BYTES {
                    let (next, taken) = self.header(at + HEADER + room);
                    if taken {
                        break;
                    }
                    room += HEADER + next;
                }
                if room >= size {
                    if room - size > HEADER {
                        self.set(at + HEADER + size, room - size - HEADER, false);
                        room = size;
                    }
                    self.set(at, room, true);
                    return Some(at + HEADER);
                }
                self.set(at, room, false);
            }
            at += HEADER + room;
        }
        None
    }

    /// Gives a block back; false if there is none at `offset`.
    fn give(&mut self, offset: u64) -> bool {
        let mut at = 0;
        while at + HEADER < HEAP_BYTES {
            let (room, taken) = self.header(at);
            if u64::from(at + HEADER) == offset {
                self.set(at, room, false);
                return taken;
            }
            at += HEADER + room;
        }
        false
    }
}

/// `malloc`. Register `a`: the heap; list at `c`: destination, size. `b`: site.
pub(crate) struct Malloc;
impl Step for Malloc {
    fn step(c: &mut Ctx, i: &Inst) -> *const Inst {
        let Some(spread) = c.reach_apart::<GLOBAL, true>(i, i.a, 0, i.b, 1, true) else { return std::ptr::null() };
        let (d, size) = (c.extra(i.c, 0), c.extra(i.c, 1));
        let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        each_active(c, |c, l| {
            let (base, size): (u64, u64) = (c.lane(i.a, l), c.lane(size, l));
            let found = Heap(spread.at(l, 1)).take(size);
            c.set_lane(d, l, found.map_or(0, |offset| base + u64::from(offset)));
        });
        std::ptr::from_ref(i).wrapping_add(1)
    }
}

/// `free`. Register `a`: the heap; list at `c`: nothing, address. `b`: site.
pub(crate) struct Free;
impl Step for Free {
    fn step(c: &mut Ctx, i: &Inst) -> *const Inst {
        let Some(spread) = c.reach_apart::<GLOBAL, true>(i, i.a, 0, i.b, 1, true) else { return std::ptr::null() };
        let address = c.extra(i.c, 1);
        let mut wrong = None;
        {
            let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
            each_active(c, |c, l| {
                let (base, address): (u64, u64) = (c.lane(i.a, l), c.lane(address, l));
                if address != 0 && !Heap(spread.at(l, 1)).give(address.wrapping_sub(base)) {
                    wrong.get_or_insert((l, address));
                }
            });
        }
        if let Some((lane, address)) = wrong {
            let kind = FaultKind::IllegalAddress { space: "heap", address, size: 1, write: true };
            c.fault(i, lane as u32, kind);
            return std::ptr::null();
        }
        std::ptr::from_ref(i).wrapping_add(1)
    }
}
