//! The record of a program's driver calls.
//!
//! A library in the program writes it (`record`), one memory-mapped file for each process, so that
//! what was seen survives a crash and `kill -9`. [`Trace`] reads it when the program has ended, from the
//! folder of these files or from the one file that [`save`] makes of them. [`made`] writes records by
//! hand, for tests of what reads them.
//!
//! A file is a header page and segments of 64 KiB. A thread writes into segments of its own, so that
//! threads never wait for each other; each event ends with the store of its length, and what a killed
//! process has left unfinished has none. Two classes of events share the file: those that are kept until
//! the file is full (captures, allocations, graphs, failures), and those that pass (launches, queries),
//! of which the newest remain. What was overwritten or found no room is counted.
#![cfg_attr(not(target_os = "linux"), allow(unused))]

mod bytes;
mod event;
mod graph;
mod heard;
mod layout;
mod live;
pub mod made;
mod progress;
mod read;
mod save;
pub mod sys;
mod write;

pub use bytes::{Input, Output};
pub use event::{
    CallParts, Capture, Frame, Function, Image, Kind, ProcessEvent, PythonFrame, Range, Stack, Start, TAG_BYTES, Tag,
};
pub use graph::{GraphNode, GraphPart};
pub use heard::{Heard, LISTEN, LISTEN_VERSION, Listen, Listener};
pub use layout::{Class, Count, LIMIT, Limits, RING};
pub use live::{PAGE, Recorder, Shared};
pub use progress::Progress;
pub use read::{Call, Damage, Event, EventKind, GraphDump, Process, Trace, TraceError, Value};
pub use save::save;
pub use write::{Cursor, Writer};
