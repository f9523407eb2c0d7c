//! The line of Python that a step is at: what runs tell of it, and which nodes of a graph it made.

use std::cell::RefCell;
use std::sync::{Arc, Mutex, PoisonError};

use graphproof::cudarc::driver::sys::CUstream;
use graphproof::harness::context::StepContext;
use graphproof::harness::cuda::{GraphNode, nodes_in_capture};
use graphproof::harness::finding::{Place, Site};
use graphproof::harness::watchdog::Heartbeat;
use pyo3::prelude::*;

/// A run of a step, line by line.
struct Lines {
    heartbeat: Arc<Heartbeat>,
    stream: CUstream,
    capturing: bool,
    current: Option<Site>,
    nodes: usize,
    work: Vec<(Site, Vec<GraphNode>)>,
}

thread_local! {
    static LINES: RefCell<Option<Lines>> = const { RefCell::new(None) };
}

/// The line that the step is at, for calls that other threads make meanwhile.
static CURRENT: Mutex<Option<(String, u32)>> = Mutex::new(None);

/// The line that a step is at now, if one runs and tells its lines.
pub fn current() -> Option<(String, u32)> {
    CURRENT.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

fn set_current(place: Option<(String, u32)>) {
    *CURRENT.lock().unwrap_or_else(PoisonError::into_inner) = place;
}

impl Lines {
    /// What was captured since the last line was made by it.
    fn settle(&mut self) {
        if !self.capturing {
            return;
        }
        let nodes = nodes_in_capture(self.stream);
        if let (Some(site), Some(made)) = (&self.current, nodes.get(self.nodes..))
            && !made.is_empty()
        {
            self.work.push((site.clone(), made.to_vec()));
            self.nodes = nodes.len();
        }
    }
}

/// The step, on this thread, goes on at this line; `text` is what stands there.
#[pyfunction]
pub fn line(file: &str, line: u32, text: String) {
    LINES.with_borrow_mut(|lines| {
        let Some(lines) = lines else { return };
        lines.settle();
        let site = Site::new(text, Place { file: file.into(), line });
        lines.heartbeat.at(site.clone());
        lines.current = Some(site);
        set_current(Some((file.to_owned(), line)));
    });
}

/// Runs `step` and adds what its lines enqueued to `cx`; the place of its last line is that of what follows.
pub fn following<R>(cx: &mut StepContext<'_>, step: impl FnOnce(&StepContext<'_>) -> R) -> R {
    let lines = Lines {
        heartbeat: Arc::clone(cx.heartbeat()),
        stream: cx.stream(),
        capturing: cx.is_capturing(),
        current: None,
        nodes: 0,
        work: Vec::new(),
    };
    LINES.set(Some(lines));
    let result = step(cx);
    set_current(None);
    let Some(mut lines) = LINES.take() else { return result };
    lines.settle();
    for (site, nodes) in lines.work {
        cx.note_work(site, nodes);
    }
    cx.at(lines.current.map(|site| Place { file: site.file.as_str().into(), line: site.line }));
    result
}
