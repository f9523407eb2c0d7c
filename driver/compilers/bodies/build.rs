//! Lists the entry points of each library that is stood in for, and compiles stubs that jump to them.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

mod names {
    include!("names.rs");
}
use names::{NVJITLINK, NVRTC, RELEASES};
// The driver's, linked here: a package is built of its own files.
mod stub_build;

/// That of the driver, as well: a library whose every name jumps through a table.
const STUB: &str = "stub.rs";

fn main() {
    for path in ["build.rs", "names.rs", STUB, "stub_build.rs"] {
        println!("cargo::rerun-if-changed={path}");
    }
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let mut source = String::from(
        "/// A library that is stood in for: its SONAME, a stub of that name, and the addresses that fill it.\n\
         pub type Entry = (&'static str, &'static [u8], Vec<*const c_void>);\n\n\
         /// Every library that is stood in for.\npub fn entries() -> Vec<Entry> {\n    vec![\n",
    );
    let mut declared: Vec<String> = Vec::new();
    for (major, newest) in RELEASES {
        let nvrtc = NVRTC.split_whitespace().map(|name| (format!("nvrtc{name}"), format!("nvrtc{name}"))).collect();
        library(&mut source, &mut declared, &out, &format!("libnvrtc.so.{major}"), nvrtc);
        let mut link: Vec<(String, String)> = Vec::new();
        for name in NVJITLINK.split_whitespace() {
            let body = format!("nvJitLink{name}");
            link.push((body.clone(), body.clone()));
            link.extend((0..=newest).map(|minor| (format!("__{body}_{major}_{minor}"), body.clone())));
        }
        library(&mut source, &mut declared, &out, &format!("libnvJitLink.so.{major}"), link);
    }
    source.push_str("    ]\n}\n\nmod declared {\n    unsafe extern \"C\" {\n");
    for name in declared {
        writeln!(source, "        pub(super) fn {name}();").expect("writing to a string");
    }
    source.push_str("    }\n}\n");
    fs::write(out.join("entries.rs"), source).expect("OUT_DIR is writable");
}

/// One library: `names` are exported names with the names of their bodies.
fn library(source: &mut String, declared: &mut Vec<String>, out: &Path, soname: &str, names: Vec<(String, String)>) {
    let list = out.join(format!("{soname}.names.rs"));
    stub_build::write_names(&list, names.iter().map(|(name, _)| name.as_str()));
    let file = out.join(soname);
    stub_build::compile(STUB, &list, soname, &file);
    write!(source, "        ({soname:?}, include_bytes!({file:?}).as_slice(), vec![").expect("writing to a string");
    for (_, body) in names {
        let body = format!("graphproof_{body}");
        write!(source, "declared::{body} as *const c_void, ").expect("writing to a string");
        if !declared.contains(&body) {
            declared.push(body);
        }
    }
    source.push_str("]),\n");
}
