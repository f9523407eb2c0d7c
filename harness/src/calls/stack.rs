//! Lines of the step out of a backtrace.

use crate::finding::{Site, SiteKind};

/// Crates that are nobody's step: the driver's, the judge's, the standard library's, and what stands
/// between them.
const CRATES: &[&str] = &[
    "graphproof_driver",
    "graphproof_model",
    "graphproof_door",
    "graphproof_exec",
    "graphproof_api",
    "graphproof_harness",
    "graphproof_python",
    "_graphproof",
    "pyo3",
    "cudarc",
    "backtrace",
    "std",
    "core",
    "alloc",
    "test",
    "panic_unwind",
];
/// Functions without a crate that start programs and threads, or stand at the C boundary of Rust.
const STARTERS: &[&str] = &[
    "main",
    "_start",
    "start_thread",
    "clone",
    "clone3",
    "__clone3",
    "__libc_start_main",
    "__libc_start_call_main",
    "__libc_start_main_impl",
    "__rust_try",
    "__rust_begin_short_backtrace",
    "__rust_end_short_backtrace",
];

/// Whether a function belongs to nobody's step: judged by the crate in its demangled name.
///
/// ```
/// use graphproof_harness::calls::is_machinery;
/// assert!(is_machinery("<graphproof_harness::lane::Lane as core::fmt::Debug>::fmt"));
/// assert!(is_machinery("cuStreamSynchronize") && is_machinery("std::thread::spawn"));
/// assert!(!is_machinery("<my_step::Step as graphproof_harness::step::Step>::record"));
/// assert!(!is_machinery("standard::library::wait"));
/// ```
pub fn is_machinery(function: &str) -> bool {
    match crate_of(function) {
        Some(name) => CRATES.contains(&name),
        None => {
            let name = function.split('@').next().unwrap_or(function);
            STARTERS.contains(&name) || graphproof_api::find(name).is_some()
        }
    }
}

/// The crate of a Rust function by its demangled name: of a method that of its type, or of the trait where
/// the type is none's or not told.
fn crate_of(function: &str) -> Option<&str> {
    let Some(method) = function.strip_prefix('<') else { return leading_crate(function) };
    match method.split_once(" as ") {
        Some((own, of_trait)) => leading_crate(own).or_else(|| leading_crate(of_trait)),
        None => leading_crate(method),
    }
}

/// The first part of a path, without what may stand before it in a type.
fn leading_crate(path: &str) -> Option<&str> {
    let path = path.trim_start_matches(['<', '&', '*', '(', '[', ' ']);
    let path = ["mut ", "const ", "dyn ", "impl "].iter().fold(path, |path, word| path.trim_start_matches(word));
    let (name, _) = path.split_once("::")?;
    // A hash may follow the crate.
    let name = name.split('[').next().unwrap_or(name);
    let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    is_name.then_some(name)
}

/// The user's frames of a printed backtrace, innermost first. `what` is the call that was made.
///
/// Where no frame has a line, as in a program without line tables, those that remain are told by their
/// function and their crate or library.
pub fn frames(backtrace: &str, what: &str) -> Vec<Site> {
    let (mut sites, mut bare) = (Vec::new(), Vec::new());
    let mut lines = backtrace.lines().map(str::trim).peekable();
    while let Some(line) = lines.next() {
        let function = line.split_once(": ").map_or(line, |(_, name)| name);
        let place = lines.next_if(|next| next.starts_with("at "));
        let place = place.and_then(|place| place.strip_prefix("at "));
        // Inlined functions have names without a crate where there are line tables only.
        let inlined = crate_of(function).is_none() && place.is_some_and(is_machinery_file);
        // The recorder in front of NVIDIA's driver has no names.
        if inlined || function == "<unknown>" || is_machinery(function) {
            continue;
        }
        let Some(place) = place else {
            let named = |all: &[Site]| if all.is_empty() { what.to_owned() } else { function.to_owned() };
            let file = crate_of(function).unwrap_or(function).to_owned();
            bare.push(Site { what: named(&bare), file, line: 0, kind: SiteKind::Library });
            continue;
        };
        let path = place.strip_prefix("./").unwrap_or(place);
        // path:line:column
        let mut parts = path.rsplitn(3, ':');
        let (_column, line, file) = (parts.next(), parts.next(), parts.next());
        let (Some(line), Some(file)) = (line.and_then(|line| line.parse().ok()), file) else { continue };
        let what = if sites.is_empty() { what.to_owned() } else { function.to_owned() };
        sites.push(Site { what, file: relative(file).to_owned(), line, kind: SiteKind::of_file(file) });
    }
    if sites.is_empty() { bare } else { sites }
}

/// Whether a place of a printed backtrace is in the source of the standard library, of cudarc, or of the
/// driver and the judge as they were compiled: a user's folder of the same name is another.
fn is_machinery_file(place: &str) -> bool {
    let here = std::env::current_dir().unwrap_or_default();
    let absolute = place.strip_prefix("./").map(|path| here.join(path));
    let path = absolute.as_deref().and_then(|path| path.to_str()).unwrap_or(place);
    let own =
        ["driver/src/", "driver/model/src/", "driver/exec/src/", "driver/api/src/", "driver/door/src/", "harness/src/"];
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().and_then(|root| root.to_str());
    let below = root.and_then(|root| path.strip_prefix(root)).map(|path| path.trim_start_matches('/'));
    path.starts_with("/rustc/")
        || path.contains("/cudarc-")
        || below.is_some_and(|path| own.iter().any(|own| path.starts_with(own)))
}

/// The path below the crate's folder, as `file!()` would give it, where that can be told.
fn relative(file: &str) -> &str {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().and_then(|root| root.to_str());
    root.and_then(|root| file.strip_prefix(root)).map_or(file, |file| file.trim_start_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::frames;

    const TEXT: &str = "   0: graphproof_model::record::call
             at ./driver/model/src/record/mod.rs:130:9
   1: cuStreamSynchronize
             at ./driver/src/abi/stream.rs:10:5
   2: my_step::wait
             at ./src/my_step.rs:41:9
   3: my_step::record
             at ./src/my_step.rs:20:5
   4: graphproof_harness::lane::runs::record
             at ./harness/src/lane/runs.rs:120:9
   5: std::thread::spawn
             at /rustc/abc/library/std/src/thread/mod.rs:1:1";

    #[test]
    fn an_inlined_function_without_a_crate_is_judged_by_its_file() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").display();
        let text = format!(
            "   0: then<core::option::Option<u8>, graphproof_model::record::call>
             at /rustc/abc/library/core/src/bool.rs:66:1
   1: pass
             at {root}/driver/src/abi/door.rs:55:9
   2: drain
             at /home/me/driver/src/queue.c:12:3"
        );
        let sites: Vec<String> = frames(&text, "cuEventQuery").iter().map(ToString::to_string).collect();
        assert_eq!(sites, ["/home/me/driver/src/queue.c:12: cuEventQuery"]);
    }

    #[test]
    fn only_the_step_s_own_lines_are_left() {
        let sites: Vec<String> = frames(TEXT, "cuStreamSynchronize").iter().map(ToString::to_string).collect();
        assert_eq!(sites, ["src/my_step.rs:41: cuStreamSynchronize", "src/my_step.rs:20: my_step::record"]);
    }

    #[test]
    fn a_frame_is_judged_by_its_crate_and_not_by_its_folder() {
        let text = "   0: library::x::wait
             at /home/me/library/src/x.rs:4:9
   1: <T as core::convert::Into<U>>::into
             at /home/me/core/convert.rs:1:1
   2: <driver::src::Queue as graphproof_harness::step::Step>::record
             at /home/me/driver/src/queue.rs:7:5
   3: start_thread
             at ./nptl/pthread_create.c:447:8";
        let sites: Vec<String> = frames(text, "cuCtxSynchronize").iter().map(ToString::to_string).collect();
        let second = "/home/me/driver/src/queue.rs:7: <driver::src::Queue as graphproof_harness::step::Step>::record";
        assert_eq!(sites, ["/home/me/library/src/x.rs:4: cuCtxSynchronize", second]);
    }

    #[test]
    fn without_line_tables_function_and_library_are_told() {
        let text = "   0: cuStreamSynchronize\n   1: fast_math::wait\n   2: fast_math::run\n   3: main\n   4: _start";
        let sites: Vec<String> = frames(text, "cuStreamSynchronize").iter().map(ToString::to_string).collect();
        assert_eq!(sites, ["fast_math: cuStreamSynchronize", "fast_math: fast_math::run"]);
    }
}
