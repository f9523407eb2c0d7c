//! The table of the CUDA driver API.
//!
//! `functions.txt` lists every function that NVIDIA's headers declare or its driver exports: name,
//! version, per-thread forms, arguments with their C types and roles, and what the call is to a
//! capture. From it come the exports of the software driver, `cuGetProcAddress`, the names and roles
//! of recorded arguments, and `docs/driver-api.md`. This crate depends on nothing: build scripts read
//! the table too.

mod parse;
mod result;
mod select;

use std::sync::LazyLock;

pub use parse::{ParseError, parse};
pub use result::{CUresult, Cuda};
pub use select::{Choice, NotFound, select};

/// One function of the driver API, in one of its versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Function {
    /// The exported name, such as `cuMemAlloc_v2`.
    pub name: &'static str,
    /// The CUDA version that introduced it, such as 12030 for 12.3; 0 where no header says it.
    pub since: u32,
    /// Whether there is a form whose default stream is the calling thread's.
    pub per_thread: Option<PerThread>,
    /// What the call is to a capture.
    pub class: Class,
    /// The arguments; `None` where no header declares the function.
    pub arguments: Option<Vec<Argument>>,
    /// The newer function with the same binary interface that answers for this one.
    pub same_as: Option<&'static str>,
}

/// The two kinds of forms whose default stream is the calling thread's, since CUDA 7.0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PerThread {
    /// `_ptsz`: the null stream argument means the thread's stream.
    Ptsz,
    /// `_ptds`: there is no stream argument; the call is ordered on the thread's stream.
    Ptds,
}

impl PerThread {
    /// What is added to the name.
    pub fn suffix(self) -> &'static str {
        match self {
            Self::Ptsz => "_ptsz",
            Self::Ptds => "_ptds",
        }
    }
}

/// What a call is to a capture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Potentially unsafe: refused in a thread whose capture mode forbids it.
    Unsafe,
    /// As [`Class::Unsafe`], taken from a call of its kind and not measured.
    UnsafeByKin,
    /// Waits for the device.
    Sync,
    /// Asks the device whether work has ended.
    Query,
    /// Ordered on the legacy stream, and waits.
    Legacy,
    /// Work or an order on a stream: it becomes a node, or is refused.
    Stream,
    /// Begins, ends, reads or edits a capture.
    Capture,
    /// Nothing of these.
    Plain,
}

impl Class {
    const NAMES: [(&str, Self); 8] = [
        ("unsafe", Self::Unsafe),
        ("unsafe-by-kin", Self::UnsafeByKin),
        ("sync", Self::Sync),
        ("query", Self::Query),
        ("legacy", Self::Legacy),
        ("stream", Self::Stream),
        ("capture", Self::Capture),
        ("plain", Self::Plain),
    ];

    /// Its word in the table.
    pub fn word(self) -> &'static str {
        Self::NAMES.iter().find(|(_, class)| *class == self).map_or("plain", |(word, _)| word)
    }

    /// Whether the call is potentially unsafe during a capture.
    pub fn is_unsafe(self) -> bool {
        matches!(self, Self::Unsafe | Self::UnsafeByKin)
    }
}

/// What an argument is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A stream.
    Stream,
    /// A handle of anything else.
    Handle,
    /// The ordinal of a device.
    Device,
    /// An address of device memory.
    Address,
    /// A size or a number of things.
    Size,
    /// Flags.
    Flags,
    /// Another value, an enumerator for example.
    Value,
    /// A function of the caller.
    Call,
    /// The caller's pointer, handed to such a function.
    Data,
    /// Host memory that the call, or the node that it makes, reads or writes.
    Host,
    /// What it points to is read.
    In,
    /// What it points to is written.
    Out,
    /// What it points to is read and written.
    InOut,
}

impl Role {
    const NAMES: [(&str, Self); 13] = [
        ("stream", Self::Stream),
        ("handle", Self::Handle),
        ("device", Self::Device),
        ("address", Self::Address),
        ("size", Self::Size),
        ("flags", Self::Flags),
        ("value", Self::Value),
        ("call", Self::Call),
        ("data", Self::Data),
        ("host", Self::Host),
        ("in", Self::In),
        ("out", Self::Out),
        ("inout", Self::InOut),
    ];

    /// Its word in the table.
    pub fn word(self) -> &'static str {
        Self::NAMES.iter().find(|(_, role)| *role == self).map_or("value", |(word, _)| word)
    }
}

/// One argument of a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Argument {
    /// What it is for.
    pub role: Role,
    /// Its C type, such as `const CUgraphNode *`.
    pub c_type: &'static str,
    /// Its name in cuda.h.
    pub name: &'static str,
}

/// C types of one word or less that calls write through pointers: numbers, and their bytes.
const NUMBERS: [(&str, usize); 10] = [
    ("int", 4),
    ("unsigned int", 4),
    ("CUdevice", 4),
    ("CUstreamCaptureStatus", 4),
    ("CUstreamCaptureMode", 4),
    ("CUgraphNodeType", 4),
    ("CUgraphExecUpdateResult", 4),
    ("size_t", 8),
    ("cuuint64_t", 8),
    ("unsigned long long", 8),
];
/// The same: addresses, and handles, which are all words.
const WORDS: [&str; 18] = [
    "CUdeviceptr",
    "void *",
    "CUcontext",
    "CUmodule",
    "CUfunction",
    "CUlibrary",
    "CUkernel",
    "CUstream",
    "CUevent",
    "CUgraph",
    "CUgraphNode",
    "CUgraphExec",
    "CUgraphConditionalHandle",
    "CUmemoryPool",
    "CUmemGenericAllocationHandle",
    "CUgreenCtx",
    "CUuserObject",
    "CUarray",
];

/// Arguments that point to as many elements as another argument says.
const LISTS: [&str; 11] = [
    "to",
    "from",
    "nodes",
    "rootNodes",
    "dependencies",
    "dependentNodes",
    "pCudaDevices",
    "kernels",
    "functions",
    "data",
    "fptr",
];

impl Argument {
    fn pointee(&self) -> Option<&'static str> {
        // What is behind a pointer that takes a list is more than one word.
        let one = matches!(self.role, Role::Out | Role::InOut) && !LISTS.contains(&self.name);
        self.c_type.strip_suffix('*').filter(|_| one).map(str::trim_end)
    }

    /// How many bytes a successful call writes through the pointer, where that is one number, address
    /// or handle.
    pub fn written_bytes(&self) -> Option<usize> {
        let pointee = self.pointee()?;
        let number = NUMBERS.iter().find(|(name, _)| *name == pointee).map(|(_, bytes)| *bytes);
        number.or_else(|| WORDS.contains(&pointee).then_some(8))
    }

    /// Whether what it writes is a number rather than an address or a handle.
    pub fn writes_a_number(&self) -> bool {
        self.pointee().is_some_and(|pointee| NUMBERS.iter().any(|(name, _)| *name == pointee))
    }
}

impl Function {
    /// The name without its version: what a program asks `cuGetProcAddress` for.
    pub fn base(&self) -> &'static str {
        base(self.name)
    }

    /// The exported names: this function's own, and that of its per-thread form.
    pub fn exports(&self) -> impl Iterator<Item = String> {
        let form = self.per_thread.map(|form| format!("{}{}", self.name, form.suffix()));
        std::iter::once(self.name.to_owned()).chain(form)
    }

    /// The position of the argument that names the stream, if there is one.
    pub fn stream_argument(&self) -> Option<usize> {
        self.arguments.as_ref()?.iter().position(|argument| argument.role == Role::Stream)
    }
}

/// A name without its version suffix: `cuMemAlloc` of `cuMemAlloc_v2`.
pub fn base(name: &str) -> &str {
    match name.rsplit_once("_v") {
        Some((base, digits)) if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) => base,
        _ => name,
    }
}

static FUNCTIONS: LazyLock<Vec<Function>> = LazyLock::new(|| match parse(include_str!("../functions.txt")) {
    Ok(functions) => functions,
    // The tests of this crate parse the same text.
    Err(error) => unreachable!("functions.txt: {error}"),
});

/// Every function of the table, sorted by name.
pub fn functions() -> &'static [Function] {
    &FUNCTIONS
}

/// The function with that exported name, per-thread forms included.
///
/// ```
/// let launch = graphproof_api::find("cuLaunchKernel_ptsz").expect("in the table");
/// assert_eq!((launch.name, launch.stream_argument()), ("cuLaunchKernel", Some(8)));
/// ```
pub fn find(name: &str) -> Option<&'static Function> {
    let exact = |name: &str| {
        functions().binary_search_by(|function| function.name.cmp(name)).ok().map(|index| &functions()[index])
    };
    exact(name).or_else(|| {
        let plain = exact(name.strip_suffix("_ptsz").or_else(|| name.strip_suffix("_ptds"))?)?;
        plain.per_thread.filter(|form| name.ends_with(form.suffix())).map(|_| plain)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_well_formed() {
        let functions = parse(include_str!("../functions.txt")).expect("it parses");
        assert!(functions.is_sorted_by(|a, b| a.name < b.name), "sorted, and no name twice");
        for function in &functions {
            assert_eq!(find(function.name), Some(function));
            for name in function.exports() {
                assert_eq!(find(&name), Some(function), "{name}");
            }
            let has_stream = function.stream_argument().is_some();
            match function.per_thread {
                Some(PerThread::Ptds) => assert!(!has_stream, "{}: ptds with a stream argument", function.name),
                // cuGraphicsMapResources and its kin have one; a batch names its own.
                Some(PerThread::Ptsz) => assert!(has_stream || uses_a_structure(function), "{}", function.name),
                None => {}
            }
            if let Some(other) = function.same_as {
                let other = find(other).expect("a function of the table");
                let types = |f: &Function| f.arguments.as_ref().map(Vec::len);
                assert_eq!(types(function), types(other), "{}", function.name);
            }
        }
    }

    /// `CUlaunchConfig` and `CUDA_GRAPH_INSTANTIATE_PARAMS` hold the stream.
    fn uses_a_structure(function: &Function) -> bool {
        matches!(function.name, "cuLaunchKernelEx" | "cuGraphInstantiateWithParams")
    }

    #[test]
    fn unknown_names_are_not_found() {
        for name in ["cuNothing", "", "cuMemAlloc_v9", "cuMemAlloc_ptsz", "cuLaunchKernel_ptds", "_ptsz"] {
            assert_eq!(find(name), None, "{name}");
        }
    }
}
