//! Modules, their functions and global variables.

use std::sync::Arc;

use super::ContextId;
use crate::exec::Kernel;

/// A kernel as one context sees it: what `CUfunction` names.
#[derive(Debug)]
pub struct Function {
    /// Its `CUfunction`.
    pub handle: u64,
    /// Its `CUmodule`.
    pub module: u64,
    /// Its context.
    pub context: ContextId,
    /// The decoded kernel.
    pub kernel: Arc<Kernel>,
    /// Device address of each of the module's globals.
    pub globals: Arc<[u64]>,
}
