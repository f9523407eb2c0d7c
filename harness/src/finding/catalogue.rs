//! The fault catalogue: stable ids with their title and fix.
//!
//! S: syncs; A: addresses and allocation; C: capture structure; V: values; L: growth; R: results; E: execution;
//! T: topology.

/// One kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Stable id.
    pub id: &'static str,
    /// What is wrong, in one line.
    pub title: &'static str,
    /// How to fix it.
    pub help: &'static str,
}

const fn entry_of(id: &'static str, title: &'static str, help: &'static str) -> Entry {
    Entry { id, title, help }
}

/// Every entry that a check of this version can report.
pub const ENTRIES: &[Entry] = &[
    entry_of(
        "S01",
        "the step synchronises the stream that is being captured",
        "move the synchronisation behind the step; keep values that the host wanted to read on the device",
    ),
    entry_of(
        "S02",
        "the step queries the stream that is being captured",
        "query after the replay, or record an event and query that outside the step",
    ),
    entry_of(
        "S03",
        "the step synchronises the whole context",
        "order the work with events on the stream; synchronise after the replay",
    ),
    entry_of(
        "S04",
        "the step waits on the host for an event that was recorded in the capture",
        "wait on the device (cuStreamWaitEvent), or record it as an external event",
    ),
    entry_of(
        "S05",
        "the step waits on the host for an event recorded before the capture",
        "wait for it before the step begins",
    ),
    entry_of(
        "S06",
        "the step synchronises or queries another stream",
        "order the two streams with events instead of waiting on the host",
    ),
    entry_of(
        "S07",
        "another thread makes a call, while the step is captured, that capture forbids",
        "capture in THREAD_LOCAL mode, exchange the other thread's mode to RELAXED around its call, or keep it still",
    ),
    entry_of(
        "S08",
        "the step reads a device value back to the host and goes on with it",
        "keep the value on the device and let the kernels read it there (no `.item()`, no synchronous copy)",
    ),
    entry_of(
        "S09",
        "a copy of pageable memory makes the host wait inside the step",
        "copy through a pinned staging buffer that lives as long as the graph",
    ),
    entry_of(
        "S10",
        "the step frees device memory, which may wait for the device",
        "free outside the step, or allocate from a pool in stream order",
    ),
    entry_of(
        "S11",
        "the step loads a module at its first use",
        "load modules and resolve their kernels before the first step; run once to warm up",
    ),
    entry_of(
        "S12",
        "the host waits, while the step is captured, for something that only a running kernel can give",
        "wait on the device instead: a flag that a kernel reads, an event, a conditional node",
    ),
    entry_of(
        "S14",
        "the host waits inside the step for work that the step enqueued",
        "find the call below the named line that waits: a synchronisation, a copy of pageable memory, a free, a lazy \
         load; keep it out of the step",
    ),
    entry_of(
        "A01",
        "the step allocates device memory while it is captured",
        "allocate before the step, once, for the largest shape",
    ),
    entry_of(
        "A02",
        "the step allocates or registers host memory while it is captured",
        "allocate staging memory before the step and keep it",
    ),
    entry_of(
        "A03",
        "the step touches a memory pool's attributes while it is captured",
        "set the pool up before the step",
    ),
    entry_of(
        "A04",
        "the step unloads or destroys an object while it is captured",
        "defer the destruction until after the capture; look for values dropped inside the step",
    ),
    entry_of(
        "A05",
        "the graph allocates memory that it does not free",
        "free the allocation inside the step, or allocate before it",
    ),
    entry_of(
        "A06",
        "the step frees, inside the capture, memory that was allocated before it",
        "free it outside the step",
    ),
    entry_of(
        "A07",
        "the graph uses memory that is not allocated any more",
        "keep the buffer alive for as long as the graph, or capture again after it changed",
    ),
    entry_of(
        "A08",
        "a buffer of the step moved after the capture; the graph still uses its old address",
        "allocate the buffer once for the largest shape, or capture again after it moved",
    ),
    entry_of(
        "A09",
        "an address that the step uses does not follow its buffer",
        "ask for the buffer's address each time the step is recorded, and copy inputs into the static buffers",
    ),
    entry_of(
        "A10",
        "the graph copies from or to pinned host memory that is not allocated any more",
        "keep one staging buffer for as long as the graph, and write into it",
    ),
    entry_of(
        "A11",
        "the graph copies from or to host memory that is not pinned",
        "copy through a pinned staging buffer that lives as long as the graph",
    ),
    entry_of(
        "A12",
        "a host function of the graph is given the address of a local",
        "give it something that lives as long as the graph, such as an `Arc` kept beside it",
    ),
    entry_of(
        "C01",
        "the step uses the legacy default stream beside its capturing stream",
        "pass the step's stream to every call",
    ),
    entry_of(
        "C03",
        "work of the step is missing from the graph",
        "enqueue it on the step's stream, or fork to the other stream with an event and join it again",
    ),
    entry_of(
        "C04",
        "a stream forked from the capture was not joined to it again",
        "record an event on the forked stream after its last work and wait for it on the step's stream",
    ),
    entry_of(
        "C05",
        "the captured step depends on work from before the capture",
        "wait for that work before the capture begins; cudarc's event tracking must be off \
         (`disable_event_tracking`)",
    ),
    entry_of(
        "C06",
        "the step joins two captures",
        "use one capture: fork the second stream from the first with an event",
    ),
    entry_of("C07", "the capture was ended by another thread", "end it on the thread that began it"),
    entry_of("C08", "the step begins or ends a capture itself", "leave capturing to the caller of the step"),
    entry_of(
        "C09",
        "the step leaves a capture open",
        "end every capture that is begun, also on an early return: a guard whose drop ends it",
    ),
    entry_of(
        "C10",
        "a stream forked from the capture is destroyed before it is joined",
        "join it with an event first, or keep the stream",
    ),
    entry_of(
        "C11",
        "the step makes a call that stream capture does not support",
        "replace the call; for callbacks use cuLaunchHostFunc",
    ),
    entry_of(
        "C12",
        "the step swallowed the error that invalidated its capture",
        "return the first error of every call; run with -v to see the calls",
    ),
    entry_of(
        "V01",
        "a value that changes from step to step is baked into the graph",
        "keep the value in device memory and let the kernel read it; launch for the largest grid",
    ),
    entry_of(
        "V02",
        "the step takes another branch on other inputs; the graph froze the one that it was captured with",
        "decide on the device, pad to the longer branch, or use a conditional node",
    ),
    entry_of(
        "V03",
        "a number that advances with each step, such as a random offset, is baked into the graph",
        "keep the number in device memory and advance it in the step",
    ),
    entry_of(
        "V04",
        "the step does something else when it is captured",
        "remove the branch on the capture status: what is captured must be what was tested",
    ),
    entry_of(
        "V05",
        "the step's graph changes its structure from step to step",
        "make the number and order of calls the same for all inputs, or keep one graph for each structure",
    ),
    entry_of(
        "V06",
        "an update of an executable graph was refused, and the old graph is used on",
        "look at the result of cuGraphExecUpdate, and instantiate again where it refuses",
    ),
    entry_of(
        "V07",
        "the step does not agree with itself: two eager runs on the same inputs differ",
        "make the kernel deterministic first (order of atomics, uninitialised reads, races); this is no graph fault",
    ),
    entry_of("V08", "the step changes its own input", "work on a copy, or declare the buffer as state"),
    entry_of(
        "V11",
        "the step fails on the dummy inputs that engines capture with",
        "let the kernels clamp lengths and indices on the device; capture with realistic dummies",
    ),
    entry_of(
        "V12",
        "an event recorded in the capture is waited for outside of it",
        "record the event outside, behind the replay, or as an external event (cuEventRecordWithFlags)",
    ),
    entry_of("V13", "the captured graph is empty", "enqueue the step's work on the stream that it is given"),
    entry_of(
        "L01",
        "device memory shrinks with every replay",
        "free what is allocated for a step, or allocate it once",
    ),
    entry_of(
        "L02",
        "driver objects are made for every replay and never destroyed",
        "keep one executable graph for each structure, and destroy what is replaced",
    ),
    entry_of(
        "R01",
        "replay differs from eager execution",
        "look for what the host decides or passes by value while the step is recorded: scalars, branches, grid sizes, \
         pointers; everything that varies must be read from device memory",
    ),
    entry_of(
        "R03",
        "replaying the first inputs again gives other results than the first time",
        "something is carried from replay to replay that is not declared as state: an accumulator that is not reset, \
         a counter, a flag",
    ),
    entry_of(
        "R02",
        "the step leaves part of an output unwritten",
        "write every element in every step, or declare which elements are valid in the output's contract",
    ),
    entry_of(
        "R04",
        "the step writes outside its buffers",
        "check the kernel's bounds: the last block's tail, the index of the last row; run with --driver software to \
         have the kernel, the PTX line and the thread named",
    ),
    entry_of(
        "E01",
        "a kernel of the step faults",
        "fix the access named below; on a GPU run the step under compute-sanitizer",
    ),
    entry_of("E02", "the step fails when it runs eagerly", "make the step run eagerly first; this is no graph fault"),
    entry_of(
        "E03",
        "replaying the graph fails",
        "see the driver's error; a launch that works eagerly and fails here uses something that does not live as long \
         as the graph",
    ),
    entry_of(
        "E04",
        "the step hangs",
        "look at the call that is named: a host wait for work that cannot finish, or a kernel that never ends",
    ),
    entry_of("E05", "the captured graph cannot be instantiated", "see the driver's error"),
    entry_of("E06", "the step's own code panicked", "see the message"),
    entry_of(
        "T01",
        "the captured graph is not the one that was reviewed",
        "if the change is meant, look at it and accept it with `cargo insta review`",
    ),
    entry_of(
        "T02",
        "nobody has reviewed this step's graph",
        "add a snapshot test that prints the graph, and accept it with `cargo insta review`",
    ),
];

/// The entry of `id`.
///
/// # Panics
/// If there is none: ids in the code and in this table are checked by a test.
pub fn entry(id: &str) -> &'static Entry {
    find(id).unwrap_or_else(|| panic!("finding id {id} is not in the catalogue"))
}

/// The entry of `id`, if there is one.
pub fn find(id: &str) -> Option<&'static Entry> {
    ENTRIES.iter().find(|entry| entry.id == id)
}

#[cfg(test)]
mod tests {
    use super::ENTRIES;

    #[test]
    fn ids_are_unique() {
        let mut ids: Vec<_> = ENTRIES.iter().map(|entry| entry.id).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), ENTRIES.len());
    }
}
