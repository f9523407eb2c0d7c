//! The checks, as a list.

use std::fmt;

macro_rules! checks {
    ($($check:ident $name:literal $reads:literal)*) => {
        /// A check, by the name that its findings carry.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[allow(missing_docs, reason = "what a check reads is said beside its name")]
        pub enum Check { $($check),* }

        impl Check {
            /// All, in the order in which a run comes to them.
            pub const ALL: &[Check] = &[$(Check::$check),*];

            /// The name.
            pub const fn name(self) -> &'static str {
                match self { $(Check::$check => $name),* }
            }

            /// The evidence that it reads.
            pub const fn reads(self) -> &'static str {
                match self { $(Check::$check => $reads),* }
            }
        }
    };
}

checks! {
    Execution "execution"
        "what the driver answers while the step runs eagerly and while the graph is replayed, and a watchdog"
    Capture "capture"
        "the first call that fails while the step is captured in GLOBAL mode on a blocking stream, and the end of the \
         capture"
    HiddenSyncs "hidden syncs"
        "the record of every driver call, with its stream, thread, result, stack and time waited: by the software driver \
         itself, by a recorder in front of a GPU's"
    SameWork "same work"
        "what the step enqueues eagerly beside what it enqueues under capture"
    StalledStream "stalled stream"
        "whether the host comes back from an eager run of the step while its stream is held"
    Structure "structure"
        "the nodes of the captured graph beside the work that the step enqueued"
    Addresses "addresses"
        "every pointer in the graph beside the ledger of allocations, before each replay"
    BakedValues "baked values"
        "a second capture, on other inputs and other addresses, node by node beside the first"
    Bits "bits"
        "outputs and state, bit for bit: eager twice, eager against replay, and the first inputs replayed again"
    Unchanged "unchanged"
        "the inputs after a run beside what was copied in"
    DummyInputs "dummy inputs"
        "a run and a replay on the inputs that engines capture the step with, if it has such"
    Growth "growth"
        "free device memory, memory held by graphs and memory of the process after replays, and driver objects made and \
         destroyed between them"
    OrderOfWork "order of work"
        "what each piece of work of an eager run and of a replay touches, byte by byte, and what orders it: the graph's \
         edges, streams, events and waits of the host; on the software driver, at step 1 and every 256th. On another: \
         nodes without an order that hold addresses in the same memory, replayed in both orders"
    MemoryOutside "memory outside"
        "what a watched replay writes beside the step's buffers, and what the eager side keeps and reads there"
    Pipelined "replays in flight"
        "four more steps, eagerly one by one, beside replays that are all enqueued before the first of them runs, with \
         `--pipelined`"
    HostThreads "host threads"
        "four more steps, eagerly, beside replays that are held until what the step declares as the work of another \
         host thread is done"
    Orders "orders"
        "replays under seeded orders of ready nodes, blocks, warps and asynchronous copies, and under the two extremes, with `--orders`"
    Cold "cold capture"
        "a capture of the step in a process that has not run it, beside a second capture, and the same at another \
         shape, by `graphproof cold` and `gate --cold`"
    Together "two graphs"
        "the graph of the step that the step declares beside itself, replayed in turn, and what both touch"
    Unpadded "padding"
        "eager runs of the reference without padding that the step declares, beside its own"
    Retries "retries"
        "the verdict of a failed step beside that of running it again, with `--retries`"
    Topology "topology"
        "the graph as reviewed text, beside the snapshot in the repository"
    Trace "trace"
        "the driver calls that `graphproof trace` records of a whole program: its captures beside the capture model, \
         its graphs beside the ledger of its memory, what comes between replays, what is never destroyed"
}

impl Check {
    /// The name.
    pub const fn as_str(self) -> &'static str {
        self.name()
    }
}

impl std::str::FromStr for Check {
    type Err = UnknownCheck;

    fn from_str(text: &str) -> Result<Self, UnknownCheck> {
        Check::ALL.iter().copied().find(|check| check.name() == text).ok_or_else(|| UnknownCheck(text.to_owned()))
    }
}

/// There is no check of that name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no check is called {0:?} in this version of graphproof")]
pub struct UnknownCheck(String);

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

super::as_text!(Check);
