//! The capture model beside a driver: it is told every recorded call, and says what NVIDIA's driver is
//! known to answer, and which captures the call ends, also where the answer is success.

use std::collections::{HashMap, HashSet, VecDeque};

use graphproof_api::CUresult;
use graphproof_api::Class;
use graphproof_door::Call;
use graphproof_model::capture::{CaptureMode, CaptureWorld, Placement};
use graphproof_model::graph::{Graphs, NodeInfo};
use graphproof_model::work::NodeParams;
use graphproof_model::{CaptureId, ContextId, EventId, StreamId, StreamKind, SyncTarget, ThreadId};

use super::calls::{LEGACY_STREAM, PER_THREAD_STREAM, is_capture_code};

/// The model, and what it needs to know to be asked.
#[derive(Default)]
pub struct Shadow {
    world: CaptureWorld,
    graphs: Graphs,
    kinds: HashMap<u64, StreamKind>,
    /// Context of each thread, and how many there are: with one, all is in it.
    current: HashMap<u32, u64>,
    contexts: HashSet<u64>,
    /// The modes that threads give themselves, in order.
    modes: HashMap<u32, VecDeque<u32>>,
}

/// What the model says about a call.
#[derive(Debug, Default)]
pub struct Prediction {
    /// The error that the driver is known to answer; `None` for success.
    pub error: Option<u32>,
    /// Captures that were in good order before the call, and are invalidated after it.
    pub doomed: Vec<CaptureId>,
    /// The capture that it begins.
    pub begun: Option<CaptureId>,
    /// The capture that it is part of: the work is captured, or the stream's capture ends.
    pub part_of: Option<CaptureId>,
    /// Work that runs at once.
    pub eager: bool,
    /// The streams that became part of a capture.
    pub enrolled: bool,
}

impl Shadow {
    /// A model of a process in which threads will give themselves these modes.
    pub fn with_modes(modes: HashMap<u32, VecDeque<u32>>) -> Self {
        Shadow { modes, ..Shadow::default() }
    }

    /// The capture that a stream takes part in, as `thread` names it.
    pub fn capture_of(&self, call: &Call, thread: u32, stream: u64) -> Option<CaptureId> {
        self.world.capture_of(self.stream(call, thread, stream))
    }

    /// Whether a stream takes part in implicit synchronisation, and how.
    pub fn kind_of(&self, call: &Call, thread: u32, stream: u64) -> StreamKind {
        self.stream(call, thread, stream).kind
    }

    /// The driver has the last word about a capture. Whether that is news.
    pub fn overrule(&mut self, id: CaptureId, invalidated: bool) -> bool {
        let news = self.world.ongoing_captures().any(|(other, was)| other == id && was != invalidated);
        self.world.overrule(id, invalidated);
        news
    }

    fn context(&self, thread: u32) -> ContextId {
        let current = || self.current.get(&thread).copied().unwrap_or_default();
        ContextId(if self.contexts.len() < 2 { 0 } else { current() })
    }

    fn stream(&self, call: &Call, thread: u32, handle: u64) -> StreamId {
        let context = self.context(thread);
        let per_thread = handle == PER_THREAD_STREAM || handle == 0 && call.is_per_thread();
        if per_thread {
            let key = u64::MAX / 2 - u64::from(thread);
            return StreamId { key, kind: StreamKind::PerThread, context };
        }
        if handle == 0 || handle == LEGACY_STREAM {
            return StreamId { key: u64::MAX - context.0 % (1 << 48), kind: StreamKind::Legacy, context };
        }
        StreamId { key: handle, kind: self.kinds.get(&handle).copied().unwrap_or(StreamKind::Blocking), context }
    }

    /// Tells the model of a call that has returned.
    pub fn apply(&mut self, call: &Call, thread: u32) -> Prediction {
        let Some(result) = call.result else { return Prediction::default() };
        self.note_objects(call, thread, result);
        let other_error = !matches!(result, 0 | 600 | 401 | 910) && !is_capture_code(result);
        if call.nested || other_error {
            // Refused for its arguments: a driver looks at those first.
            return Prediction::default();
        }
        let before: Vec<CaptureId> =
            self.world.ongoing_captures().filter(|(_, lost)| !lost).map(|(id, _)| id).collect();
        let mut prediction = Prediction::default();
        let answer = self.ask(call, thread, &mut prediction);
        prediction.error = answer.err().map(|code| code.0);
        let lost = |id: &CaptureId| self.world.ongoing_captures().any(|(other, lost)| other == *id && lost);
        prediction.doomed = before.into_iter().filter(lost).collect();
        prediction
    }

    fn note_objects(&mut self, call: &Call, thread: u32, result: u32) {
        if result != 0 {
            return;
        }
        match call.base() {
            "cuStreamCreate" | "cuStreamCreateWithPriority" | "cuGreenCtxStreamCreate" => {
                let (made, flags) = (call.written("phStream"), call.word("Flags").or_else(|| call.word("flags")));
                if let Some(stream) = made {
                    let non_blocking = flags.unwrap_or_default() & 1 != 0;
                    let kind = if non_blocking { StreamKind::NonBlocking } else { StreamKind::Blocking };
                    self.kinds.insert(stream, kind);
                }
            }
            "cuCtxSetCurrent" | "cuCtxPushCurrent" => {
                if let Some(context) = call.word("ctx").filter(|&context| context != 0) {
                    self.current.insert(thread, context);
                    self.contexts.insert(context);
                }
            }
            "cuCtxCreate" => {
                if let Some(context) = call.written("pctx") {
                    self.current.insert(thread, context);
                    self.contexts.insert(context);
                }
            }
            _ => {}
        }
    }

    fn ask(&mut self, call: &Call, thread: u32, told: &mut Prediction) -> Result<(), CUresult> {
        let who = ThreadId(u64::from(thread));
        let handle = call.stream();
        let stream = handle.map(|handle| self.stream(call, thread, handle));
        let event = |name: &str| call.word(name).map(EventId);
        match (call.base(), stream) {
            ("cuThreadExchangeStreamCaptureMode", _) => {
                if let Some(mode) = self.modes.get_mut(&thread).and_then(VecDeque::pop_front) {
                    self.world.exchange_mode(who, mode);
                }
                Ok(())
            }
            (
                "cuStreamBeginCapture" | "cuStreamBeginCaptureToGraph" | "cuStreamBeginRecaptureToGraph",
                Some(stream),
            ) => {
                self.world.name_stream(stream)?;
                let mode = CaptureMode::from_raw(call.word("mode").unwrap_or_default() as u32)?;
                told.begun = Some(self.world.begin(&mut self.graphs, who, stream, mode)?);
                Ok(())
            }
            ("cuStreamEndCapture", Some(stream)) => {
                told.part_of = self.world.capture_of(stream);
                self.world.name_stream(stream)?;
                self.world.end(&mut self.graphs, who, stream).map(|_| ())
            }
            ("cuStreamIsCapturing" | "cuStreamGetCaptureInfo", Some(stream)) => {
                self.world.is_capturing(stream).map(|_| ())
            }
            ("cuStreamUpdateCaptureDependencies", _) => Ok(()),
            ("cuStreamSynchronize" | "cuStreamQuery", Some(stream)) => {
                self.world.name_stream(stream)?;
                self.world.sync_call(who, SyncTarget::Stream(stream))
            }
            ("cuCtxSynchronize", _) => self.world.sync_call(who, SyncTarget::Context(self.context(thread))),
            ("cuEventSynchronize" | "cuEventQuery", _) => match event("hEvent") {
                Some(event) => self.world.sync_call(who, SyncTarget::Event(event)),
                None => Ok(()),
            },
            ("cuEventElapsedTime", _) => {
                ["hStart", "hEnd"].into_iter().filter_map(event).try_for_each(|event| self.world.elapsed_call(event))
            }
            ("cuEventRecord" | "cuEventRecordWithFlags", Some(stream)) => {
                self.world.name_stream(stream)?;
                let Some(event) = event("hEvent") else { return Ok(()) };
                if call.word("flags") == Some(1) {
                    return self.enqueue(stream, told);
                }
                if let Placement::Captured(id) = self.world.record_event(event, stream)? {
                    told.part_of = Some(id);
                }
                Ok(())
            }
            ("cuStreamWaitEvent", Some(stream)) => {
                self.world.name_stream(stream)?;
                let Some(event) = event("hEvent") else { return Ok(()) };
                if call.word("Flags") == Some(1) {
                    self.world.wait_external(stream, event)?;
                    return self.enqueue(stream, told);
                }
                let outside = self.world.capture_of(stream).is_none();
                if let Placement::Captured(id) = self.world.wait_event(stream, event)? {
                    (told.part_of, told.enrolled) = (Some(id), outside);
                }
                Ok(())
            }
            ("cuStreamDestroy", Some(stream)) => {
                told.part_of = self.world.capture_of(stream);
                self.world.name_stream(stream)?;
                self.world.stream_destroyed(stream);
                self.kinds.remove(&stream.key);
                Ok(())
            }
            ("cuEventDestroy", _) => {
                event("hEvent").into_iter().for_each(|event| self.world.event_destroyed(event));
                Ok(())
            }
            ("cuStreamGetFlags" | "cuStreamGetId", Some(stream)) => {
                self.world.name_stream(stream)?;
                self.world.conflicting_call(stream)
            }
            ("cuMemAllocAsync" | "cuMemAllocFromPoolAsync" | "cuMemFreeAsync", Some(stream)) => {
                self.world.name_stream(stream)?;
                let placement = self.world.classify_stream_ordered(who, stream)?;
                self.place(placement, stream, told)
            }
            ("cuGraphLaunch" | "cuGraphUpload" | "cuStreamAddCallback" | "cuStreamAttachMemAsync", Some(stream))
            | ("cuMemcpyPeerAsync" | "cuMemcpy3DPeerAsync", Some(stream)) => {
                self.world.name_stream(stream)?;
                told.eager = true;
                self.world.classify_uncapturable(stream)
            }
            _ => self.by_class(call, thread, stream, told),
        }
    }

    /// Calls that no rule names: as the table says.
    fn by_class(
        &mut self,
        call: &Call,
        thread: u32,
        stream: Option<StreamId>,
        told: &mut Prediction,
    ) -> Result<(), CUresult> {
        let Some(row) = call.row else { return Ok(()) };
        match (row.class, stream) {
            (Class::Unsafe | Class::UnsafeByKin, _) => self.world.unsafe_call(ThreadId(u64::from(thread))),
            (Class::Legacy, _) => {
                let stream = self.stream(call, thread, 0);
                told.eager = true;
                self.world.name_stream(stream)?;
                self.world.conflicting_call(stream)
            }
            (Class::Stream, Some(stream)) => {
                self.world.name_stream(stream)?;
                self.enqueue(stream, told)
            }
            _ => Ok(()),
        }
    }

    fn enqueue(&mut self, stream: StreamId, told: &mut Prediction) -> Result<(), CUresult> {
        let placement = self.world.classify_enqueue(stream)?;
        self.place(placement, stream, told)
    }

    fn place(&mut self, placement: Placement, stream: StreamId, told: &mut Prediction) -> Result<(), CUresult> {
        match placement {
            Placement::Eager => told.eager = true,
            Placement::Captured(id) => {
                told.part_of = Some(id);
                let info = NodeInfo::default();
                self.world.capture_node(&mut self.graphs, id, stream, NodeParams::Empty, info)?;
            }
        }
        Ok(())
    }
}
