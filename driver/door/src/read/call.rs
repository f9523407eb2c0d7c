//! A recorded call, with its arguments named by the table.

use std::fmt;
use std::sync::Arc;

use graphproof_api::{Argument, Role};

use crate::bytes::Input;
use crate::event::{Capture, Tag};

/// One argument of a recorded call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Value {
    /// Its row of the table: role, C type, name.
    pub argument: Argument,
    /// Its bits; of a structure passed by value the first eight bytes.
    pub word: u64,
    /// What a successful call wrote through it, if that is a number or a handle.
    pub written: Option<u64>,
}

/// A call of the driver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The exported name that was called, such as `cuMemAlloc_v2` or `cuLaunchKernel_ptsz`.
    pub function: Arc<str>,
    /// Its row of the table; `None` for a function that this version does not know.
    pub row: Option<&'static graphproof_api::Function>,
    /// When it began, in nanoseconds of the monotonic clock.
    pub began: u64,
    /// When it returned; as `began` for a call that did not.
    pub ended: u64,
    /// What the caller got; `None` if the process ended inside the call.
    pub result: Option<u32>,
    /// The id of its stack, for [`super::Process::stack`].
    pub stack: Option<u64>,
    /// Capture status of its stream after it, where the driver was asked.
    pub capture: Option<Capture>,
    /// Made inside another call, by the driver or a library that it called back.
    pub nested: bool,
    /// Its arguments, in order, as far as they are known.
    pub values: Vec<Value>,
    /// More: what it is, the number of the argument, the bytes.
    pub tags: Vec<(Tag, u8, Box<[u8]>)>,
}

impl Call {
    /// An error: not success, and not the answer "not ready" of a query.
    pub fn failed(&self) -> bool {
        !matches!(self.result, None | Some(0 | 600))
    }

    /// The name without version and per-thread form: what a program asks for.
    pub fn base(&self) -> &str {
        self.row.map_or(&self.function, |row| row.base())
    }

    /// Whether it is the form whose default stream is the thread's own.
    pub fn is_per_thread(&self) -> bool {
        self.function.ends_with("_ptsz") || self.function.ends_with("_ptds")
    }

    /// The argument of that name in cuda.h.
    pub fn get(&self, name: &str) -> Option<Value> {
        self.values.iter().copied().find(|value| value.argument.name == name)
    }

    /// The bits of the argument of that name.
    pub fn word(&self, name: &str) -> Option<u64> {
        self.get(name).map(|value| value.word)
    }

    /// The number or handle written through the argument of that name.
    pub fn written(&self, name: &str) -> Option<u64> {
        self.get(name)?.written
    }

    /// The stream, as given: an argument, or a field of a structure.
    pub fn stream(&self) -> Option<u64> {
        let argument = self.values.iter().find(|value| value.argument.role == Role::Stream);
        argument.map(|value| value.word).or_else(|| self.number(Tag::Stream))
    }

    /// The bytes of the first tag of that kind.
    pub fn bytes(&self, tag: Tag) -> Option<&[u8]> {
        self.tags.iter().find(|(kind, ..)| *kind == tag).map(|(.., bytes)| &**bytes)
    }

    /// What the argument of that name pointed to.
    pub fn pointee(&self, name: &str) -> Option<&[u8]> {
        let index = self.values.iter().position(|value| value.argument.name == name)?;
        let is_it = |tag: &&(Tag, u8, _)| tag.0 == Tag::Pointee && usize::from(tag.1) == index;
        self.tags.iter().find(is_it).map(|(.., bytes)| &**bytes)
    }

    /// The eight bytes of the first tag of that kind.
    pub fn number(&self, tag: Tag) -> Option<u64> {
        self.bytes(tag)?.try_into().ok().map(u64::from_le_bytes)
    }

    /// The streams whose captures the call made invalid.
    pub fn invalidated(&self) -> impl Iterator<Item = u64> + '_ {
        let of = |(tag, _, bytes): &(Tag, u8, Box<[u8]>)| match tag {
            Tag::Invalidated => bytes[..].try_into().ok().map(u64::from_le_bytes),
            _ => None,
        };
        self.tags.iter().filter_map(of)
    }

    /// Reads a call that ended at `ended`; `None` if its bytes are none. What was cut off at the end is
    /// left out.
    pub(super) fn read(bytes: &[u8], ended: u64, cut: bool, name: impl Fn(u32) -> Arc<str>) -> Option<Self> {
        let mut input = Input::new(bytes);
        let (function, nested, capture) = (name(u32::from(input.u16()?)), input.u8()? != 0, input.u8()?);
        let (result, began, stack) = (input.u32()?, input.u64()?, input.u64()?);
        let (values, writes, tags) = (input.u8()?, input.u8()?, input.u8()?);
        let row = graphproof_api::find(&function);
        let table = row.and_then(|row| row.arguments.as_deref()).unwrap_or_default();
        let mut call = Self {
            function,
            row,
            began,
            ended,
            result: Some(result),
            stack: (stack != 0).then_some(stack),
            capture: capture.checked_sub(1).and_then(|raw| Capture::from_raw(u32::from(raw))),
            nested,
            values: Vec::with_capacity(usize::from(values)),
            tags: Vec::new(),
        };
        let unnamed = Argument { role: Role::Value, c_type: "", name: "" };
        for index in 0..usize::from(values) {
            let word = match input.u64() {
                Some(word) => word,
                None if cut => return Some(call),
                None => return None,
            };
            call.values.push(Value { argument: table.get(index).copied().unwrap_or(unnamed), word, written: None });
        }
        for _ in 0..writes {
            match (input.u8(), input.u64()) {
                (Some(index), Some(written)) => call.values.get_mut(usize::from(index))?.written = Some(written),
                _ if cut => return Some(call),
                _ => return None,
            }
        }
        for _ in 0..tags {
            match (input.u8(), input.u8(), input.bytes()) {
                (Some(tag), Some(argument), Some(bytes)) => {
                    call.tags.extend(Tag::from_byte(tag).map(|tag| (tag, argument, bytes.into())));
                }
                _ if cut => return Some(call),
                _ => return None,
            }
        }
        Some(call)
    }
}

impl fmt::Display for Call {
    /// `cuMemAlloc_v2(dptr -> 0x700000000000, bytesize 4096)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}(", self.function)?;
        for (index, value) in self.values.iter().enumerate() {
            if index > 0 {
                f.write_str(", ")?;
            }
            let Argument { role, name, .. } = value.argument;
            match (value.written, role) {
                (Some(written), _) if value.argument.writes_a_number() => write!(f, "{name} -> {written}")?,
                (Some(written), _) => write!(f, "{name} -> {written:#x}")?,
                (None, Role::Size | Role::Value | Role::Device) => write!(f, "{name} {}", value.word)?,
                (None, _) => write!(f, "{name} {:#x}", value.word)?,
            }
        }
        f.write_str(")")
    }
}
