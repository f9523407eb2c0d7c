//! Batches of copies.

use super::args::{slice, write_if};
use super::transfer::linear_unified;
use super::types::{CUDA_MEMCPY3D, CUdeviceptr, CUmemcpyAttributes, CUstream};
use super::{CUresult, Cuda};
use crate::record;
use crate::software::driver;

/// `CU_MEMCPY_SRC_ACCESS_ORDER_DURING_API_CALL`.
pub(super) const DURING_CALL: u32 = 2;
/// `CU_MEMCPY_SRC_ACCESS_ORDER_ANY`, the last one.
pub(super) const ANY_ORDER: u32 = 3;

/// The arguments of a batch.
struct Batch<'a> {
    dsts: &'a [CUdeviceptr],
    srcs: &'a [CUdeviceptr],
    sizes: &'a [usize],
    attributes: &'a [CUmemcpyAttributes],
    /// The first copy that each attribute is for.
    starts: &'a [usize],
}

impl<'a> Batch<'a> {
    /// # Safety
    /// The first three are null or valid for `count` reads, the others for `attribute_count`.
    unsafe fn new(
        (dsts, srcs, sizes): (*const CUdeviceptr, *const CUdeviceptr, *const usize),
        count: usize,
        (attributes, starts): (*const CUmemcpyAttributes, *const usize),
        attribute_count: usize,
    ) -> Cuda<Self> {
        // SAFETY: as above.
        let batch = unsafe {
            Self {
                dsts: slice(dsts, count)?,
                srcs: slice(srcs, count)?,
                sizes: slice(sizes, count)?,
                attributes: slice(attributes, attribute_count)?,
                starts: slice(starts, attribute_count)?,
            }
        };
        // D: every copy has attributes, the first ones begin with the first copy, and none has two.
        let ordered = batch.starts.first() == Some(&0) && batch.starts.is_sorted_by(|a, b| a < b);
        let known = |attribute: &CUmemcpyAttributes| (1..=ANY_ORDER).contains(&attribute.srcAccessOrder);
        let fits = batch.starts.last().is_some_and(|&last| last < count);
        if !ordered || !fits || !batch.attributes.iter().all(known) {
            return Err(CUresult::INVALID_VALUE);
        }
        Ok(batch)
    }

    /// Puts the copies on the stream: all of them or none. Their order among themselves is open; here they
    /// run as they come. The error has the copy that it is about.
    fn enqueue(&self, stream: CUstream) -> Result<(), (CUresult, usize)> {
        let copies = self.dsts.iter().zip(self.srcs).zip(self.sizes).enumerate();
        let copies = copies.map(|(place, ((&dst, &src), &size))| {
            let attribute = self.starts.partition_point(|&start| start <= place).saturating_sub(1);
            if size == 0 {
                return Err((CUresult::INVALID_VALUE, place));
            }
            Ok((linear_unified(dst, src, size), self.attributes[attribute].srcAccessOrder))
        });
        enqueue(stream, &copies.collect::<Result<Vec<_>, _>>()?)
    }
}

/// Puts copies with their orders of access on a stream: all of them or none. The error has the copy that it is
/// about.
pub(super) fn enqueue(stream: CUstream, copies: &[(CUDA_MEMCPY3D, u32)]) -> Result<(), (CUresult, usize)> {
    let all = |code| (code, usize::MAX);
    // D: not the legacy stream.
    if stream.is_null() || stream == CUstream::LEGACY {
        return Err(all(CUresult::INVALID_VALUE));
    }
    let driver = driver();
    if driver.is_capturing(stream).map_err(all)? {
        record::note(|| "a batch of copies has no model in a capture".to_owned());
        return Err(all(CUresult::NOT_SUPPORTED));
    }
    for (place, (copy, _)) in copies.iter().enumerate() {
        driver.check_copy(copy).map_err(|code| (code, place))?;
    }
    for (place, (copy, order)) in copies.iter().enumerate() {
        let at_once = *order == DURING_CALL;
        let done = if at_once { driver.copy_from_now(stream, copy) } else { driver.copy_on(stream, copy) };
        done.map_err(|code| (code, place))?;
    }
    Ok(())
}

entry_points! {
    fn cuMemcpyBatchAsync(
        dsts: *mut CUdeviceptr, srcs: *mut CUdeviceptr, sizes: *mut usize, count: usize,
        attrs: *mut CUmemcpyAttributes, attrsIdxs: *mut usize, numAttrs: usize, failIdx: *mut usize, hStream: CUstream
    ) on hStream {
        // D: where the error is not about one copy.
        unsafe { write_if(failIdx, usize::MAX) };
        let batch = unsafe { Batch::new((dsts, srcs, sizes), count, (attrs, attrsIdxs), numAttrs) }?;
        batch.enqueue(hStream).map_err(|(code, place)| {
            unsafe { write_if(failIdx, place) };
            code
        })
    }

    fn cuMemcpyBatchAsync_v2(
        dsts: *mut CUdeviceptr, srcs: *mut CUdeviceptr, sizes: *mut usize, count: usize,
        attrs: *mut CUmemcpyAttributes, attrsIdxs: *mut usize, numAttrs: usize, hStream: CUstream
    ) on hStream {
        let batch = unsafe { Batch::new((dsts, srcs, sizes), count, (attrs, attrsIdxs), numAttrs) }?;
        batch.enqueue(hStream).map_err(|(code, _)| code)
    }

    fn cuMemcpyWithAttributesAsync(
        dst: CUdeviceptr, src: CUdeviceptr, size: usize, attr: *mut CUmemcpyAttributes, hStream: CUstream
    ) on hStream {
        let first = 0usize;
        let copy = (&raw const dst, &raw const src, &raw const size);
        let batch = unsafe { Batch::new(copy, 1, (attr, &raw const first), 1) }?;
        batch.enqueue(hStream).map_err(|(code, _)| code)
    }
}
