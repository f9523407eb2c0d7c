//! What is judged is the checkout that the run stands in, else what the program was built with; never
//! the folder that the program was built in.

mod checkout;
mod made;

use std::path::Path;

use checkout::{checkout, commit, copy_kernels, edit, git};
use graphproof::receipt::{self, Receipt, TreeUsed};
use made::{folder, run};

const GATE: [&str; 9] =
    ["gate", "--driver", "software", "--steps", "3", "--step", "fused", "--no-geometry", "--json=../r.json"];

/// A checkout in which a clamp at 0 was made one at 0.1, and the PTX left as it was.
fn edited() -> tempfile::TempDir {
    let folder = folder();
    let root = folder.path().join("b");
    std::fs::rename(checkout().keep(), &root).expect("a checkout in a folder of its own");
    edit(&root, "cu/score.cuh", false, |text| text.replace("fmaxf(dot, 0.0f)", "fmaxf(dot, 0.1f)"));
    folder
}

fn gate(folder: &Path, more: &[&str], code: i32) -> String {
    let output = run(folder, &[&GATE[..], more].concat(), code);
    if code == 13 {
        assert!(!output.contains("verdict"), "nothing was run:\n{output}");
    }
    output
}

fn written(folder: &Path) -> Receipt {
    receipt::read(&folder.join("../r.json")).expect("a receipt")
}

const STALE: &str = "kernels/cu/score.cuh has changed since kernels/ptx/";

#[test]
fn an_edited_kernel_of_the_checkout_is_stale_compiled_and_compared() {
    let folder = edited();
    let root = folder.path().join("b");
    for more in [&[][..], &["--against", "HEAD"]] {
        assert!(gate(&root, more, 13).contains(STALE));
    }
    let doctor = run(&root, &["doctor", "--driver", "software"], 0);
    assert!(doctor.contains(STALE) && !doctor.contains("up to date"), "{doctor}");
    for command in [&["graph", "fused", "--driver", "software"][..], &["faults", "--filter", "s01"], &["bench", "exec"]]
    {
        let output = run(&root, command, 13);
        assert!(output.contains(STALE), "{command:?}:\n{output}");
    }
    if !root.join(".cuda").exists() {
        eprintln!("skipped: the compiled kernels, as the pinned NVRTC is not installed");
        return;
    }
    // Eager execution and replay agree: the kernels are other ones, and no less safe.
    gate(&root, &["--compile"], 0);
    let edited = written(&root);
    assert_eq!(edited.request.tree, Some(TreeUsed::Checkout));
    assert!(edited.provenance.git.as_ref().is_some_and(|git| git.dirty));
    let output = gate(&root, &["--compile", "--against", "HEAD"], 1);
    assert!(output.contains("FAIL: 1 lane compared; not allowed: bits (fused)"), "{output}");
    // As committed, the same checkout has other sources.
    git(&root, &["checkout", "--quiet", "--", "."]);
    gate(&root, &[], 0);
    assert_ne!(written(&root).sources, edited.sources);
}

#[test]
fn a_second_worktree_and_a_folder_below_are_of_the_checkout_that_they_lie_in() {
    let folder = folder();
    let (first, second) = (folder.path().join("first"), folder.path().join("second"));
    std::fs::rename(checkout().keep(), &first).expect("a checkout in a folder of its own");
    git(&first, &["worktree", "add", "--quiet", "../second"]);
    edit(&second, "cu/score.cuh", false, |text| format!("{text}// edited\n"));
    gate(&first, &[], 0);
    assert_eq!(written(&first).request.tree, Some(TreeUsed::Checkout));
    assert!(gate(&second, &[], 13).contains(STALE));
    assert!(gate(&second.join("kernels/cu"), &[], 13).contains(STALE));
    // Nor does a git hook's environment name another one.
    let mut program = made::program(&second);
    program.args(GATE).args(["--against", "HEAD"]).env("GIT_DIR", first.join(".git"));
    assert_eq!(program.output().expect("the program starts").status.code(), Some(13));
}

#[test]
fn kernels_deeper_in_a_checkout_are_found_and_compared_with_their_own_history() {
    let folder = folder();
    let deeper = folder.path().join("top/third party/graphproof");
    std::fs::create_dir_all(&deeper).expect("a folder");
    copy_kernels(&deeper);
    let _ = std::fs::remove_file(deeper.join(".cuda"));
    let top = folder.path().join("top");
    git(&top, &["init", "--quiet"]);
    commit(&top, "now");
    let output = gate(&deeper, &["--against", "now"], 0);
    assert!(output.contains("PASS: 1 lane compared, no difference that counts"), "{output}");
    gate(&top, &[], 0);
    assert_eq!(written(&top).request.tree, Some(TreeUsed::BuiltIn), "what lies below the run is not what it stands in");
}

#[test]
fn without_a_checkout_of_the_kernels_the_built_in_ones_are_judged_and_compared_with_nothing() {
    let folder = folder();
    let (plain, other) = (folder.path().join("plain"), folder.path().join("other"));
    std::fs::create_dir_all(&plain).expect("a folder");
    // Somebody else's project, which has CUDA kernels too.
    std::fs::create_dir_all(other.join("kernels/cu")).expect("a folder");
    std::fs::write(other.join("kernels/cu/theirs.cu"), "__global__ void theirs() {}\n").expect("written");
    git(&other, &["init", "--quiet"]);
    commit(&other, "theirs");
    for here in [&plain, &other] {
        let output = gate(here, &[], 0);
        assert!(output.contains("built-in PTX (NVRTC "), "{output}");
        assert_eq!(written(here).request.tree, Some(TreeUsed::BuiltIn));
        let doctor = run(here, &["doctor", "--driver", "software"], 0);
        assert!(doctor.contains("kernels     of the program itself"), "{doctor}");
    }
    let output = gate(&other, &["--against", "HEAD"], 13);
    assert!(output.contains("the present kernels are built into the program"), "{output}");
    let cases = run(&plain, &["conformance", "--list", "--filter", "begin/"], 0);
    assert!(cases.lines().count() > 10, "the built-in cases:\n{cases}");
    let output = run(&plain, &["conformance", "--driver", "software", "--bless-as", "580"], 13);
    assert!(output.contains("the run stands in none"), "{output}");
}

#[test]
fn a_damaged_checkout_is_an_error_and_not_the_built_in_tree() {
    let cases: [(&str, &str); 4] = [
        ("cu/options.txt", "has no kernels/cu/options.txt that can be used"),
        ("cu/score.cuh", "has no kernels/cu/score.cuh that can be used"),
        ("ptx/manifest.json", "kernels/ptx/manifest.json is not there"),
        ("ptx/fused.ptx", "kernels/ptx/fused.ptx is not the file that"),
    ];
    for (file, words) in cases {
        let folder = edited();
        let root = folder.path().join("b");
        git(&root, &["checkout", "--quiet", "--", "."]);
        std::fs::remove_file(root.join("kernels").join(file)).expect("removed");
        let output = gate(&root, &[], 13);
        assert!(output.contains(words), "no '{words}' in:\n{output}");
    }
}

#[test]
fn launches_that_are_not_the_program_s_own_are_refused() {
    let folder = edited();
    let root = folder.path().join("b");
    git(&root, &["checkout", "--quiet", "--", "."]);
    edit(&root, "src/steps/fused.rs", false, |text| format!("{text}\n// another launch\n"));
    for more in [&[][..], &["--compile"], &["--against", "HEAD"]] {
        let output = gate(&root, more, 13);
        assert!(output.contains("has other host code for the steps (kernels/src)"), "{output}");
    }
}
