//! The safe model behind the C entry points: device, context, address space, streams, events,
//! capture, graph.
//!
//! # Who owns what, and the order of locks
//!
//! [`Driver`] is the state. A process has one, which calls from C mean; a thread may enter another
//! ([`Instance`]). `Driver::world` is the one driver lock: handles,
//! contexts, modules, capture and graphs live behind it. `Driver::memory` (the address space)
//! and the engine's queue have locks of their own, because the threads that execute work take
//! them. Take them in the order world → memory → engine, never the other way; run no user code
//! and no kernel with any of them held.
//!
//! # The way of a piece of work
//!
//! An entry point makes a [`work::NodeParams`] and calls [`Driver::enqueue`]. That asks the
//! capture model first ([`capture::CaptureWorld::classify_enqueue`]): captured work becomes a
//! node of the graph under construction, eager work goes to the engine. The engine executes a
//! graph's nodes with the same function as eager work, so the two cannot drift apart.
//!
//! A graph launch is [`Driver::submit_graph`]: its [`work::Plan`] runs as one piece of work of the
//! stream, steps in seeded topological order. Memory nodes: `memory::AddressSpace::reserve` gives
//! an address when the node is made, executing the nodes makes it live and frees it,
//! `AddressSpace::unreserve` gives the address back when the graph is gone.
//!
//! # What the capture model is asked, and when
//!
//! * `classify_enqueue(stream)`: before any work is put on a stream.
//! * `unsafe_call(thread)`: before a call that CUDA calls potentially unsafe during a capture.
//! * `sync_call(thread, target)`: before the host waits for, or queries, a stream, an event or a context.
//! * `record_event`, `wait_event`: for `cuEventRecord` and `cuStreamWaitEvent`.
//! * `stream_destroyed`, `event_destroyed`: when a handle goes.

mod allocate;
pub mod batch;
pub mod capture;
pub mod context;
pub mod device;
mod driver;
mod early;
pub mod event;
pub mod execute;
pub mod fault;
pub mod graph;
mod graph_run;
pub mod green;
mod handles;
mod ids;
mod instance;
mod interpreter;
mod kernel;
pub mod launch;
pub mod limits;
pub mod link;
pub mod memory;
pub mod module;
pub mod observe;
pub mod opaque;
pub mod params;
mod per_thread;
pub mod record;
pub mod share;
pub mod stream;
mod transfer;
pub mod version;
pub mod work;
mod world;

pub use driver::Driver;
pub use handles::{Handles, Kind};
pub use ids::{CaptureId, ContextId, EventId, StreamId, StreamKind, SyncTarget, ThreadId};
pub use instance::{Entered, Instance, Settings, driver, setting};
pub use params::StreamName;
pub use world::{Current, Numbers, Primary, World};
