//! The events, as bytes and as types.

use crate::bytes::{Input, Output};

/// What an event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// [`Start`].
    Start = 1,
    /// A thread's name, before its first other event.
    Thread = 2,
    /// A call of the driver.
    Call = 3,
    /// [`Stack`].
    Stack = 4,
    /// [`Image`].
    Image = 5,
    /// [`Function`].
    Function = 6,
    /// `GraphPart`.
    Graph = 7,
    /// [`Range`].
    Range = 8,
    /// What was not seen, in words.
    Note = 9,
    /// [`ProcessEvent`].
    Process = 10,
    /// Another name of a function of the driver, with the number that calls give it.
    Name = 11,
}

impl Kind {
    pub(crate) fn from_byte(byte: u8) -> Option<Self> {
        use Kind::*;
        [Start, Thread, Call, Stack, Image, Function, Graph, Range, Note, Process, Name]
            .into_iter()
            .find(|kind| *kind as u8 == byte)
    }
}

/// `CUstreamCaptureStatus`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Capture {
    /// Not capturing.
    None,
    /// Capturing.
    Active,
    /// Capturing, and doomed.
    Invalidated,
}

impl Capture {
    /// From the C value.
    pub fn from_raw(value: u32) -> Option<Self> {
        match value {
            0 => Some(Self::None),
            1 => Some(Self::Active),
            2 => Some(Self::Invalidated),
            _ => None,
        }
    }
}

fn strings(out: &mut Output<'_>, list: &[String]) {
    out.u32(list.len() as u32);
    list.iter().for_each(|text| out.text(text));
}

fn read_strings(input: &mut Input<'_>) -> Option<Vec<String>> {
    (0..input.count(4)?).map(|_| input.text()).collect()
}

/// The first event of a process.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Start {
    /// Its arguments, the program first.
    pub command: Vec<String>,
    /// Its file.
    pub executable: String,
    /// Its working folder.
    pub folder: String,
    /// The file of the driver behind ours.
    pub driver: String,
    /// `cuDriverGetVersion`, or 0.
    pub driver_version: u32,
    /// Whether that driver is the software driver.
    pub software: bool,
    /// The names of the functions that calls name by number.
    pub functions: Vec<String>,
}

impl Start {
    /// Into the record. The names come last: they are what may be cut off.
    pub fn write(&self, out: &mut Output<'_>) {
        strings(out, &self.command);
        out.text(&self.executable);
        out.text(&self.folder);
        out.text(&self.driver);
        out.u32(self.driver_version);
        out.u8(u8::from(self.software));
        strings(out, &self.functions);
    }

    pub(crate) fn read(input: &mut Input<'_>) -> Option<Self> {
        Some(Self {
            command: read_strings(input)?,
            executable: input.text()?,
            folder: input.text()?,
            driver: input.text()?,
            driver_version: input.u32()?,
            software: input.u8()? != 0,
            functions: read_strings(input)?,
        })
    }
}

/// What bytes of a call are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Tag {
    /// What the argument of that number pointed to before the call.
    Pointee = 1,
    /// The kernel's parameters, each at its offset.
    Parameters = 2,
    /// A capture's stream that the call made invalid, as eight bytes.
    Invalidated = 3,
    /// The stream, where it stands in a structure, as eight bytes.
    Stream = 4,
    /// A function or kernel that the call is about, where it stands in a structure, as eight bytes.
    Function = 5,
    /// A name that an argument pointed to.
    Text = 6,
}

impl Tag {
    pub(crate) fn from_byte(byte: u8) -> Option<Self> {
        use Tag::*;
        [Pointee, Parameters, Invalidated, Stream, Function, Text].into_iter().find(|tag| *tag as u8 == byte)
    }
}

/// The most bytes that one tag keeps of a structure.
pub const TAG_BYTES: usize = 4096;

/// A call, borrowed, as it is written.
#[derive(Debug, Clone, Copy, Default)]
pub struct CallParts<'a> {
    /// Its number in [`Start::functions`] or by a [`Kind::Name`].
    pub function: u16,
    /// Its result.
    pub result: u32,
    /// When it began; its event's time is its end.
    pub began: u64,
    /// The id of its stack, or 0.
    pub stack: u64,
    /// Capture status of its stream after it, where the driver said so.
    pub capture: Option<Capture>,
    /// Made by the driver itself, or by a library inside another call.
    pub nested: bool,
    /// Its arguments' bits, as far as they are known; of a structure passed by value the first eight bytes.
    pub words: &'a [u64],
    /// What a successful call wrote, in the order of the arguments: the number of the argument, and the number or
    /// handle.
    pub written: &'a [(u8, u64)],
    /// More: what it is, the number of the argument, the bytes.
    pub tags: &'a [(Tag, u8, &'a [u8])],
}

impl CallParts<'_> {
    /// Bytes that [`CallParts::write`] takes.
    pub fn room(&self) -> usize {
        let tags: usize = self.tags.iter().map(|(_, _, bytes)| 6 + bytes.len().min(TAG_BYTES)).sum();
        32 + 8 + 8 * self.words.len() + 9 * self.written.len() + tags
    }

    /// Into the record.
    pub fn write(&self, out: &mut Output<'_>) {
        out.u16(self.function);
        out.u8(u8::from(self.nested));
        out.u8(self.capture.map_or(0, |capture| capture as u8 + 1));
        out.u32(self.result);
        out.u64(self.began);
        out.u64(self.stack);
        out.u8(self.words.len() as u8);
        out.u8(self.written.len() as u8);
        out.u8(self.tags.len() as u8);
        out.words(self.words);
        for &(index, value) in self.written {
            out.u8(index);
            out.u64(value);
        }
        for (tag, argument, bytes) in self.tags {
            out.u8(*tag as u8);
            out.u8(*argument);
            out.bytes(&bytes[..bytes.len().min(TAG_BYTES)]);
        }
    }
}

/// A return address: where in which image.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Frame {
    /// The [`Image`]'s id; 0 if the address lies in none.
    pub image: u32,
    /// Offset in the image, or the address.
    pub offset: u64,
    /// The nearest exported symbol below it, if the loader knows one.
    pub symbol: String,
}

/// A frame of a Python interpreter.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct PythonFrame {
    /// File of the source.
    pub file: String,
    /// Line, from 1; 0 if it has none.
    pub line: u32,
    /// The function's qualified name.
    pub function: String,
}

/// Who called, innermost first.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Stack {
    /// What calls name it by; never 0.
    pub id: u64,
    /// Native frames.
    pub native: Vec<Frame>,
    /// Python frames, if the thread was in an interpreter.
    pub python: Vec<PythonFrame>,
}

impl Stack {
    /// Into the record: the Python frames first, since the end is what may be cut off.
    pub fn write(&self, out: &mut Output<'_>) {
        out.u64(self.id);
        out.u32(self.python.len() as u32);
        for frame in &self.python {
            out.text(&frame.file);
            out.u32(frame.line);
            out.text(&frame.function);
        }
        out.u32(self.native.len() as u32);
        for frame in &self.native {
            out.u32(frame.image);
            out.u64(frame.offset);
            out.text(&frame.symbol);
        }
    }

    pub(crate) fn read(input: &mut Input<'_>) -> Option<Self> {
        let id = input.u64()?;
        let python = |input: &mut Input<'_>| {
            Some(PythonFrame { file: input.text()?, line: input.u32()?, function: input.text()? })
        };
        let python = (0..input.count(12)?).map(|_| python(input)).collect::<Option<_>>()?;
        let native =
            |input: &mut Input<'_>| Some(Frame { image: input.u32()?, offset: input.u64()?, symbol: input.text()? });
        let native = (0..input.count(16)?).map(|_| native(input)).collect::<Option<_>>()?;
        Some(Self { id, native, python })
    }
}

/// A program or library loaded into the process.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Image {
    /// What frames name it by; never 0.
    pub id: u32,
    /// Where it is loaded.
    pub base: u64,
    /// Its file.
    pub path: String,
}

impl Image {
    /// Into the record.
    pub fn write(&self, out: &mut Output<'_>) {
        out.u32(self.id);
        out.u64(self.base);
        out.text(&self.path);
    }

    pub(crate) fn read(input: &mut Input<'_>) -> Option<Self> {
        Some(Self { id: input.u32()?, base: input.u64()?, path: input.text()? })
    }
}

/// What the driver says about a kernel, when it is first used.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Function {
    /// `CUfunction` or `CUkernel`, as launches name it.
    pub handle: u64,
    /// Whether it is a `CUkernel`.
    pub is_kernel: bool,
    /// Its mangled name.
    pub name: String,
    /// `CUmodule`, or 0 where unknown.
    pub module: u64,
    /// Offset and size of each parameter; `None` where the driver does not tell.
    pub parameters: Option<Vec<(u32, u32)>>,
}

impl Function {
    /// Into the record.
    pub fn write(&self, out: &mut Output<'_>) {
        out.u64(self.handle);
        out.u8(u8::from(self.is_kernel));
        out.text(&self.name);
        out.u64(self.module);
        out.u8(u8::from(self.parameters.is_some()));
        let parameters = self.parameters.as_deref().unwrap_or_default();
        out.u32(parameters.len() as u32);
        for &(offset, size) in parameters {
            out.u32(offset);
            out.u32(size);
        }
    }

    pub(crate) fn read(input: &mut Input<'_>) -> Option<Self> {
        let (handle, is_kernel, name, module) = (input.u64()?, input.u8()? != 0, input.text()?, input.u64()?);
        let known = input.u8()? != 0;
        let parameters =
            (0..input.count(8)?).map(|_| Some((input.u32()?, input.u32()?))).collect::<Option<Vec<_>>>()?;
        Some(Self { handle, is_kernel, name, module, parameters: known.then_some(parameters) })
    }
}

/// A range that the program marked (NVTX).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Range {
    /// It begins on this thread.
    Push(String),
    /// The innermost of this thread ends.
    Pop,
    /// A moment.
    Mark(String),
}

impl Range {
    /// Into the record.
    pub fn write(&self, out: &mut Output<'_>) {
        let (kind, text) = match self {
            Self::Push(text) => (0, text.as_str()),
            Self::Pop => (1, ""),
            Self::Mark(text) => (2, text.as_str()),
        };
        out.u8(kind);
        out.text(text);
    }

    pub(crate) fn read(input: &mut Input<'_>) -> Option<Self> {
        match (input.u8()?, input.text()?) {
            (0, text) => Some(Self::Push(text)),
            (1, _) => Some(Self::Pop),
            (2, text) => Some(Self::Mark(text)),
            _ => None,
        }
    }
}

/// What became of the process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProcessEvent {
    /// This process is a copy of another, made by fork; it has calls of its own from here on.
    Forked {
        /// The process that it is a copy of.
        from: u32,
    },
    /// It ends by itself.
    Exit,
}

impl ProcessEvent {
    /// Into the record.
    pub fn write(&self, out: &mut Output<'_>) {
        match self {
            Self::Forked { from } => {
                out.u8(0);
                out.u32(*from);
            }
            Self::Exit => out.u8(1),
        }
    }

    pub(crate) fn read(input: &mut Input<'_>) -> Option<Self> {
        match input.u8()? {
            0 => Some(Self::Forked { from: input.u32()? }),
            1 => Some(Self::Exit),
            _ => None,
        }
    }
}
