//! Memory behind files, so that other processes see it too: `cuIpc*`, exportable pools, shareable handles of
//! physical allocations.
//!
//! Memory that another process has made counts in both as in use: each process has a device of its own.

use std::fs::File;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use super::allocation::{Origin, Place, State, only};
use super::space::{AddressSpace, poison};
use super::window::PAGE;
use super::{Memory, Pool};
use crate::share::{HEADER, Handle, Kind, Share, memory_file, punch};
use graphproof_api::{CUresult, Cuda};

/// What lies behind the addresses of an allocation instead of private pages.
#[derive(Debug)]
pub(super) struct Backing {
    file: Arc<File>,
    offset: u64,
    /// Bytes of the file, whole pages.
    len: u64,
    /// The pages go with the allocation.
    owned: bool,
    /// The handle that opened it, with how often: `cuIpcOpenMemHandle`.
    opened: Option<(Handle, u32)>,
}

/// The file that a pool allocates from, with its share of it.
#[derive(Debug)]
pub struct PoolFile {
    file: Arc<File>,
    share: Share,
    end: u64,
    /// Made by `cuMemPoolImportFromShareableHandle`: it makes no allocations of its own.
    imported: bool,
}

fn pages(len: u64) -> u64 {
    len.next_multiple_of(PAGE)
}

impl AddressSpace {
    /// Takes the file away from behind an allocation that is freed.
    pub(super) fn unback(&mut self, base: u64) {
        let Some(backing) = self.backings.remove(&base) else { return };
        // Where the pages cannot be replaced, the address keeps them until something else comes there.
        let _ = self.window.put(base, backing.len, None);
        if backing.owned {
            punch(&backing.file, backing.offset, backing.len);
        }
    }

    fn back(&mut self, base: u64, backing: Backing) -> Cuda {
        self.window.put(base, backing.len, Some((backing.file.as_raw_fd(), backing.offset)))?;
        self.backings.insert(base, backing);
        Ok(())
    }

    /// `cuIpcGetMemHandle`. The device must be idle: the bytes move into a file. Later handles are the same.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_VALUE`: not the first address of memory that `cuMemAlloc` gave.
    pub fn share(&mut self, base: u64) -> Cuda<Handle> {
        let found = match self.place(base) {
            Some(Place::Device(found)) if found.base == base && found.state == State::Live => found,
            _ => return Err(CUresult::INVALID_VALUE),
        };
        if !matches!(found.origin, Origin::Plain(_)) {
            return Err(CUresult::INVALID_VALUE);
        }
        if !self.backings.contains_key(&base) {
            let len = pages(found.len);
            let file = memory_file(len)?;
            self.store(base, found.len, &file)?;
            let backing = Backing { file: file.into(), offset: 0, len, owned: false, opened: None };
            self.back(base, backing)?;
        }
        let backing = self.backings.get(&base).ok_or(CUresult::INVALID_VALUE)?;
        Handle::new(Kind::Memory, &backing.file, (0, found.len), found.device)
    }

    /// Writes an allocation to a file, but for pages of zeros.
    fn store(&self, base: u64, len: u64, file: &File) -> Cuda {
        let mut page = [0u8; PAGE as usize];
        for offset in (0..len).step_by(PAGE as usize) {
            let bytes = &mut page[..(len - offset).min(PAGE) as usize];
            let source = self.locate(base + offset, bytes.len() as u64).ok_or(CUresult::INVALID_VALUE)?;
            // SAFETY: bytes of a live allocation, which the idle device leaves alone.
            unsafe { source.copy_to_nonoverlapping(bytes.as_mut_ptr(), bytes.len()) };
            if bytes.iter().any(|&byte| byte != 0) {
                file.write_all_at(bytes, offset).map_err(|_| CUresult::OUT_OF_MEMORY)?;
            }
        }
        Ok(())
    }

    /// `cuIpcOpenMemHandle` in a context of a device. D: opened again, it is the same address.
    ///
    /// # Errors
    /// As [`Handle::open`]; `CUDA_ERROR_OUT_OF_MEMORY`.
    pub fn open(&mut self, handle: Handle, context: u64, device: i32) -> Cuda<u64> {
        let origin = Origin::Opened(context);
        let same = |opened: &Option<(Handle, u32)>| opened.is_some_and(|(known, _)| known == handle);
        let mut backings = self.backings.iter_mut();
        let known = backings.find(|(base, backing)| {
            same(&backing.opened) && self.device.get(base).is_some_and(|found| found.origin == origin)
        });
        if let Some((&base, backing)) = known {
            backing.opened = backing.opened.map(|(handle, count)| (handle, count + 1));
            return Ok(base);
        }
        let file = Arc::new(handle.open()?);
        let base = self.allocate_on(device, handle.len, origin, only(device))?;
        let len = pages(handle.len);
        let backed = self.back(base, Backing { file, offset: 0, len, owned: false, opened: Some((handle, 1)) });
        if backed.is_err() {
            let _ = self.free(base);
        }
        backed.map(|()| base)
    }

    /// Whether `cuIpcOpenMemHandle` gave that address.
    pub fn is_opened(&self, base: u64) -> bool {
        self.backings.get(&base).is_some_and(|backing| backing.opened.is_some())
    }

    /// `cuIpcCloseMemHandle`. The device must be idle. D: unmapped when it was closed as often as opened.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_VALUE`: nothing that was opened.
    pub fn close(&mut self, base: u64) -> Cuda {
        let backing = self.backings.get_mut(&base).ok_or(CUresult::INVALID_VALUE)?;
        match &mut backing.opened {
            None => Err(CUresult::INVALID_VALUE),
            Some((_, count)) if *count > 1 => {
                *count -= 1;
                Ok(())
            }
            Some(_) => self.free(base).map(|_| ()),
        }
    }

    /// The addresses that a context has opened and that go with it.
    pub(super) fn close_context(&mut self, context: u64) {
        let own = self.device.values().filter(|found| found.origin == Origin::Opened(context));
        for base in own.map(|found| found.base).collect::<Vec<_>>() {
            let _ = self.free(base);
        }
    }
}

impl PoolFile {
    /// A file for a pool of a device that may be exported.
    pub fn new(device: i32) -> Cuda<Self> {
        let file = memory_file(HEADER)?;
        let share = Share::begin(&file, Kind::Pool, 0, 0, device)?;
        Ok(Self { file: file.into(), share, end: HEADER, imported: false })
    }

    /// The pool that a descriptor shares, and its device.
    pub fn import(descriptor: RawFd) -> Cuda<(Self, i32)> {
        let (share, _, device) = Share::open(descriptor, Kind::Pool)?;
        let file = share.file().try_clone().map_err(|_| CUresult::OUT_OF_MEMORY)?;
        Ok((Self { file: file.into(), share, end: 0, imported: true }, device))
    }

    /// Whether it came from another pool.
    pub fn is_imported(&self) -> bool {
        self.imported
    }

    /// `cuMemPoolExportToShareableHandle`: a descriptor, which the caller closes.
    pub fn export(&self) -> Cuda<RawFd> {
        self.share.descriptor()
    }
}

impl Memory {
    /// Puts the pool's file behind what was just allocated from it.
    pub(super) fn back_from_pool(&mut self, handle: u64, base: u64, bytes: u64) -> Cuda {
        let Some(pool) = self.pools.get_mut(handle).and_then(|pool| pool.file.as_mut()) else { return Ok(()) };
        let len = pages(bytes);
        pool.file.set_len(pool.end + len).map_err(|_| CUresult::OUT_OF_MEMORY)?;
        let offset = pool.end;
        pool.end += len;
        let backing = Backing { file: pool.file.clone(), offset, len, owned: true, opened: None };
        self.space.back(base, backing)?;
        if let Some(fresh) = self.space.locate(base, bytes).filter(|_| bytes <= super::space::POISON_LIMIT) {
            // SAFETY: the allocation's own bytes, which nothing has been told of yet.
            poison(unsafe { std::slice::from_raw_parts_mut(fresh, bytes as usize) });
        }
        Ok(())
    }

    /// `cuMemPoolExportPointer`.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_VALUE`: not the first address of an allocation of a pool that can be exported.
    pub fn export_pointer(&self, base: u64) -> Cuda<Handle> {
        let backing = self.space.backings.get(&base).filter(|backing| backing.owned).ok_or(CUresult::INVALID_VALUE)?;
        let Some(Place::Device(found)) = self.space.place(base) else { return Err(CUresult::INVALID_VALUE) };
        Handle::new(Kind::Pointer, &backing.file, (backing.offset, found.len), found.device)
    }

    /// `cuMemPoolImportPointer`: an address here for an allocation that another process made from the pool.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_VALUE`: the pool was not imported, or the allocation is not of that pool.
    pub fn import_pointer(&mut self, handle: u64, pointer: Handle) -> Cuda<u64> {
        let pool = self.pool(handle)?;
        let (device, access) = (pool.device, pool.access());
        let file = pool.file.as_ref().filter(|file| file.imported).ok_or(CUresult::INVALID_VALUE)?.file.clone();
        let own = Handle::new(Kind::Pointer, &file, (0, 0), device)?;
        let inside = file.metadata().is_ok_and(|found| found.len() >= pointer.offset.saturating_add(pointer.len));
        if own.inode != pointer.inode || !inside || !pointer.offset.is_multiple_of(PAGE) {
            return Err(CUresult::INVALID_VALUE);
        }
        let base = self.space.allocate_on(device, pointer.len, Origin::Pool(handle), access)?;
        let (offset, len) = (pointer.offset, pages(pointer.len));
        if let Err(code) = self.space.back(base, Backing { file, offset, len, owned: false, opened: None }) {
            let _ = self.space.free(base);
            return Err(code);
        }
        self.pool(handle)?.allocated(pointer.len);
        self.count_cached(device);
        Ok(base)
    }
}

impl Pool {
    /// The pool's file, if its memory can be shared.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_VALUE`: it was made without a type of handle.
    pub fn shared(&self) -> Cuda<&PoolFile> {
        self.file.as_ref().ok_or(CUresult::INVALID_VALUE)
    }
}
