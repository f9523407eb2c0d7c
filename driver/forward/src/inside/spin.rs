//! A lock that a forked child can open again.

use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicBool, Ordering};

use graphproof_door::sys;

/// A value behind a lock that is held for a few instructions.
pub(super) struct Spin<T> {
    held: AtomicBool,
    value: UnsafeCell<T>,
}

// SAFETY: the value is reached under the lock only.
unsafe impl<T: Send> Sync for Spin<T> {}

impl<T> Spin<T> {
    pub const fn new(value: T) -> Self {
        Self { held: AtomicBool::new(false), value: UnsafeCell::new(value) }
    }

    pub fn with<R>(&self, body: impl FnOnce(&mut T) -> R) -> R {
        let mut tries = 0;
        while self.held.compare_exchange_weak(false, true, Ordering::Acquire, Ordering::Relaxed).is_err() {
            tries += 1;
            if tries % 64 == 0 { sys::give_way() } else { std::hint::spin_loop() }
        }
        self.held(body)
    }

    /// As [`Spin::with`]; `None` if another thread has it.
    pub fn try_with<R>(&self, body: impl FnOnce(&mut T) -> R) -> Option<R> {
        let free = self.held.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed).is_ok();
        free.then(|| self.held(body))
    }

    fn held<R>(&self, body: impl FnOnce(&mut T) -> R) -> R {
        struct Open<'a>(&'a AtomicBool);
        impl Drop for Open<'_> {
            fn drop(&mut self) {
                self.0.store(false, Ordering::Release);
            }
        }
        let _open = Open(&self.held);
        // SAFETY: the lock is held until `_open` is dropped.
        body(unsafe { &mut *self.value.get() })
    }

    /// Replaces the value, whoever holds the lock: for a forked child, where no other thread is. What was
    /// there is left as it is, since its owner may have been changing it.
    pub fn reset(&self, value: T) {
        // SAFETY: the child has one thread, which is here.
        unsafe { self.value.get().write(value) };
        self.held.store(false, Ordering::Release);
    }
}
