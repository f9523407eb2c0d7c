//! Runs one script against a driver, in this process.
//!
//! The calling thread only directs: each thread that the script names is an OS thread of its own,
//! and a line is finished before the next one starts, so that the order of calls is the file's.

use std::collections::HashMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use super::call::api::Driver;
use super::call::env::{Answer, Env, Prepared, Problem};
use super::call::{self, names};
use super::expand::{Script, Step};

/// How long a line with `until GATE` may run before it counts as blocked and the gate is opened.
///
/// A driver that blocks never returns within it, whatever its length; one that does not block but is
/// slower than this would be called blocked.
const PATIENCE: Duration = Duration::from_millis(300);

/// What one call answered.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Observation {
    /// The line in the case file.
    pub line: usize,
    /// The call, as the script spells it.
    pub call: String,
    /// The result's name and further words; `UNSET` where an argument was never created.
    pub saw: String,
}

/// Why a script did not run to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The driver lacks something that the case needs.
    Skip(String),
    /// The driver or the case cannot be used at all.
    Error(String),
}

/// A driver with a context on device 0.
pub struct Session {
    pub(super) driver: &'static Driver,
    pub(super) context: u64,
    /// The version, as `cuDriverGetVersion` numbers it.
    pub version: i32,
}

impl Session {
    /// Initialises the driver and retains the primary context of device 0.
    ///
    /// The driver stays loaded until the process ends.
    ///
    /// # Errors
    /// The first call that fails, by name.
    pub fn start(driver: Driver) -> Result<Self, Stop> {
        let driver: &'static Driver = Box::leak(Box::new(driver));
        let call = |name: &str, words: &[u64]| {
            let entry = driver.symbol(name).ok_or_else(|| Stop::Error(format!("the driver does not export {name}")))?;
            // SAFETY: the three calls below pass the arguments that cuda.h declares; outputs are locals.
            match unsafe { entry.call(words) } {
                0 => Ok(()),
                code => Err(Stop::Error(format!("{name} answered {}", names::result_name(code)))),
            }
        };
        let (mut version, mut context) = (0u64, 0u64);
        call("cuInit", &[0])?;
        call("cuDriverGetVersion", &[&raw mut version as u64])?;
        call("cuDevicePrimaryCtxRetain", &[&raw mut context as u64, 0])?;
        Ok(Self { driver, context, version: version as i32 })
    }

    fn devices(&self) -> Result<i32, Stop> {
        let missing = || Stop::Skip("the driver does not export cuDeviceGetCount".into());
        let entry = self.driver.symbol("cuDeviceGetCount").ok_or_else(missing)?;
        let mut count = 0i32;
        // SAFETY: cuda.h: (place for the count).
        match unsafe { entry.call(&[&raw mut count as u64]) } {
            0 => Ok(count),
            code => Err(Stop::Error(format!("cuDeviceGetCount answered {}", names::result_name(code)))),
        }
    }

    /// Runs a script; `seen` gets each observation as soon as it is made.
    ///
    /// # Errors
    /// [`Stop`] where a line could not be made; what was seen before stands.
    pub fn run(&self, script: &Script, seen: &mut dyn FnMut(Observation)) -> Result<(), Stop> {
        if let Some(least) = script.driver_at_least.filter(|least| self.version < *least) {
            return Err(Stop::Skip(format!("needs driver >= {}.{}", least / 1000, least % 1000 / 10)));
        }
        if script.devices > 1 {
            let found = self.devices()?;
            if found < script.devices {
                return Err(Stop::Skip(format!("needs {} devices, and there is {found}", script.devices)));
            }
        }
        let mut env = Env::new(self.driver, self.context);
        let mut workers = HashMap::new();
        for step in &script.steps {
            if !workers.contains_key(&step.thread) {
                workers.insert(step.thread.clone(), Worker::start(&step.thread, self.driver, self.context)?);
            }
        }
        let end = script.steps.iter().try_for_each(|step| {
            let saw = line(&mut env, &workers[&step.thread], step)?;
            seen(Observation { line: step.line, call: step.text.clone(), saw });
            Ok(())
        });
        env.open_all();
        end
    }
}

/// Makes one call on a thread and keeps what it created.
pub(super) fn line(env: &mut Env, worker: &Worker, step: &Step) -> Result<String, Stop> {
    let target = call::target(env, step).map(str::to_owned);
    let prepared = match call::prepare(env, step) {
        Ok(prepared) => prepared,
        Err(Problem::Unset) => {
            if let Some(target) = target {
                env.set(&target, None);
            }
            return Ok("UNSET".into());
        }
        Err(Problem::Missing(symbol)) => return Err(Stop::Skip(format!("the driver does not export {symbol}"))),
        Err(Problem::Script(what)) => return Err(Stop::Error(format!("line {}: {what}", step.line))),
    };
    let gate = step.until.as_deref().map(|name| env.gate(name));
    let answer = match gate {
        Some(gate) => worker.call_until(prepared, || gate.open())?,
        None => worker.call(prepared)?,
    };
    if let Some(target) = target {
        env.set(&target, answer.value);
    }
    Ok(answer.text)
}

/// A named thread of a script.
pub(super) struct Worker {
    calls: Sender<Prepared>,
    answers: Receiver<Answer>,
    thread: JoinHandle<()>,
}

impl Worker {
    /// Starts the thread and makes the context current on it.
    pub(super) fn start(name: &str, driver: &'static Driver, context: u64) -> Result<Self, Stop> {
        let (calls, todo) = channel::<Prepared>();
        let (done, answers) = channel();
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                for call in todo {
                    if done.send(call()).is_err() {
                        break;
                    }
                }
            })
            .map_err(|error| Stop::Error(format!("cannot start a thread: {error}")))?;
        let worker = Self { calls, answers, thread };
        let missing = || Stop::Error("the driver does not export cuCtxSetCurrent".into());
        let set = driver.symbol("cuCtxSetCurrent").ok_or_else(missing)?;
        // SAFETY: cuda.h: (context).
        let answer = worker.call(Box::new(move || Answer::code(unsafe { set.call(&[context]) })))?;
        if answer.text == "SUCCESS" {
            Ok(worker)
        } else {
            Err(Stop::Error(format!("cuCtxSetCurrent answered {}", answer.text)))
        }
    }

    fn send(&self, call: Prepared) -> Result<(), Stop> {
        self.calls.send(call).map_err(|_| Self::gone())
    }

    pub(super) fn call(&self, call: Prepared) -> Result<Answer, Stop> {
        self.send(call)?;
        self.answers.recv().map_err(|_| Self::gone())
    }

    /// Makes a call that may block until `open`: opens once patience is over, and says so.
    fn call_until(&self, call: Prepared, open: impl FnOnce()) -> Result<Answer, Stop> {
        self.send(call)?;
        match self.answers.recv_timeout(PATIENCE) {
            Ok(answer) => Ok(answer),
            Err(RecvTimeoutError::Disconnected) => Err(Self::gone()),
            Err(RecvTimeoutError::Timeout) => {
                open();
                let answer = self.answers.recv().map_err(|_| Self::gone())?;
                Ok(Answer { text: format!("BLOCKED {}", answer.text), value: answer.value })
            }
        }
    }

    /// Ends the thread, and with it what the driver keeps of it.
    pub(super) fn finish(self) {
        drop(self.calls);
        let _ = self.thread.join();
    }

    fn gone() -> Stop {
        Stop::Error("a thread of the case ended early".into())
    }
}
