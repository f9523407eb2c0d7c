//! The library: what runs in another's program.
//!
//! It must not change what the program sees. It calls the driver only for what never waits and never
//! touches a capture; it takes no lock of the loader, of the interpreter or of the C library while a driver
//! call is in progress; what goes wrong in here ends the recording and not the program.
#![cfg_attr(not(graphproof_library), allow(dead_code))]

mod action;
mod arguments;
mod captures;
mod frame;
mod functions;
mod graphs;
mod hooks;
mod images;
mod layout;
mod light;
mod listen;
mod maps;
mod node_params;
mod nvtx;
mod proc_address;
mod python;
mod real;
mod record;
mod spin;
mod stacks;
mod table;
mod trampoline;

/// Runs when the library is loaded, before anything can call it.
extern "C" fn load() {
    hooks::guarded(|| {
        record::read_environment();
        table::fill();
        python::look();
        // SAFETY: a function that only stores to atomics of this library.
        unsafe { graphproof_door::sys::pthread_atfork(None, None, Some(in_child)) };
    });
}

/// Runs when the program ends by itself.
extern "C" fn unload() {
    hooks::guarded(record::end);
}

/// In a forked child: nothing that another thread held is held, and nothing was written to its record.
unsafe extern "C" fn in_child() {
    captures::reset();
    functions::reset();
    stacks::reset();
    images::reset();
    maps::reset();
}

#[cfg(graphproof_library)]
#[used]
#[unsafe(link_section = ".init_array")]
static LOAD: extern "C" fn() = load;

#[cfg(graphproof_library)]
#[used]
#[unsafe(link_section = ".fini_array")]
static UNLOAD: extern "C" fn() = unload;
