//! Which driver the process speaks to, and the context that is shared with the frameworks in it.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use graphproof::harness::cuda::Session;
use graphproof::harness::driver::{self, DriverChoice, DriverKind};
use graphproof_driver::loader;
use pyo3::prelude::*;

use crate::error::{self, Refused};

static SESSION: Mutex<Option<Arc<Session>>> = Mutex::new(None);

static SOFTWARE: AtomicBool = AtomicBool::new(false);

/// The primary context, current on this thread.
pub fn session() -> PyResult<Arc<Session>> {
    let session = SESSION.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let session =
        session.ok_or_else(|| Refused::new_err("no driver is in place: call graphproof.use_driver() first"))?;
    session.bind().map_err(|error| error::cuda(&error))?;
    Ok(session)
}

/// Puts a driver in place for the process: `auto`, `system` or `software`. The software driver answers to the
/// names by which frameworks ask for libcuda, libnvrtc and libnvJitLink; its file for compilers goes into
/// `folder`, and the real libnvrtc is looked for in `packages`. Gives the driver's kind and the device's name and
/// capability.
#[pyfunction]
pub fn use_driver(
    py: Python<'_>,
    choice: &str,
    folder: PathBuf,
    packages: Vec<PathBuf>,
) -> PyResult<(&'static str, String, (i32, i32))> {
    let choice: DriverChoice = choice.parse().map_err(Refused::new_err)?;
    py.detach(|| {
        let mut session = SESSION.lock().unwrap_or_else(PoisonError::into_inner);
        let selected = driver::select(choice).map_err(|error| error::refused(&error))?;
        if selected.kind == DriverKind::Software && session.is_none() {
            loader::install_for_others(&folder).map_err(|error| Refused::new_err(others(&error)))?;
            graphproof_compiler_bodies::look_in(packages);
            for (name, stub, entries) in graphproof_compiler_bodies::entries() {
                loader::install_stub(stub, &entries)
                    .map_err(|error| Refused::new_err(format!("the stand-in for {name}: {error}")))?;
            }
        }
        let open = match session.as_ref() {
            Some(open) => Arc::clone(open),
            None => {
                let (_, open) = driver::open(choice).map_err(|error| error::refused(&error))?;
                Arc::clone(session.insert(Arc::new(open)))
            }
        };
        open.bind().map_err(|error| error::cuda(&error))?;
        SOFTWARE.store(selected.kind == DriverKind::Software, Ordering::Relaxed);
        let facts = open.facts();
        Ok((selected.kind.name(), facts.name.clone(), facts.compute_capability))
    })
}

fn others(error: &loader::LoadError) -> String {
    match error {
        loader::LoadError::AlreadyLoaded { path } => format!(
            "the software driver comes too late: {} is loaded already; import graphproof, with \
             GRAPHPROOF_DRIVER=software set, before what uses CUDA",
            path.display()
        ),
        other => other.to_string(),
    }
}

/// Whether the driver of the process is the software driver.
pub fn is_software() -> bool {
    SOFTWARE.load(Ordering::Relaxed)
}

/// Waits for all work of the context.
#[pyfunction]
pub fn synchronize(py: Python<'_>) -> PyResult<()> {
    py.detach(|| session()?.synchronize().map_err(|error| error::cuda(&error)))
}
