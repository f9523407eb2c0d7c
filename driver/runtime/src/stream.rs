//! Streams and events, where the arguments are not the driver's.

use crate::door::entry_points;
use crate::driver;

entry_points! {
    fn cudaStreamCreate(pStream: *mut usize) {
        unsafe { driver::cuStreamCreate(pStream.cast(), 0) }
    }

    fn cudaEventCreate(event: *mut usize) {
        unsafe { driver::cuEventCreate(event.cast(), 0) }
    }
}
