//! Copies and fills: checked against the address space, then executed without its lock.

use std::ptr;

use super::allocation::{HostKind, Place};
use super::space::AddressSpace;
use crate::params::{CopyParams, End, memory_type};
use crate::work::MemsetWork;
use graphproof_api::{CUresult, Cuda};

/// What kind of memory an operand of a copy is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Device memory.
    Device,
    /// Host memory that the device knows: copies are asynchronous.
    Pinned,
    /// Other host memory.
    Pageable,
}

/// One operand: its first byte, and the distances of its rows and slices.
#[derive(Debug, Clone, Copy)]
struct Operand {
    start: *mut u8,
    row: usize,
    slice: usize,
    side: Side,
}

/// A copy whose operands were checked. Its addresses stay valid as long as CUDA's rules are kept.
#[derive(Debug, Clone, Copy)]
pub struct Copy {
    src: Operand,
    dst: Operand,
    width: usize,
    height: usize,
    depth: usize,
}

/// A fill whose target was checked.
#[derive(Debug, Clone, Copy)]
pub struct Fill {
    start: *mut u8,
    work: MemsetWork,
}

impl AddressSpace {
    /// Checks a copy. A range that is not in one allocation is `CUDA_ERROR_INVALID_VALUE`.
    pub fn copy(&self, params: &CopyParams) -> Cuda<Copy> {
        self.check_copy(params, false)
    }

    /// As [`AddressSpace::copy`], for the call that enqueues it: graph memory has its address
    /// before the launch that allocates it has run. The result tells sides and sizes; do not run it.
    pub fn copy_at_call(&self, params: &CopyParams) -> Cuda<Copy> {
        self.check_copy(params, true)
    }

    fn check_copy(&self, params: &CopyParams, at_call: bool) -> Cuda<Copy> {
        let [width, height, depth] = params.extent;
        let width = if height == 0 || depth == 0 { 0 } else { width };
        let extent = [width, height.max(1), depth.max(1)];
        let src = self.operand(&params.src, extent, at_call)?;
        let dst = self.operand(&params.dst, extent, at_call)?;
        Ok(Copy { src, dst, width, height: extent[1], depth: extent[2] })
    }

    fn operand(&self, end: &End, extent: [usize; 3], at_call: bool) -> Cuda<Operand> {
        let ([x, y, z], [width, height, depth]) = (end.at, extent);
        let invalid = CUresult::INVALID_VALUE;
        let base = match end.memory_type {
            memory_type::HOST => end.host,
            memory_type::DEVICE | memory_type::UNIFIED => end.device,
            memory_type::ARRAY => {
                let part = self.part_of_array(end.array, end.at, extent);
                let (first, row, slice) = part.ok_or(invalid)?;
                return Ok(Operand { start: self.window.host(first), row, slice, side: Side::Device });
            }
            _ => return Err(invalid),
        };
        let row_end = x.checked_add(width).ok_or(invalid)?;
        let pitch = if end.pitch == 0 { row_end } else { end.pitch };
        if (height > 1 || depth > 1) && pitch < row_end {
            return Err(invalid);
        }
        let rows = if end.rows == 0 { y.checked_add(height).ok_or(invalid)? } else { end.rows };
        let slice = pitch.checked_mul(rows).ok_or(invalid)?;
        let offset = z.checked_mul(slice).zip(y.checked_mul(pitch)).and_then(|(a, b)| a.checked_add(b));
        let offset = offset.and_then(|offset| offset.checked_add(x)).ok_or(invalid)?;
        let first = base.checked_add(offset as u64).ok_or(invalid)?;
        let span = (depth - 1).checked_mul(slice).zip((height - 1).checked_mul(pitch));
        let span = span.and_then(|(a, b)| a.checked_add(b)?.checked_add(width)).ok_or(invalid)?;
        first.checked_add(span as u64).ok_or(invalid)?;
        let (start, side) = if width == 0 {
            (ptr::null_mut(), Side::Device)
        } else {
            match end.memory_type {
                memory_type::DEVICE => self.known(first, span as u64, at_call).ok_or(invalid)?,
                // A null pointer is not made good by an offset.
                memory_type::HOST | memory_type::UNIFIED if base == 0 => return Err(invalid),
                memory_type::HOST => self.host_side(first, span as u64)?,
                _ => match self.known(first, span as u64, at_call) {
                    Some(found) => found,
                    None => self.host_side(first, span as u64)?,
                },
            }
        };
        Ok(Operand { start, row: pitch, slice, side })
    }

    fn known(&self, address: u64, len: u64, at_call: bool) -> Option<(*mut u8, Side)> {
        if at_call && self.is_reserved_for_graph(address, len) {
            return Some((ptr::null_mut(), Side::Device));
        }
        let start = self.locate(address, len)?;
        let side = match self.place(address)? {
            Place::Device(_) => Side::Device,
            Place::Host(found) if found.kind == HostKind::Managed => Side::Device,
            Place::Host(_) => Side::Pinned,
        };
        Some((start, side))
    }

    /// The caller's own memory: all that can be checked is that it is not a device address, and
    /// not an address that no process has.
    fn host_side(&self, address: u64, len: u64) -> Cuda<(*mut u8, Side)> {
        let end = address.checked_add(len).ok_or(CUresult::INVALID_VALUE)?;
        let possible = address >= 4096 && end <= 1 << 56;
        if !possible || self.in_window(address) || self.in_window(end - 1) {
            return Err(CUresult::INVALID_VALUE);
        }
        let side = if self.locate(address, len).is_some() { Side::Pinned } else { Side::Pageable };
        Ok((address as *mut u8, side))
    }

    /// Checks a fill.
    pub fn fill(&self, work: &MemsetWork) -> Cuda<Fill> {
        self.check_fill(work, false)
    }

    /// As [`AddressSpace::fill`], for the call that enqueues it, as
    /// [`AddressSpace::copy_at_call`].
    pub fn fill_at_call(&self, work: &MemsetWork) -> Cuda {
        self.check_fill(work, true).map(|_| ())
    }

    fn check_fill(&self, work: &MemsetWork, at_call: bool) -> Cuda<Fill> {
        let invalid = CUresult::INVALID_VALUE;
        let size = work.element_size as usize;
        if !matches!(size, 1 | 2 | 4) || !work.dst.is_multiple_of(size as u64) {
            return Err(invalid);
        }
        let width = work.width.checked_mul(size).ok_or(invalid)?;
        let height = work.height;
        if width == 0 || height == 0 {
            return Ok(Fill { start: ptr::null_mut(), work: MemsetWork { width: 0, height: 0, ..*work } });
        }
        if height > 1 && (work.pitch < width || !work.pitch.is_multiple_of(size)) {
            return Err(invalid);
        }
        let span = (height - 1).checked_mul(work.pitch).and_then(|rows| rows.checked_add(width)).ok_or(invalid)?;
        let start = match self.locate(work.dst, span as u64) {
            None if at_call && self.is_reserved_for_graph(work.dst, span as u64) => ptr::null_mut(),
            found => found.ok_or(invalid)?,
        };
        Ok(Fill { start, work: *work })
    }
}

impl Copy {
    /// The kinds of source and destination.
    pub fn sides(&self) -> (Side, Side) {
        (self.src.side, self.dst.side)
    }

    /// Bytes that are copied.
    pub fn bytes(&self) -> usize {
        self.width * self.height * self.depth
    }

    /// Copies the source's rows, without padding, into a buffer of their own.
    pub fn stage(&self) -> Vec<u8> {
        let mut staged = vec![0u8; self.bytes()];
        let packed = Operand {
            start: staged.as_mut_ptr(),
            row: self.width,
            slice: self.width * self.height,
            side: Side::Pageable,
        };
        Copy { dst: packed, ..*self }.run();
        staged
    }

    /// Runs the copy from staged rows instead of its source.
    pub fn run_staged(&self, staged: &[u8]) {
        if staged.len() == self.bytes() {
            let start = staged.as_ptr().cast_mut();
            let packed = Operand { start, row: self.width, slice: self.width * self.height, side: Side::Pageable };
            Copy { src: packed, ..*self }.run();
        }
    }

    /// Runs the copy. Overlapping operands give CUDA's undefined bytes, but nothing worse.
    pub fn run(&self) {
        if self.width == 0 {
            return;
        }
        let dense = self.src.row == self.width && self.dst.row == self.width;
        for z in 0..self.depth {
            let src = self.src.start.wrapping_add(z * self.src.slice);
            let dst = self.dst.start.wrapping_add(z * self.dst.slice);
            if dense {
                move_bytes(src, dst, self.width * self.height);
                continue;
            }
            for y in 0..self.height {
                move_bytes(src.wrapping_add(y * self.src.row), dst.wrapping_add(y * self.dst.row), self.width);
            }
        }
    }
}

fn move_bytes(src: *const u8, dst: *mut u8, len: usize) {
    // SAFETY: both ranges were found in allocations that stay mapped, or are the caller's memory,
    // which CUDA requires to be valid until the copy is done.
    unsafe { ptr::copy(src, dst, len) };
}

impl Fill {
    /// Runs the fill.
    pub fn run(&self) {
        let MemsetWork { pitch, value, element_size, width, height, .. } = self.work;
        for y in 0..height {
            let row = self.start.wrapping_add(y * pitch);
            let bytes = value.to_le_bytes();
            if element_size == 1 || bytes[..element_size as usize].iter().all(|&byte| byte == bytes[0]) {
                // SAFETY: the rows were found in one allocation, which stays mapped.
                unsafe { ptr::write_bytes(row, bytes[0], width * element_size as usize) };
                continue;
            }
            for x in 0..width {
                // SAFETY: as above.
                unsafe {
                    match element_size {
                        2 => row.cast::<u16>().add(x).write_unaligned(value as u16),
                        _ => row.cast::<u32>().add(x).write_unaligned(value),
                    }
                }
            }
        }
    }
}
