//! Reads `symbols.txt` and the entry points under `src/abi`, and generates the symbol table:
//! every name that has no model gets a function that answers `CUDA_ERROR_NOT_SUPPORTED`.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=symbols.txt");
    println!("cargo::rerun-if-changed=src/abi");
    // Programs that are not ours find this library by the name they ask the loader for.
    println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libcuda.so");

    let text = fs::read_to_string("symbols.txt").expect("symbols.txt lies beside build.rs");
    let names: Vec<(&str, u32)> = text.lines().filter_map(symbol).collect();
    let mut modelled = BTreeSet::new();
    entry_points(Path::new("src/abi"), &mut modelled);
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    fs::write(out.join("symbols.rs"), symbol_table(&names, &modelled)).expect("OUT_DIR is writable");
    compile_stub(&out, &names);
}

/// Compiles `stub.rs`: a library of a few kilobytes, without any dependency, that the rlib embeds.
fn compile_stub(out: &Path, names: &[(&str, u32)]) {
    println!("cargo::rerun-if-changed=stub.rs");
    let list = out.join("stub_names.rs");
    let mut source =
        format!("const COUNT: usize = {};\nmacro_rules! names {{ ($then:ident) => {{ $then! {{\n", names.len());
    for (index, (name, _)) in names.iter().enumerate() {
        writeln!(source, "    {index} {name}").expect("writing to a string");
    }
    source.push_str("} }; }\n");
    fs::write(&list, source).expect("OUT_DIR is writable");

    let rustc = env::var_os("RUSTC").expect("cargo sets RUSTC");
    let target = env::var("TARGET").expect("cargo sets TARGET");
    let mut command = Command::new(rustc);
    command.args(["--edition=2024", "--crate-type=cdylib", "--crate-name=stub", "--target", &target, "stub.rs"]);
    command.args(["-Cpanic=abort", "-Copt-level=2", "-Cstrip=symbols"]);
    command.args(["-Clink-arg=-nostdlib", "-Clink-arg=-Wl,-soname,libcuda.so"]);
    if let Some(linker) = env::var_os("RUSTC_LINKER") {
        command.arg("-Clinker").arg(linker);
    }
    command.arg("-o").arg(out.join("stub.so")).env("STUB_NAMES", &list);
    let status = command.status().expect("rustc can be run");
    assert!(status.success(), "the stub library does not compile: {status}");
}

/// A line of `symbols.txt`: a name, and the CUDA version that introduced it.
fn symbol(line: &str) -> Option<(&str, u32)> {
    let (name, version) = line.trim().split_once(' ')?;
    Some((name, version.parse().expect("a version such as 12030")))
}

/// Collects the names of `fn cu…(` items: the convention of the `entry_points!` macro.
fn entry_points(folder: &Path, found: &mut BTreeSet<String>) {
    let entries = fs::read_dir(folder).expect("src/abi is a folder");
    for path in entries.map(|entry| entry.expect("a readable folder").path()) {
        if path.is_dir() {
            entry_points(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let source = fs::read_to_string(&path).expect("a source file is UTF-8");
            for line in source.lines() {
                let Some(rest) = line.trim_start().strip_prefix("fn cu") else { continue };
                let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
                if rest[end..].starts_with('(') && rest.starts_with(|c: char| c.is_ascii_uppercase()) {
                    found.insert(format!("cu{}", &rest[..end]));
                }
            }
        }
    }
}

fn symbol_table(names: &[(&str, u32)], modelled: &BTreeSet<String>) -> String {
    let mut source = String::new();
    let missing = names.iter().map(|(name, _)| *name).filter(|name| !modelled.contains(*name));
    source.push_str("unsupported_entry_points! {\n");
    for name in missing {
        writeln!(source, "    {name},").expect("writing to a string");
    }
    source.push_str("}\n");
    source.push_str("mod declared {\n    unsafe extern \"C\" {\n");
    for (name, _) in names {
        writeln!(source, "        pub(super) fn {name}();").expect("writing to a string");
    }
    source.push_str("    }\n}\n");
    source.push_str("/// Every name of `symbols.txt`, in its order (sorted by name).\n");
    writeln!(source, "pub static SYMBOLS: [Symbol; {}] = [", names.len()).expect("writing to a string");
    for (name, since) in names {
        let known = modelled.contains(*name);
        writeln!(
            source,
            "    Symbol {{ name: \"{name}\", since: {since}, function: declared::{name}, modelled: {known} }},"
        )
        .expect("writing to a string");
    }
    source.push_str("];\n");
    source
}
