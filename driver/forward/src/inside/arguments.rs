//! Where arguments are, by the System V calling convention, and what they hold.

use graphproof_api::{Argument, Function, Role};
use graphproof_door::Tag;

use super::action::Action;
use super::frame::Frame;
use super::table::Info;

/// Where one argument is, and how many bytes of it count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Word {
    place: Place,
    bytes: u8,
    /// What a successful call writes through it, in bytes; 0 for nothing of interest.
    written: u8,
    /// Bytes of the structure that it points to, and whether that is read after a failure too.
    pointee: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Register(u8),
    /// First word, and number of words.
    Stack(u8, u8),
    /// In a vector register: not recorded.
    Vector,
}

impl Word {
    /// Whether a successful call writes something of interest through it.
    pub fn is_written(&self) -> bool {
        self.written != 0
    }

    /// Words of the stack up to its end.
    pub fn stack_end(&self) -> usize {
        match self.place {
            Place::Stack(first, words) => usize::from(first) + usize::from(words),
            _ => 0,
        }
    }
}

/// Arguments kept of a call: no function of the table has more.
pub(super) const MOST: usize = 24;

/// Structures passed by value that go to the stack, in bytes.
const BY_VALUE: [(&str, u8); 3] = [("CUipcMemHandle", 64), ("CUipcEventHandle", 64), ("CUeglFrame", 64)];

/// Types of eight bytes among values, sizes and flags; the others are numbers of four or less.
const WIDE: [&str; 8] = [
    "size_t",
    "cuuint64_t",
    "unsigned long long",
    "EGLStreamKHR",
    "EGLImageKHR",
    "EGLSyncKHR",
    "HGPUNV",
    "CUmemLocation",
];

/// Bytes of the structures whose content is kept.
const STRUCTURES: [(&str, u16); 18] = [
    ("CUDA_MEMCPY2D", 128),
    ("CUDA_MEMCPY3D", 200),
    ("CUDA_MEMCPY3D_PEER", 216),
    ("CUlaunchConfig", 56),
    ("CUmemAllocationProp", 32),
    ("CUmemPoolProps", 88),
    ("CUmemAccessDesc", 12),
    ("CUDA_KERNEL_NODE_PARAMS", 72),
    ("CUDA_KERNEL_NODE_PARAMS_v1", 56),
    ("CUDA_MEMSET_NODE_PARAMS", 40),
    ("CUDA_HOST_NODE_PARAMS", 16),
    ("CUDA_GRAPH_INSTANTIATE_PARAMS", 32),
    ("CUgraphExecUpdateResultInfo", 24),
    ("CUgraphExecUpdateResult", 4),
    ("CUDA_ARRAY_DESCRIPTOR", 32),
    ("CUDA_ARRAY3D_DESCRIPTOR", 48),
    ("CUgraphNodeParams", 256),
    ("CUtensorMap", 128),
];

fn bytes_of(argument: &Argument) -> u8 {
    if argument.c_type.ends_with('*') {
        return 8;
    }
    match (argument.role, argument.c_type) {
        (_, "unsigned char") => 1,
        (_, "unsigned short") => 2,
        (_, "CUdeviceptr_v1") | (Role::Device, _) => 4,
        (Role::Value | Role::Size | Role::Flags, other) => {
            if WIDE.contains(&other) {
                8
            } else {
                4
            }
        }
        _ => 8,
    }
}

fn pointee_of(argument: &Argument) -> u16 {
    let pointee = argument.c_type.strip_suffix('*').map(str::trim_end);
    let pointee = pointee.map(|name| name.strip_prefix("const ").unwrap_or(name));
    let counted = argument.name == "nodeParams" && argument.role == Role::Out;
    let found = pointee.and_then(|name| STRUCTURES.iter().find(|(known, _)| *known == name));
    found.filter(|_| !counted).map_or(0, |(_, bytes)| *bytes)
}

/// Where the arguments of a function are.
pub(super) fn layout(row: &'static Function) -> Vec<Word> {
    let (mut registers, mut stack) = (0, 0);
    let place = |argument: &Argument| {
        let by_value = BY_VALUE.iter().find(|(name, _)| *name == argument.c_type);
        let place = match by_value {
            _ if matches!(argument.c_type, "float" | "double") => Place::Vector,
            Some((_, bytes)) => {
                stack += bytes / 8;
                Place::Stack(stack - bytes / 8, bytes / 8)
            }
            None if registers < 6 => {
                registers += 1;
                Place::Register(registers - 1)
            }
            None => {
                stack += 1;
                Place::Stack(stack - 1, 1)
            }
        };
        let written = argument.written_bytes().unwrap_or(0) as u8;
        Word { place, bytes: bytes_of(argument), written, pointee: pointee_of(argument) }
    };
    row.arguments.iter().flatten().map(place).take(MOST).collect()
}

/// The bits of an argument.
pub(super) fn word(frame: &Frame, word: &Word) -> u64 {
    let bits = match word.place {
        Place::Register(index) => frame.registers[usize::from(index)],
        // SAFETY: the caller of a function with that signature put it there.
        Place::Stack(first, _) => unsafe { frame.stack.add(usize::from(first)).read() },
        Place::Vector => 0,
    };
    match word.bytes {
        1 => bits & 0xff,
        2 => bits & 0xffff,
        4 => bits & 0xffff_ffff,
        _ => bits,
    }
}

/// The bits of the argument of that number; 0 if there is none.
pub(super) fn nth(frame: &Frame, info: &Info, index: usize) -> u64 {
    info.words.get(index).map_or(0, |place| word(frame, place))
}

/// The stream that a call names by an argument.
pub(super) fn stream(frame: &Frame, info: &Info) -> Option<u64> {
    info.row?.stream_argument().map(|index| nth(frame, info, index))
}

/// The bits of all arguments, into `words`; how many.
pub(super) fn words(frame: &Frame, info: &Info, words: &mut [u64; MOST]) -> usize {
    let places = info.words.iter().zip(words.iter_mut());
    places.map(|(place, bits)| *bits = word(frame, place)).count()
}

/// What a call of those arguments that returned `result` wrote through them, into `written`: number of the
/// argument and what was written; how many.
pub(super) fn written(info: &Info, words: &[u64], result: u32, written: &mut [(u8, u64); MOST]) -> usize {
    // An update that failed says where.
    if !info.writes || (result != 0 && info.action != Action::Update) {
        return 0;
    }
    let mut count = 0;
    for (index, (place, &word)) in info.words.iter().zip(words).enumerate() {
        if place.written == 0 || word == 0 {
            continue;
        }
        let mut bytes = [0u8; 8];
        // SAFETY: a successful call wrote that many bytes there just now, through the caller's own pointer.
        unsafe { std::ptr::copy_nonoverlapping(word as *const u8, bytes.as_mut_ptr(), usize::from(place.written)) };
        written[count] = (index as u8, u64::from_le_bytes(bytes));
        count += 1;
    }
    count
}

/// The structures that arguments point to: what, argument, bytes.
pub(super) fn structures<'a>(info: &Info, words: &[u64], result: u32, add: &mut impl FnMut(Tag, u8, &'a [u8])) {
    let rows = info.row.and_then(|row| row.arguments.as_deref()).unwrap_or_default();
    for (index, ((place, &word), row)) in info.words.iter().zip(words).zip(rows).enumerate() {
        let is_out = row.role == Role::Out;
        // An update that failed says why.
        let told = result == 0 || !is_out || row.c_type.starts_with("CUgraphExecUpdate");
        if word == 0 || !told {
            continue;
        }
        if place.pointee != 0 {
            // SAFETY: the call has looked at the structure, or filled it in, through the caller's pointer.
            let bytes = unsafe { std::slice::from_raw_parts(word as *const u8, usize::from(place.pointee)) };
            add(Tag::Pointee, index as u8, bytes);
        } else if row.c_type == "const char *" && row.name == "name" && result == 0 {
            // SAFETY: a terminated string that a successful call has read.
            let text = unsafe { std::ffi::CStr::from_ptr(word as *const std::ffi::c_char) };
            let bytes = text.to_bytes();
            add(Tag::Text, index as u8, &bytes[..bytes.len().min(1024)]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(name: &str) -> Vec<Place> {
        layout(graphproof_api::find(name).unwrap()).into_iter().map(|word| word.place).collect()
    }

    #[test]
    fn arguments_are_where_the_convention_puts_them() {
        use Place::*;
        let launch = places("cuLaunchKernel");
        assert_eq!(launch[5..8], [Register(5), Stack(0, 1), Stack(1, 1)]);
        assert_eq!(launch[10], Stack(4, 1));
        assert_eq!(places("cuIpcOpenMemHandle_v2"), [Register(0), Stack(0, 8), Register(1)]);
        assert_eq!(places("cuParamSetf"), [Register(0), Register(1), Vector]);
    }

    #[test]
    fn no_function_has_more_arguments_than_are_kept_or_more_stack_than_is_copied() {
        for row in graphproof_api::functions() {
            assert!(row.arguments.iter().flatten().count() <= MOST, "{}", row.name);
            assert!(layout(row).iter().all(|word| word.stack_end() <= 16), "{}", row.name);
        }
    }
}
