//! `cuLink*`: one module of several texts, loaded and run.
use std::ffi::{CStr, c_uint, c_void};
use std::ptr::{null, null_mut};

use crate::abi_support::{Device, function};
use graphproof_driver::abi::types::*;
use graphproof_driver::abi::*;

const CALLER: &CStr = c".version 7.0\n.target sm_70\n.address_size 64\n\
    .extern .func (.param .b32 r) plus(.param .b32 x);\n\
    .global .align 4 .u32 own = 100;\n\
    .visible .entry k(.param .u64 p) {\n .reg .b64 %a; .reg .b32 %v, %w;\n ld.param.u64 %a, [p];\n\
    ld.global.u32 %w, [own];\n\
    { .param .b32 x; .param .b32 r; st.param.b32 [x], 5; call (r), plus, (x); ld.param.b32 %v, [r]; }\n\
    add.u32 %v, %v, %w;\n st.global.u32 [%a], %v;\n ret;\n}\n";
const CALLED: &CStr = c".version 7.4\n.target sm_80\n.address_size 64\n.global .align 4 .u32 own = 1000;\n\
    .visible .func (.param .b32 r) plus(.param .b32 x) {\n .reg .b32 %v, %w;\n ld.param.b32 %v, [x];\n\
    ld.global.u32 %w, [own];\n add.u32 %v, %v, %w;\n st.param.b32 [r], %v;\n ret;\n}\n";

const PTX: c_uint = 1;

fn add(state: *mut c_void, bytes: &[u8]) -> CUresult {
    code!(cuLinkAddData_v2(state, PTX, bytes.as_ptr().cast(), bytes.len(), c"it".as_ptr(), 0, null(), null_mut()))
}

#[test]
fn calls_and_variables_find_their_definitions() {
    let device = Device::new();
    for texts in [[CALLER, CALLED], [CALLED, CALLER]] {
        let mut state = null_mut();
        ok!(cuLinkCreate_v2(0, null(), null_mut(), &mut state));
        for text in texts {
            assert_eq!(add(state, text.to_bytes_with_nul()), CUresult::SUCCESS);
        }
        let (mut image, mut size, mut module) = (null_mut(), 0, CUmodule::NULL);
        ok!(cuLinkComplete(state, &mut image, &mut size));
        assert!(size > 0);
        ok!(cuModuleLoadData(&mut module, image));
        ok!(cuLinkDestroy(state));
        let k = function(module, c"k");
        let mut buffer = device.buffer;
        let parameters = &mut [(&raw mut buffer).cast::<c_void>()];
        ok!(cuLaunchKernel(k, 1, 1, 1, 1, 1, 1, 0, device.stream, parameters.as_mut_ptr(), null_mut()));
        ok!(cuStreamSynchronize(device.stream));
        assert_eq!(device.words()[0], 5 + 1000 + 100);
        ok!(cuModuleUnload(module));
    }
}

#[test]
fn what_cannot_be_linked_is_told_in_the_log() {
    let _device = Device::new();
    let mut log = [1u8; 256];
    let options = [5u32, 6];
    let mut values = [log.as_mut_ptr().cast::<c_void>(), std::ptr::without_provenance_mut(log.len())];
    let mut state = null_mut();
    ok!(cuLinkCreate_v2(2, options.as_ptr(), values.as_mut_ptr(), &mut state));
    assert_eq!(add(state, b"\xed\x43\x4e\x7f LTO-IR"), CUresult::NO_BINARY_FOR_GPU);
    let text = CStr::from_bytes_until_nul(&log).expect("terminated").to_str().expect("UTF-8");
    assert!(text.contains("it: no PTX"), "{text}");
    let (mut image, mut size) = (null_mut(), 0);
    assert_eq!(code!(cuLinkComplete(state, &mut image, &mut size)), CUresult::NO_BINARY_FOR_GPU);
    assert_eq!(add(state, CALLED.to_bytes_with_nul()), CUresult::SUCCESS);
    assert_eq!(add(state, CALLED.to_bytes_with_nul()), CUresult::SUCCESS);
    assert_eq!(code!(cuLinkComplete(state, &mut image, &mut size)), CUresult::INVALID_PTX);
    ok!(cuLinkDestroy(state));
    assert_eq!(code!(cuLinkDestroy(state)), CUresult::INVALID_HANDLE);
    assert_eq!(add(state, b"x"), CUresult::INVALID_HANDLE);
    let missing = c"/nonexistent/file.ptx".as_ptr();
    ok!(cuLinkCreate_v2(0, null(), null_mut(), &mut state));
    assert_eq!(code!(cuLinkAddFile_v2(state, PTX, missing, 0, null(), null_mut())), CUresult::FILE_NOT_FOUND);
    ok!(cuLinkDestroy(state));
}
