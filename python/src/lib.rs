//! The extension module of the Python package: the judge, the software driver and the command line. What
//! Python sees of it stands in `python/graphproof`.

mod driver;
mod error;
mod lines;
mod memory;
mod report;
mod stacks;
mod step;
mod subject;
mod trace;

use std::sync::Arc;

use graphproof::indexer::Indexer;
use pyo3::prelude::*;

/// The command line, with the words behind the program's name; gives its exit code.
#[pyfunction]
fn command_line(py: Python<'_>, words: Vec<String>) -> u8 {
    let words = std::iter::once("graphproof".to_owned()).chain(words).map(Into::into);
    let words: Vec<std::ffi::OsString> = words.collect();
    py.detach(|| graphproof::run(Arc::new(Indexer::default()), words).code())
}

/// The judge and the software driver of the package graphproof.
#[pymodule]
fn _graphproof(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add("Refused", module.py().get_type::<error::Refused>())?;
    module.add_class::<memory::Memory>()?;
    module.add_class::<report::Receipt>()?;
    module.add_function(wrap_pyfunction!(command_line, module)?)?;
    module.add_function(wrap_pyfunction!(driver::use_driver, module)?)?;
    module.add_function(wrap_pyfunction!(driver::synchronize, module)?)?;
    module.add_function(wrap_pyfunction!(lines::line, module)?)?;
    module.add_function(wrap_pyfunction!(memory::download, module)?)?;
    module.add_function(wrap_pyfunction!(memory::is_of_another_context, module)?)?;
    module.add_function(wrap_pyfunction!(report::read_receipt, module)?)?;
    module.add_function(wrap_pyfunction!(report::judge, module)?)?;
    module.add_function(wrap_pyfunction!(trace::begin_trace, module)?)?;
    module.add_function(wrap_pyfunction!(trace::end_trace, module)?)?;
    stacks::tell();
    Ok(())
}
