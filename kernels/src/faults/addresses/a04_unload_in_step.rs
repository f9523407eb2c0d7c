//! A04: something is destroyed while the step is recorded.
//!
//! Planted: a module is unloaded in each recording, as a finaliser does that happens to run then.
//! Stands for: google-deepmind/mujoco_warp#425 and vllm-project/vllm#54646.
//! Found by: the capture, at the call. Clean twin: unloads before the step.

use crate::faults::prelude::*;

/// See the file.
pub const FAULT: Fault = Fault {
    row: "A04",
    name: "unload-in-step",
    group: Group::Addresses,
    title: "unloads a module, as a finaliser does",
    stands_for: "google-deepmind/mujoco_warp#425",
    expected: Expected::new(Id::A04, Check::Capture),
    sticky: None,
    hangs: false,
    step,
    file: file!(),
};

fn step(variant: Variant) -> Planted {
    let modules = Arc::new(Mutex::new(Vec::new()));
    let laid_out = Arc::clone(&modules);
    Plant::small(FAULT.name)?
        .prepare(move |index, cx| {
            if index > 0 || cx.phase() != Phase::Eager {
                return Ok(());
            }
            // One for each recording of step 0: three eager ones and the capture.
            for _ in 0..4 {
                let module = raw::LoadedModule::load(EMPTY).map_err(|error| StepError::Other(format!("{error:?}")))?;
                if variant.planted() {
                    locked(&laid_out).push(module);
                } else {
                    cx.check("cuModuleUnload", module.unload())?;
                }
            }
            Ok(())
        })
        .record(move |cx| {
            cx.launch(scale(3.0))?;
            if variant.planted() {
                let module: raw::LoadedModule = take(&modules)?;
                cx.check("cuModuleUnload", module.unload())?;
            }
            Ok(())
        })
        .step()
}

/// A module that holds next to nothing.
const EMPTY: &str = ".version 8.0\n.target sm_80\n.address_size 64\n.visible .entry nothing()\n{\n    ret;\n}\n";
