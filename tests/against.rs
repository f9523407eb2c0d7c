//! `graphproof gate --against REV`: the kernels of two revisions in one run.

mod checkout;
mod made;

use checkout::{back_to, checkout, commit, edit};
use graphproof::receipt;
use made::{folder, run};

const FUSED: [&str; 7] = ["gate", "--driver", "software", "--steps", "6", "--step", "fused"];

/// Exchanges the factors of two fused multiply-adds of one chain: the same sum in another order.
fn another_order(ptx: &str) -> String {
    let start = ptx.find(".entry fused_d64").expect("the kernel of the default shape");
    let operands = |line: &str| -> Option<Vec<String>> {
        let rest = line.trim().strip_prefix("fma.rn.f32")?.trim().trim_end_matches(';');
        Some(rest.split(", ").map(str::to_owned).collect())
    };
    let lines: Vec<&str> = ptx[start..].lines().collect();
    let fma = |place: usize| operands(lines[place]);
    let first = (0..lines.len()).find(|&place| fma(place).is_some()).expect("a multiply-add");
    let one = fma(first).expect("found above");
    let second =
        (first + 1..lines.len()).find(|&place| fma(place).is_some_and(|next| next[3] == one[0])).expect("a chain");
    let two = fma(second).expect("found above");
    let write = |to: &[String], factors: &[String]| {
        format!("\tfma.rn.f32 \t{}, {}, {}, {};", to[0], factors[1], factors[2], to[3])
    };
    let mut lines: Vec<String> = lines.into_iter().map(str::to_owned).collect();
    (lines[first], lines[second]) = (write(&one, &two), write(&two, &one));
    format!("{}{}\n", &ptx[..start], lines.join("\n"))
}

#[test]
fn the_same_kernels_make_no_difference() {
    let folder = checkout();
    let output = run(folder.path(), &[&FUSED[..], &["--against", "now"]].concat(), 0);
    assert!(output.contains("and the host code of this program"), "{output}");
    assert!(output.contains("bits       the same in 6 steps"), "{output}");
    assert!(output.ends_with("PASS: 1 lane compared, no difference that counts\n"), "{output}");
}

#[test]
fn another_order_of_a_sum_shows_in_the_bits() {
    let folder = checkout();
    edit(folder.path(), "ptx/fused.ptx", true, another_order);
    edit(folder.path(), "cu/fused.cu", true, |text| format!("{text}// another order\n"));
    commit(folder.path(), "changed");
    back_to(folder.path(), "now");
    let arguments =
        [&FUSED[..], &["--against", "changed", "--json", "new.json", "--json-against", "old.json"]].concat();
    let output = run(folder.path(), &arguments, 1);
    assert!(output.contains("1 steps, 6 of 6 replays equal"), "the present kernels are judged as ever:\n{output}");
    assert!(output.contains("bits       differ from step"), "{output}");
    assert!(output.contains("fused.ptx: source and PTX changed"), "{output}");
    assert!(output.contains("topology   the same"), "{output}");
    assert!(output.contains("FAIL: 1 lane compared; not allowed: bits (fused)"), "{output}");
    // Both receipts are whole, and say the same to `diff`.
    let read = |name: &str| receipt::read(&folder.path().join(name)).expect("a receipt");
    assert!(read("old.json").request.kernels.starts_with("kernels of changed ("));
    assert_ne!(read("old.json").sources, read("new.json").sources);
    run(folder.path(), &["diff", "old.json", "new.json"], 1);
    let output = run(folder.path(), &[&FUSED[..], &["--against", "changed", "--allow", "bits"]].concat(), 0);
    assert!(output.contains("PASS: 1 lane compared; allowed: bits (fused)"), "{output}");
}

#[test]
fn ptx_that_does_not_fit_its_sources_is_compiled_or_refused() {
    let folder = checkout();
    edit(folder.path(), "cu/score.cuh", false, |text| format!("{text}// an edit\n"));
    commit(folder.path(), "stale");
    back_to(folder.path(), "now");
    let arguments = [&FUSED[..], &["--against", "stale"]].concat();
    let output = made::graphproof(folder.path(), &arguments);
    let all = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    if output.status.code() == Some(0) {
        assert!(all.contains("compiled now (NVRTC "), "{all}");
        return;
    }
    assert_eq!(output.status.code(), Some(13), "{all}");
    assert!(all.contains("was made from other sources than its own"), "{all}");
    assert!(all.contains("NVRTC was not found"), "{all}");
    assert!(!all.contains("verdict"), "nothing was run:\n{all}");
}

#[test]
fn a_revision_that_cannot_be_had_is_an_error_before_any_run() {
    let checkout = checkout();
    std::fs::remove_dir_all(checkout.path().join("kernels")).expect("removed");
    std::fs::write(checkout.path().join("README"), "no kernels").expect("written");
    commit(checkout.path(), "empty");
    let outside = folder();
    let cases = [
        (checkout.path(), "nonesuch", 2, "--against nonesuch: there is no such revision"),
        (checkout.path(), "--help-me", 2, "there is no such revision"),
        (checkout.path(), "", 2, "there is no such revision"),
        (checkout.path(), "empty", 13, "has no kernels/cu"),
        (outside.path(), "HEAD", 2, "needs the git checkout that has it, and there is none here"),
    ];
    for (folder, revision, code, words) in cases {
        let output = run(folder, &[&FUSED[..], &[&format!("--against={revision}")]].concat(), code);
        assert!(output.contains(words), "no '{words}' in:\n{output}");
        assert!(!output.contains("verdict"), "nothing was run:\n{output}");
    }
    let without_git =
        made::program(checkout.path()).args(FUSED).args(["--against", "now"]).env("PATH", "/nonesuch").output();
    let without_git = without_git.expect("the program starts");
    assert_eq!(without_git.status.code(), Some(14));
    assert!(String::from_utf8_lossy(&without_git.stderr).contains("git cannot be run"));
}
