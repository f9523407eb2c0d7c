//! Typed module → flat code.
//!
//! Calls are inlined, every instruction becomes one or more operations on virtual registers
//! ([`ir`]), values that all lanes share are found ([`uniform`]), registers get slots by
//! liveness ([`slots`]), and the result is written out ([`emit`]).

mod arithmetic;
mod bitwise;
mod compare;
mod control;
mod convert;
mod emit;
mod float;
mod graph;
mod ir;
mod lower;
mod memory;
mod modifiers;
mod moves;
mod operands;
mod parting;
mod slots;
mod tensor;
mod uniform;
mod warp;

use std::sync::Arc;

use super::isa::Isa;
use super::program::{GlobalVariable, Kernel, Parameter, Program};
use crate::ptx::{Module, PtxError, PtxErrorKind, Space};

/// Shared memory a block may have, static and dynamic together (sm_90).
const MAX_SHARED: u64 = 227 * 1024;
/// Local memory a thread may have.
const MAX_LOCAL: u64 = 512 * 1024;

/// Decodes all kernels of `module`.
pub(crate) fn program(module: &Module, isa: Isa) -> Result<Program, PtxError> {
    let mut globals = Vec::new();
    // Position in `Program::globals`, by position in `Module::variables`.
    let mut places = Vec::with_capacity(module.variables.len());
    for variable in &module.variables {
        let device = matches!(variable.space, Space::Global | Space::Const);
        places.push(device.then_some(globals.len() as u32));
        if device {
            if variable.external {
                let message = format!("`{}` is `.extern`: linking modules is not done", variable.name);
                return Err(PtxError::new(PtxErrorKind::Unsupported, &module.source, variable.span, message));
            }
            globals.push(GlobalVariable {
                name: variable.name.clone(),
                size: variable.size,
                align: variable.align,
                init: variable.init.clone(),
            });
        }
    }
    let files: Arc<[(u32, String)]> = module.files.clone().into();
    let mut kernels = Vec::new();
    for function in module.functions.iter().filter(|f| f.entry && f.defined) {
        let lowered = lower::kernel(module, function, &places)?;
        let error = |message: String| PtxError::new(PtxErrorKind::Semantic, &module.source, function.span, message);
        if lowered.shared > MAX_SHARED || lowered.local > MAX_LOCAL {
            return Err(error(format!(
                "`{}` has {} bytes of shared and {} of local memory; at most {MAX_SHARED} and {MAX_LOCAL} exist",
                function.name, lowered.shared, lowered.local
            )));
        }
        let (code, plain, registers) = emit::codes(&lowered, module, &files, isa);
        kernels.push(Arc::new(Kernel {
            name: function.name.clone(),
            parameters: function
                .params
                .iter()
                .map(|p| Parameter { name: p.name.clone(), offset: p.offset as usize, size: p.size as usize })
                .collect(),
            static_shared_bytes: lowered.shared as u32,
            local_bytes: lowered.local as u32,
            registers,
            max_threads_per_block: function.max_threads.unwrap_or(1024),
            code,
            plain,
        }));
    }
    Ok(Program { kernels, globals, version: module.version, target: module.target.clone() })
}
