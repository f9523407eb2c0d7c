//! What an entry point keeps of a call on the stack.

/// The frame of a call: the assembly fills in the first half, the hooks the second.
#[repr(C)]
pub(super) struct Frame {
    /// rdi, rsi, rdx, rcx, r8, r9.
    pub registers: [u64; 6],
    /// On the way in rax and r10; on the way out rax and rdx.
    pub more: [u64; 2],
    /// Number of the entry point.
    pub slot: u64,
    /// Where the real function is.
    pub target: u64,
    /// Words of stack arguments.
    pub words: u64,
    /// Where they are, above the return address.
    pub stack: *const u64,
    /// When the call began, on [`graphproof_door::sys::now`]'s clock.
    pub began: u64,
    /// Whether its end is recorded.
    pub recorded: bool,
    /// Whether it was made inside another.
    pub nested: bool,
    /// Whether it is told to the listener.
    pub heard: bool,
    /// Whether it is only counted if it succeeds.
    pub counts: bool,
    /// Whether it begins a capture.
    pub begins: bool,
    /// Of one that is heard, the capture status of its stream before it, by [`graphproof_door::Heard::capture`].
    pub capture: u8,
    /// What an argument pointed to before the call, where that is of interest.
    pub before: u32,
    /// The frame of the call around it.
    pub outer: usize,
}

/// Where the eight bytes of [`Frame`] are that say what is done about the call: assembly writes them of one that is only
/// counted.
pub(super) const FLAGS: usize = std::mem::offset_of!(Frame, recorded);
/// Then they are this.
pub(super) const COUNTS: u32 = 1 << (8 * (std::mem::offset_of!(Frame, counts) - FLAGS));
const _: () = {
    use std::mem::offset_of;
    assert!(offset_of!(Frame, target) == 72 && offset_of!(Frame, counts) - FLAGS == 3);
    assert!(offset_of!(Frame, capture) < FLAGS + 8 && offset_of!(Frame, before) >= FLAGS + 8, "eight bytes are flags");
};

/// Room for [`Frame`].
pub(super) const HEAD_BYTES: usize = 128;
/// With eight vector registers after it.
pub(super) const FRAME_BYTES: usize = HEAD_BYTES + 8 * 32;

const _: () = assert!(size_of::<Frame>() <= HEAD_BYTES && FRAME_BYTES.is_multiple_of(32));
