//! A function of Python's as a step.

use std::fmt;
use std::sync::Arc;

use graphproof::cudarc::driver::sys::{self, CUgraph, CUgraphExec, CUstream};
use graphproof::harness::capture_as::CaptureMode;
use graphproof::harness::finding::{Place, Site};
use graphproof::harness::framework::{Capturer, FrameworkGraph, Lost};
use graphproof::prelude::*;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use crate::error;
use crate::lines;
use crate::subject::buffers;

/// A `graphproof._subject.Subject`: it calls the function, and knows its framework.
pub struct PythonStep {
    subject: Py<PyAny>,
    name: String,
    summary: String,
    buffers: Vec<BufferSpec>,
    captures: bool,
    unpadded: Option<Py<PyAny>>,
    /// Where the host's work between steps stands, if there is some.
    before: Option<(String, u32)>,
}

impl PythonStep {
    /// Reads what the subject declares.
    pub fn of(py: Python<'_>, subject: Py<PyAny>) -> PyResult<Self> {
        let bound = subject.bind(py);
        let unpadded = bound.getattr("unpadded")?;
        Ok(PythonStep {
            name: bound.getattr("name")?.extract()?,
            summary: bound.getattr("summary")?.extract()?,
            buffers: buffers(bound)?,
            before: bound.getattr("before_place")?.extract()?,
            captures: bound.getattr("captures")?.extract()?,
            unpadded: (!unpadded.is_none()).then(|| unpadded.unbind()),
            subject,
        })
    }

    /// Calls into Python; an exception is the step's error.
    fn call<R>(&self, body: impl FnOnce(&Bound<'_, PyAny>) -> PyResult<R>) -> StepResult<R> {
        Python::attach(|py| body(self.subject.bind(py)).map_err(|error| error::of_step(py, &error)))
    }

    fn fill(&self, method: &str, arguments: (u64, u64), images: &mut HostBuffers) -> StepResult<()> {
        Python::attach(|py| {
            let subject = self.subject.bind(py);
            let made = if method == "initial" {
                subject.call_method1(method, (arguments.1,))
            } else {
                subject.call_method1(method, arguments)
            };
            let made = made.and_then(|made| Ok(made.cast_into::<PyDict>()?));
            let made = made.map_err(|error| error::of_step(py, &error))?;
            for (name, bytes) in made.iter() {
                let (Ok(name), Ok(bytes)) = (name.extract::<String>(), bytes.cast_into::<PyBytes>()) else {
                    return Err(StepError::other("an input is not given as bytes"));
                };
                let image = images.bytes_mut(&name)?;
                let bytes = bytes.as_bytes();
                if image.len() != bytes.len() {
                    let text = format!("'{name}' has {} bytes now and had {} at first", bytes.len(), image.len());
                    return Err(StepError::Other(text));
                }
                image.copy_from_slice(bytes);
            }
            Ok(())
        })
    }
}

fn handle(stream: CUstream) -> usize {
    stream.addr()
}

impl Step for PythonStep {
    fn name(&self) -> &str {
        &self.name
    }

    fn summary(&self) -> String {
        self.summary.clone()
    }

    fn modules(&self) -> Vec<Module> {
        Vec::new()
    }

    fn buffers(&self) -> Vec<BufferSpec> {
        self.buffers.clone()
    }

    fn fill_inputs(&self, index: u64, seed: u64, inputs: &mut HostBuffers) -> StepResult<()> {
        self.fill("fill", (index, seed), inputs)
    }

    fn init_state(&self, seed: u64, state: &mut HostBuffers) -> StepResult<()> {
        self.fill("initial", (0, seed), state)
    }

    fn prepare(&self, index: u64, cx: &mut HostContext<'_>) -> StepResult<()> {
        let names = self.buffers.iter().map(|spec| spec.name.to_string());
        let addresses: Vec<(String, u64)> = names.zip(cx.addresses()).collect();
        if let Some((file, line)) = &self.before {
            cx.at(Place { file: file.as_str().into(), line: *line });
        }
        let (replay, stream) = (cx.phase() == Phase::Replay, handle(cx.stream()));
        self.call(|subject| subject.call_method1("prepare", (index, replay, addresses, stream)).map(|_| ()))
    }

    fn record(&self, cx: &mut StepContext<'_>) -> StepResult<()> {
        let addresses: Vec<(String, u64)> = self
            .buffers
            .iter()
            .map(|spec| Ok((spec.name.to_string(), cx.address(&spec.name)?)))
            .collect::<StepResult<_>>()?;
        let results = lines::following(cx, |cx| {
            let (capturing, held, noting) = (cx.is_capturing(), cx.is_held(), cx.is_noting());
            self.call(|subject| {
                let told = (handle(cx.stream()), addresses, capturing, held, noting);
                let results = subject.call_method1("record", told)?;
                results.extract::<Vec<(String, u64, usize)>>()
            })
        })?;
        if cx.is_noting() {
            let noted = self.call(|subject| subject.getattr("noted")?.extract::<Vec<(String, u32, String, u64)>>())?;
            for (file, line, what, digest) in noted {
                cx.note(Site::new(what, Place { file: file.as_str().into(), line }), digest);
            }
        }
        for (name, address, len) in results {
            let destination = cx.address(&name)?;
            // SAFETY: the step's result has as many bytes, and lives until the next run; the buffer as many.
            let copied = unsafe { sys::cuMemcpyDtoDAsync_v2(destination, address, len, cx.stream()) };
            cx.check("cuMemcpyDtoDAsync", copied)?;
        }
        Ok(())
    }

    fn unpadded(&self) -> Option<Box<dyn Step>> {
        Python::attach(|py| {
            let other = self.unpadded.as_ref()?.clone_ref(py);
            // It was read once when the judge was called, so that an error in it is told there.
            PythonStep::of(py, other).ok().map(|step| Box::new(step) as Box<dyn Step>)
        })
    }

    fn capturer(&self) -> Option<&dyn Capturer> {
        self.captures.then_some(self)
    }

    fn lost(&self, addresses: &[u64]) -> Vec<Lost> {
        type Told = Vec<(u64, String, Option<String>, u32)>;
        let told = self.call(|subject| subject.call_method1("lost", (addresses.to_vec(),))?.extract::<Told>());
        let lost = |(address, what, file, line): (u64, String, Option<String>, u32)| Lost {
            address,
            what,
            allocated: file.map(|file| Site::new("allocation", Place { file: file.as_str().into(), line })),
        };
        told.unwrap_or_default().into_iter().map(lost).collect()
    }
}

impl Capturer for PythonStep {
    fn begin(&self, stream: CUstream, mode: CaptureMode) -> StepResult<()> {
        self.call(|subject| subject.call_method1("begin", (handle(stream), mode.name())).map(|_| ()))
    }

    fn end(&self) -> StepResult<Arc<dyn FrameworkGraph>> {
        self.call(|subject| {
            let graph = subject.call_method0("end")?;
            let raw = graph.getattr("raw")?.extract()?;
            Ok(Arc::new(PythonGraph { graph: graph.unbind(), raw }) as Arc<dyn FrameworkGraph>)
        })
    }
}

/// A graph that a framework of Python's captured.
struct PythonGraph {
    graph: Py<PyAny>,
    raw: usize,
}

impl fmt::Debug for PythonGraph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PythonGraph({:#x})", self.raw)
    }
}

impl PythonGraph {
    fn call<R>(&self, body: impl FnOnce(&Bound<'_, PyAny>) -> PyResult<R>) -> StepResult<R> {
        Python::attach(|py| body(self.graph.bind(py)).map_err(|error| error::of_step(py, &error)))
    }
}

impl FrameworkGraph for PythonGraph {
    fn graph(&self) -> CUgraph {
        std::ptr::with_exposed_provenance_mut(self.raw)
    }

    fn owns(&self, address: u64) -> bool {
        self.call(|graph| graph.call_method1("owns", (address,))?.extract()).unwrap_or(false)
    }

    fn handed_out(&self, address: u64) -> bool {
        self.call(|graph| graph.call_method1("handed_out", (address,))?.extract()).unwrap_or(false)
    }

    fn instantiate(&self) -> StepResult<CUgraphExec> {
        let raw: usize = self.call(|graph| graph.call_method0("instantiate")?.extract())?;
        Ok(std::ptr::with_exposed_provenance_mut(raw))
    }

    fn replay(&self, stream: CUstream) -> StepResult<()> {
        self.call(|graph| graph.call_method1("replay", (handle(stream),)).map(|_| ()))
    }
}
