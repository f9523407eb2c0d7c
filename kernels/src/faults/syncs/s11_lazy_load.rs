//! S11: the step loads its module at its first use.
//!
//! Planted: `cuModuleLoadData` inside the step, at the first call. Drivers before CUDA 12.3 refuse it
//! under capture; all of them take a context-wide lock and many milliseconds.
//! Stands for: NVIDIA/warp#564.
//! Found by: the call record of the first eager run. Clean twin: loads before the step.

use crate::faults::prelude::*;

/// See the file.
pub const FAULT: Fault = Fault {
    row: "S11",
    name: "lazy-load",
    group: Group::Syncs,
    title: "loads a module inside the step",
    stands_for: "NVIDIA/warp#564",
    expected: Expected::new(Id::S11, Check::HiddenSyncs).by_record_only(),
    sticky: None,
    hangs: false,
    step,
    file: file!(),
};

fn step(variant: Variant) -> Planted {
    let module = Arc::new(OnceLock::new());
    let loaded = Arc::clone(&module);
    Plant::small(FAULT.name)?
        .prepare(move |_, _| if variant.planted() { Ok(()) } else { once(&loaded, load).map(|_| ()) })
        .record(move |cx| {
            let module = once(&module, load)?;
            let kernel = module.kernel("scale").map_err(|error| StepError::Other(format!("{error:?}")))?;
            let (x, y, stream) = (cx.address("x")?, cx.address("y")?, cx.stream());
            let mut arguments = [
                x.to_ne_bytes().to_vec(),
                y.to_ne_bytes().to_vec(),
                3f32.to_ne_bytes().to_vec(),
                N.to_ne_bytes().to_vec(),
            ];
            cx.check("cuLaunchKernel", kernel.launch(N, &mut arguments, stream))
        })
        .step()
}

fn load() -> StepResult<raw::LoadedModule> {
    let text = crate::ptx::module("faults", crate::PtxSource::Committed)
        .map_err(|error| StepError::Other(error.to_string()))?;
    raw::LoadedModule::load(&text.ptx).map_err(|error| StepError::Other(format!("cuModuleLoadData returned {error:?}")))
}
