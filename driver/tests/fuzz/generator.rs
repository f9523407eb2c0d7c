//! Makes arguments: live, null, dangling, foreign and destroyed handles, bad sizes and enumerators,
//! and pointers to memory that holds plausible words.
//!
//! Pointers are null or good: no C API survives others. What the device writes asynchronously (host
//! memory) and what calls read (structures) are apart, so that no copy makes a wild pointer.

use std::ffi::{c_char, c_int, c_void};
use std::ptr::null_mut;

use graphproof_driver::abi::CUresult;
use graphproof_driver::abi::types::*;

use super::handles::{HANDLES, kind};

const PTX: &str = ".version 8.0\n.target sm_80\n.address_size 64\n.global .u32 counter;\n\
    .visible .entry empty() { ret; }\n\
    .visible .entry store(.param .u64 to) { .reg .b64 %rd<3>; ld.param.u64 %rd1, [to]; \
    cvta.to.global.u64 %rd2, %rd1; st.global.u64 [%rd2], %rd1; ret; }\n\0";
const NAMES: [&str; 9] = [
    "empty\0",
    "store\0",
    "counter\0",
    "cuInit\0",
    "cuGraphLaunch\0",
    "cuNothing\0",
    "\0",
    "0000:00:00.0\0",
    "/nonexistent/file\0",
];
const IMAGES: [&str; 4] = [PTX, "\0", ".version 8.0\n.target sm_80\n.visible .entry k( {\0", "\x7fEL\0"];
/// Where the software device's addresses lie.
const DEVICE: std::ops::Range<u64> = 0x7000_0000_0000..0x7400_0000_0000;
const SLOTS: usize = 24;
const SLOT_WORDS: usize = 1024;

/// The generator of one thread.
pub struct Generator {
    state: u64,
    /// Structures and results.
    slots: &'static mut [[u64; SLOT_WORDS]],
    used: usize,
    addresses: Vec<usize>,
    pinned: Vec<usize>,
    /// Host memory that copies read and write.
    host: *mut u8,
}

// SAFETY: the memory that its pointers lead to is its own.
unsafe impl Send for Generator {}

impl Generator {
    /// Its memory lives for ever: work in flight may use it.
    pub fn new() -> Self {
        let host = Box::leak(vec![0u64; 1 << 17].into_boxed_slice()).as_mut_ptr().cast::<u8>();
        // Addresses a little before it are tried too.
        let host = host.wrapping_add(1 << 16);
        let slots = Box::leak(vec![[0; SLOT_WORDS]; SLOTS].into_boxed_slice());
        Self { state: 0, slots, used: 0, addresses: Vec::new(), pinned: Vec::new(), host }
    }

    /// Starts again from `seed`, as a new one would.
    pub fn restart(&mut self, seed: u64) {
        self.begin();
        self.state = seed;
        self.slots.as_flattened_mut().fill(0);
    }

    /// The next random number.
    pub fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let value = (self.state ^ self.state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let value = (value ^ value >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        value ^ value >> 31
    }

    /// A number below `count`.
    pub fn below(&mut self, count: usize) -> usize {
        (self.next() % count as u64) as usize
    }

    /// One of them.
    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    /// Forgets the last call's arguments.
    pub fn begin(&mut self) {
        self.used = 0;
        self.addresses.clear();
        self.pinned.clear();
    }

    /// Remembers the handles and addresses that the last call answered.
    pub fn harvest(&mut self) {
        let mut handles = HANDLES.lock().unwrap();
        for slot in 0..self.used {
            let at = self.next();
            for &word in &self.slots[slot][..4] {
                let kind = (word >> 56) as u8;
                if (kind::CONTEXT..=kind::CONDITIONAL).contains(&kind) {
                    handles.add(kind, word, at);
                }
            }
        }
        for &slot in &self.addresses {
            let (at, address) = (self.state, self.slots[slot][0]);
            let kind = if DEVICE.contains(&address) { kind::ADDRESS } else { kind::PINNED };
            handles.add(kind, address, at);
        }
        // Structures that calls complete hold addresses too: of nodes that allocate.
        for slot in &self.slots[..self.used] {
            slot[..32].iter().filter(|word| DEVICE.contains(word)).for_each(|&word| handles.keep_owned(word));
        }
        for &slot in &self.pinned {
            handles.add(kind::PINNED, self.slots[slot][0], self.state);
        }
    }

    /// Memory that holds one structure; the first words are zero.
    pub(super) fn slot(&mut self) -> *mut u64 {
        let slot = self.used;
        self.used += 1;
        let words = &mut self.slots[slot];
        words[..64].fill(0);
        words.as_mut_ptr()
    }

    /// A place for results; its first word is a capacity that fits.
    pub fn out(&mut self) -> *mut c_void {
        if self.below(12) == 0 {
            return null_mut();
        }
        let first = self.below(9) as u64;
        let slot = self.slot();
        // SAFETY: a slot of this generator.
        unsafe { slot.write(first) };
        slot.cast()
    }

    /// A place for an address.
    pub fn out_address(&mut self) -> *mut u64 {
        if self.below(16) == 0 {
            return null_mut();
        }
        self.addresses.push(self.used);
        self.slot()
    }

    /// A place for the address of host memory.
    pub fn out_pinned(&mut self) -> *mut *mut c_void {
        if self.below(16) == 0 {
            return null_mut();
        }
        self.pinned.push(self.used);
        self.slot().cast()
    }

    /// Host memory that the driver allocated, alive or not, or other. Not for copies: nobody survives
    /// one to memory that is unmapped.
    pub fn pinned(&mut self) -> *mut c_void {
        match self.below(4) {
            0 => self.host_memory().cast(),
            _ => self.known(kind::PINNED) as *mut c_void,
        }
    }

    /// Zeros.
    pub fn zeros(&mut self) -> *mut u64 {
        if self.below(4) == 0 { null_mut() } else { self.slot() }
    }

    /// Words of all sorts, for structures without pointers that are followed.
    pub fn words(&mut self) -> *mut u64 {
        if self.below(12) == 0 {
            return null_mut();
        }
        let slot = self.slot();
        for word in 0..32 {
            let value = match self.below(3) {
                0 => self.address(),
                1 => self.number() | self.number() << 32,
                _ => self.number(),
            };
            // SAFETY: within the slot.
            unsafe { slot.add(word).write(value) };
        }
        slot
    }

    /// Handles of a kind.
    pub fn handles(&mut self, kind: u8) -> *mut u64 {
        if self.below(12) == 0 {
            return null_mut();
        }
        let slot = self.slot();
        for word in 0..16 {
            let value = self.handle(kind);
            // SAFETY: within the slot.
            unsafe { slot.add(word).write(value) };
        }
        slot
    }

    /// An array of such numbers.
    pub fn list(&mut self, number: fn(&mut Self) -> u64) -> *mut u64 {
        if self.below(12) == 0 {
            return null_mut();
        }
        let slot = self.slot();
        for word in 0..16 {
            let value = number(self);
            // SAFETY: within the slot.
            unsafe { slot.add(word).write(value) };
        }
        slot
    }

    /// A handle: mostly one that the driver gave out, alive or not.
    pub fn handle(&mut self, kind: u8) -> u64 {
        let random = self.next();
        match self.below(32) {
            0 => 0,
            1 => random % 5,
            2 => random,
            3 => u64::from(kind) << 56 | random >> 8,
            4 => self.host as u64,
            5 => {
                let other = self.below(0x26) as u8;
                self.known(other)
            }
            6 if kind == kind::STREAM => 2,
            7..=9 if kind == kind::STREAM => 0,
            _ => self.known(kind),
        }
    }

    fn known(&mut self, kind: u8) -> u64 {
        let random = self.next();
        let handles = HANDLES.lock().unwrap();
        let known = &handles.known[kind as usize];
        if known.is_empty() { 0 } else { known[random as usize % known.len()] }
    }

    /// A device address, good or bad.
    pub fn address(&mut self) -> u64 {
        let random = self.next();
        match self.below(16) {
            0 => 0,
            // Not one that could be somebody's host memory.
            1 => random | 1 << 63,
            2 => self.host_memory() as u64,
            3..=5 => self.known(kind::ADDRESS).wrapping_add(self.pick(&[1, 4, 8, 64, 4096, u64::MAX])),
            _ => self.known(kind::ADDRESS),
        }
    }

    /// Host memory.
    pub fn host_memory(&mut self) -> *mut u8 {
        match self.below(16) {
            0 => null_mut(),
            random => self.host.wrapping_add(random / 8 * 64),
        }
    }

    /// Mostly the device there is.
    pub fn device(&mut self) -> c_int {
        match self.below(16) {
            0 => -1,
            1 => 1,
            2 => c_int::MAX,
            _ => 0,
        }
    }

    /// An enumerator, a set of flags, a number.
    pub fn number(&mut self) -> u64 {
        match self.below(10) {
            0 => self.pick(&[u64::MAX, u64::from(u32::MAX), 1 << 31, 1 << 40, 1 << 63, 255]),
            1 => self.below(200) as u64,
            2 => 1 << self.below(64),
            3 | 4 => self.below(16) as u64,
            _ => self.below(3) as u64,
        }
    }

    /// How many elements an array argument has.
    pub fn count(&mut self) -> usize {
        self.below(4)
    }

    /// A size in bytes.
    pub fn bytes(&mut self) -> usize {
        self.pick(&[0, 1, 3, 4, 8, 16, 64, 256, 1000, 4096])
    }

    /// A size of an allocation: also one that no machine has.
    pub fn allocation(&mut self) -> usize {
        if self.below(12) == 0 { self.pick(&[usize::MAX, 1 << 60, 1 << 47]) } else { self.bytes() }
    }

    /// An extent of a grid or block.
    pub fn extent(&mut self) -> u32 {
        self.pick(&[1, 1, 1, 1, 2, 3, 0, u32::MAX])
    }

    /// A string.
    pub fn name(&mut self) -> *const c_char {
        if self.below(16) == 0 { null_mut() } else { self.pick(&NAMES).as_ptr().cast() }
    }

    /// A file that may be written.
    pub fn path(&mut self) -> *const c_char {
        self.pick(&["/dev/null\0", "/nonexistent/file\0"]).as_ptr().cast()
    }

    /// The image of a module.
    pub fn image(&mut self) -> *const c_void {
        match self.below(16) {
            0 => null_mut(),
            1..=3 => self.pick(&IMAGES).as_ptr().cast(),
            _ => PTX.as_ptr().cast(),
        }
    }

    /// An array of pointers to words: parameters of a kernel, values of options.
    pub fn pointers(&mut self) -> *mut *mut c_void {
        if self.below(6) == 0 {
            return null_mut();
        }
        let target = self.slot();
        let slot = self.slot();
        for word in 0..32 {
            let value = self.address();
            // SAFETY: within the two slots.
            unsafe {
                target.add(word).write(value);
                slot.add(word).write(target.add(word) as u64);
            }
        }
        slot.cast()
    }

    /// The `extra` of a launch: null, or a buffer with its size, or nonsense.
    pub fn extra(&mut self) -> *mut *mut c_void {
        if self.below(3) != 0 {
            return null_mut();
        }
        let (buffer, size, slot) = (self.words(), self.slot(), self.slot());
        let (bytes, key) = (self.pick(&[0, 8, 4, 16]), self.pick(&[1, 1, 1, 2, 7]));
        // SAFETY: within the slots.
        unsafe {
            size.write(bytes);
            for (at, word) in [key, buffer as u64, 2, size as u64, 0].into_iter().enumerate() {
                slot.add(at).write(word);
            }
        }
        slot.cast()
    }

    /// A structure in a slot; now and then null.
    pub(super) fn put<T>(&mut self, value: T) -> *mut u64 {
        if self.below(16) == 0 {
            return null_mut();
        }
        let slot = self.slot();
        // SAFETY: every structure of the API is smaller than a slot, which is aligned to 8.
        unsafe { slot.cast::<T>().write(value) };
        slot
    }

    /// A function that does nothing, or none.
    pub fn host_function(&mut self) -> CUhostFn {
        unsafe extern "C" fn nothing(_: *mut c_void) {}
        if self.below(12) == 0 { None } else { Some(nothing) }
    }

    /// As above.
    pub fn callback(&mut self) -> CUstreamCallback {
        unsafe extern "C" fn nothing(_: CUstream, _: CUresult, _: *mut c_void) {}
        if self.below(12) == 0 { None } else { Some(nothing) }
    }

    /// As above.
    pub fn block_to_shared(&mut self) -> Option<unsafe extern "C" fn(c_int) -> usize> {
        unsafe extern "C" fn shared(block: c_int) -> usize {
            block as usize
        }
        if self.below(2) == 0 { None } else { Some(shared) }
    }

    /// As above; it accepts or refuses.
    pub fn recapture(
        &mut self,
    ) -> Option<unsafe extern "C" fn(*mut c_void, u64, *const c_void, *const c_void, u32) -> CUresult> {
        unsafe extern "C" fn accept(_: *mut c_void, _: u64, _: *const c_void, _: *const c_void, _: u32) -> CUresult {
            CUresult::SUCCESS
        }
        unsafe extern "C" fn refuse(_: *mut c_void, _: u64, _: *const c_void, _: *const c_void, _: u32) -> CUresult {
            CUresult::UNKNOWN
        }
        self.pick(&[None, Some(accept as _), Some(refuse as _)])
    }
}
