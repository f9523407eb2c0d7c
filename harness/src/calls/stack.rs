//! Lines of the step out of a backtrace.

use crate::finding::{Site, SiteKind};

/// Frames that are nobody's step: the driver's, the harness's, cudarc's, the standard library's and
/// those that glibc starts a thread with.
const MACHINERY: &[&str] =
    &["/driver/src/", "/harness/src/", "/cudarc-", "/rustc/", "/library/", "/nptl/", "/sysdeps/"];

/// The user's frames of a printed backtrace, innermost first. `what` is the call that was made.
pub fn frames(backtrace: &str, what: &str) -> Vec<Site> {
    let mut sites = Vec::new();
    let mut function = "";
    for line in backtrace.lines().map(str::trim) {
        let Some(place) = line.strip_prefix("at ") else {
            function = line.split_once(": ").map_or(line, |(_, name)| name);
            continue;
        };
        let path = place.strip_prefix("./").unwrap_or(place);
        let anchored = format!("/{path}");
        if MACHINERY.iter().any(|part| anchored.contains(part)) {
            continue;
        }
        // path:line:column
        let mut parts = path.rsplitn(3, ':');
        let (_column, line, file) = (parts.next(), parts.next(), parts.next());
        let (Some(line), Some(file)) = (line.and_then(|line| line.parse().ok()), file) else { continue };
        let what = if sites.is_empty() { what.to_owned() } else { function.to_owned() };
        sites.push(Site { what, file: relative(file).to_owned(), line, kind: SiteKind::of_file(file) });
    }
    sites
}

/// The path below the crate's folder, as `file!()` would give it, where that can be told.
fn relative(file: &str) -> &str {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().and_then(|root| root.to_str());
    root.and_then(|root| file.strip_prefix(root)).map_or(file, |file| file.trim_start_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::frames;

    const TEXT: &str = "   0: graphproof_driver::record::call
             at ./driver/src/record/mod.rs:130:9
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
    fn only_the_step_s_own_lines_are_left() {
        let sites: Vec<String> = frames(TEXT, "cuStreamSynchronize").iter().map(ToString::to_string).collect();
        assert_eq!(sites, ["src/my_step.rs:41: cuStreamSynchronize", "src/my_step.rs:20: my_step::record"]);
    }
}
