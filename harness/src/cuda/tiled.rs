//! Tensor maps that a step gives a kernel: how a buffer looks to the copy engine of an sm_90.

use cudarc::driver::sys::{
    CUtensorMap, CUtensorMapDataType, CUtensorMapFloatOOBfill, CUtensorMapInterleave, CUtensorMapL2promotion,
    CUtensorMapSwizzle,
};

use super::{CudaError, cu};
use crate::dtype::DType;

/// A tensor in memory and the boxes in which it is copied, the innermost dimension first: `cuTensorMapEncodeTiled` with
/// dense rows and zeros beyond the extents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tiled {
    element: DType,
    extents: Vec<u64>,
    window: Vec<u32>,
    swizzle: CUtensorMapSwizzle,
}

impl Tiled {
    /// A dense tensor of `extents` elements, copied in boxes of `window` elements.
    pub fn new(element: DType, extents: impl Into<Vec<u64>>, window: impl Into<Vec<u32>>) -> Self {
        let swizzle = CUtensorMapSwizzle::CU_TENSOR_MAP_SWIZZLE_NONE;
        Tiled { element, extents: extents.into(), window: window.into(), swizzle }
    }

    /// With the boxes' pieces of 16 bytes exchanged within 1,024 bytes, as `wgmma` takes rows of 128 bytes.
    pub fn swizzled_by_128(mut self) -> Self {
        self.swizzle = CUtensorMapSwizzle::CU_TENSOR_MAP_SWIZZLE_128B;
        self
    }

    /// Bytes that the tensor has; none if they do not fit 64 bits.
    pub fn bytes(&self) -> Option<u64> {
        self.extents.iter().try_fold(self.element.size() as u64, |bytes, &extent| bytes.checked_mul(extent))
    }

    /// The map for a tensor at `address`, as the bytes of a parameter.
    ///
    /// # Errors
    /// The driver's, for a map that no device takes.
    pub(crate) fn encode(&self, address: u64) -> Result<Vec<u8>, CudaError> {
        let Tiled { element, extents, window, swizzle } = self;
        let mut strides = Vec::new();
        let mut stride = element.size() as u64;
        for extent in extents {
            stride = stride.saturating_mul(*extent);
            strides.push(stride);
        }
        let steps = vec![1u32; extents.len()];
        let mut map = CUtensorMap { opaque: [0; 16] };
        cu!(cuTensorMapEncodeTiled(
            &mut map,
            data_type(*element),
            extents.len().min(window.len()) as u32,
            address as *mut _,
            extents.as_ptr(),
            strides.as_ptr(),
            window.as_ptr(),
            steps.as_ptr(),
            CUtensorMapInterleave::CU_TENSOR_MAP_INTERLEAVE_NONE,
            *swizzle,
            CUtensorMapL2promotion::CU_TENSOR_MAP_L2_PROMOTION_L2_128B,
            CUtensorMapFloatOOBfill::CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE,
        ))?;
        Ok(map.opaque.iter().flat_map(|word| word.to_ne_bytes()).collect())
    }
}

/// What copies take an element for: they care for its size alone.
fn data_type(element: DType) -> CUtensorMapDataType {
    match element {
        DType::F16 => CUtensorMapDataType::CU_TENSOR_MAP_DATA_TYPE_FLOAT16,
        DType::Bf16 => CUtensorMapDataType::CU_TENSOR_MAP_DATA_TYPE_BFLOAT16,
        DType::F32 => CUtensorMapDataType::CU_TENSOR_MAP_DATA_TYPE_FLOAT32,
        DType::F64 => CUtensorMapDataType::CU_TENSOR_MAP_DATA_TYPE_FLOAT64,
        DType::I32 => CUtensorMapDataType::CU_TENSOR_MAP_DATA_TYPE_INT32,
        DType::I64 => CUtensorMapDataType::CU_TENSOR_MAP_DATA_TYPE_INT64,
        DType::U32 => CUtensorMapDataType::CU_TENSOR_MAP_DATA_TYPE_UINT32,
        DType::U64 => CUtensorMapDataType::CU_TENSOR_MAP_DATA_TYPE_UINT64,
        DType::I16 | DType::U16 => CUtensorMapDataType::CU_TENSOR_MAP_DATA_TYPE_UINT16,
        DType::E4m3 | DType::E5m2 | DType::I8 | DType::U8 | DType::Bool | DType::Bytes => {
            CUtensorMapDataType::CU_TENSOR_MAP_DATA_TYPE_UINT8
        }
    }
}
