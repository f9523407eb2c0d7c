//! Which `libcuda` the process speaks to, and why.

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Mutex;

use graphproof_driver::loader::{self, System, find_system};
use graphproof_forward::step_aside;

use crate::cuda::Session;
use crate::error::RunError;
use crate::hearing::{self, Hearing};

/// The oldest driver whose `cuFuncGetParamInfo` names the parameters of a graph's kernels.
const OLDEST_DRIVER: i32 = 12040;

/// What the user asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DriverChoice {
    /// NVIDIA's where there is one with a device, else the software driver.
    #[default]
    Auto,
    /// NVIDIA's, or an error.
    System,
    /// The software driver.
    Software,
}

impl FromStr for DriverChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "auto" => Ok(DriverChoice::Auto),
            "system" => Ok(DriverChoice::System),
            "software" => Ok(DriverChoice::Software),
            _ => Err(format!("'{text}' is none of auto, system, software")),
        }
    }
}

/// Which driver a process uses. One process has one driver: cudarc opens it once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DriverKind {
    /// NVIDIA's `libcuda`.
    System,
    /// The software driver.
    Software,
}

impl DriverKind {
    /// `system` or `software`.
    pub const fn name(self) -> &'static str {
        match self {
            DriverKind::System => "system",
            DriverKind::Software => "software",
        }
    }
}

/// The driver in use.
#[derive(Debug, Clone)]
pub struct Selected {
    /// Which.
    pub kind: DriverKind,
    /// Its file; `None` for the software driver, which is part of this executable.
    pub path: Option<PathBuf>,
    /// Why this one.
    pub reason: String,
    /// Why its calls are not recorded; `None` where they are.
    pub unrecorded: Option<String>,
}

static SELECTED: Mutex<Option<Selected>> = Mutex::new(None);

/// Puts the driver in place for the rest of the process and opens device 0.
///
/// # Errors
/// No driver, a driver without a device, or one that is too old.
pub fn open(choice: DriverChoice) -> Result<(Selected, Session), RunError> {
    let selected = select(choice)?;
    let session = Session::open(0, selected.kind == DriverKind::Software).map_err(|error| match error.code {
        100 | 101 => RunError::NoDevice(error),
        _ => RunError::Driver { what: "opening the device", error },
    })?;
    let version = session.facts().driver_version;
    if version < OLDEST_DRIVER {
        return Err(RunError::DriverTooOld { version });
    }
    Ok((selected, session))
}

/// Why the calls of the driver in use are not recorded; `None` where they are, or no driver is in use.
pub fn unrecorded() -> Option<String> {
    SELECTED.lock().unwrap_or_else(std::sync::PoisonError::into_inner).as_ref()?.unrecorded.clone()
}

/// Which driver the process uses, once one is in place.
pub fn in_use() -> Option<DriverKind> {
    SELECTED.lock().unwrap_or_else(std::sync::PoisonError::into_inner).as_ref().map(|selected| selected.kind)
}

/// Puts the driver in place; the first call decides for the process.
///
/// # Errors
/// As for [`open`], or another driver is in place already.
pub fn select(choice: DriverChoice) -> Result<Selected, RunError> {
    let mut selected = SELECTED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(selected) = selected.as_ref() {
        let same = match choice {
            DriverChoice::Auto => true,
            DriverChoice::System => selected.kind == DriverKind::System,
            DriverChoice::Software => selected.kind == DriverKind::Software,
        };
        return if same {
            Ok(selected.clone())
        } else {
            Err(RunError::SoftwareDriver(format!("the {} driver is in use already", selected.kind.name())))
        };
    }
    let found = match choice {
        DriverChoice::Software => software("asked for with --driver software".to_owned())?,
        DriverChoice::System => {
            system("asked for with --driver system").map_err(|reason| RunError::NoDriver { reason })?
        }
        DriverChoice::Auto => match system_with_device() {
            Ok(system) => system,
            Err(reason) => software(reason)?,
        },
    };
    Ok(selected.insert(found).clone())
}

fn software(reason: String) -> Result<Selected, RunError> {
    loader::install_software().map_err(|error| RunError::SoftwareDriver(error.to_string()))?;
    Ok(Selected { kind: DriverKind::Software, path: None, reason, unrecorded: None })
}

/// NVIDIA's driver, if the loader finds it, with the recorder in front of it where that can be; else what was
/// tried.
fn system(reason: &str) -> Result<Selected, String> {
    let selected = |path, unrecorded| Selected {
        kind: DriverKind::System,
        path: Some(path),
        reason: reason.to_owned(),
        unrecorded,
    };
    // First of all: the name is his who is loaded first.
    let unrecorded = match hearing::begin() {
        Hearing::Heard(path) => return Ok(selected(path, None)),
        Hearing::Unheard(why) => why,
    };
    match find_system() {
        System::Found { path, .. } => Ok(selected(path, Some(unrecorded))),
        System::NotFound { tried } => {
            Err(tried.into_iter().map(|t| format!("{}: {}", t.name, t.reason)).collect::<Vec<_>>().join("; "))
        }
    }
}

/// NVIDIA's driver, if it also has a device: a driver library without a GPU is common in
/// containers and on build machines.
fn system_with_device() -> Result<Selected, String> {
    let selected = system("NVIDIA's driver is here and has a device")?;
    match count_devices(&selected) {
        Ok(()) => Ok(selected),
        Err(why) => {
            if selected.unrecorded.is_none() {
                // The software driver answers to the name now.
                step_aside();
            }
            Err(format!("NVIDIA's driver {} {why}", selected.path.unwrap_or_default().display()))
        }
    }
}

fn count_devices(selected: &Selected) -> Result<(), String> {
    let path = selected.path.clone().unwrap_or_default();
    // SAFETY: `system` has loaded this library already; its initialisers have run.
    let library = unsafe { libloading::Library::new(&path) }.map_err(|error| error.to_string())?;
    // SAFETY: the documented types of these functions, which every driver has.
    let (init, count) = unsafe {
        let init = library.get::<unsafe extern "C" fn(u32) -> u32>(b"cuInit\0");
        let count = library.get::<unsafe extern "C" fn(*mut i32) -> u32>(b"cuDeviceGetCount\0");
        (init.map_err(|error| error.to_string())?, count.map_err(|error| error.to_string())?)
    };
    let mut devices = 0;
    // SAFETY: as documented; the pointer is to a local.
    let (started, counted) = unsafe { (init(0), count(&mut devices)) };
    if started == 0 && counted == 0 && devices > 0 { Ok(()) } else { Err("has no device".to_owned()) }
}

/// Blocks of kernels that ended so far in this process, where the driver counts them.
pub fn blocks_ended() -> Option<u64> {
    (in_use() == Some(DriverKind::Software)).then(graphproof_driver::control::blocks_ended)
}

/// What the software driver's order of work is drawn from; 0 on another.
pub fn order_seed() -> u64 {
    if in_use() == Some(DriverKind::Software) { graphproof_driver::control::seed() } else { 0 }
}

/// Why no other order is tried on NVIDIA's driver.
pub const ORDER_IS_ITS_OWN: &str = "the order of work is NVIDIA's driver's own";

/// The two seeds that choose nothing: what could run first runs first, or what could run last.
pub const EXTREME_ORDERS: [u64; 2] = [graphproof_driver::control::FORWARDS, graphproof_driver::control::BACKWARDS];

/// Restarts every choice that CUDA leaves open from `seed`, on the software driver.
pub fn set_order_seed(seed: u64) {
    if in_use() == Some(DriverKind::Software) {
        graphproof_driver::control::set_seed(seed);
    }
}

/// A kernel fault as the driver tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The kernel.
    pub kernel: String,
    /// The story, a fact a line.
    pub lines: Vec<String>,
}

/// The kernel fault that made the context unusable, if the driver in use can tell.
pub fn last_fault() -> Option<Fault> {
    let selected = SELECTED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    selected.as_ref().filter(|selected| selected.kind == DriverKind::Software)?;
    let report = graphproof_driver::software::fault::last_fault()?;
    let mut lines = vec![report.explanation];
    let fault = report.fault?;
    let ([bx, by, bz], [tx, ty, tz]) = (fault.block, fault.thread);
    lines.push(format!("kernel {}, block ({bx}, {by}, {bz}), thread ({tx}, {ty}, {tz})", fault.kernel));
    lines.push(format!("PTX line {}: {}", fault.ptx_line, fault.ptx_text));
    Some(Fault { kernel: fault.kernel, lines })
}
