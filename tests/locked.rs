//! Reviewed graphs: where they are looked for, and how they are accepted.

mod checkout;
mod made;

use std::path::Path;

use checkout::checkout;
use made::{files, folder, run};

fn gate(folder: &Path, more: &[&str], code: i32) -> String {
    let arguments = ["gate", "--driver", "software", "--steps", "1", "--step", "fused"];
    run(folder, &[&arguments[..], more].concat(), code)
}

#[test]
fn a_graph_is_accepted_and_found_from_every_folder_of_the_checkout() {
    let checkout = checkout();
    let (root, deep) = (checkout.path(), checkout.path().join("kernels/cu"));
    let output = gate(&deep, &["--locked"], 1);
    assert!(output.contains("error[T02]") && output.contains("accept it with `graphproof gate --bless`"), "{output}");
    let output = gate(&deep, &["--bless"], 0);
    assert!(output.contains("\naccepted: ../../snapshots/graph_fused.snap\n"), "{output}");
    assert!(output.contains("  +1: kernel fused_d64"), "{output}");
    assert_eq!(files(&root.join("snapshots")), ["graph_fused.snap"]);
    for folder in [root, &deep, &root.join("snapshots")] {
        gate(folder, &["--locked"], 0);
    }
    // The nearest one counts, and a folder that is named is the one that is meant.
    let output = gate(&deep, &["--locked", ".", "--bless"], 0);
    assert!(output.contains("\naccepted: ./snapshots/graph_fused.snap\n"), "{output}");
    gate(root, &["--locked", "kernels/cu"], 0);
    std::fs::write(deep.join("snapshots/graph_fused.snap"), "0: another\n").expect("written");
    gate(&deep, &["--locked"], 1);
    gate(root, &["--locked"], 0);
}

#[test]
fn a_change_is_shown_and_accepted_with_one_command() {
    let checkout = checkout();
    gate(checkout.path(), &["--bless"], 0);
    let path = checkout.path().join("snapshots/graph_fused.snap");
    let text = std::fs::read_to_string(&path).expect("readable");
    std::fs::write(&path, text.replace("source: graphproof gate --bless", "source: tests/cli.rs")).expect("written");
    assert!(gate(checkout.path(), &["--bless"], 0).contains("\nunchanged: "));
    let output = gate(checkout.path(), &["--locked", "--shape", "topk=32"], 1);
    assert!(output.contains("error[T01]"), "{output}");
    assert!(output.contains("accept it with `graphproof gate --bless`"), "{output}");
    let output = gate(checkout.path(), &["--bless", "--shape", "topk=32"], 0);
    assert!(output.contains("\naccepted: ") && output.contains("  +     14 32"), "{output}");
    gate(checkout.path(), &["--locked", "--shape", "topk=32"], 0);
    gate(checkout.path(), &["--locked"], 1);
    let text = std::fs::read_to_string(&path).expect("readable");
    assert!(text.starts_with("---\nsource: tests/cli.rs\n---\n0: memset"), "whose file it is stays:\n{text}");
}

#[test]
fn one_file_holds_one_graph() {
    let here = folder();
    let output = gate(here.path(), &["--bless", "--shape", "topk=32", "--shape", "topk=64"], 2);
    assert!(output.contains("--bless accepts one graph of each step"), "{output}");
    gate(here.path(), &["--bless", "--seed", "1", "--seed", "2"], 0);
    assert_eq!(files(here.path()), ["snapshots"]);
    gate(here.path(), &["--locked", "--seed", "3"], 0);
}

#[test]
fn the_configuration_finds_them_above_its_own_folder_too() {
    let checkout = checkout();
    gate(checkout.path(), &["--bless"], 0);
    let deep = checkout.path().join("kernels");
    std::fs::write(deep.join("graphproof.toml"), "suite = ['fused']\n[policy]\nlocked = true\n").expect("written");
    for folder in [deep.clone(), deep.join("cu")] {
        gate(&folder, &[], 0);
        gate(&folder, &["--shape", "topk=32"], 1);
        gate(&folder, &["--shape", "topk=32", "--no-locked"], 0);
    }
}
