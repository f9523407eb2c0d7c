//! A `libcuda.so.1` that stands in front of the real one.
//!
//! The crate is two things. `inside` is the library itself: every name of the table is exported, notes the
//! call and goes on to the real driver. A build script compiles it, and [`Forwarder`] carries its bytes,
//! unpacks them into a folder for one driver, and says which environment puts them in front of it. In a
//! process that runs already, [`listen_here`] puts them there before a driver is loaded.

#[cfg(all(target_arch = "x86_64", any(graphproof_library, clippy, test)))]
mod inside;

#[cfg(not(graphproof_library))]
mod here;
#[cfg(not(graphproof_library))]
mod search;
#[cfg(not(graphproof_library))]
mod unpack;
#[cfg(not(graphproof_library))]
pub use here::{Here, Unheard, listen_here, step_aside};
#[cfg(not(graphproof_library))]
pub use search::search_real;
#[cfg(not(graphproof_library))]
pub use unpack::{Behind, ForwardError, Forwarder, SOFTWARE_FILE, beside, find_real, find_software, search_path};
