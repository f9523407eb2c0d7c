//! Tensor maps.

use cudarc::driver::sys::{
    self, CUtensorMap, CUtensorMapDataType, CUtensorMapFloatOOBfill, CUtensorMapInterleave, CUtensorMapL2promotion,
    CUtensorMapSwizzle,
};
use graphproof_harness::error::StepResult;

use super::must;

/// `cuTensorMapEncodeTiled` for dense fp32 rows of `width` elements at `address`, in boxes of `box_rows` whole rows: the
/// bytes that a kernel is given.
pub fn tensor_map(address: u64, [width, rows]: [u64; 2], box_rows: u32) -> StepResult<Vec<u8>> {
    let mut map = CUtensorMap { opaque: [0; 16] };
    let result = call!(cuTensorMapEncodeTiled(
        &mut map,
        CUtensorMapDataType::CU_TENSOR_MAP_DATA_TYPE_FLOAT32,
        2,
        address as *mut _,
        [width, rows].as_ptr(),
        [width * 4].as_ptr(),
        [width as u32, box_rows].as_ptr(),
        [1, 1].as_ptr(),
        CUtensorMapInterleave::CU_TENSOR_MAP_INTERLEAVE_NONE,
        CUtensorMapSwizzle::CU_TENSOR_MAP_SWIZZLE_NONE,
        CUtensorMapL2promotion::CU_TENSOR_MAP_L2_PROMOTION_NONE,
        CUtensorMapFloatOOBfill::CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE,
    ));
    must("cuTensorMapEncodeTiled", result)?;
    Ok(map.opaque.iter().flat_map(|word| word.to_ne_bytes()).collect())
}
