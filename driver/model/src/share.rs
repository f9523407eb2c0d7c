//! What two processes share: memory files, found through the process that has them open.
//!
//! A legacy IPC handle names a file by process and descriptor, as `/proc/PID/fd/FD`; the inode tells whether
//! that descriptor still is the file. A shareable handle of mapped memory or of a pool is a descriptor, which
//! says itself where its part of the file begins: at the position of the descriptor.

use std::fs::{File, OpenOptions};
use std::io::Seek;
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, RawFd};
use std::os::unix::fs::{FileExt, MetadataExt};

use crate::record;
use graphproof_api::{CUresult, Cuda};

/// Words of `CUipcMemHandle`, `CUipcEventHandle` and `CUmemPoolPtrExportData`.
pub const HANDLE_WORDS: usize = 8;
/// The first word of each: a handle of another driver is not mistaken for one.
const MAGIC: u64 = u64::from_le_bytes(*b"grphprf1");
/// Bytes in front of what a descriptor shares: `Header`, in a page of its own.
pub const HEADER: u64 = 4096;

/// What a handle is a handle of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
pub enum Kind {
    /// An allocation.
    Memory = 1,
    /// An event.
    Event = 2,
    /// A physical allocation.
    Physical = 3,
    /// A memory pool.
    Pool = 4,
    /// An allocation of a pool.
    Pointer = 5,
}

/// A handle that another process can open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Handle {
    /// What it is a handle of.
    pub kind: Kind,
    process: u32,
    descriptor: RawFd,
    /// The file.
    pub inode: u64,
    /// Where it begins in the file.
    pub offset: u64,
    /// Its size in bytes.
    pub len: u64,
    /// Its device.
    pub device: i32,
}

impl Handle {
    /// A handle of a part of a file that this process has open.
    pub fn new(kind: Kind, file: &File, (offset, len): (u64, u64), device: i32) -> Cuda<Self> {
        let inode = file.metadata().map_err(|_| CUresult::OPERATING_SYSTEM)?.ino();
        Ok(Self { kind, process: std::process::id(), descriptor: file.as_raw_fd(), inode, offset, len, device })
    }

    /// As the 64 bytes that programs hand on.
    pub fn words(&self) -> [u64; HANDLE_WORDS] {
        let place = u64::from(self.process) << 32 | u64::from(self.descriptor as u32);
        [MAGIC, self.kind as u64, place, self.inode, self.offset, self.len, self.device as u64, 0]
    }

    /// From those bytes.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_VALUE`: no handle of this kind of this driver.
    pub fn from_words(words: [u64; HANDLE_WORDS], kind: Kind) -> Cuda<Self> {
        let [magic, of, place, inode, offset, len, device, _] = words;
        if magic != MAGIC || of != kind as u64 {
            return Err(CUresult::INVALID_VALUE);
        }
        let (process, descriptor, device) = ((place >> 32) as u32, place as u32 as RawFd, device as i32);
        Ok(Self { kind, process, descriptor, inode, offset, len, device })
    }

    /// Whether this process made it.
    pub fn is_own(&self) -> bool {
        self.process == std::process::id()
    }

    /// Opens the file.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_VALUE`: the process that made the handle is gone, is out of reach, or has freed
    /// what it is about.
    pub fn open(&self) -> Cuda<File> {
        let path = format!("/proc/{}/fd/{}", self.process, self.descriptor);
        let gone = |why: String| {
            record::note(|| format!("the handle is of process {}, and {why}", self.process));
            CUresult::INVALID_VALUE
        };
        let file = OpenOptions::new().read(true).write(true).open(path);
        let file = file.map_err(|error| gone(format!("its file cannot be opened: {error}")))?;
        match file.metadata() {
            Ok(found) if found.ino() == self.inode && found.len() >= self.offset.saturating_add(self.len) => Ok(file),
            _ => Err(gone("what it was of has been freed there".to_owned())),
        }
    }
}

/// A new memory file.
///
/// # Errors
/// `CUDA_ERROR_OUT_OF_MEMORY`: no descriptor, or no room.
pub fn memory_file(len: u64) -> Cuda<File> {
    // SAFETY: a name without a flag that needs more.
    let file = unsafe { libc::memfd_create(c"graphproof".as_ptr(), libc::MFD_CLOEXEC) };
    if file < 0 {
        return Err(CUresult::OUT_OF_MEMORY);
    }
    // SAFETY: the descriptor was made just now and is nobody else's.
    let file = unsafe { File::from_raw_fd(file) };
    file.set_len(len).map_err(|_| CUresult::OUT_OF_MEMORY)?;
    Ok(file)
}

/// Gives the pages of a part of a file back. Where that fails they stay.
pub fn punch(file: &File, offset: u64, len: u64) {
    let hole = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
    // SAFETY: a descriptor that is open, and numbers.
    unsafe { libc::fallocate(file.as_raw_fd(), hole, offset as i64, len as i64) };
}

/// Opens the file of a descriptor once more, with a position of its own.
fn open_again(descriptor: RawFd) -> Cuda<File> {
    let path = format!("/proc/self/fd/{descriptor}");
    OpenOptions::new().read(true).write(true).open(path).map_err(|_| CUresult::INVALID_VALUE)
}

/// A share of a part of a file. As long as one lives in any process, the part keeps its pages: it is a lock
/// of the header's bytes that goes with the last descriptor of the open file, in a process that dies too.
#[derive(Debug)]
pub struct Share {
    file: File,
    offset: u64,
}

impl Share {
    /// Of the part whose header lies at `offset`.
    fn new(file: File, offset: u64) -> Cuda<Self> {
        lock(&file, libc::F_OFD_SETLK, libc::F_RDLCK, offset)?;
        Ok(Self { file, offset })
    }

    /// Makes a part of a file, behind a header at `offset`, known to those who get a descriptor.
    pub fn begin(file: &File, kind: Kind, offset: u64, len: u64, device: i32) -> Cuda<Self> {
        let words = [MAGIC, kind as u64, len, device as u64];
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        file.write_all_at(&bytes, offset).map_err(|_| CUresult::OUT_OF_MEMORY)?;
        Self::new(open_again(file.as_raw_fd())?, offset)
    }

    /// A descriptor for another process, which the caller closes.
    pub fn descriptor(&self) -> Cuda<RawFd> {
        let mut file = open_again(self.file.as_raw_fd())?;
        file.seek(std::io::SeekFrom::Start(self.offset)).map_err(|_| CUresult::OPERATING_SYSTEM)?;
        lock(&file, libc::F_OFD_SETLK, libc::F_RDLCK, self.offset)?;
        Ok(file.into_raw_fd())
    }

    /// Opens what a descriptor shares: its size, its device and the file, in which it begins behind the header.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_VALUE`: no descriptor of this kind of this driver.
    pub fn open(descriptor: RawFd, kind: Kind) -> Cuda<(Self, u64, i32)> {
        let invalid = CUresult::INVALID_VALUE;
        // SAFETY: a number; one that is no descriptor is an error.
        let offset = unsafe { libc::lseek(descriptor, 0, libc::SEEK_CUR) };
        let offset = u64::try_from(offset).map_err(|_| invalid)?;
        let file = open_again(descriptor)?;
        let mut bytes = [0; 32];
        file.read_exact_at(&mut bytes, offset).map_err(|_| invalid)?;
        let word = |at: usize| u64::from_le_bytes(std::array::from_fn(|byte| bytes[8 * at + byte]));
        if word(0) != MAGIC || word(1) != kind as u64 {
            return Err(invalid);
        }
        Ok((Self::new(file, offset)?, word(2), word(3) as i32))
    }

    /// The file.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Where what is shared begins.
    pub fn start(&self) -> u64 {
        self.offset + HEADER
    }

    /// Ends this share; whether it was the last in any process.
    pub fn end(self) -> bool {
        let unlocked = lock(&self.file, libc::F_OFD_SETLK, libc::F_UNLCK, self.offset).is_ok();
        unlocked && lock(&self.file, libc::F_OFD_SETLK, libc::F_WRLCK, self.offset).is_ok()
    }
}

fn lock(file: &File, command: i32, kind: i32, offset: u64) -> Cuda {
    // SAFETY: numbers alone, for which zeros are values.
    let mut range: libc::flock = unsafe { std::mem::zeroed() };
    range.l_type = kind as libc::c_short;
    range.l_whence = libc::SEEK_SET as libc::c_short;
    range.l_start = offset as i64;
    range.l_len = HEADER as i64;
    // SAFETY: a descriptor that is open, and a structure of the command's type.
    let done = unsafe { libc::fcntl(file.as_raw_fd(), command, &raw const range) };
    if done == 0 { Ok(()) } else { Err(CUresult::OPERATING_SYSTEM) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_is_of_its_kind_and_lasts_as_long_as_its_file() {
        let file = memory_file(8192).unwrap();
        let handle = Handle::new(Kind::Memory, &file, (0, 8192), 1).unwrap();
        assert_eq!(Handle::from_words(handle.words(), Kind::Memory), Ok(handle));
        assert_eq!(Handle::from_words(handle.words(), Kind::Event), Err(CUresult::INVALID_VALUE));
        assert_eq!(Handle::from_words([0; HANDLE_WORDS], Kind::Memory), Err(CUresult::INVALID_VALUE));
        assert!(handle.is_own() && handle.open().is_ok());
        drop(file);
        assert!(handle.open().is_err());
    }

    #[test]
    fn a_part_is_shared_until_its_last_share_ends() {
        let file = memory_file(3 * HEADER).unwrap();
        let own = Share::begin(&file, Kind::Physical, HEADER, 77, 3).unwrap();
        let descriptor = own.descriptor().unwrap();
        assert!(Share::open(descriptor, Kind::Pool).is_err());
        let (other, len, device) = Share::open(descriptor, Kind::Physical).unwrap();
        assert_eq!((len, device, other.start()), (77, 3, 2 * HEADER));
        assert!(!own.end());
        // SAFETY: the descriptor is this test's.
        unsafe { libc::close(descriptor) };
        assert!(other.end());
        assert!(Share::open(file.as_raw_fd(), Kind::Physical).is_err(), "its position is no header");
    }
}
