//! Which driver a call means: the one of the process, or one that the calling thread has entered.
//!
//! Programs that call through the C ABI never hear of this: they have the driver of the process. A test, or a
//! program that embeds the driver, makes an [`Instance`] and enters it; the threads that execute its work, and
//! the host functions that they call, are in it too.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::num::NonZero;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::thread;

use super::context;
use super::driver::Driver;
use super::execute::Executor;

/// The settings of a driver: those that it is made with, and the environment's for all others.
#[derive(Debug, Clone, Default)]
pub struct Settings(BTreeMap<String, String>);

impl Settings {
    /// As these, with `name` (that of the environment variable) set to `value`.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.0.insert(name.to_owned(), value.to_owned());
        self
    }

    /// A setting, unless it is blank.
    pub fn get(&self, name: &str) -> Option<String> {
        let value = self.0.get(name).cloned().or_else(|| std::env::var(name).ok());
        value.filter(|value| !value.trim().is_empty())
    }

    /// `GRAPHPROOF_SEED`.
    pub(super) fn seed(&self) -> u64 {
        self.get("GRAPHPROOF_SEED").and_then(|text| text.parse().ok()).unwrap_or(0)
    }

    /// `GRAPHPROOF_WORKERS`.
    pub(super) fn workers(&self) -> NonZero<usize> {
        const WORKERS: NonZero<usize> = NonZero::new(16).unwrap();
        self.get("GRAPHPROOF_WORKERS").and_then(|text| text.parse().ok()).unwrap_or(WORKERS)
    }
}

/// A driver beside the one of the process, with a device, memory, contexts, streams and threads of its own.
///
/// Handles and addresses of one driver mean nothing to another. Clones are the same driver; with the last of
/// them, and the last thread in it, its work is stopped (a host function runs to its end), its threads end and
/// its memory goes.
#[derive(Debug, Clone)]
pub struct Instance(Arc<Open>);

#[derive(Debug)]
struct Open(&'static Driver);

impl Instance {
    /// A driver in the state before `cuInit`.
    pub fn new(settings: Settings) -> Self {
        static NUMBERS: AtomicU64 = AtomicU64::new(OF_THE_PROCESS + 1);
        Self(Arc::new(Open(make(NUMBERS.fetch_add(1, Ordering::Relaxed), settings))))
    }

    /// From here until the guard is dropped, calls of this thread mean this driver. Guards are dropped in the
    /// reverse order of their making. A thread's current contexts in a driver are kept for its next visit.
    pub fn enter(&self) -> Entered {
        let Open(driver) = *self.0;
        let own = PARKED.with_borrow_mut(|parked| parked.remove(&driver.number)).unwrap_or_default();
        let outer = context::with_stack(|stack| std::mem::replace(stack, own));
        Entered { outer, _within: within(driver), instance: self.clone() }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        // A program that goes wrong must say so, and not wait for a host function that waits for it.
        if !thread::panicking() {
            let _within = within(self.0);
            self.0.close();
        }
    }
}

/// The calling thread is in a driver while this lives.
#[derive(Debug)]
pub struct Entered {
    outer: Vec<u64>,
    _within: Within,
    instance: Instance,
}

impl Entered {
    /// The driver.
    pub fn instance(&self) -> &Instance {
        &self.instance
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        let outer = std::mem::take(&mut self.outer);
        let own = context::with_stack(|stack| std::mem::replace(stack, outer));
        if !own.is_empty() {
            // A thread that ends visits no driver again.
            let Open(driver) = *self.instance.0;
            let _ = PARKED.try_with(|parked| parked.borrow_mut().insert(driver.number, own));
        }
    }
}

thread_local! {
    static ENTERED: Cell<Option<&'static Driver>> = const { Cell::new(None) };
    static PARKED: RefCell<BTreeMap<u64, Vec<u64>>> = const { RefCell::new(BTreeMap::new()) };
}

/// The driver that the calling thread's calls mean.
pub fn driver() -> &'static Driver {
    ENTERED.get().unwrap_or_else(of_the_process)
}

/// A setting of the driver that the calling thread's calls mean.
pub fn setting(name: &str) -> Option<String> {
    driver().settings.get(name)
}

/// The number of the driver of the process.
pub(super) const OF_THE_PROCESS: u64 = 0;

/// The driver of this process, which lives as long as it does.
pub(super) fn of_the_process() -> &'static Driver {
    static DRIVER: LazyLock<&'static Driver> = LazyLock::new(|| make(OF_THE_PROCESS, Settings::default()));
    *DRIVER
}

/// The thread works for a driver until the guard is dropped.
pub(super) fn within(driver: &'static Driver) -> Within {
    Within { before: ENTERED.replace(Some(driver)), _here: PhantomData }
}

/// The calling thread works for a driver while this lives; it stays on its thread.
#[derive(Debug)]
pub(super) struct Within {
    before: Option<&'static Driver>,
    _here: PhantomData<*const ()>,
}

impl Drop for Within {
    fn drop(&mut self) {
        ENTERED.set(self.before);
    }
}

/// Makes a driver. What is left of it when it is closed, a few hundred bytes, stays: a thread may still mean
/// it, and finds it without a device.
fn make(number: u64, settings: Settings) -> &'static Driver {
    let executor = Executor::default();
    let known = executor.driver.clone();
    let driver: &'static Driver = Box::leak(Box::new(Driver::new(number, settings, executor)));
    // Set once, here: the engine has had no work yet.
    let _ = known.set(driver);
    driver
}
