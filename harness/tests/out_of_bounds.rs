//! A write past a buffer. The fault is sticky, so this test has a process of its own.

mod common;

use common::{TestStep, judge, only_finding};
use graphproof_harness::context::Launch;
use graphproof_harness::step::{BufferSpec, DType};

#[test]
fn one_element_past_a_buffer_is_found_and_its_kernel_and_line_are_named() {
    let buffers = vec![BufferSpec::input("in", DType::F32, [32]), BufferSpec::output("out", DType::F32, [32])];
    let step = TestStep::new(buffers, |cx| {
        cx.launch(Launch::new("copy_elements").block([64, 1, 1]).buffer("in").buffer("out").value(33u32))
    });
    let outcome = judge(step, 2);
    let finding = only_finding(&outcome);
    if !common::session().exact_bounds() {
        // On a GPU a guard is overwritten instead, and the kernel goes on.
        assert_eq!((finding.id.as_str(), finding.step), ("R04", Some(0)));
        assert!(finding.seen.starts_with("byte 128 of output 'out' of 128 bytes"), "{}", finding.seen);
        assert!(finding.site.as_ref().is_some_and(|site| site.what.contains("copy_elements")));
        return;
    }
    assert_eq!((finding.id.as_str(), finding.step), ("E01", Some(0)));
    assert!(outcome.poisoned);
    let site = finding.site.as_ref().expect("the launch is named");
    assert!(site.file.ends_with("out_of_bounds.rs") && site.what.contains("copy_elements"), "{site}");
    let notes = finding.notes.join("\n");
    assert!(notes.contains("st.global.u32"), "the PTX statement is named:\n{notes}");
    assert!(notes.contains("thread (32, 0, 0)") || notes.contains("[32, 0, 0]"), "the thread is named:\n{notes}");
}
