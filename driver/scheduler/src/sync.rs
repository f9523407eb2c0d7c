//! The locks and threads that the engine is made of: the standard ones, or loom's when a model
//! check explores every order of their steps (`cfg(loom)`).

#[cfg(not(loom))]
pub use std::{
    hint,
    sync::{
        Condvar, Mutex, MutexGuard,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    thread,
};

#[cfg(loom)]
pub use loom::{
    hint,
    sync::{
        Condvar, Mutex, MutexGuard,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    thread,
};
