//! Joins three things: the table of the driver API, from which come the functions that call the driver; the
//! table of the runtime API (`functions.txt`); and the entry points under `src`.
//!
//! A name of the runtime gets the entry point of its own name, or one that hands its arguments to the
//! driver's function of the same meaning, or one that answers `cudaErrorNotSupported`. Each is exported
//! under a version node of its library: one file is both libcudart.so.12 and .13.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

use graphproof_api::{Argument, Function, PerThread, Role};

fn main() {
    for path in ["build.rs", "src", "functions.txt"] {
        println!("cargo::rerun-if-changed={path}");
    }
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let rows = rows(&fs::read_to_string("functions.txt").expect("functions.txt"));
    let mut bodies = BTreeMap::new();
    for entry in fs::read_dir("src").expect("src") {
        entry_points(&entry.expect("a readable folder").path(), &mut bodies);
    }
    fs::write(out.join("driver.rs"), driver()).expect("OUT_DIR is writable");
    fs::write(out.join("exports.rs"), exports(&rows, &bodies)).expect("OUT_DIR is writable");

    // Programs name the version of each symbol that they were linked with.
    let map = out.join("versions.map");
    fs::write(&map, "libcudart.so.12 { };\nlibcudart.so.13 { };\n").expect("OUT_DIR is writable");
    println!("cargo::rustc-cdylib-link-arg=-Wl,--version-script={}", map.display());
    println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libcudart.so.13");
}

/// A line of `functions.txt`.
struct Row {
    name: String,
    versions: Vec<u32>,
    form: Option<&'static str>,
    driver: Option<String>,
    body: Option<String>,
}

fn rows(text: &str) -> Vec<Row> {
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let rows = lines.map(|line| {
        let words: Vec<&str> = line.split(' ').collect();
        let after = |mark| words.iter().position(|word| *word == mark).map(|at| words[at + 1].to_owned());
        Row {
            name: words[0].to_owned(),
            versions: words[1].split(',').map(|version| version.parse().expect(line)).collect(),
            form: match words[2] {
                "ptsz" => Some("_ptsz"),
                "ptds" => Some("_ptds"),
                _ => None,
            },
            driver: after("="),
            body: after(":"),
        }
    });
    rows.collect()
}

/// Collects the entry points of a source file: name, arguments.
fn entry_points(path: &Path, found: &mut BTreeMap<String, String>) {
    let source = fs::read_to_string(path).expect("a source file is UTF-8");
    for start in ["\n    fn ", "extern \"C\" fn graphproof_"] {
        for (at, _) in source.match_indices(start) {
            let item = &source[at + start.len()..];
            let Some((name, rest)) = item.split_once('(') else { continue };
            let Some((arguments, _)) = rest.split_once(')') else { continue };
            if name.starts_with("cuda") || name.starts_with("__cuda") {
                found.insert(name.to_owned(), arguments.split_whitespace().collect::<Vec<_>>().join(" "));
            }
        }
    }
}

/// The Rust type of an argument of the driver API.
fn rust_type(argument: &Argument) -> &'static str {
    if argument.c_type.contains('*') || matches!(argument.role, Role::Call | Role::Data) {
        return "*const c_void";
    }
    match argument.c_type.trim() {
        "size_t" => "usize",
        "int" | "CUdevice" => "i32",
        "unsigned char" => "u8",
        "unsigned short" => "u16",
        "float" => "f32",
        "unsigned long long"
        | "cuuint64_t"
        | "CUdeviceptr"
        | "CUdeviceptr_v1"
        | "CUgraphConditionalHandle"
        | "CUmemGenericAllocationHandle"
        | "CUlogicalEndpointId"
        | "CUtexObject"
        | "CUsurfObject" => "u64",
        // Two integers, which the calling convention passes as one word.
        "CUmemLocation" => "u64",
        "CUipcMemHandle" | "CUipcEventHandle" => "crate::types::IpcHandle",
        _ if matches!(argument.role, Role::Stream | Role::Handle) => "usize",
        _ => "u32",
    }
}

/// Names and types of a driver function's arguments.
fn signature(function: &Function) -> Option<(String, String, String)> {
    let (mut declared, mut types, mut names) = (String::new(), String::new(), String::new());
    for (n, argument) in function.arguments.as_ref()?.iter().enumerate() {
        let of = rust_type(argument);
        write!(declared, "a{n}: {of}, ").expect("writing to a string");
        write!(types, "{of}, ").expect("writing to a string");
        write!(names, "a{n}, ").expect("writing to a string");
    }
    Some((declared, types, names))
}

/// A function for each of the driver's: it looks the entry point up once, in the form that the thread's
/// default stream asks for.
fn driver() -> String {
    let mut source = String::new();
    for function in graphproof_api::functions() {
        let Some((declared, types, names)) = signature(function) else { continue };
        let name = function.name;
        let per_thread = function.per_thread.map_or(name.to_owned(), |form| format!("{name}{}", form.suffix()));
        write!(
            source,
            "pub(crate) unsafe fn {name}({declared}) -> Outcome {{\n    \
             static ENTRY: Entry = Entry::new(c\"{name}\", c\"{per_thread}\");\n    \
             // SAFETY: the entry point has the type that the table gives it; the caller vouches for the rest.\n    \
             unsafe {{\n        \
             let call: unsafe extern \"C\" fn({types}) -> i32 = std::mem::transmute(ENTRY.address()?);\n        \
             outcome(call({names}))\n    }}\n}}\n"
        )
        .expect("writing to a string");
    }
    source
}

fn exports(rows: &[Row], bodies: &BTreeMap<String, String>) -> String {
    let mut source = String::new();
    let (mut made, mut used) = (BTreeSet::new(), BTreeSet::new());
    let mut assembly = String::new();
    for row in rows {
        // Two rows of a name, one for each version, need entry points of different names.
        let versions: Vec<String> = row.versions.iter().map(u32::to_string).collect();
        let own = bodies.contains_key(&row.name);
        let body = row.body.clone().or_else(|| (row.driver.is_none() && own).then(|| row.name.clone()));
        let entry = match (&body, &row.driver) {
            (Some(body), _) => body.clone(),
            _ => format!("{}_{}", row.name, versions.join("_")),
        };
        used.insert(entry.clone());
        for form in [None, row.form].into_iter().take(1 + usize::from(row.form.is_some())) {
            let symbol = format!("{entry}{}", form.unwrap_or_default());
            if !(form.is_none() && body.is_some()) && made.insert(symbol.clone()) {
                source.push_str(&entry_point(row, &entry, &symbol, form, bodies));
            }
            let exported = format!("{}{}", row.name, form.unwrap_or_default());
            for version in &row.versions {
                trampoline(&mut assembly, &symbol, &exported, *version, is_default(rows, &row.name, *version));
            }
        }
    }
    for name in bodies.keys() {
        assert!(used.contains(name), "{name} has an entry point and no line in functions.txt");
    }
    format!("{source}\nstd::arch::global_asm!({assembly:?});\n")
}

/// Whether a name without a version means this one: the newest that has it.
fn is_default(rows: &[Row], name: &str, version: u32) -> bool {
    rows.iter().filter(|row| row.name == name).flat_map(|row| &row.versions).max() == Some(&version)
}

fn entry_point(row: &Row, entry: &str, symbol: &str, form: Option<&str>, bodies: &BTreeMap<String, String>) -> String {
    let shown = format!("{}{}", row.name, form.unwrap_or_default());
    let per_thread = form.is_some();
    if let Some(arguments) = bodies.get(entry) {
        let names: Vec<&str> = arguments.split(',').filter_map(|a| Some(a.split_once(':')?.0.trim())).collect();
        return format!(
            "/// As the form without the suffix, with the thread's default stream.\n///\n/// # Safety\n/// As that.\n\
             #[unsafe(no_mangle)]\n#[allow(non_snake_case, clippy::too_many_arguments)]\n\
             pub unsafe extern \"C\" fn graphproof_{symbol}({arguments}) -> i32 {{\n    \
             // SAFETY: the caller's arguments, handed on.\n    \
             door::per_thread(|| unsafe {{ {entry}({}) }})\n}}\n",
            names.join(", ")
        );
    }
    let driver = row.driver.as_ref().map(|name| {
        let function = graphproof_api::find(name).unwrap_or_else(|| panic!("{name} is no driver function"));
        (name, signature(function).unwrap_or_else(|| panic!("{name} has no signature")), function.per_thread)
    });
    let Some((name, (declared, _, names), forms)) = driver else {
        return format!(
            "#[unsafe(no_mangle)]\n#[allow(non_snake_case)]\nextern \"C\" fn graphproof_{symbol}() -> i32 {{\n    \
             door::unsupported(\"{shown}\")\n}}\n"
        );
    };
    let _: Option<PerThread> = forms;
    format!(
        "/// CUDA runtime API `{shown}`: the driver's `{name}`.\n///\n/// # Safety\n/// As CUDA documents.\n\
         #[unsafe(no_mangle)]\n#[allow(non_snake_case, clippy::too_many_arguments)]\n\
         pub unsafe extern \"C\" fn graphproof_{symbol}({declared}) -> i32 {{\n    \
         // SAFETY: the caller's arguments, handed on.\n    \
         door::enter(\"{shown}\", {per_thread}, || unsafe {{ driver::{name}({names}) }})\n}}\n"
    )
}

/// An exported name is a jump: an assembler gives versions only to what it defines itself.
fn trampoline(assembly: &mut String, symbol: &str, exported: &str, version: u32, default: bool) {
    let jump = match env::var("CARGO_CFG_TARGET_ARCH").as_deref() {
        Ok("aarch64") => "b",
        _ => "jmp",
    };
    let label = format!("graphproof_v{version}_{exported}");
    let at = if default { "@@" } else { "@" };
    writeln!(
        assembly,
        ".globl {label}\n.type {label},@function\n{label}: {jump} graphproof_{symbol}\n\
         .symver {label}, {exported}{at}libcudart.so.{version}"
    )
    .expect("writing to a string");
}
