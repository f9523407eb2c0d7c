//! Compiles `src/inside` to the library that is put in front of a driver, with the compiler alone: the
//! program that carries it shall be one file, and cargo cannot embed one crate's library in another. The sources of
//! the two crates that it stands on are linked in `of`: a package is built of its own files.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use graphproof_api::Function;

/// Stands where the path of the real driver is written when the library is unpacked.
const PLACEHOLDER: usize = 1024;

fn main() {
    for path in ["build.rs", "src", "of/door/src", "of/api/src", "of/api/functions.txt"] {
        println!("cargo::rerun-if-changed={path}");
    }
    println!("cargo::rustc-check-cfg=cfg(graphproof_library)");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let mut names: Vec<String> = graphproof_api::functions().iter().flat_map(Function::exports).collect();
    names.sort_unstable();
    write_names(&out, &names);
    let placeholder = format!("/graphproof-driver{}", "-".repeat(PLACEHOLDER - "/graphproof-driver".len()));
    let text = format!("pub(crate) const PLACEHOLDER: &str = \"{placeholder}\";\n");
    fs::write(out.join("placeholder.rs"), text).expect("OUT_DIR is writable");
    println!("cargo::rustc-env=FORWARD_NAMES={}", out.join("names.rs").display());
    println!("cargo::rustc-env=FORWARD_PLACEHOLDER={}", out.join("placeholder.rs").display());
    println!("cargo::rustc-env=FORWARD_LIBRARY={}", out.join("libcuda.so.1").display());
    println!("cargo::rustc-env=FORWARD_ALIAS={}", out.join("alias.so").display());
    if env::var("CARGO_CFG_TARGET_ARCH").as_deref() == Ok("x86_64") {
        compile(&out, &placeholder);
    } else {
        // The entry points are written for x86-64: elsewhere the program says so.
        fs::write(out.join("libcuda.so.1"), []).expect("OUT_DIR is writable");
        fs::write(out.join("alias.so"), []).expect("OUT_DIR is writable");
    }
}

/// The exported names, with what the entry points must know of each.
fn write_names(out: &Path, names: &[String]) {
    let mut source = format!("pub(crate) const COUNT: usize = {};\n", names.len());
    source.push_str("macro_rules! names { ($then:ident) => { $then! {\n");
    for (index, name) in names.iter().enumerate() {
        source.push_str(&format!("    {index} {name}\n"));
    }
    source.push_str("} }; }\n");
    fs::write(out.join("names.rs"), source).expect("OUT_DIR is writable");
    assert!(names.len() < 1 << 15, "calls name functions by 15 bits");
}

fn compile(out: &Path, placeholder: &str) {
    // A library of nothing, whose name stands in ours for the real driver's.
    let behind = out.join("libbehind.so");
    nothing(out, placeholder, &behind, &[]);

    let api = out.join("libgraphproof_api.rlib");
    run(rustc("graphproof_api", "rlib").arg("of/api/src/lib.rs").arg("-o").arg(&api));
    let door = out.join("libgraphproof_door.rlib");
    run(rustc("graphproof_door", "rlib")
        .arg("of/door/src/lib.rs")
        .arg(external("graphproof_api", &api))
        .arg("-o")
        .arg(&door));

    let mut command = rustc("graphproof_forward", "cdylib");
    command.arg("src/lib.rs").args(["--cfg", "graphproof_library"]);
    command.arg(external("graphproof_api", &api)).arg(external("graphproof_door", &door));
    // NODELETE: the driver behind has threads that return through ours.
    command.args(["-Cstrip=symbols", "-Clink-arg=-Wl,-soname,libcuda.so.1", "-Clink-arg=-Wl,-z,nodelete"]);
    command.args(["-Clink-arg=-Wl,--no-as-needed", &format!("-Clink-arg={}", behind.display())]);
    command.args(["-Clink-arg=-Wl,--as-needed", "-Clink-arg=-Wl,-Bsymbolic", "-Clink-arg=-Wl,-z,now"]);
    command.env("FORWARD_NAMES", out.join("names.rs")).env("FORWARD_PLACEHOLDER", out.join("placeholder.rs"));
    let library = out.join("libcuda.so.1");
    run(command.arg("-o").arg(&library));

    // In a process that is running already, the other name by which a driver is asked for: whoever looks a
    // function up in it is given ours, which it depends on and which lies in the same folder. RPATH and not
    // RUNPATH, since LD_LIBRARY_PATH would come before that.
    let needs = format!("-Clink-arg={}", library.display());
    let same = ["-Clink-arg=-Wl,--no-as-needed", &needs, "-Clink-arg=-Wl,--disable-new-dtags,-rpath,$ORIGIN"];
    nothing(out, "libcuda.so", &out.join("alias.so"), &same);
}

/// A library without a function, which has a name and may depend on others.
fn nothing(out: &Path, name: &str, to: &Path, more: &[&str]) {
    let source = out.join("nothing.rs");
    fs::write(&source, NOTHING).expect("OUT_DIR is writable");
    let mut command = rustc("nothing", "cdylib");
    command.arg(source).args(["-Cpanic=abort", "-Clink-arg=-nostdlib"]);
    run(command.arg(format!("-Clink-arg=-Wl,-soname,{name}")).args(more).arg("-o").arg(to));
}

const NOTHING: &str = "#![no_std]\n#[panic_handler]\nfn panic(_: &core::panic::PanicInfo) -> ! { loop {} }\n";

fn external(name: &str, path: &Path) -> String {
    format!("--extern={name}={}", path.display())
}

fn rustc(name: &str, kind: &str) -> Command {
    let mut command = Command::new(env::var_os("RUSTC").expect("cargo sets RUSTC"));
    let target = env::var("TARGET").expect("cargo sets TARGET");
    command.args(["--edition=2024", "--crate-name", name, "--crate-type", kind, "--target", &target]);
    // Always as fast as it can be: it runs in another's program.
    command.args(["-Copt-level=3", "-Ccodegen-units=4", "--cap-lints=allow"]);
    if let Some(linker) = env::var_os("RUSTC_LINKER") {
        command.arg("-Clinker").arg(linker);
    }
    command
}

fn run(command: &mut Command) {
    let status = command.status().expect("rustc can be run");
    assert!(status.success(), "{command:?}: {status}");
}
