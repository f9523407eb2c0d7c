//! Exports the stand-ins' names under the version nodes of the libraries that they stand in for.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::{env, fs};

mod names {
    include!("names.rs");
}
use names::{NVJITLINK, NVRTC, RELEASES};

fn main() {
    println!("cargo::rerun-if-changed=names.rs");
    println!("cargo::rerun-if-changed=build.rs");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let mut assembly = String::new();
    for (major, newest) in RELEASES {
        for name in NVRTC.split_whitespace() {
            let name = format!("nvrtc{name}");
            trampoline(&mut assembly, &name, &name, &format!("libnvrtc.so.{major}"));
        }
        let node = format!("libnvJitLink.so.{major}");
        for name in NVJITLINK.split_whitespace() {
            let body = format!("nvJitLink{name}");
            trampoline(&mut assembly, &body, &body, &node);
            for minor in 0..=newest {
                trampoline(&mut assembly, &body, &format!("__{body}_{major}_{minor}"), &node);
            }
        }
    }
    fs::write(out.join("exports.rs"), format!("std::arch::global_asm!({assembly:?});\n")).expect("OUT_DIR is writable");
    let map = out.join("versions.map");
    let nodes = "libnvrtc.so.12 { };\nlibnvrtc.so.13 { };\nlibnvJitLink.so.12 { };\nlibnvJitLink.so.13 { };\n";
    fs::write(&map, nodes).expect("OUT_DIR is writable");
    println!("cargo::rustc-cdylib-link-arg=-Wl,--version-script={}", map.display());
}

/// An exported name is a jump: an assembler gives versions only to what it defines itself.
fn trampoline(assembly: &mut String, body: &str, exported: &str, node: &str) {
    let jump = match env::var("CARGO_CFG_TARGET_ARCH").as_deref() {
        Ok("aarch64") => "b",
        _ => "jmp",
    };
    let at = if node.ends_with("13") || exported.contains("_12_") { "@@" } else { "@" };
    let label = format!("graphproof_{}_{exported}", node.replace('.', "_"));
    writeln!(
        assembly,
        ".globl {label}\n.type {label},@function\n{label}: {jump} graphproof_{body}\n.symver {label}, {exported}{at}{node}"
    )
    .expect("writing to a string");
}
