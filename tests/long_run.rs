//! A run of 10,000 replays takes no more memory than a short one.
#![cfg(target_os = "linux")]

#[path = "support/mod.rs"]
mod support;

const MIB: i64 = 1024;

/// Runs one lane for so many steps; gives the most memory that a child of this process held so far, in KiB.
fn most_memory(steps: u64) -> i64 {
    let folder = support::folder();
    let steps = steps.to_string();
    let shape = "sq=4,sk=64,b=1,h=2,d=32,topk=16";
    let arguments = ["gate", "--driver", "software", "--step=fused", "--shape", shape, "--steps", &steps];
    let output = support::command(folder.path(), &arguments).output().expect("the program starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    // SAFETY: the structure is plain data, and the call writes it.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        assert_eq!(libc::getrusage(libc::RUSAGE_CHILDREN, &mut usage), 0);
        usage
    };
    usage.ru_maxrss
}

#[test]
fn ten_thousand_steps_take_no_more_memory_than_two_hundred() {
    let (short, long) = (most_memory(200), most_memory(10_000));
    assert!(long <= short + 6 * MIB, "{long} KiB after 10,000 steps, {short} KiB after 200");
}
