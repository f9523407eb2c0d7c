//! The table of the driver API as programs meet it: every name resolves, a per-thread form means the
//! calling thread's stream, an old name answers, and the record tells a call's arguments.

use std::ffi::{CString, c_int, c_uint, c_void};
use std::ptr::null_mut;

use crate::abi_support::{Device, WORDS, primary};
use graphproof_driver::abi::types::*;
use graphproof_driver::abi::*;
use graphproof_driver::record;

/// Asks as libcudart does. Flags: 1 legacy, 2 per-thread default stream.
fn address(name: &str, version: c_int, flags: u64) -> (CUresult, *mut c_void, c_uint) {
    let name = CString::new(name).expect("a name");
    let (mut found, mut status) = (null_mut(), 9);
    let result = code!(cuGetProcAddress_v2(name.as_ptr(), &mut found, version, flags, &mut status));
    (result, found, status)
}

fn symbol(name: &str) -> *mut c_void {
    find(name).unwrap_or_else(|| panic!("{name} is exported")).function as *mut c_void
}

#[test]
fn every_export_of_the_table_resolves_by_its_name() {
    let (_own, _) = primary();
    for function in graphproof_api::functions() {
        for name in function.exports() {
            let found = address(&name, 13000, 0).1;
            // A name without a suffix means its newest form.
            let exact = name != function.base();
            assert!(!found.is_null() || function.since > 13000, "{name}");
            assert!(found.is_null() || !exact || found == symbol(&name), "{name}");
        }
    }
}

#[test]
fn version_and_flags_choose_the_form() {
    let (_own, _) = primary();
    for (name, version, flags, form) in [
        ("cuMemcpyHtoDAsync", 12000, 0, "cuMemcpyHtoDAsync_v2"),
        ("cuMemcpyHtoDAsync", 12000, 1, "cuMemcpyHtoDAsync_v2"),
        ("cuMemcpyHtoDAsync", 12000, 2, "cuMemcpyHtoDAsync_v2_ptsz"),
        ("cuMemcpyHtoD", 12000, 2, "cuMemcpyHtoD_v2_ptds"),
        ("cuStreamBeginCapture", 10000, 0, "cuStreamBeginCapture"),
        ("cuStreamBeginCapture", 10010, 2, "cuStreamBeginCapture_v2_ptsz"),
        ("cuEventDestroy", 13000, 2, "cuEventDestroy_v2"),
        ("cuGraphInstantiate", 12000, 0, "cuGraphInstantiateWithFlags"),
    ] {
        assert_eq!(address(name, version, flags), (CUresult::SUCCESS, symbol(form), 0), "{name} {version} {flags}");
    }
    assert_eq!(address("cuMemAllocAsync", 11000, 0), (CUresult::SUCCESS, null_mut(), 2));
    assert_eq!(address("cuNothing", 13000, 0), (CUresult::SUCCESS, null_mut(), 1));
}

type Fill = unsafe extern "C" fn(CUdeviceptr, c_uint, usize, CUstream) -> CUresult;
type Copy = unsafe extern "C" fn(CUdeviceptr, *const u32, usize) -> CUresult;

#[test]
fn the_null_stream_of_a_per_thread_form_is_the_threads_own() {
    let device = Device::new();
    // SAFETY: the types of cuda.h for these two.
    let (fill, copy): (Fill, Copy) = unsafe {
        (
            std::mem::transmute::<*mut c_void, Fill>(symbol("cuMemsetD32Async_ptsz")),
            std::mem::transmute::<*mut c_void, Copy>(symbol("cuMemcpyHtoD_v2_ptds")),
        )
    };
    // Beside a capture of a blocking stream the legacy stream is refused, and the thread's own is not.
    device.begin();
    ok!(fill(device.buffer, 7, WORDS, CUstream::NULL));
    ok!(copy(device.buffer, [8].as_ptr(), 4));
    assert_eq!(code!(fill(device.buffer, 7, WORDS, CUstream::LEGACY)), CUresult::STREAM_CAPTURE_IMPLICIT);
    let mut graph = CUgraph::NULL;
    assert_eq!(code!(cuStreamEndCapture(device.stream, &mut graph)), CUresult::STREAM_CAPTURE_INVALIDATED);
    ok!(cuStreamSynchronize(CUstream::PER_THREAD));
    let mut words = [0u32; 2];
    ok!(cuMemcpyDtoH_v2(words.as_mut_ptr() as u64, device.buffer, 8));
    assert_eq!(words, [8, 7]);

    // A capture of the thread's own stream takes the work of such a form; the plain form is elsewhere.
    ok!(cuStreamBeginCapture_v2(CUstream::PER_THREAD, 2));
    ok!(fill(device.buffer, 9, 1, CUstream::NULL));
    ok!(cuStreamEndCapture(CUstream::PER_THREAD, &mut graph));
    let mut nodes = 0;
    ok!(cuGraphGetNodes(graph, null_mut(), &mut nodes));
    assert_eq!(nodes, 1);
    ok!(cuGraphDestroy(graph));
}

#[test]
fn a_call_made_within_a_call_has_its_own_default_stream() {
    static mut SEEN: CUstreamCaptureStatus = 9;
    type CUstreamCaptureStatus = c_uint;
    unsafe extern "C" fn look(_: *mut c_void) {
        // Refused in a host function, and the next call of this thread is not per-thread for it.
        let status = &raw mut SEEN;
        // SAFETY: one thread runs host functions, and the test waits for it.
        let _ = unsafe { cuStreamIsCapturing(CUstream::NULL, status) };
    }
    let device = Device::new();
    // SAFETY: the type of cuda.h for it.
    let launch = unsafe {
        std::mem::transmute::<*mut c_void, unsafe extern "C" fn(CUstream, CUhostFn, *mut c_void) -> CUresult>(symbol(
            "cuLaunchHostFunc_ptsz",
        ))
    };
    ok!(launch(CUstream::NULL, Some(look), null_mut()));
    ok!(cuStreamSynchronize(CUstream::PER_THREAD));
    // Not left behind on this thread: the null stream is the legacy one again.
    device.begin();
    assert_eq!(code!(cuMemsetD32Async(device.buffer, 1, 1, CUstream::NULL)), CUresult::STREAM_CAPTURE_IMPLICIT);
    let mut graph = CUgraph::NULL;
    let _ = code!(cuStreamEndCapture(device.stream, &mut graph));
}

#[test]
fn an_old_name_answers_for_the_new_one() {
    let (_own, context) = primary();
    let mut event = CUevent::NULL;
    ok!(cuEventCreate(&mut event, 0));
    type Destroy = unsafe extern "C" fn(CUevent) -> CUresult;
    // SAFETY: the type of cuda.h for it.
    let destroy = unsafe { std::mem::transmute::<*mut c_void, Destroy>(symbol("cuEventDestroy")) };
    ok!(destroy(event));
    assert_eq!(code!(cuEventQuery(event)), code!(cuEventQuery(CUevent(u64::MAX))));
    assert!(!context.is_null());
    // With addresses of 32 bits there is nothing to answer with.
    type Allocate = unsafe extern "C" fn(*mut u32, c_uint) -> CUresult;
    // SAFETY: the type of cuda.h for it.
    let allocate = unsafe { std::mem::transmute::<*mut c_void, Allocate>(symbol("cuMemAlloc")) };
    assert_eq!(code!(allocate(&mut 0, 16)), CUresult::NOT_SUPPORTED);
}

#[test]
fn the_record_tells_arguments_by_name_and_what_was_written() {
    let device = Device::new();
    record::start(record::Options::default());
    let mut address = 0;
    ok!(cuMemAllocAsync(&mut address, 4096, device.stream));
    ok!(cuMemFreeAsync(address, device.stream));
    let _ = code!(cuMemAlloc_v2(null_mut(), 16));
    let recording = record::stop();
    let [allocate, free, refused] = [0, 1, 2].map(|at| &recording.calls[at]);
    let get = |call: &record::Call, name: &str| call.arguments.get(name).expect("an argument of that name");
    assert_eq!(get(allocate, "bytesize").word, 4096);
    assert_eq!(get(allocate, "dptr").written, Some(address));
    assert_eq!(get(allocate, "hStream").word, device.stream.0);
    assert_eq!(get(free, "dptr").word, address);
    let stream = device.stream.0;
    assert_eq!(allocate.arguments.to_string(), format!("dptr -> {address:#x}, bytesize 4096, hStream {stream:#x}"));
    assert_eq!((get(refused, "dptr").written, get(refused, "bytesize").word), (None, 16));
}

/// `docs/driver-api.md`, from the table and from what has a body.
fn page() -> String {
    use std::fmt::Write as _;
    let functions = graphproof_api::functions();
    let modelled = |name: &str| find(name).is_some_and(|symbol| symbol.modelled);
    let count = functions.iter().filter(|function| modelled(function.name)).count();
    let mut page = format!(
        "# The driver API\n\n\
         Made from [`driver/api/functions.txt`](../driver/api/functions.txt) by `UPDATE_DOCS=1 cargo test -p \
         graphproof-driver --test device api_table`.\n\n\
         Of {} functions the software driver models {count}; the others answer `CUDA_ERROR_NOT_SUPPORTED` and are \
         recorded. A form with `_ptsz` or `_ptds` is the same call whose default stream is the calling thread's. \
         What a call is to a capture: *unsafe* is refused in a thread whose capture mode forbids potentially unsafe \
         calls (*by kin*: not measured, taken from a call of its kind), *sync* waits for the device, *query* asks it, \
         *legacy* is ordered on the legacy stream and waits, *stream* becomes a node or is refused, *capture* begins, \
         ends, reads or edits a capture.\n\n\
         | function | since | to a capture | software driver |\n|---|---|---|---|\n",
        functions.len(),
    );
    for function in functions {
        let form = function.per_thread.map_or(String::new(), |form| format!(", `{}`", form.suffix()));
        let since = match function.since {
            0 => String::new(),
            since => format!("{}.{}", since / 1000, since % 1000 / 10),
        };
        let class = match function.class.word() {
            "plain" => "",
            "unsafe-by-kin" => "unsafe, by kin",
            word => word,
        };
        let answer = match (modelled(function.name), function.same_as) {
            (true, Some(other)) => format!("as `{other}`"),
            (true, None) => "modelled".into(),
            (false, _) => "NOT_SUPPORTED".into(),
        };
        writeln!(page, "| `{}`{form} | {since} | {class} | {answer} |", function.name).expect("writing to a string");
    }
    page
}

#[test]
fn the_page_of_the_driver_api_is_current() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/driver-api.md");
    let page = page();
    if std::env::var_os("UPDATE_DOCS").is_some_and(|value| value == "1") {
        std::fs::write(&path, page).expect("docs/driver-api.md can be written");
        return;
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == page,
        "docs/driver-api.md is stale; run `UPDATE_DOCS=1 cargo test -p graphproof-driver --test device api_table` and commit it"
    );
}
