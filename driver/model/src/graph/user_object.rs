//! User objects: caller-owned resources whose life follows graphs.

use super::store::Graphs;
use crate::params::Callback;
use graphproof_api::{CUresult, Cuda};

/// A reference-counted resource of the caller.
#[derive(Debug)]
pub(super) struct UserObject {
    references: u64,
    destructor: Callback,
}

/// `CU_GRAPH_USER_OBJECT_MOVE`.
pub const MOVE: u32 = 1;
/// `CU_USER_OBJECT_NO_DESTRUCTOR_SYNC`, the only flag and a required one.
pub const NO_DESTRUCTOR_SYNC: u32 = 1;

impl Graphs {
    /// `cuUserObjectCreate`.
    pub fn create_object(&mut self, destructor: Callback, references: u32, flags: u32) -> Cuda<u64> {
        if flags != NO_DESTRUCTOR_SYNC {
            return Err(CUresult::INVALID_VALUE);
        }
        let references = count(references)?;
        Ok(self.objects.insert(UserObject { references, destructor }))
    }

    /// `cuUserObjectRetain`.
    pub fn user_retain(&mut self, object: u64, references: u32) -> Cuda {
        let references = count(references)?;
        self.object(object)?;
        self.retain_object(object, references);
        Ok(())
    }

    /// `cuUserObjectRelease`. Releasing more than there are is undefined in CUDA; here it is
    /// `CUDA_ERROR_INVALID_VALUE`.
    pub fn user_release(&mut self, object: u64, references: u32) -> Cuda {
        let references = count(references)?;
        if self.object(object)?.references < references {
            return Err(CUresult::INVALID_VALUE);
        }
        self.release_object(object, references);
        Ok(())
    }

    /// `cuGraphRetainUserObject`.
    pub fn graph_retain(&mut self, graph: u64, object: u64, references: u32, flags: u32) -> Cuda {
        let references = count(references)?;
        if flags & !MOVE != 0 {
            return Err(CUresult::INVALID_VALUE);
        }
        self.graph(graph)?;
        if flags & MOVE != 0 && self.object(object)?.references < references {
            return Err(CUresult::INVALID_VALUE);
        }
        self.object(object)?;
        if flags & MOVE == 0 {
            self.retain_object(object, references);
        }
        *self.graph_mut(graph)?.objects.entry(object).or_default() += references;
        Ok(())
    }

    /// `cuGraphReleaseUserObject`.
    pub fn graph_release(&mut self, graph: u64, object: u64, references: u32) -> Cuda {
        let references = count(references)?;
        let objects = &mut self.graph_mut(graph)?.objects;
        let held = objects.get_mut(&object).filter(|held| **held >= references).ok_or(CUresult::INVALID_VALUE)?;
        *held -= references;
        if *held == 0 {
            objects.remove(&object);
        }
        self.release_object(object, references);
        Ok(())
    }

    /// Releases everything that a graph holds: a recapture begins with it (D).
    pub(crate) fn release_objects_of(&mut self, graph: u64) {
        let objects = self.graphs.get_mut(graph).map(|graph| std::mem::take(&mut graph.objects)).unwrap_or_default();
        for (object, references) in objects {
            self.release_object(object, references);
        }
    }

    pub(super) fn retain_object(&mut self, object: u64, references: u64) {
        if let Some(object) = self.objects.get_mut(object) {
            object.references += references;
        }
    }

    /// Drops references; the last one makes the destructor due.
    pub(super) fn release_object(&mut self, handle: u64, references: u64) {
        let Some(object) = self.objects.get_mut(handle) else { return };
        object.references = object.references.saturating_sub(references);
        if object.references == 0 {
            let destructor = object.destructor;
            self.objects.remove(handle);
            self.destructors.push(destructor);
        }
    }

    fn object(&self, object: u64) -> Cuda<&UserObject> {
        self.objects.get(object).ok_or(CUresult::INVALID_VALUE)
    }
}

/// D: "must be nonzero and not larger than INT_MAX".
fn count(references: u32) -> Cuda<u64> {
    if references == 0 || references > i32::MAX as u32 {
        Err(CUresult::INVALID_VALUE)
    } else {
        Ok(u64::from(references))
    }
}
