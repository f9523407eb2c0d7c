//! `cuda-runtime-sys` asks the linker for `libcudart`, also where no function of it is called.
//! An empty archive of that name lets programs link on machines without CUDA, and adds nothing.

use std::path::PathBuf;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    std::fs::write(out.join("libcudart.a"), "!<arch>\n").expect("OUT_DIR is writable");
    println!("cargo::rustc-link-search=native={}", out.display());
}
