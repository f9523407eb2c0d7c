//! A linker for PTX.
//!
//! `cuLink*` and nvJitLink make one module of several: a symbol that one declares `.extern` is the one that
//! another defines. NVIDIA's compile to machine code on the way; here the result stays PTX, in the container
//! that the software driver knows ([`graphproof_image::container`]).
//!
//! Texts are taken apart at their outermost level only (`items`), so instructions that nobody here knows
//! pass through ([`merge`]).

mod items;
mod merge;

use graphproof_image::{ELF, FATBIN, Loadable};

pub use merge::merge;

/// Why inputs cannot be linked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// An input has nothing that can be linked.
    #[error("{name}: {reason}")]
    Input {
        /// The input.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Two inputs define a symbol.
    #[error("`{symbol}` is defined in {first} and in {second}")]
    Twice {
        /// The symbol.
        symbol: String,
        /// The input that came first.
        first: String,
        /// The other.
        second: String,
    },
}

/// What is to be linked.
#[derive(Debug, Clone, Default)]
pub struct Linker {
    texts: Vec<(String, String)>,
    target: u32,
}

/// What the linker takes for an input that the caller does not name.
const UNNAMED: &str = "an unnamed input";

impl Linker {
    /// For a device of compute capability `target`: 10 × major + minor.
    pub fn new(target: u32) -> Self {
        Self { texts: Vec::new(), target }
    }

    /// Adds PTX text, a fatbin or a cubin that holds some.
    ///
    /// # Errors
    /// What the input is instead.
    pub fn add(&mut self, name: Option<&str>, bytes: &[u8]) -> Result<(), LinkError> {
        let name = name.filter(|name| !name.is_empty()).unwrap_or(UNNAMED).to_owned();
        let input = |reason: String| LinkError::Input { name: name.clone(), reason };
        if bytes.starts_with(b"!<arch>") {
            // The one that programs hand over unasked: cudadevrt, whose functions the driver has itself.
            return Ok(());
        }
        let text = if bytes.starts_with(&ELF) || bytes.starts_with(&FATBIN) {
            match graphproof_image::choose(bytes, self.target, false).map_err(|error| input(error.to_string()))? {
                Loadable::Ptx(text) => text,
                Loadable::Opaque(cubin) => return Err(input(format!("machine code for {}", cubin.target()))),
            }
        } else {
            let text = bytes.split(|&byte| byte == 0).next().unwrap_or_default();
            let text = std::str::from_utf8(text).map_err(|error| input(format!("no PTX text: {error}")))?;
            if !text.contains(".version") {
                return Err(input("no PTX: it has no .version directive (LTO-IR cannot be linked here)".to_owned()));
            }
            text.to_owned()
        };
        self.texts.push((name, text));
        Ok(())
    }

    /// The linked text.
    ///
    /// # Errors
    /// Symbols that two inputs define.
    pub fn link(&self) -> Result<String, LinkError> {
        match &self.texts[..] {
            [] => Err(LinkError::Input { name: "the linker".to_owned(), reason: "it was given no PTX".to_owned() }),
            [(_, text)] => Ok(text.clone()),
            several => merge(several),
        }
    }

    /// The linked text in its container.
    ///
    /// # Errors
    /// As [`Linker::link`].
    pub fn image(&self) -> Result<Vec<u8>, LinkError> {
        Ok(graphproof_image::container::pack(&self.link()?, self.target))
    }
}
