//! The library that cudarc finds by the name `libcuda.so`: each exported name jumps through a
//! table that the running program fills in with its own entry points. `build.rs` compiles this
//! file with the list of names in `STUB_NAMES`.
#![no_std]

use core::arch::naked_asm;
use core::ffi::c_void;

include!(env!("STUB_NAMES"));

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    loop {}
}

/// One address for each name, in the order of the names.
static mut TABLE: [*const c_void; COUNT] = [core::ptr::null(); COUNT];

/// Fills the table; whether the number of names is the expected one.
///
/// # Safety
/// `entries` has `count` addresses. Called once, before any other function of this library.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn graphproof_stub_install(entries: *const *const c_void, count: usize) -> bool {
    if count != COUNT {
        return false;
    }
    let mut index = 0;
    while index < COUNT {
        // SAFETY: both have COUNT elements; nobody reads the table yet.
        unsafe { (&raw mut TABLE).cast::<*const c_void>().add(index).write(entries.add(index).read()) };
        index += 1;
    }
    true
}

macro_rules! jumps {
    ($($index:literal $name:ident)*) => {$(
        #[unsafe(naked)]
        #[unsafe(no_mangle)]
        extern "C" fn $name() {
            #[cfg(target_arch = "x86_64")]
            naked_asm!("jmp qword ptr [rip + {table} + 8 * {index}]", table = sym TABLE, index = const $index);
            #[cfg(target_arch = "aarch64")]
            naked_asm!(
                "adrp x16, {table} + 8 * {index}",
                "ldr x16, [x16, :lo12:{table} + 8 * {index}]",
                "br x16",
                table = sym TABLE,
                index = const $index,
            );
        }
    )*};
}

names!(jumps);
