//! The device that `GRAPHPROOF_COMPUTE_CAPABILITY` asks for.

use std::ffi::{CStr, c_int, c_uint};
use std::ptr::null_mut;

use crate::abi_support::primary_of;
use graphproof_driver::abi::types::*;
use graphproof_driver::abi::*;
use graphproof_driver::record::last_reason;
use graphproof_driver::software::{Instance, Settings};

const SETTING: &str = "GRAPHPROOF_COMPUTE_CAPABILITY";

const MODULE: &CStr = c".version 8.3\n.target sm_90a\n.address_size 64\n.extern .shared .align 16 .b8 all[];\n\
    .visible .entry any(.param .u64 out) {\n.reg .b32 %r<4>;\n.reg .b64 %d<2>;\nld.param.u64 %d1, [out];\n\
    mov.u32 %r1, %cluster_ctarank;\nmov.u32 %r2, %ctaid.x;\nmad.wide.u32 %d1, %r2, 4, %d1;\nst.global.u32 [%d1], %r1;\nret;\n}\n\
    .visible .entry pair() .reqnctapercluster 2 { ret; }\n.visible .entry told() .explicitcluster { ret; }\n";

fn attribute(id: c_uint) -> c_int {
    let mut value = 0;
    ok!(cuDeviceGetAttribute(&mut value, id, 0));
    value
}

fn function(module: CUmodule, name: &CStr) -> CUfunction {
    let mut function = CUfunction::NULL;
    ok!(cuModuleGetFunction(&mut function, module, name.as_ptr()));
    function
}

/// Launches with a cluster of so many blocks, or none named.
fn launch(function: CUfunction, grid: c_uint, cluster: Option<u32>, out: &mut CUdeviceptr) -> CUresult {
    let mut value = CUlaunchAttributeValue::default();
    for (word, extent) in [cluster.unwrap_or(1), 1, 1].into_iter().enumerate() {
        value.0[4 * word..4 * word + 4].copy_from_slice(&extent.to_ne_bytes());
    }
    let attribute = CUlaunchAttribute { id: 4, value, ..CUlaunchAttribute::default() };
    // SAFETY: plain old data, for which zero is a value.
    let nothing: CUlaunchConfig = unsafe { std::mem::zeroed() };
    let config = CUlaunchConfig {
        gridDimX: grid,
        gridDimY: 1,
        gridDimZ: 1,
        blockDimX: 1,
        blockDimY: 1,
        blockDimZ: 1,
        attrs: &raw const attribute as *mut _,
        numAttrs: u32::from(cluster.is_some()),
        ..nothing
    };
    let mut parameters = [std::ptr::from_mut(out).cast()];
    code!(cuLaunchKernelEx(&config, function, parameters.as_mut_ptr(), null_mut()))
}

#[test]
fn a_device_of_capability_9_runs_clusters() {
    let _own = primary_of(Settings::default().with(SETTING, "9.0"));
    assert_eq!([75, 76, 97, 81, 120, 127].map(attribute), [9, 0, 227 << 10, 228 << 10, 1, 1]);
    let mut module = CUmodule::NULL;
    ok!(cuModuleLoadData(&mut module, MODULE.as_ptr().cast()));
    let (any, pair, told) = (function(module, c"any"), function(module, c"pair"), function(module, c"told"));
    ok!(cuFuncSetAttribute(any, 8, 227 << 10));
    assert_eq!(code!(cuFuncSetAttribute(any, 8, (227 << 10) + 1)), CUresult::INVALID_VALUE);
    let mut out = 0;
    ok!(cuMemAlloc_v2(&mut out, 64));
    // Each block stores its rank.
    for cluster in [1, 2, 4, 8] {
        assert_eq!(launch(any, 16, Some(cluster), &mut out), CUresult::SUCCESS);
        let mut ranks = [u32::MAX; 16];
        ok!(cuMemcpyDtoH_v2(ranks.as_mut_ptr() as u64, out, 64));
        assert_eq!(ranks, std::array::from_fn(|block| block as u32 % cluster), "clusters of {cluster}");
    }
    const WRONG: CUresult = CUresult::INVALID_CLUSTER_SIZE;
    assert_eq!(launch(any, 15, Some(2), &mut out), WRONG, "it does not divide the grid");
    assert_eq!(launch(any, 16, Some(16), &mut out), WRONG, "more than eight were not asked for");
    ok!(cuFuncSetAttribute(any, 14, 1));
    assert_eq!(launch(any, 16, Some(16), &mut out), CUresult::SUCCESS);
    assert_eq!(launch(any, 64, Some(32), &mut out), WRONG, "more than there are");
    assert_eq!(launch(pair, 2, None, &mut out), CUresult::SUCCESS);
    assert_eq!(launch(pair, 4, Some(4), &mut out), WRONG, "another than the kernel has");
    assert_eq!(launch(told, 2, None, &mut out), WRONG, "none was named");
    assert_eq!(launch(told, 2, Some(2), &mut out), CUresult::SUCCESS);
    let mut width = 0;
    ok!(cuFuncGetAttribute(&mut width, 11, pair));
    assert_eq!(width, 2);
    ok!(cuCtxSynchronize());
}

#[test]
fn another_capability_is_refused_by_name() {
    let _own = Instance::new(Settings::default().with(SETTING, "9.5")).enter();
    assert_eq!(code!(cuInit(0)), CUresult::INVALID_VALUE);
    let reason = last_reason().expect("a reason").text;
    assert!(reason.contains("GRAPHPROOF_COMPUTE_CAPABILITY=9.5") && reason.contains("8.0 or 9.0"), "{reason}");
}
