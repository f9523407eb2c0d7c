//! Leaves the hash of the steps' host code to the program: run in a checkout, it judges that
//! checkout's kernels, and has to know whether its own launches are the ones written there.

#[path = "src/host.rs"]
mod host;

fn main() -> std::io::Result<()> {
    println!("cargo::rerun-if-changed=src");
    let folder = std::path::Path::new(&std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default()).join("src");
    println!("cargo::rustc-env=GRAPHPROOF_HOST_CODE={}", host::hash(&folder)?);
    Ok(())
}
