//! Typed module → flat code.
//!
//! Calls are inlined, or of a function that may call itself made by a stack ([`routine`]); every instruction
//! becomes one or more operations on virtual registers ([`ir`]), values that all lanes share are found ([`uniform`]), registers get slots by
//! liveness ([`slots`]), and the result is written out ([`emit`]).

mod arithmetic;
mod atomic;
mod bitwise;
mod builtin;
mod bulk;
mod chain;
mod cluster;
mod compare;
mod control;
mod convert;
mod copies;
mod copy;
mod emit;
mod fences;
mod float;
pub(super) mod forms;
mod graph;
mod ir;
mod liveness;
mod lower;
mod mbarrier;
mod memory;
mod modifiers;
mod moves;
mod operands;
mod parting;
mod routine;
mod slots;
mod tensor;
mod texture;
mod under_way;
mod uniform;
mod video;
mod warp;
mod wgmma;

use std::sync::{Arc, OnceLock};

pub(crate) use operands::RESERVED_SHARED;

use super::isa::Isa;
use super::program::{AddressValue, Entry, GlobalVariable, Kernel, Parameter, Program, Style};
use crate::ptx::{Module, PtxError, PtxErrorKind, Space};

/// Shared memory a block may have, static and dynamic together (sm_90).
const MAX_SHARED: u64 = 227 * 1024;
/// Local memory a thread may have.
const MAX_LOCAL: u64 = 512 * 1024;

/// What a module holds; nothing is decoded yet.
pub(crate) fn program(module: Arc<Module>, isa: Isa, style: Style) -> Program {
    let mut count = 0u32;
    let places = module.variables.iter().map(|variable| {
        let device = matches!(variable.space, Space::Global | Space::Const) && variable.unsupported.is_none();
        count += u32::from(device);
        device.then(|| count - 1)
    });
    let places: Arc<[Option<u32>]> = places.collect();
    let placed = module.variables.iter().zip(places.iter()).filter(|(_, place)| place.is_some());
    let globals = placed.map(|(variable, _)| GlobalVariable {
        name: variable.name.clone(),
        size: variable.size,
        align: variable.align,
        managed: variable.managed,
        reference: variable.reference,
        constant: variable.space == Space::Const,
        init: variable.init.clone(),
        addresses: variable.relocations.iter().filter_map(|value| AddressValue::new(value, &places)).collect(),
    });
    let mut globals: Vec<GlobalVariable> = globals.collect();
    // The heap of kernels that allocate: one more variable, without a name.
    let allocates = |name: &str| module.function(name).is_some_and(|(_, function)| !function.defined);
    let heap = (allocates("malloc") || allocates("free")).then_some(globals.len() as u32);
    if heap.is_some() {
        let size = u64::from(super::vm::heap::HEAP_BYTES);
        globals.push(GlobalVariable { size, align: 256, ..GlobalVariable::default() });
    }
    let kernels = module.functions.iter().enumerate().filter(|(_, function)| function.entry && function.defined);
    let entries = kernels.map(|(index, function)| {
        let parameters = function.params.iter();
        Arc::new(Entry {
            name: function.name.clone(),
            parameters: parameters
                .map(|p| Parameter { name: p.name.clone(), offset: p.offset as usize, size: p.size as usize })
                .collect(),
            module: module.clone(),
            function: index,
            places: places.clone(),
            heap,
            isa,
            style,
            decoded: OnceLock::new(),
        })
    });
    let entries = entries.collect();
    Program { entries, globals, version: module.version, target: module.target.clone(), opaque: false }
}

/// Registers that a thread may have so that a block of the size that the kernel promises fits, as an assembler sees to.
fn most_registers(function: &crate::ptx::Function) -> u32 {
    const OF_A_BLOCK: u32 = 65536;
    let threads = function.max_threads.map_or(256, |threads| threads.max(1).next_multiple_of(32));
    let by_threads = (OF_A_BLOCK / threads / 8 * 8).min(255);
    function.max_registers.map_or(by_threads, |most| most.clamp(16, 255).min(by_threads))
}

/// Decodes one kernel with all that it calls.
pub(crate) fn kernel(entry: &Entry) -> Result<Kernel, PtxError> {
    let module = &*entry.module;
    let function = &module.functions[entry.function];
    if let Some(error) = &function.refused {
        return Err((**error).clone());
    }
    let mut lowered = lower::kernel(module, function, &entry.places, entry.heap).map_err(|error| *error)?;
    if lowered.shared > MAX_SHARED || lowered.local > MAX_LOCAL {
        let message = format!(
            "`{}` has {} bytes of shared and {} of local memory; at most {MAX_SHARED} and {MAX_LOCAL} exist",
            function.name, lowered.shared, lowered.local
        );
        return Err(PtxError::new(PtxErrorKind::Semantic, &module.source, function.span, message));
    }
    fences::guard(&mut lowered.ir);
    under_way::guard(&mut lowered.ir);
    if entry.style == Style::Fast {
        copies::forward_fixed(&mut lowered.ir);
        copies::see_through(&mut lowered.ir);
        chain::join(&mut lowered.ir);
    }
    let (code, plain, registers) = emit::codes(&lowered, entry);
    Ok(Kernel {
        name: function.name.clone(),
        static_shared_bytes: lowered.shared as u32,
        dynamic_shared_begin: lowered.dynamic as u32,
        local_bytes: lowered.local as u32,
        stack: lowered.stack,
        registers: registers.min(most_registers(function)),
        max_threads_per_block: function.max_threads.unwrap_or(1024),
        required_cluster: function.cluster,
        max_cluster: function.max_cluster,
        explicit_cluster: function.explicit_cluster,
        code,
        plain,
    })
}
