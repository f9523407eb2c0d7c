//! Where a CPython keeps its frames, code objects and strings.

/// Where a frame's position in its code is.
#[derive(Debug, Clone, Copy)]
pub(super) enum Position {
    /// A number of instructions, of two bytes each.
    Index(usize),
    /// A pointer into the code, which begins at that offset of the code object.
    Pointer { at: usize, code: usize },
    /// A pointer into a copy of the code: each thread has its own. The frame has the copy's number at `index`, the
    /// code object the list of copies at `codes`.
    OfThread { at: usize, index: usize, codes: usize },
}

/// Offsets in a string.
#[derive(Debug, Clone, Copy)]
pub(super) struct Text {
    pub(super) length: usize,
    pub(super) state: usize,
    /// Of the state: where the bits of the kind begin; those for compact and ASCII follow.
    pub(super) kind_bit: u32,
    /// Of the characters, where they are ASCII and where not.
    pub(super) ascii: usize,
    pub(super) others: usize,
}

/// Offsets of an interpreter's structures.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layout {
    /// Of the innermost frame in the thread's state.
    pub(super) innermost: usize,
    /// Whether that is a structure with the frame at an offset.
    pub(super) through: Option<usize>,
    pub(super) code: usize,
    pub(super) previous: usize,
    pub(super) position: Position,
    /// Of the mark of frames that stand between C and Python and are no function's, and the least such mark.
    pub(super) shim: Option<(usize, u8)>,
    pub(super) file: usize,
    pub(super) name: usize,
    /// Of an object's type.
    pub(super) object_type: usize,
    pub(super) text: Text,
}

/// With a `wchar_t` representation in each string, until 3.12.
const OLD_TEXT: Text = Text { length: 16, state: 32, kind_bit: 2, ascii: 48, others: 72 };
const TEXT: Text = Text { ascii: 40, others: 56, ..OLD_TEXT };

const LAYOUT_3_10: Layout = Layout {
    innermost: 24,
    through: None,
    code: 32,
    previous: 24,
    position: Position::Index(96),
    shim: None,
    file: 104,
    name: 112,
    object_type: 8,
    text: OLD_TEXT,
};
const LAYOUT_3_11: Layout = Layout {
    innermost: 56,
    through: Some(8),
    code: 32,
    previous: 48,
    position: Position::Pointer { at: 56, code: 184 },
    shim: None,
    file: 112,
    name: 128,
    object_type: 8,
    text: OLD_TEXT,
};
const LAYOUT_3_12: Layout = Layout {
    innermost: 56,
    through: Some(0),
    code: 0,
    previous: 8,
    position: Position::Pointer { at: 56, code: 192 },
    shim: Some((70, OWNED_BY_C)),
    file: 112,
    name: 128,
    object_type: 8,
    text: TEXT,
};

/// `FRAME_OWNED_BY_CSTACK`; since 3.14 `FRAME_OWNED_BY_INTERPRETER`, with the former behind it.
const OWNED_BY_C: u8 = 3;

/// What a CPython says of itself at the start of its state (`_Py_DebugOffsets`, for debuggers and profilers): the
/// numbers of the words that are used here, in a version's order.
struct Told {
    innermost: usize,
    previous: usize,
    file: usize,
    code_adaptive: usize,
    object_type: usize,
    text_state: usize,
    /// Since 3.14.
    of_thread: Option<(usize, usize)>,
}

const TOLD_3_13: Told =
    Told { innermost: 23, previous: 29, file: 35, code_adaptive: 43, object_type: 45, text_state: 68, of_thread: None };
const TOLD_3_14: Told = Told {
    innermost: 26,
    previous: 32,
    file: 40,
    code_adaptive: 48,
    object_type: 51,
    text_state: 78,
    of_thread: Some((38, 49)),
};
const TOLD_3_15: Told = Told {
    innermost: 26,
    previous: 40,
    file: 48,
    code_adaptive: 56,
    object_type: 59,
    text_state: 90,
    of_thread: Some((46, 57)),
};

impl Layout {
    /// That of a version, as in `Py_Version`. None where it is not known.
    ///
    /// # Safety
    /// `runtime` is null, or points to the interpreter's state.
    pub(super) unsafe fn of(version: u32, runtime: *const usize) -> Option<Layout> {
        let told = match version >> 16 {
            0x030a => return Some(LAYOUT_3_10),
            0x030b => return Some(LAYOUT_3_11),
            0x030c => return Some(LAYOUT_3_12),
            0x030d => TOLD_3_13,
            0x030e => TOLD_3_14,
            0x030f => TOLD_3_15,
            _ => return None,
        };
        // SAFETY: the structure is longer than that in these versions.
        let word = |index: usize| unsafe { runtime.add(index).read() };
        // The cookie, and the version that the table was made for.
        if runtime.is_null() || word(0) != usize::from_le_bytes(*b"xdebugpy") || word(1) as u32 != version {
            return None;
        }
        let free_threaded = word(2) != 0;
        let at = word(told.previous + 2);
        let position = match told.of_thread.filter(|_| free_threaded) {
            Some((index, codes)) => Position::OfThread { at, index: word(index), codes: word(codes) },
            None => Position::Pointer { at, code: word(told.code_adaptive) },
        };
        let ascii = word(told.text_state + 2);
        let text = Text {
            state: word(told.text_state),
            length: word(told.text_state + 1),
            // Whether a string is interned has a byte of its own there, to be changed by one thread alone.
            kind_bit: if free_threaded && told.of_thread.is_some() { 8 } else { TEXT.kind_bit },
            ascii,
            others: ascii + (TEXT.others - TEXT.ascii),
        };
        Some(Layout {
            innermost: word(told.innermost),
            through: None,
            code: word(told.previous + 1),
            previous: word(told.previous),
            position,
            shim: Some((word(told.previous + 4), OWNED_BY_C)),
            file: word(told.file),
            name: word(told.file + 1),
            object_type: word(told.object_type),
            text,
        })
    }
}
