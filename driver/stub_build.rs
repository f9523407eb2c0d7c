//! For build scripts: compiles `stub.rs`, a library of a few kilobytes without any dependency whose every name
//! jumps through a table. The linker finds a library that is loaded by its SONAME.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::{env, fs};

/// Writes the list of names that [`compile`] takes.
pub fn write_names<'a>(list: &Path, names: impl ExactSizeIterator<Item = &'a str>) {
    let mut source =
        format!("const COUNT: usize = {};\nmacro_rules! names {{ ($then:ident) => {{ $then! {{\n", names.len());
    for (index, name) in names.enumerate() {
        writeln!(source, "    {index} {name}").expect("writing to a string");
    }
    source.push_str("} }; }\n");
    fs::write(list, source).expect("OUT_DIR is writable");
}

/// Compiles `stub`, the path of `stub.rs`, with the names of `list` to the library `file`.
pub fn compile(stub: &str, list: &Path, soname: &str, file: &Path) {
    let rustc = env::var_os("RUSTC").expect("cargo sets RUSTC");
    let target = env::var("TARGET").expect("cargo sets TARGET");
    let mut command = Command::new(rustc);
    command.args(["--edition=2024", "--crate-type=cdylib", "--crate-name=stub", "--target", &target, stub]);
    command.args(["-Cpanic=abort", "-Copt-level=2", "-Cstrip=symbols"]);
    command.args(["-Clink-arg=-nostdlib", &format!("-Clink-arg=-Wl,-soname,{soname}")]);
    if let Some(linker) = env::var_os("RUSTC_LINKER") {
        command.arg("-Clinker").arg(linker);
    }
    let status = command.arg("-o").arg(file).env("STUB_NAMES", list).status().expect("rustc can be run");
    assert!(status.success(), "the stub of {soname} does not compile: {status}");
}
