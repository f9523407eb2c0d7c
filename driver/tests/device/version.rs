//! A driver that answers as an older version.

use std::ffi::c_int;
use std::ptr::null_mut;

use crate::abi_support::{INVALID, primary_of};
use graphproof_driver::abi::types::*;
use graphproof_driver::abi::*;
use graphproof_driver::record::last_reason;
use graphproof_driver::software::{Instance, Settings};

const SETTING: &str = "GRAPHPROOF_AS";

#[test]
fn an_older_version_has_its_number_its_functions_and_its_isa() {
    let (_own, context) = primary_of(Settings::default().with(SETTING, "12.2"));
    let mut version: c_int = 0;
    ok!(cuDriverGetVersion(&mut version));
    assert_eq!(version, 12020);
    let mut api = 0;
    ok!(cuCtxGetApiVersion(context, &mut api));
    assert_eq!(api, 12020);
    // A function of 12.3, and one of 12.2.
    let mut graph = CUgraph::NULL;
    ok!(cuGraphCreate(&mut graph, 0));
    let mut count = 0;
    let edges = code!(cuGraphGetEdges_v2(graph, null_mut(), null_mut(), null_mut(), &mut count));
    assert_eq!(edges, CUresult::CALL_REQUIRES_NEWER_DRIVER);
    let reason = last_reason().expect("a reason").text;
    assert!(reason.contains("CUDA 12.3") && reason.contains("as 12.2"), "{reason}");
    ok!(cuGraphGetEdges(graph, null_mut(), null_mut(), &mut count));
    let (mut address, mut status) = (null_mut(), 9);
    ok!(cuGetProcAddress_v2(c"cuGraphConditionalHandleCreate".as_ptr(), &mut address, 12020, 0, &mut status));
    assert!(address.is_null() && status == 2, "the version is not sufficient: {status}");
    assert_eq!(code!(cuGetProcAddress_v2(c"cuInit".as_ptr(), &mut address, 12030, 0, &mut status)), INVALID);
    let mut module = CUmodule::NULL;
    let text = c".version 8.3\n.target sm_80\n.address_size 64\n";
    let load = code!(cuModuleLoadData(&mut module, text.as_ptr().cast()));
    assert_eq!(load, CUresult::UNSUPPORTED_PTX_VERSION);
    ok!(cuModuleLoadData(&mut module, c".version 8.2\n.target sm_80\n.address_size 64\n".as_ptr().cast()));
}

#[test]
fn a_newer_minor_isa_is_taken_as_far_as_its_words_are_known() {
    let (_own, _) = primary_of(Settings::default());
    let mut module = CUmodule::NULL;
    let text = c".version 9.99\n.target sm_80\n.address_size 64\n.visible .entry k() { ret; }";
    ok!(cuModuleLoadData(&mut module, text.as_ptr().cast()));
    let text = c".version 9.99\n.target sm_80\n.address_size 64\n.visible .entry k() { tomorrow.u32 ; }";
    let load = code!(cuModuleLoadData(&mut module, text.as_ptr().cast()));
    assert_eq!(load, CUresult::UNSUPPORTED_PTX_VERSION);
    let reason = last_reason().expect("a reason").text;
    assert!(reason.contains("PTX ISA 9.99"), "{reason}");
}

#[test]
fn a_version_that_never_was_is_refused_by_name() {
    let _own = Instance::new(Settings::default().with(SETTING, "12.42")).enter();
    assert_eq!(code!(cuInit(0)), INVALID);
    let reason = last_reason().expect("a reason").text;
    assert!(reason.contains("GRAPHPROOF_AS=12.42") && reason.contains("11.0 to 13.3"), "{reason}");
}
