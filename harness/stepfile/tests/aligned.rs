//! A buffer is aligned as its declaration says, and no more. In a process of its own: the fault costs the device.

mod common;

use common::judge_text;
use graphproof_harness::finding::Id;
use graphproof_harness::report::Verdict;

#[test]
fn a_buffer_is_aligned_as_it_says_and_no_more() {
    let kernel = r#"
[[module]]
ptx = """
.version 8.0
.target sm_80
.address_size 64
.visible .entry pairs(.param .u64 y)
{
    .reg .b64 %rd<2>;
    .reg .b32 %r<2>;
    ld.param.u64 %rd1, [y];
    mov.u32 %r1, 7;
    st.global.v2.u32 [%rd1], {%r1, %r1};
    ret;
}
"""
[[step]]
name = "pairs"
buffers.y = { role = "output", type = "u32", shape = [2], align = 8 }
[[step.work]]
launch = "pairs"
grid = 1
block = 1
args = ["y"]
"#;
    let report = judge_text("pairs.toml", kernel, "");
    assert_eq!(report.verdict, Verdict::Pass, "{:#?}", report.findings);
    // The kernel relies on eight.
    let report = judge_text("pairs.toml", &kernel.replace("align = 8", "align = 4"), "");
    let found = report.findings.iter().find(|finding| finding.id == Id::E01);
    let found = found.unwrap_or_else(|| panic!("{:#?}", report.findings));
    assert!(found.seen.contains("MISALIGNED"), "{found:#?}");
}
