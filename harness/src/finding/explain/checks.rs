//! The checks that texts refer to.

/// A check, by the name that its findings carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Check {
    /// The name.
    pub name: &'static str,
    /// The evidence that it reads.
    pub reads: &'static str,
}

const fn check(name: &'static str, reads: &'static str) -> Check {
    Check { name, reads }
}

/// Every check, in the order in which a run comes to them.
pub const CHECKS: &[Check] = &[
    check(
        "execution",
        "what the driver answers while the step runs eagerly and while the graph is replayed, and a watchdog",
    ),
    check(
        "capture",
        "the first call that fails while the step is captured in GLOBAL mode on a blocking stream, and the end of \
         the capture",
    ),
    check(
        "hidden syncs",
        "the record of every driver call, with its stream, thread, result, stack and time waited, on drivers that keep \
         one: the software driver does",
    ),
    check("same work", "what the step enqueues eagerly beside what it enqueues under capture"),
    check("stalled stream", "whether the host comes back from an eager run of the step while its stream is held"),
    check("structure", "the nodes of the captured graph beside the work that the step enqueued"),
    check("addresses", "every pointer in the graph beside the ledger of allocations, before each replay"),
    check("baked values", "a second capture, on other inputs and other addresses, node by node beside the first"),
    check(
        "bits",
        "outputs and state, bit for bit: eager twice, eager against replay, and the first inputs replayed again",
    ),
    check("unchanged", "the inputs after a run beside what was copied in"),
    check("dummy inputs", "a run and a replay on the inputs that engines capture the step with, if it has such"),
    check(
        "growth",
        "free device memory, memory held by graphs and memory of the process after replays, and driver objects made and \
         destroyed between them",
    ),
    check(
        "order of work",
        "what each piece of work of an eager run and of a replay touches, byte by byte, and what orders it: the graph's \
         edges, streams, events and waits of the host; on the software driver, at step 1 and every 256th",
    ),
    check(
        "memory outside",
        "what a watched replay writes beside the step's buffers, and what the eager side keeps and reads there",
    ),
    check("retries", "the verdict of a failed step beside that of running it again, with `--retries`"),
    check("topology", "the graph as reviewed text, beside the snapshot in the repository"),
];
