//! Joins the table of the driver API (`graphproof-api`) with the entry points under `src/abi`: every
//! function without a body answers `CUDA_ERROR_NOT_SUPPORTED`, every `_ptsz` and `_ptds` form and every
//! old form with the same binary interface calls the body that it shares, and `SYMBOLS` lists them all.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

use graphproof_api::{Function, PerThread};

mod stub_build;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=src/abi");
    // Programs that are not ours find this library by the name they ask the loader for.
    // Said of every target, and heeded where a library is linked: what is said of cdylibs alone is handed on to
    // other packages' too.
    println!("cargo::rustc-link-arg=-Wl,-soname,libcuda.so");
    // A test that had the name would be what its own loader finds by it. The last name counts.
    println!("cargo::rustc-link-arg-tests=-Wl,-soname,test");

    let functions = graphproof_api::functions();
    let mut names: Vec<String> = functions.iter().flat_map(Function::exports).collect();
    names.sort_unstable();
    let mut bodies = BTreeMap::new();
    entry_points(Path::new("src/abi"), &mut bodies);
    for name in bodies.keys() {
        assert!(names.contains(name), "{name} has a body and no line in api/functions.txt");
    }
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    fs::write(out.join("symbols.rs"), symbol_table(functions, &names, &bodies)).expect("OUT_DIR is writable");
    compile_stubs(&out, &names);
}

/// Compiles the stubs that the rlib embeds: programs ask for either of these two names.
fn compile_stubs(out: &Path, names: &[String]) {
    println!("cargo::rerun-if-changed=stub.rs");
    println!("cargo::rerun-if-changed=stub_build.rs");
    let list = out.join("stub_names.rs");
    stub_build::write_names(&list, names.iter().map(String::as_str));
    for (soname, file) in [("libcuda.so", "stub.so"), ("libcuda.so.1", "stub-1.so")] {
        stub_build::compile("stub.rs", &list, soname, &out.join(file));
    }
}

/// Collects the `fn cu…(…)` items, names with arguments: the convention of the `entry_points!` macro.
fn entry_points(folder: &Path, found: &mut BTreeMap<String, String>) {
    let entries = fs::read_dir(folder).expect("src/abi is a folder");
    for path in entries.map(|entry| entry.expect("a readable folder").path()) {
        if path.is_dir() {
            entry_points(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let source = fs::read_to_string(&path).expect("a source file is UTF-8");
            for (at, _) in source.match_indices("\n    fn cu") {
                let item = &source[at + "\n    fn ".len()..];
                let Some((name, rest)) = item.split_once('(') else { continue };
                let is_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
                if let Some((arguments, _)) = rest.split_once(')')
                    && is_name
                    && name[2..].starts_with(|c: char| c.is_ascii_uppercase())
                {
                    found.insert(name.to_owned(), arguments.to_owned());
                }
            }
        }
    }
}

/// A function of the C ABI that prepares and then calls `body`, whose arguments it has.
fn shared(name: &str, body: &str, arguments: &str, prepare: &str) -> String {
    let names: Vec<&str> = arguments.split(',').filter_map(|a| Some(a.split_once(':')?.0.trim())).collect();
    format!(
        "/// CUDA driver API `{name}`: `{body}`.\n///\n/// # Safety\n/// As that function.\n\
         #[unsafe(no_mangle)]\n#[allow(non_snake_case, clippy::too_many_arguments)]\n\
         pub unsafe extern \"C\" fn {name}({arguments}) -> CUresult {{\n    {prepare}\n    \
         // SAFETY: the caller's arguments, handed on.\n    unsafe {{ super::super::{body}({}) }}\n}}\n",
        names.join(", ")
    )
}

fn symbol_table(functions: &[Function], names: &[String], bodies: &BTreeMap<String, String>) -> String {
    let mut source = String::from("mod shared {\n    use std::ffi::*;\n    use super::super::imports::*;\n");
    let mut modelled: Vec<String> = bodies.keys().cloned().collect();
    for function in functions {
        let body = if bodies.contains_key(function.name) { Some(function.name) } else { function.same_as };
        let Some((body, arguments)) = body.and_then(|body| Some((body, bodies.get(body)?))) else { continue };
        if body != function.name {
            source.push_str(&shared(function.name, body, arguments, ""));
            modelled.push(function.name.to_owned());
        }
        if let Some(form) = function.per_thread.map(PerThread::suffix) {
            let name = format!("{}{form}", function.name);
            source.push_str(&shared(&name, body, arguments, "default_stream::next_is_per_thread();"));
            modelled.push(name);
        }
    }
    source.push_str("}\nunsupported_entry_points! {\n");
    for name in names.iter().filter(|name| !modelled.contains(name)) {
        writeln!(source, "    {name},").expect("writing to a string");
    }
    source.push_str("}\nmod declared {\n    unsafe extern \"C\" {\n");
    for name in names {
        writeln!(source, "        pub(super) fn {name}();").expect("writing to a string");
    }
    source.push_str("    }\n}\n/// Every export, sorted by name.\n");
    writeln!(source, "pub static SYMBOLS: [Symbol; {}] = [", names.len()).expect("writing to a string");
    for name in names {
        let known = modelled.contains(name);
        writeln!(source, "    Symbol {{ name: \"{name}\", function: declared::{name}, modelled: {known} }},")
            .expect("writing to a string");
    }
    source.push_str("];\n");
    source
}
