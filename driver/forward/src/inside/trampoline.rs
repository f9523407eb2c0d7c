//! The entry points.
//!
//! Each exported name puts its number into r11 and goes to `graphproof_pass`, which saves the argument
//! registers, lets [`super::hooks::enter`] note the call, calls the real function with the same registers
//! and a copy of the stack arguments, lets [`super::hooks::leave`] note the result, and returns it. Both hooks are passed
//! by where a call is only counted ([`super::light`]). The real
//! function is called and not jumped to, from a frame that call frame information describes: exceptions and
//! backtraces pass through it as through any function, and a longjmp drops it. No signature is needed; the
//! table only says how many words of stack arguments there may be.
//!
//! Vector registers are kept where an argument may be in them: for the few functions that take a float, and
//! for every function that the table does not know. No other function of the driver looks at them.

use std::ffi::c_void;
use std::sync::atomic::{AtomicU8, Ordering};

use graphproof_door::{PAGE, Shared};

use super::frame::{COUNTS, FLAGS, FRAME_BYTES, HEAD_BYTES};

include!(env!("FORWARD_NAMES"));

/// Entry points for functions that are met while the program runs.
pub(super) const SPARE: usize = 1024;
/// All of them.
pub(super) const SLOTS: usize = COUNT + SPARE;
/// Bytes between two spare entry points.
const STRIDE: usize = 16;

/// By slot: 0, or 1 where vector registers are kept.
static VECTORS: [AtomicU8; SLOTS] = [const { AtomicU8::new(0) }; SLOTS];
/// Whether the processor and the system keep AVX registers.
static AVX: AtomicU8 = AtomicU8::new(0);

/// Says that a function may have arguments in vector registers.
pub(super) fn keep_vectors(slot: usize) {
    AVX.store(u8::from(std::arch::is_x86_feature_detected!("avx")), Ordering::Relaxed);
    VECTORS[slot].store(1, Ordering::Relaxed);
}

/// Whether vector registers are kept in calls of that slot.
pub(super) fn has_vectors(slot: usize) -> bool {
    VECTORS[slot].load(Ordering::Relaxed) != 0
}

std::arch::global_asm!(
    ".text",
    ".hidden graphproof_pass",
    ".globl graphproof_pass",
    ".type graphproof_pass,@function",
    ".balign 16",
    "graphproof_pass:",
    ".cfi_startproc",
    "push rbp",
    ".cfi_def_cfa_offset 16",
    ".cfi_offset rbp, -16",
    "mov rbp, rsp",
    ".cfi_def_cfa_register rbp",
    "sub rsp, {frame}",
    "mov [rsp], rdi",
    "mov [rsp + 8], rsi",
    "mov [rsp + 16], rdx",
    "mov [rsp + 24], rcx",
    "mov [rsp + 32], r8",
    "mov [rsp + 40], r9",
    "mov [rsp + 48], rax",
    "mov [rsp + 56], r10",
    "mov [rsp + 64], r11",
    "lea rax, [rip + {light}]",
    "movzx ecx, byte ptr [rax + r11]",
    "test ecx, ecx",
    "jnz 20f",
    "21:",
    "lea rax, [rip + {vectors}]",
    "cmp byte ptr [rax + r11], 0",
    "jne 5f",
    "2:",
    "mov rdi, rsp",
    "lea rsi, [rbp + 16]",
    "call {enter}",
    // The stack arguments again, in their order, above the return address of the real function.
    "mov rcx, [rsp + 80]",
    "22:",
    "test rcx, rcx",
    "jz 4f",
    "lea rax, [rcx + 1]",
    "and rax, -2",
    "shl rax, 3",
    "sub rsp, rax",
    "xor eax, eax",
    "3:",
    "mov rdx, [rbp + rax * 8 + 16]",
    "mov [rsp + rax * 8], rdx",
    "inc rax",
    "cmp rax, rcx",
    "jb 3b",
    "4:",
    "mov r11, [rbp - {frame} + 64]",
    "lea rax, [rip + {vectors}]",
    "cmp byte ptr [rax + r11], 0",
    "jne 7f",
    "6:",
    "mov rdi, [rbp - {frame}]",
    "mov rsi, [rbp - {frame} + 8]",
    "mov rdx, [rbp - {frame} + 16]",
    "mov rcx, [rbp - {frame} + 24]",
    "mov r8, [rbp - {frame} + 32]",
    "mov r9, [rbp - {frame} + 40]",
    "mov rax, [rbp - {frame} + 48]",
    "mov r10, [rbp - {frame} + 56]",
    "call [rbp - {frame} + 72]",
    "lea rsp, [rbp - {frame}]",
    "mov [rsp + 48], rax",
    "mov [rsp + 56], rdx",
    "cmp byte ptr [rsp + {flags} + 3], 0",
    "jne 23f",
    "24:",
    "mov rdi, rsp",
    "mov esi, eax",
    "call {leave}",
    "mov rax, [rsp + 48]",
    "mov rdx, [rsp + 56]",
    "25:",
    "leave",
    ".cfi_def_cfa rsp, 8",
    "ret",
    ".cfi_def_cfa rbp, 16",
    // A call that is only counted: what `enter` would fill in, unless a capture is in progress.
    "20:",
    "cmp dword ptr [rip + {active}], 0",
    "jne 21b",
    "lea rax, [r11 + r11 * 2]",
    "lea rdx, [rip + {table}]",
    "mov rax, [rdx + rax * 8]",
    "mov [rsp + 72], rax",
    "dec ecx",
    "mov [rsp + 80], rcx",
    "lea rax, [rbp + 16]",
    "mov [rsp + 88], rax",
    "mov qword ptr [rsp + {flags}], {counts}",
    "jmp 22b",
    // It has returned: counted in the record, if it succeeded and there is one.
    "23:",
    "test eax, eax",
    "jnz 24b",
    "mov rcx, [rip + {page}]",
    "test rcx, rcx",
    "jz 24b",
    "mov rcx, [rcx + {tally}]",
    "test rcx, rcx",
    "jz 24b",
    "lock inc qword ptr [rcx]",
    "jmp 25b",
    "5:",
    "cmp byte ptr [rip + {avx}], 0",
    "je 8f",
    "vmovups [rsp + {head}], ymm0",
    "vmovups [rsp + {head} + 32], ymm1",
    "vmovups [rsp + {head} + 64], ymm2",
    "vmovups [rsp + {head} + 96], ymm3",
    "vmovups [rsp + {head} + 128], ymm4",
    "vmovups [rsp + {head} + 160], ymm5",
    "vmovups [rsp + {head} + 192], ymm6",
    "vmovups [rsp + {head} + 224], ymm7",
    "jmp 2b",
    "8:",
    "movups [rsp + {head}], xmm0",
    "movups [rsp + {head} + 32], xmm1",
    "movups [rsp + {head} + 64], xmm2",
    "movups [rsp + {head} + 96], xmm3",
    "movups [rsp + {head} + 128], xmm4",
    "movups [rsp + {head} + 160], xmm5",
    "movups [rsp + {head} + 192], xmm6",
    "movups [rsp + {head} + 224], xmm7",
    "jmp 2b",
    "7:",
    "cmp byte ptr [rip + {avx}], 0",
    "je 9f",
    "vmovups ymm0, [rbp - {frame} + {head}]",
    "vmovups ymm1, [rbp - {frame} + {head} + 32]",
    "vmovups ymm2, [rbp - {frame} + {head} + 64]",
    "vmovups ymm3, [rbp - {frame} + {head} + 96]",
    "vmovups ymm4, [rbp - {frame} + {head} + 128]",
    "vmovups ymm5, [rbp - {frame} + {head} + 160]",
    "vmovups ymm6, [rbp - {frame} + {head} + 192]",
    "vmovups ymm7, [rbp - {frame} + {head} + 224]",
    "jmp 6b",
    "9:",
    "movups xmm0, [rbp - {frame} + {head}]",
    "movups xmm1, [rbp - {frame} + {head} + 32]",
    "movups xmm2, [rbp - {frame} + {head} + 64]",
    "movups xmm3, [rbp - {frame} + {head} + 96]",
    "movups xmm4, [rbp - {frame} + {head} + 128]",
    "movups xmm5, [rbp - {frame} + {head} + 160]",
    "movups xmm6, [rbp - {frame} + {head} + 192]",
    "movups xmm7, [rbp - {frame} + {head} + 224]",
    "jmp 6b",
    ".cfi_endproc",
    ".size graphproof_pass, . - graphproof_pass",
    // The spare entry points.
    ".hidden graphproof_spare",
    ".globl graphproof_spare",
    ".balign 16",
    "graphproof_spare:",
    ".set graphproof_slot, {count}",
    ".rept {spares}",
    ".balign 16",
    "mov r11d, graphproof_slot",
    "jmp graphproof_pass",
    ".set graphproof_slot, graphproof_slot + 1",
    ".endr",
    frame = const FRAME_BYTES,
    head = const HEAD_BYTES,
    flags = const FLAGS,
    counts = const COUNTS,
    tally = const Shared::TALLY,
    light = sym super::light::LIGHT,
    active = sym super::captures::ACTIVE,
    table = sym super::table::TABLE,
    page = sym PAGE,
    vectors = sym VECTORS,
    avx = sym AVX,
    enter = sym super::hooks::enter,
    leave = sym super::hooks::leave,
    count = const COUNT,
    spares = const SPARE,
);

unsafe extern "C" {
    fn graphproof_spare();
    #[cfg(graphproof_library)]
    fn graphproof_pass();
}

/// Where the spare entry point of that slot is.
pub(super) fn spare_entry(slot: usize) -> *const c_void {
    let first = graphproof_spare as *const () as *const u8;
    first.wrapping_add((slot - COUNT) * STRIDE).cast()
}

/// The exported names, in the order of their slots.
pub(super) static NAMES: [&str; COUNT] = {
    macro_rules! list {
        ($($index:literal $name:ident)*) => { [$(stringify!($name)),*] };
    }
    names!(list)
};

/// Where the entry point of that slot is.
pub(super) fn entry(slot: usize) -> *const c_void {
    #[cfg(graphproof_library)]
    if slot < COUNT {
        return EXPORTS[slot].0;
    }
    spare_entry(slot.max(COUNT))
}

#[cfg(graphproof_library)]
mod exports {
    use std::arch::naked_asm;

    macro_rules! exports {
        ($($index:literal $name:ident)*) => {$(
            #[unsafe(naked)]
            #[unsafe(no_mangle)]
            #[allow(non_snake_case)]
            pub extern "C" fn $name() {
                naked_asm!("mov r11d, {slot}", "jmp {pass}", slot = const $index, pass = sym super::graphproof_pass)
            }
        )*};
    }
    names!(exports);
}

/// An address that threads may share.
#[cfg(graphproof_library)]
struct Address(*const c_void);
// SAFETY: an address of code.
#[cfg(graphproof_library)]
unsafe impl Sync for Address {}

#[cfg(graphproof_library)]
static EXPORTS: [Address; COUNT] = {
    macro_rules! list {
        ($($index:literal $name:ident)*) => { [$(Address(exports::$name as *const () as *const c_void)),*] };
    }
    names!(list)
};
