//! Handles that are null or destroyed answer an error, and the note says which argument it was.

use crate::abi_support::{INVALID, primary};
use graphproof_driver::abi::types::*;
use graphproof_driver::abi::*;
use graphproof_driver::record::last_reason;

fn reason() -> String {
    last_reason().expect("a failed call").text
}

#[test]
fn a_null_or_destroyed_handle_is_named() {
    let _own = primary();
    let (mut event, mut graph, mut stream) = (CUevent::NULL, CUgraph::NULL, CUstream::NULL);
    ok!(cuEventCreate(&mut event, 0));
    ok!(cuEventDestroy_v2(event));
    assert_eq!(code!(cuEventQuery(event)), CUresult::INVALID_HANDLE);
    assert!(reason().contains("`hEvent` is a CUevent that is destroyed"), "{}", reason());
    assert_eq!(code!(cuEventQuery(CUevent::NULL)), CUresult::INVALID_HANDLE);
    assert!(reason().contains("`hEvent` is a CUevent that is null"), "{}", reason());
    ok!(cuGraphCreate(&mut graph, 0));
    ok!(cuGraphDestroy(graph));
    assert_eq!(code!(cuGraphDestroy(graph)), INVALID);
    assert!(reason().contains("`hGraph` is a CUgraph that is destroyed"), "{}", reason());
    ok!(cuStreamCreate(&mut stream, 0));
    ok!(cuStreamDestroy_v2(stream));
    assert_ne!(code!(cuStreamSynchronize(stream)), CUresult::SUCCESS);
    assert!(reason().contains("`hStream` is a CUstream that is destroyed"), "{}", reason());
    // A number that never was a handle, and an error about something else, are not called destroyed.
    assert_eq!(code!(cuEventQuery(CUevent(0x1234))), CUresult::INVALID_HANDLE);
    assert_eq!(reason(), "");
    assert_eq!(code!(cuStreamCreate(&mut stream, 99)), INVALID);
    assert_eq!(reason(), "");
}
