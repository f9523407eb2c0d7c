//! A process that loads two libcudas is told so; one that loads one is not.
use std::ffi::c_uint;
use std::path::PathBuf;
use std::process::Command;

/// Names the libraries that the child loads, and that it is one.
const CHILD: &str = "TWO_DRIVERS_CHILD";

#[test]
fn child() {
    let Some(libraries) = std::env::var_os(CHILD) else { return };
    for path in std::env::split_paths(&libraries) {
        // SAFETY: our own library.
        let library = unsafe { libloading::Library::new(&path) }.expect("a libcuda");
        // SAFETY: the documented type.
        let init = unsafe { library.get::<unsafe extern "C" fn(c_uint) -> u32>(b"cuInit\0") }.expect("cuInit");
        // SAFETY: as CUDA documents.
        assert_eq!(unsafe { init(0) }, 0);
        std::mem::forget(library);
    }
}

fn told(libraries: &[PathBuf]) -> String {
    let mut command = Command::new(std::env::current_exe().expect("this test"));
    command.args(["--exact", "two_drivers::child", "--nocapture"]).env_remove("GRAPHPROOF_NOTES");
    let output = command.env(CHILD, std::env::join_paths(libraries).expect("paths")).output().expect("a child");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stderr).expect("UTF-8")
}

#[test]
fn two_drivers_are_told_of() {
    let tests = std::env::current_exe().expect("this test");
    let built = tests.parent().expect("a folder").join("libgraphproof_driver.so");
    let folder = std::env::temp_dir().join(format!("graphproof-two-{}", std::process::id()));
    let files = ["one", "two"].map(|name| folder.join(name).join("libcuda.so.1"));
    for file in &files {
        std::fs::create_dir_all(file.parent().expect("a folder")).expect("made");
        std::fs::copy(&built, file).expect("copied");
    }
    let link = folder.join("one").join("libcuda.so");
    std::os::unix::fs::symlink("libcuda.so.1", &link).expect("linked");
    let two = told(&files);
    assert_eq!(two.matches("two libcudas are loaded").count(), 1, "{two}");
    // One file by both of its names is one driver.
    let one = told(&[files[0].clone(), link]);
    assert!(!one.contains("two libcudas"), "{one}");
    std::fs::remove_dir_all(&folder).expect("removed");
}
