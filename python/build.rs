//! Keeps the extension's calls of the driver within it, whatever libcuda the process has loaded.

fn main() {
    println!("cargo::rustc-cdylib-link-arg=-Wl,-Bsymbolic");
}
