//! Cubins: ELF files of machine code.
//!
//! What is read: the header and the symbol table, which are ELF's own, with `STT_FUNC` symbols that other
//! files may see for kernels; and the sections `.nv.info.KERNEL` that `cuobjdump -elf` prints, for the
//! parameters (`EIATTR_KPARAM_INFO`) and the largest block (`EIATTR_MAX_THREADS`).

use std::fmt::Write as _;

use object::read::elf::{ElfFile64, FileHeader};
use object::{LittleEndian, Object, ObjectSection, ObjectSymbol, SymbolKind};

use crate::ImageError;

/// The outside of a cubin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cubin {
    /// 10 × major + minor of the compute capability that it was compiled for.
    pub architecture: u32,
    /// Its kernels, by name.
    pub kernels: Vec<Kernel>,
    /// Its variables: name and size in bytes.
    pub variables: Vec<(String, u64)>,
}

/// A kernel of a cubin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kernel {
    /// Its name.
    pub name: String,
    /// Offset and size of each parameter, in bytes.
    pub parameters: Vec<(u32, u32)>,
    /// Threads that a block may have, where the cubin says so.
    pub max_threads: Option<[u32; 3]>,
}

/// `EM_CUDA`.
const MACHINE: u16 = 190;
/// Parameters of one kernel together, in bytes.
const MOST_PARAMETER_BYTES: u32 = 32_764;

impl Cubin {
    /// Reads a cubin.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(image: &[u8]) -> Result<Self, ImageError> {
        let broken = |text: String| ImageError::Broken(format!("the image begins like a cubin: {text}"));
        let file = ElfFile64::<LittleEndian>::parse(image).map_err(|error| broken(error.to_string()))?;
        let header = file.elf_header();
        let machine = header.e_machine(LittleEndian).0;
        if machine != MACHINE {
            return Err(broken(format!("its machine is {machine}, not CUDA's {MACHINE}")));
        }
        let flags = header.e_flags(LittleEndian).0;
        // The OS ABI 0x41 (CUDA 12.8 and later) moved the architecture up by a byte.
        let architecture = if image.get(7) == Some(&0x41) { flags >> 8 & 0xff } else { flags & 0xff };
        let (mut kernels, mut variables) = (Vec::new(), Vec::new());
        for symbol in file.symbols() {
            let Ok(name) = symbol.name() else { continue };
            if name.is_empty() || !is_identifier(name) || symbol.is_undefined() {
                continue;
            }
            match symbol.kind() {
                SymbolKind::Text if file.section_by_name(&format!(".nv.constant0.{name}")).is_some() => {
                    let info = file.section_by_name(&format!(".nv.info.{name}"));
                    let info = info.and_then(|section| section.data().ok()).unwrap_or_default();
                    kernels.push(Kernel::read(name, info).map_err(broken)?);
                }
                SymbolKind::Data if symbol.size() > 0 => variables.push((name.to_owned(), symbol.size())),
                _ => {}
            }
        }
        kernels.sort_by(|a, b| a.name.cmp(&b.name));
        kernels.dedup_by(|a, b| a.name == b.name);
        variables.sort();
        variables.dedup_by(|a, b| a.0 == b.0);
        Ok(Self { architecture, kernels, variables })
    }

    /// As it is written: `sm_80`.
    pub fn target(&self) -> String {
        format!("sm_{}", self.architecture)
    }

    /// Whether a device of this capability runs it: the same major number, and no newer minor one.
    pub fn runs_on(&self, capability: u32) -> bool {
        self.architecture / 10 == capability / 10 && self.architecture <= capability
    }

    /// PTX with the same kernels and variables, whose kernels do nothing.
    pub fn outside(&self) -> String {
        let mut text = format!(".version 8.0\n.target {}\n.address_size 64\n", self.target());
        for (name, size) in &self.variables {
            let _ = writeln!(text, ".visible .global .align 16 .b8 {name}[{size}];");
        }
        for kernel in &self.kernels {
            let _ = write!(text, ".visible .entry {}(", kernel.name);
            let mut at = 0;
            for (n, &(offset, size)) in kernel.parameters.iter().enumerate() {
                // The alignment that gives the parameter its place.
                let align = (0..=4).map(|power| 1 << power).rev().find(|&align| at_aligned(at, align) == offset);
                let separator = if n == 0 { "" } else { ", " };
                let name = &kernel.name;
                let _ = write!(text, "{separator}.param .align {} .b8 {name}_param_{n}[{size}]", align.unwrap_or(1));
                at = offset + size;
            }
            text.push_str(")\n");
            if let Some([x, y, z]) = kernel.max_threads {
                let _ = writeln!(text, ".maxntid {x}, {y}, {z}");
            }
            text.push_str("{\n ret;\n}\n");
        }
        text
    }
}

fn at_aligned(at: u32, align: u32) -> u32 {
    at.next_multiple_of(align)
}

fn is_identifier(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$'))
}

impl Kernel {
    /// Reads `.nv.info.NAME`: attributes of a format byte, an attribute byte and a value.
    fn read(name: &str, info: &[u8]) -> Result<Self, String> {
        const SIZED: u8 = 4;
        const KPARAM_INFO: u8 = 0x17;
        const MAX_THREADS: u8 = 0x05;
        let mut kernel = Self { name: name.to_owned(), parameters: Vec::new(), max_threads: None };
        let mut parameters = Vec::new();
        let mut rest = info;
        while let [format, attribute, low, high, tail @ ..] = rest {
            let size = usize::from(u16::from_le_bytes([*low, *high]));
            let value = if *format == SIZED { tail.get(..size) } else { Some(&[][..]) };
            let value = value.ok_or_else(|| format!("the attributes of `{name}` are cut off"))?;
            rest = &tail[value.len()..];
            let word = |n: usize| value.get(4 * n..4 * n + 4).and_then(|b| b.try_into().ok()).map(u32::from_le_bytes);
            match (*attribute, word(0), word(1), word(2)) {
                // Index, ordinal and offset, and in the upper bits of the last word the size.
                (KPARAM_INFO, _, Some(place), Some(size)) => parameters.push((place & 0xffff, place >> 16, size >> 18)),
                (MAX_THREADS, Some(x), Some(y), Some(z)) => kernel.max_threads = Some([x, y, z]),
                _ => {}
            }
        }
        parameters.sort_unstable();
        let mut end = 0;
        for (n, &(ordinal, offset, size)) in parameters.iter().enumerate() {
            if ordinal as usize != n
                || offset < end
                || offset - end > 15
                || size == 0
                || offset + size > MOST_PARAMETER_BYTES
            {
                return Err(format!("the parameters of `{name}` do not follow each other"));
            }
            end = offset + size;
            kernel.parameters.push((offset, size));
        }
        Ok(kernel)
    }
}
