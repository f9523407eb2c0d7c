//! Why something does not run reaches the person: standard error, the JIT's log, the record, and the
//! program that the driver is linked into.
use std::ffi::{CStr, CString, c_void};
use std::process::Command;

use graphproof_driver::abi::types::*;
use graphproof_driver::abi::*;
use graphproof_driver::record;

/// What tells the child that it is one.
const CHILD: &str = "NOTES_TEST_CHILD";

/// Two entries that run and two that do not; one is refused on a line with a hostile comment.
fn module() -> CString {
    let text = ".version 8.0\n.target sm_80\n.address_size 64\n\
                .visible .entry good() { ret; }\n\
                .visible .entry tcgen05() {\n  tcgen05.wait::ld.sync.aligned; // \u{1b}[31m\u{202e}PASS\n  ret;\n}\n\
                .extern .func missing();\n.visible .entry calls() {\n  call missing;\n  ret;\n}\n\
                .visible .entry fine() { ret; }\n";
    CString::new(text).expect("no NUL")
}

fn load() -> CUmodule {
    let mut handle = CUmodule::NULL;
    ok!(cuModuleLoadData(&mut handle, module().as_ptr().cast()));
    handle
}

fn function(module: CUmodule, name: &CStr) -> CUresult {
    let mut function = CUfunction::NULL;
    code!(cuModuleGetFunction(&mut function, module, name.as_ptr()))
}

/// Makes calls that have no model, each of them twice, and one that is only wrong.
#[test]
fn child() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let _own = crate::abi_support::primary();
    let module = load();
    for _ in 0..2 {
        assert_eq!(function(module, c"tcgen05"), CUresult::NOT_SUPPORTED);
        assert_eq!(function(module, c"calls"), CUresult::NOT_SUPPORTED);
        assert_eq!(function(module, c"good"), CUresult::SUCCESS);
        let mut other = CUmodule::NULL;
        let newer = c".version 8.0\n.target sm_100\n.address_size 64\n.visible .entry k() { ret; }";
        assert_eq!(code!(cuModuleLoadData(&mut other, newer.as_ptr().cast())), CUresult::NO_BINARY_FOR_GPU);
        let attribute = CUlaunchAttribute { id: 3, ..launch_attribute() };
        let config = CUlaunchConfig { attrs: &raw const attribute as *mut _, numAttrs: 1, ..launch_config() };
        let mut good = CUfunction::NULL;
        ok!(cuModuleGetFunction(&mut good, module, c"good".as_ptr()));
        let launched = code!(cuLaunchKernelEx(&config, good, std::ptr::null_mut(), std::ptr::null_mut()));
        assert_eq!(launched, CUresult::NOT_SUPPORTED);
        let config = CUlaunchConfig { gridDimX: 0, ..launch_config() };
        let launched = code!(cuLaunchKernelEx(&config, good, std::ptr::null_mut(), std::ptr::null_mut()));
        assert_eq!(launched, CUresult::INVALID_VALUE);
        let unsupported = SYMBOLS.iter().find(|symbol| symbol.name == "cuMipmappedArrayCreate").expect("a symbol");
        // SAFETY: an entry point without a model reads no argument.
        let call: extern "C" fn() -> CUresult = unsafe { std::mem::transmute(unsupported.function as *const c_void) };
        assert_eq!(call(), CUresult::NOT_SUPPORTED);
    }
}

fn launch_attribute() -> CUlaunchAttribute {
    // SAFETY: plain old data, for which zero is a value.
    unsafe { std::mem::zeroed() }
}

fn launch_config() -> CUlaunchConfig {
    CUlaunchConfig {
        gridDimX: 1,
        gridDimY: 1,
        gridDimZ: 1,
        blockDimX: 1,
        blockDimY: 1,
        blockDimZ: 1,
        // SAFETY: as above.
        ..unsafe { std::mem::zeroed() }
    }
}

/// Standard error of a child with this setting.
fn told(setting: Option<&str>) -> Vec<String> {
    let mut command = Command::new(std::env::current_exe().expect("this test"));
    command.args(["--exact", "notes::child", "--nocapture"]).env(CHILD, "1").env_remove("GRAPHPROOF_NOTES");
    if let Some(setting) = setting {
        command.env("GRAPHPROOF_NOTES", setting);
    }
    let output = command.output().expect("a child");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let text = String::from_utf8(output.stderr).expect("UTF-8");
    text.lines().filter(|line| line.contains("graphproof: ")).map(str::to_owned).collect()
}

/// What each line must name, in the order of the calls.
const EXPECTED: [&[&str]; 5] = [
    &["cuModuleGetFunction", "NOT_SUPPORTED", "kernel `tcgen05` cannot run", "line 6", "`tcgen05`"],
    &["cuModuleGetFunction", "NOT_SUPPORTED", "kernel `calls` cannot run", "line 11", "`missing`"],
    &["cuModuleLoadData", "NO_BINARY_FOR_GPU", "sm_100"],
    &["cuLaunchKernelEx", "NOT_SUPPORTED", "launch attribute 3"],
    &["cuMipmappedArrayCreate", "NOT_SUPPORTED"],
];

fn check(lines: &[String]) {
    assert_eq!(lines.len(), EXPECTED.len(), "{lines:#?}");
    for (line, words) in lines.iter().zip(EXPECTED) {
        assert!(words.iter().all(|word| line.contains(word)), "{line} has not all of {words:?}");
        assert!(line.chars().all(|c| !c.is_control() && c != '\u{202e}'), "{line:?}");
    }
}

#[test]
fn what_has_no_model_is_told_once_on_standard_error() {
    check(&told(None));
}

#[test]
fn notes_can_be_silenced_or_written_to_a_file() {
    assert_eq!(told(Some("off")), Vec::<String>::new());
    let path = std::env::temp_dir().join(format!("graphproof-notes-{}.txt", std::process::id()));
    let lines = told(Some(path.to_str().expect("UTF-8")));
    let file = std::fs::read_to_string(&path).expect("the file of notes");
    std::fs::remove_file(&path).expect("removed");
    assert_eq!(lines, Vec::<String>::new());
    let all: Vec<String> = file.lines().map(str::to_owned).collect();
    // Every time, and what is only wrong too.
    assert_eq!(all.len(), 2 * (EXPECTED.len() + 1), "{all:#?}");
    assert!(all.iter().any(|line| line.contains("INVALID_VALUE") && line.contains("extent is 0")));
    let without: Vec<String> = all.into_iter().filter(|line| !line.contains("INVALID_VALUE")).collect();
    check(&without[..EXPECTED.len()]);
    check(&without[EXPECTED.len()..]);
}

#[test]
fn the_log_of_a_load_names_the_entries_that_cannot_run() {
    let _own = crate::abi_support::primary();
    for (size_key, key) in [(4u32, 3u32), (6, 5)] {
        let mut log = [1u8; 2048];
        let options = [key, size_key];
        let mut values = [log.as_mut_ptr().cast::<c_void>(), std::ptr::without_provenance_mut(log.len())];
        let mut handle = CUmodule::NULL;
        let text = module();
        ok!(cuModuleLoadDataEx(&mut handle, text.as_ptr().cast(), 2, options.as_ptr(), values.as_mut_ptr()));
        let text = CStr::from_bytes_until_nul(&log).expect("terminated").to_str().expect("UTF-8");
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(text.contains("kernel `tcgen05` cannot run") && text.contains("kernel `calls` cannot run"), "{text}");
    }
}

#[test]
fn the_reason_of_the_last_failing_call_can_be_read() {
    let _own = crate::abi_support::primary();
    let module = load();
    assert_eq!(function(module, c"tcgen05"), CUresult::NOT_SUPPORTED);
    // A call that succeeds, and a query that is not ready, do not take the reason away.
    assert_eq!(function(module, c"good"), CUresult::SUCCESS);
    let reason = record::last_reason().expect("a reason");
    assert_eq!((reason.function, reason.result), ("cuModuleGetFunction", CUresult::NOT_SUPPORTED));
    assert!(reason.text.contains("kernel `tcgen05` cannot run"), "{}", reason.text);
    assert_eq!(function(module, c"nothing"), CUresult::NOT_FOUND);
    let reason = record::last_reason().expect("a reason");
    assert_eq!((reason.result, reason.text.as_str()), (CUresult::NOT_FOUND, ""));
    // Library kernels are refused alike, and an enumerated function when it is launched.
    let mut library = CUlibrary::NULL;
    let null = std::ptr::null_mut::<c_void>();
    let text = self::module();
    ok!(cuLibraryLoadData(
        &mut library,
        text.as_ptr().cast(),
        null.cast(),
        null.cast(),
        0,
        null.cast(),
        null.cast(),
        0
    ));
    let mut kernel = CUkernel::NULL;
    assert_eq!(code!(cuLibraryGetKernel(&mut kernel, library, c"calls".as_ptr())), CUresult::NOT_SUPPORTED);
    ok!(cuLibraryGetKernel(&mut kernel, library, c"fine".as_ptr()));
    let mut functions = [CUfunction::NULL; 4];
    ok!(cuModuleEnumerateFunctions(functions.as_mut_ptr(), 4, module));
    let answers = functions
        .map(|function| code!(cuLaunchKernel(function, 1, 1, 1, 1, 1, 1, 0, CUstream::NULL, null.cast(), null.cast())));
    let refused = CUresult::NOT_SUPPORTED;
    assert_eq!(answers, [CUresult::SUCCESS, refused, refused, CUresult::SUCCESS]);
    ok!(cuCtxSynchronize());
}
