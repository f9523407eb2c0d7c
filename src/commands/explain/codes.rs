//! The error codes that people meet first: what a `CUresult` or a `cudaError` of stream capture says,
//! and the ids that stand behind it.
//!
//! Names and meanings: cuda.h of CUDA 13. The two APIs share the numbers. Which ids stand behind a code is
//! not listed here: they are those whose own text names it.

use std::fmt::Write as _;

use graphproof_harness::finding::explain::{ALL, Explanation, Section};

/// An error code of capture, of graphs, or one that a step under capture often meets.
pub struct Code {
    /// The number, the same in both APIs.
    pub number: u32,
    /// The driver API's name.
    pub driver: &'static str,
    /// The runtime API's name.
    pub runtime: &'static str,
    /// What it says, and where to look.
    pub meaning: &'static str,
}

const fn code(number: u32, driver: &'static str, runtime: &'static str, meaning: &'static str) -> Code {
    Code { number, driver, runtime, meaning }
}

/// By number.
pub const CODES: [Code; 21] = [
    code(
        1,
        "CUDA_ERROR_INVALID_VALUE",
        "cudaErrorInvalidValue",
        "An argument is out of range: a grid, a handle, an address that is not allocated.",
    ),
    code(
        2,
        "CUDA_ERROR_OUT_OF_MEMORY",
        "cudaErrorMemoryAllocation",
        "The device has not enough free memory, also for the nodes or the allocations of a graph.",
    ),
    code(
        400,
        "CUDA_ERROR_INVALID_HANDLE",
        "cudaErrorInvalidResourceHandle",
        "A stream, an event or a graph is not one, is of another context, or was destroyed.",
    ),
    code(
        401,
        "CUDA_ERROR_ILLEGAL_STATE",
        "cudaErrorIllegalState",
        "A capture was begun on a stream that captures already, or ended on one that does not.",
    ),
    code(
        700,
        "CUDA_ERROR_ILLEGAL_ADDRESS",
        "cudaErrorIllegalAddress",
        "A kernel used an address that is not allocated. The context is lost. In a replay it is often an address that was right when the graph was captured.",
    ),
    code(
        709,
        "CUDA_ERROR_CONTEXT_IS_DESTROYED",
        "cudaErrorContextIsDestroyed",
        "The stream or the context was destroyed before the call.",
    ),
    code(
        716,
        "CUDA_ERROR_MISALIGNED_ADDRESS",
        "cudaErrorMisalignedAddress",
        "A kernel used an address that does not fit the width of its access. The context is lost.",
    ),
    code(719, "CUDA_ERROR_LAUNCH_FAILED", "cudaErrorLaunchFailure", "A kernel failed. The context is lost."),
    code(
        801,
        "CUDA_ERROR_NOT_SUPPORTED",
        "cudaErrorNotSupported",
        "The driver or the device does not do this. Our software driver answers so where it has no model.",
    ),
    code(
        900,
        "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED",
        "cudaErrorStreamCaptureUnsupported",
        "The call is not permitted while a stream is captured, and the capture is invalid now: a synchronisation, a query, or a potentially unsafe call such as cuMemAlloc, made by this thread or, in GLOBAL mode, by any other.",
    ),
    code(
        901,
        "CUDA_ERROR_STREAM_CAPTURE_INVALIDATED",
        "cudaErrorStreamCaptureInvalidated",
        "An earlier call has invalidated the capture. This one is not the cause: look for the first call of the capture that failed.",
    ),
    code(
        902,
        "CUDA_ERROR_STREAM_CAPTURE_MERGE",
        "cudaErrorStreamCaptureMerge",
        "The call would have joined two captures that are independent of each other. Both are invalid now.",
    ),
    code(
        903,
        "CUDA_ERROR_STREAM_CAPTURE_UNMATCHED",
        "cudaErrorStreamCaptureUnmatched",
        "The capture was not begun on this stream: it ends where it began, and not on a fork.",
    ),
    code(
        904,
        "CUDA_ERROR_STREAM_CAPTURE_UNJOINED",
        "cudaErrorStreamCaptureUnjoined",
        "A stream was forked from the capture and not joined to it before the end.",
    ),
    code(
        905,
        "CUDA_ERROR_STREAM_CAPTURE_ISOLATION",
        "cudaErrorStreamCaptureIsolation",
        "The call would have made captured work depend on work from before the capture, by an event.",
    ),
    code(
        906,
        "CUDA_ERROR_STREAM_CAPTURE_IMPLICIT",
        "cudaErrorStreamCaptureImplicit",
        "The call uses the legacy default stream, which waits for every blocking stream, and one of them is captured.",
    ),
    code(
        907,
        "CUDA_ERROR_CAPTURED_EVENT",
        "cudaErrorCapturedEvent",
        "The event was last recorded in a capture: it is a place in a graph, and there is nothing to wait for on the host.",
    ),
    code(
        908,
        "CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD",
        "cudaErrorStreamCaptureWrongThread",
        "A capture that is not in RELAXED mode was ended by another thread than the one that began it.",
    ),
    code(
        909,
        "CUDA_ERROR_TIMEOUT",
        "cudaErrorTimeout",
        "An operation of a graph, or a wait, did not end in the time that it was given.",
    ),
    code(
        910,
        "CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE",
        "cudaErrorGraphExecUpdateFailure",
        "The executable graph cannot be updated to the new graph; it is as it was before, and is used on unless the answer is looked at.",
    ),
    code(
        918,
        "CUDA_ERROR_GRAPH_RECAPTURE_FAILURE",
        "cudaErrorGraphRecaptureFailure",
        "The graph cannot be captured again in place: the new work does not fit its nodes.",
    ),
];

/// The code that `asked` names: by its number, by either API's name, or by a name without its beginning;
/// in upper or lower case.
pub fn find(asked: &str) -> Option<&'static Code> {
    let bare = |name: &str| {
        let name = name.to_ascii_lowercase().replace('_', "");
        let prefixes = ["cudaerror", "cudaerrors"];
        prefixes.iter().find_map(|prefix| name.strip_prefix(prefix)).unwrap_or(&name).to_owned()
    };
    let number = asked.parse::<u32>().ok();
    CODES.iter().find(|code| {
        let named = || [code.driver, code.runtime].iter().any(|name| bare(name) == bare(asked));
        number == Some(code.number) || (number.is_none() && named())
    })
}

impl Code {
    /// The texts that name it.
    pub fn ids(&self) -> Vec<&'static Explanation> {
        let names = |text: &str| {
            let mut words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            words.any(|word| word == self.driver || word == self.runtime)
        };
        ALL.iter().filter(|text| Section::ALL.iter().any(|section| names(text.body(*section)))).collect()
    }

    /// What `graphproof explain` prints, in Markdown's simplest form.
    pub fn page(&self, width: usize) -> String {
        let mut out = format!("{}: {}\n    runtime: {}\n\n", self.number, self.driver, self.runtime);
        wrap(&mut out, "", self.meaning, width);
        let ids = self.ids();
        if ids.is_empty() {
            out.push_str("\nNo finding has this code behind it.\n");
            return out;
        }
        out.push_str("\nWhat is behind it, by the ids of findings:\n");
        for text in ids {
            wrap(&mut out, &format!("  {}  ", text.entry.id), text.entry.title, width);
        }
        out.push_str("\n`graphproof explain ID` tells what one means, and how to fix it.\n");
        out
    }
}

fn wrap(out: &mut String, first: &str, text: &str, width: usize) {
    let mut line = first.to_owned();
    for word in text.split_whitespace() {
        if line.len() > first.len() && line.chars().count() + 1 + word.chars().count() > width {
            let _ = writeln!(out, "{}", line.trim_end());
            line = " ".repeat(first.len());
        }
        if line.len() > first.len() {
            line.push(' ');
        }
        line.push_str(word);
    }
    let _ = writeln!(out, "{}", line.trim_end());
}

#[cfg(test)]
mod tests {
    use graphproof_harness::vocabulary::runtime_name;

    use super::*;

    #[test]
    fn the_runtime_s_names_are_those_that_it_has() {
        for code in &CODES {
            // CUDA 10.2, whose names are bound, does not know the newest.
            assert!(runtime_name(code.number).is_none_or(|name| name == code.runtime), "{}", code.number);
        }
        assert!(CODES.windows(2).all(|pair| pair[0].number < pair[1].number));
    }

    #[test]
    fn every_code_that_a_text_names_is_answered() {
        for text in ALL.iter() {
            for section in Section::ALL {
                let words = text.body(section).split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
                let codes = words.filter(|word| word.starts_with("CUDA_ERROR_") || word.starts_with("cudaError"));
                for word in codes.filter(|word| word.len() > 11) {
                    assert!(find(word).is_some(), "{} names {word}", text.entry.id);
                }
            }
        }
    }

    #[test]
    fn names_are_found_however_they_are_written() {
        for asked in [
            "906",
            "CUDA_ERROR_STREAM_CAPTURE_IMPLICIT",
            "cudaErrorStreamCaptureImplicit",
            "STREAM_CAPTURE_IMPLICIT",
            "streamcaptureimplicit",
        ] {
            assert_eq!(find(asked).map(|code| code.number), Some(906), "{asked}");
        }
        assert!(find("9060").is_none() && find("").is_none() && find("S01").is_none());
    }
}
