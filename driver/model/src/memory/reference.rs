//! Texture and surface references: variables of modules, to which memory is bound (CUDA driver API, "Texture Reference
//! Management", deprecated in favour of objects).
//!
//! A reference's handle is the address of its variable, which kernels name it by.

use super::space::AddressSpace;
use super::texture::{Object, Resource, Sampling};
use graphproof_api::{CUresult, Cuda};
use graphproof_exec::ReferenceKind;
use graphproof_exec::texture::Texture;

/// What is bound to a reference.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Bound {
    /// Nothing.
    #[default]
    Nothing,
    /// A CUDA array, by its handle.
    Array(u64),
    /// Memory as one row: address and bytes.
    Linear(u64, u64),
    /// Memory as rows: address, elements of a row and rows, bytes from row to row.
    Rows(u64, [u64; 2], u64),
}

/// A reference.
#[derive(Debug, Clone, Copy)]
pub struct Reference {
    /// Texture or surface.
    pub kind: ReferenceKind,
    /// What is bound to it.
    pub bound: Bound,
    /// `CUarray_format` and components of an element, of memory that is bound by address.
    pub format: (u32, u32),
    /// How it is sampled.
    pub sampling: Sampling,
}

impl Reference {
    fn resource(&self) -> Option<Resource> {
        let (format, channels) = self.format;
        Some(match self.bound {
            Bound::Nothing => return None,
            Bound::Array(array) => Resource::Array(array),
            Bound::Linear(address, bytes) => Resource::Linear { address, format, channels, bytes },
            Bound::Rows(address, extents, pitch) => Resource::Pitched { address, format, channels, extents, pitch },
        })
    }
}

impl AddressSpace {
    /// The reference that is the variable at an address, as it is now; it is made when it is first asked for.
    pub fn declare_reference(&mut self, address: u64, kind: ReferenceKind) {
        let new = Reference { kind, bound: Bound::Nothing, format: (0x20, 1), sampling: Sampling::default() };
        self.references.entry(address).or_insert(new);
    }

    /// A reference.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_VALUE`: it is none, or one of the other kind.
    pub fn reference(&mut self, handle: u64, kind: ReferenceKind) -> Cuda<&mut Reference> {
        self.references.get_mut(&handle).filter(|found| found.kind == kind).ok_or(CUresult::INVALID_VALUE)
    }

    /// All references to which something is bound, as kernels see them.
    pub(super) fn bound_references(&self) -> impl Iterator<Item = Texture> {
        self.references.iter().filter_map(|(&handle, reference)| {
            let texture = reference.kind == ReferenceKind::Texture;
            let sampling = texture.then_some(reference.sampling);
            self.texture(handle, &Object::of_reference(reference.resource()?, sampling, self)?).ok()
        })
    }
}
