//! Memory of the engine for registers, shared and local memory.

use memmap2::MmapMut;

/// 128-byte aligned memory.
#[derive(Clone, Copy)]
#[repr(C, align(128))]
pub(super) struct Line(pub [u32; 32]);

const LINE: usize = size_of::<Line>();

/// From this size on, memory is mapped by itself. It goes back to the system when the block that needed it has
/// ended; the allocator would keep it, and the process would grow with the number of blocks that wait at once.
const MAPPED: usize = 32 << 10;

/// Memory that only grows; in debug builds it has the size that was asked for last, so that a memory checker sees
/// an access behind the end.
#[derive(Default)]
pub(super) struct Room(Lines);

enum Lines {
    Allocated(Vec<Line>),
    Mapped(MmapMut),
}

impl Default for Lines {
    fn default() -> Self {
        Self::Allocated(Vec::new())
    }
}

impl Room {
    /// At least `bytes` bytes. What they hold is anything: nothing is kept when it grows.
    pub fn of(&mut self, bytes: usize) -> *mut u8 {
        let lines = bytes.div_ceil(LINE).max(1);
        if cfg!(debug_assertions) {
            if self.len() != lines {
                self.0 = allocated(lines);
            }
        } else if self.len() < lines {
            // One and the other would be there for a moment.
            self.0 = Lines::default();
            self.0 = if lines * LINE < MAPPED { allocated(lines) } else { mapped(lines) };
        }
        self.first()
    }

    pub fn first(&mut self) -> *mut u8 {
        match &mut self.0 {
            Lines::Allocated(lines) => lines.as_mut_ptr().cast(),
            Lines::Mapped(bytes) => bytes.as_mut_ptr(),
        }
    }

    /// Its lines.
    pub fn lines(&mut self) -> &mut [Line] {
        match &mut self.0 {
            Lines::Allocated(lines) => lines,
            // SAFETY: a mapping begins at a page, holds whole lines, and any bits are words.
            Lines::Mapped(bytes) => unsafe {
                std::slice::from_raw_parts_mut(bytes.as_mut_ptr().cast(), bytes.len() / LINE)
            },
        }
    }

    fn len(&self) -> usize {
        match &self.0 {
            Lines::Allocated(lines) => lines.len(),
            Lines::Mapped(bytes) => bytes.len() / LINE,
        }
    }
}

fn allocated(lines: usize) -> Lines {
    Lines::Allocated(vec![Line([0; 32]); lines])
}

/// Memory of the system's own; the allocator's where the system has none left to map.
fn mapped(lines: usize) -> Lines {
    MmapMut::map_anon(lines * LINE).map_or_else(|_| allocated(lines), Lines::Mapped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_of_either_kind_is_whole_lines_that_can_be_written() {
        for mut room in [Room(allocated(3)), Room(mapped(1000))] {
            let lines = room.len();
            for (n, line) in room.lines().iter_mut().enumerate() {
                line.0 = [n as u32; 32];
            }
            assert_eq!((room.lines().len(), room.lines()[lines - 1].0[31]), (lines, lines as u32 - 1));
            assert!(room.first().cast::<Line>().is_aligned());
        }
    }

    #[test]
    fn there_is_room_for_what_was_asked() {
        let mut room = Room::default();
        for bytes in [0, 1, 129, MAPPED - 1, MAPPED, 40 * MAPPED + 1, 7] {
            room.of(bytes);
            assert!(room.len() * LINE >= bytes.max(1), "{bytes}");
        }
    }

    /// Pages of this process in memory.
    fn resident() -> u64 {
        let pages = std::fs::read_to_string("/proc/self/statm").expect("Linux tells it");
        pages.split_whitespace().nth(1).and_then(|pages| pages.parse().ok()).expect("a number of pages")
    }

    #[test]
    fn what_was_mapped_goes_back_although_others_stay() {
        let before = resident();
        let (mut rooms, mut others) = (Vec::new(), Vec::new());
        for n in 0..256 {
            let mut room = Room(mapped((256 << 10) / LINE));
            room.lines().fill(Line([n; 32]));
            rooms.push(room);
            others.push(vec![n; 1000]);
        }
        let full = resident();
        drop(rooms);
        let (taken, left) = (full - before, resident().saturating_sub(before));
        assert!(taken * 4096 >= 60 << 20 && left < taken / 4, "{left} of {taken} pages are left");
        drop(others);
    }

    /// A memory checker fails this test where `GRAPHPROOF_PLANT` is `past-the-end`: what stands behind the register
    /// files of a block is nobody's.
    #[test]
    fn memory_ends_where_it_says() {
        const BYTES: usize = 3 * 384;
        let mut room = Room::default();
        // After a block that needed more.
        room.of(5 * 384);
        let first = room.of(BYTES);
        let planted = std::env::var_os("GRAPHPROOF_PLANT").is_some_and(|plant| plant == "past-the-end");
        let bytes = if planted { BYTES + 4 } else { BYTES };
        // SAFETY: within the room, unless the fault is planted, in a process that ends with it.
        unsafe { std::ptr::write_bytes(first, 0x55, std::hint::black_box(bytes)) };
        assert_eq!(size_of_val(room.lines()), BYTES);
    }
}
