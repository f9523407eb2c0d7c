//! Before and after each call.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU32, Ordering};

use graphproof_api::Class as CaptureClass;
use graphproof_door::{CallParts, Class, Count, Kind, Recorder, Tag, sys};

use super::action::Action;
use super::arguments::{self, MOST, nth};
use super::frame::Frame;
use super::record::RECORDER;
use super::table::{self, Info};
use super::{captures, functions, graphs, light, listen, maps, proc_address, python, stacks};

const SUCCESS: u32 = 0;
const NOT_READY: u32 = 600;

thread_local! {
    /// The frame of the call that this thread is in, as far as it did not leave by an exception.
    static INNERMOST: Cell<usize> = const { Cell::new(0) };
}

/// Runs `body`; a defect of ours ends the recording and not the program. The error number of the C library
/// stays as it was.
pub(super) fn guarded(body: impl FnOnce()) {
    unsafe extern "C" {
        fn __errno_location() -> *mut i32;
    }
    // SAFETY: the place of this thread's number, which lives as long as the thread.
    let number = unsafe { *__errno_location() };
    if catch_unwind(AssertUnwindSafe(body)).is_err() {
        Recorder::stop();
    }
    // SAFETY: as above.
    unsafe { *__errno_location() = number };
}

/// Before a call. Fills in where the real function is.
pub(super) unsafe extern "C" fn enter(frame: *mut Frame, stack: *const u64) {
    // SAFETY: the entry point's frame, which nobody else knows.
    let frame = unsafe { &mut *frame };
    let slot = frame.slot as usize;
    frame.target = table::target(slot).addr() as u64;
    frame.words = 0;
    frame.stack = stack;
    (frame.recorded, frame.heard, frame.counts, frame.begins) = (false, false, false, false);
    let Some(info) = table::info(slot) else { return };
    frame.words = info.stack_words;
    let (records, hears) = (Recorder::may_record(), listen::wants(info));
    if !(records || listen::is_set()) || Recorder::is_busy() {
        return;
    }
    if info.counts && records && !hears && captures::active() == 0 && table::is_familiar(slot) {
        frame.counts = true;
        light::take_lightly(slot, info.stack_words);
        return;
    }
    guarded(|| {
        if hears {
            frame.capture = listen::before(frame, info);
        }
        match info.action {
            Action::BeginCapture => {
                captures::beginning();
                frame.begins = true;
            }
            Action::DestroyStream => captures::end(nth(frame, info, 0)),
            Action::DestroyContext => captures::end_all(),
            Action::ExchangeMode => {
                let mode = nth(frame, info, 0) as *const u32;
                // SAFETY: the caller's place, which the call is about to read.
                frame.before = if mode.is_null() { 0 } else { unsafe { mode.read() } };
            }
            _ => {}
        }
        if !(records || hears) {
            return;
        }
        begin(frame);
        let number = slot as u32;
        frame.recorded = records && RECORDER.with(|writer, cursor| writer.enter(cursor, number, frame.began)).is_some();
        frame.heard = hears;
    });
}

/// The call that is to be written begins now.
fn begin(frame: &mut Frame) {
    let address = std::ptr::from_mut(frame).addr();
    // Stacks grow down: a frame below this one has been left, by an exception or a long jump.
    frame.outer = INNERMOST.replace(address);
    frame.nested = frame.outer > address;
    frame.began = sys::now();
}

/// After a call that returned `result`.
pub(super) unsafe extern "C" fn leave(frame: *mut Frame, result: u32) {
    // SAFETY: the entry point's frame, which nobody else knows.
    let frame = unsafe { &mut *frame };
    let Some(info) = table::info(frame.slot as usize) else { return };
    if frame.counts {
        // It failed, or there is no record yet.
        begin(frame);
        frame.recorded = true;
    }
    guarded(|| {
        let seen = frame.recorded || frame.heard;
        let end = if seen { sys::now() } else { 0 };
        if info.action == Action::ProcAddress && result == SUCCESS {
            proc_address::put_in_front(frame, info);
        }
        if seen {
            INNERMOST.set(if frame.nested { frame.outer } else { 0 });
        }
        if frame.recorded || listen::is_set() {
            follow(frame, info, result);
        }
        if frame.begins {
            let stream = (result == SUCCESS).then(|| origin(frame, info));
            captures::begun(stream);
        }
        if frame.recorded {
            after(frame, info, result, end);
        }
        if frame.heard {
            listen::tell(frame, info, result, end);
        }
    });
}

/// The stream of a call that begins or ends a capture. The null stream of a per-thread form is the thread's.
fn origin(frame: &Frame, info: &Info) -> u64 {
    let stream = nth(frame, info, 0);
    if stream == 0 && info.name.ends_with("_ptsz") { 2 } else { stream }
}

/// What a call does to what is known of captures and functions.
fn follow(frame: &Frame, info: &Info, result: u32) {
    match info.action {
        Action::BeginCapture if result == SUCCESS => python::look(),
        // 903 and its kin end a capture or not; whether it goes on is asked below, or never seen again.
        Action::EndCapture => captures::end(origin(frame, info)),
        Action::Unload => functions::forget(),
        Action::Kernel if result == SUCCESS => {
            let place = nth(frame, info, 0) as *const u64;
            if !place.is_null() {
                // SAFETY: a successful call wrote the handle there.
                functions::note_kernel(unsafe { place.read() });
            }
        }
        _ => {}
    }
}

fn after(frame: &Frame, info: &'static Info, result: u32, end: u64) {
    let failed = result != SUCCESS && result != NOT_READY;
    let capturing = captures::active() != 0 || matches!(info.action, Action::BeginCapture | Action::EndCapture);
    let (mut words, mut written) = ([0; MOST], [(0, 0); MOST]);
    let count = arguments::words(frame, info, &mut words);
    let words = &words[..count];
    let count = arguments::written(info, words, result, &mut written);
    let written = &written[..count];

    let mut tags: Vec<(Tag, u8, &[u8])> = Vec::new();
    let is_map = info.action == Action::TensorMap && result == SUCCESS;
    let new_map = is_map && maps::is_new(words.first().copied().unwrap_or(0));
    let keeps_structures = capturing || failed || new_map || info.action.is_kept() || info.action == Action::Transfer;
    if keeps_structures {
        arguments::structures(info, words, result, &mut |tag, index, bytes| tags.push((tag, index, bytes)));
    }
    let before = frame.before.to_le_bytes();
    if info.action == Action::ExchangeMode {
        tags.push((Tag::Pointee, 0, &before));
    }
    let launch = Launch::of(frame, info);
    let stream = launch.stream.or_else(|| arguments::stream(frame, info));
    let stream_bytes = launch.stream.map(u64::to_le_bytes);
    let stream_tag = stream_bytes.as_ref().map(|bytes| (Tag::Stream, 0, &bytes[..]));

    let mut parameters = Vec::new();
    if launch.function != 0 && (result == SUCCESS || capturing) {
        functions::used(launch.function);
        if capturing {
            functions::parameters(launch.function, launch.parameters, launch.extra, &mut parameters);
            tags.push((Tag::Parameters, 0, &parameters));
        }
    }

    let mut invalid: Vec<[u8; 8]> = Vec::new();
    let mut capture = None;
    if capturing {
        captures::newly_invalid(|stream| invalid.push(stream.to_le_bytes()));
        let gone = matches!(info.action, Action::DestroyStream | Action::DestroyContext);
        let own = stream.filter(|_| !gone && !info.name.ends_with("_ptsz"));
        capture = own.and_then(captures::status);
    }
    tags.extend(invalid.iter().map(|bytes| (Tag::Invalidated, 0, &bytes[..])));
    // Most launches have this one: it needs no memory of the heap.
    let tags = match &stream_tag {
        Some(stream) if tags.is_empty() => std::slice::from_ref(stream),
        stream => {
            tags.extend(stream);
            &tags[..]
        }
    };

    let failure = failed && (capturing || is_among_the_first_failures());
    let launches = launch.function != 0 && capturing;
    let wants_stack = failure || !invalid.is_empty() || launches || new_map || is_worth_a_stack(info, capturing);
    let stack = if wants_stack { stacks::take(frame) } else { 0 };

    let call = CallParts {
        function: frame.slot as u16,
        result,
        began: frame.began,
        stack,
        capture,
        nested: frame.nested,
        words,
        written,
        tags,
    };
    let kept = failed || capturing || new_map || stack != 0 || info.action.is_kept();
    let class = if kept { Class::Kept } else { Class::Passing };
    RECORDER.with(|writer, cursor| {
        writer.append(cursor, class, Kind::Call, end, call.room(), |out| call.write(out));
        writer.leave(cursor);
        if failed {
            writer.count(Count::Failures);
        }
        match info.action {
            Action::BeginCapture if result == SUCCESS => writer.count(Count::Captures),
            Action::GraphLaunch if result == SUCCESS => writer.count(Count::Launches),
            Action::Instantiate if result == SUCCESS => writer.count(Count::Graphs),
            _ => {}
        }
    });
    if matches!(info.action, Action::Instantiate | Action::Update) && result == SUCCESS {
        let first = written.first().filter(|(index, _)| *index == 0).map(|(_, value)| *value);
        let word = |index: usize| words.get(index).copied().unwrap_or(0);
        graphs::read_back(word(1), first.unwrap_or(word(0)));
    }
    if info.action == Action::GiveNode && result == SUCCESS {
        graphs::given(&info.name, words);
    }
}

/// A program may ask in a loop for what always fails: who asked is told of the first calls.
fn is_among_the_first_failures() -> bool {
    const MOST: u32 = 4096;
    static FAILURES: AtomicU32 = AtomicU32::new(0);
    FAILURES.load(Ordering::Relaxed) < MOST && FAILURES.fetch_add(1, Ordering::Relaxed) < MOST
}

/// Who called is told for what a finding may be about.
fn is_worth_a_stack(info: &Info, capturing: bool) -> bool {
    let waits = matches!(info.class(), CaptureClass::Sync | CaptureClass::Legacy);
    match info.action {
        Action::BeginCapture
        | Action::EndCapture
        | Action::Instantiate
        | Action::GraphLaunch
        | Action::KeepWithStack => true,
        Action::Transfer => capturing || captures::ever(),
        // Captured work too: its nodes are told by the line that made them.
        _ if capturing => {
            waits || info.class().is_unsafe() || matches!(info.class(), CaptureClass::Query | CaptureClass::Stream)
        }
        _ => waits && captures::ever(),
    }
}

/// The stream that a call names, by an argument or in a structure.
pub(super) fn stream_of(frame: &Frame, info: &Info) -> Option<u64> {
    Launch::of(frame, info).stream.or_else(|| arguments::stream(frame, info))
}

/// What a launch is of.
#[derive(Default)]
struct Launch {
    function: u64,
    stream: Option<u64>,
    parameters: u64,
    extra: u64,
}

impl Launch {
    fn of(frame: &Frame, info: &Info) -> Self {
        match info.action {
            Action::Launch => Self {
                function: nth(frame, info, 0),
                stream: None,
                parameters: nth(frame, info, 9),
                // cuLaunchCooperativeKernel has no such argument.
                extra: nth(frame, info, 10),
            },
            Action::LaunchEx => {
                let config = nth(frame, info, 0) as *const u8;
                /// Where `CUlaunchConfig` has its stream.
                const STREAM: usize = 32;
                // SAFETY: the caller's structure, which the call has read.
                let stream = (!config.is_null()).then(|| unsafe { config.add(STREAM).cast::<u64>().read() });
                let (function, parameters) = (nth(frame, info, 1), nth(frame, info, 2));
                Self { function, stream, parameters, extra: nth(frame, info, 3) }
            }
            _ => Self::default(),
        }
    }
}
