//! The CUDA runtime API's names for driver errors, from `cuda-runtime-sys`.
//!
//! People search for `cudaErrorStreamCaptureUnsupported` as often as for
//! `CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED`; messages give both. The crate binds CUDA 10.2, so
//! only its vocabulary is used, and of its functions only the types of the three whose ABI never
//! changed (`crate::probe`). Its enum is never made from a number: an unknown value would be
//! undefined behaviour.

use cuda_runtime_sys::cudaError::{self, *};

/// Runtime errors whose numbers the driver API shares (CUDA 10.1 unified the two).
const SHARED: &[cudaError] = &[
    cudaSuccess,
    cudaErrorInvalidValue,
    cudaErrorMemoryAllocation,
    cudaErrorInitializationError,
    cudaErrorCudartUnloading,
    cudaErrorProfilerDisabled,
    cudaErrorProfilerNotInitialized,
    cudaErrorProfilerAlreadyStarted,
    cudaErrorProfilerAlreadyStopped,
    cudaErrorDevicesUnavailable,
    cudaErrorNoDevice,
    cudaErrorInvalidDevice,
    cudaErrorInvalidKernelImage,
    cudaErrorDeviceUninitialized,
    cudaErrorMapBufferObjectFailed,
    cudaErrorUnmapBufferObjectFailed,
    cudaErrorArrayIsMapped,
    cudaErrorAlreadyMapped,
    cudaErrorNoKernelImageForDevice,
    cudaErrorAlreadyAcquired,
    cudaErrorNotMapped,
    cudaErrorNotMappedAsArray,
    cudaErrorNotMappedAsPointer,
    cudaErrorECCUncorrectable,
    cudaErrorUnsupportedLimit,
    cudaErrorDeviceAlreadyInUse,
    cudaErrorPeerAccessUnsupported,
    cudaErrorInvalidPtx,
    cudaErrorInvalidGraphicsContext,
    cudaErrorNvlinkUncorrectable,
    cudaErrorJitCompilerNotFound,
    cudaErrorInvalidSource,
    cudaErrorFileNotFound,
    cudaErrorSharedObjectSymbolNotFound,
    cudaErrorSharedObjectInitFailed,
    cudaErrorOperatingSystem,
    cudaErrorInvalidResourceHandle,
    cudaErrorIllegalState,
    cudaErrorSymbolNotFound,
    cudaErrorNotReady,
    cudaErrorIllegalAddress,
    cudaErrorLaunchOutOfResources,
    cudaErrorLaunchTimeout,
    cudaErrorLaunchIncompatibleTexturing,
    cudaErrorPeerAccessAlreadyEnabled,
    cudaErrorPeerAccessNotEnabled,
    cudaErrorSetOnActiveProcess,
    cudaErrorContextIsDestroyed,
    cudaErrorAssert,
    cudaErrorTooManyPeers,
    cudaErrorHostMemoryAlreadyRegistered,
    cudaErrorHostMemoryNotRegistered,
    cudaErrorHardwareStackError,
    cudaErrorIllegalInstruction,
    cudaErrorMisalignedAddress,
    cudaErrorInvalidAddressSpace,
    cudaErrorInvalidPc,
    cudaErrorLaunchFailure,
    cudaErrorCooperativeLaunchTooLarge,
    cudaErrorNotPermitted,
    cudaErrorNotSupported,
    cudaErrorSystemNotReady,
    cudaErrorSystemDriverMismatch,
    cudaErrorCompatNotSupportedOnDevice,
    cudaErrorStreamCaptureUnsupported,
    cudaErrorStreamCaptureInvalidated,
    cudaErrorStreamCaptureMerge,
    cudaErrorStreamCaptureUnmatched,
    cudaErrorStreamCaptureUnjoined,
    cudaErrorStreamCaptureIsolation,
    cudaErrorStreamCaptureImplicit,
    cudaErrorCapturedEvent,
    cudaErrorStreamCaptureWrongThread,
    cudaErrorTimeout,
    cudaErrorGraphExecUpdateFailure,
    cudaErrorUnknown,
];

/// The runtime API's name of a `CUresult`, if the two APIs share it.
pub fn runtime_name(code: u32) -> Option<String> {
    SHARED.iter().find(|error| **error as u32 == code).map(|error| format!("{error:?}"))
}

#[cfg(test)]
mod tests {
    use cudarc::driver::sys::CUresult;

    use super::runtime_name;

    #[test]
    fn capture_errors_have_the_same_number_in_both_apis() {
        let pairs = [
            (CUresult::CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, "cudaErrorStreamCaptureUnsupported"),
            (CUresult::CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, "cudaErrorStreamCaptureInvalidated"),
            (CUresult::CUDA_ERROR_STREAM_CAPTURE_MERGE, "cudaErrorStreamCaptureMerge"),
            (CUresult::CUDA_ERROR_STREAM_CAPTURE_UNMATCHED, "cudaErrorStreamCaptureUnmatched"),
            (CUresult::CUDA_ERROR_STREAM_CAPTURE_UNJOINED, "cudaErrorStreamCaptureUnjoined"),
            (CUresult::CUDA_ERROR_STREAM_CAPTURE_ISOLATION, "cudaErrorStreamCaptureIsolation"),
            (CUresult::CUDA_ERROR_STREAM_CAPTURE_IMPLICIT, "cudaErrorStreamCaptureImplicit"),
            (CUresult::CUDA_ERROR_CAPTURED_EVENT, "cudaErrorCapturedEvent"),
            (CUresult::CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD, "cudaErrorStreamCaptureWrongThread"),
            (CUresult::CUDA_ERROR_ILLEGAL_ADDRESS, "cudaErrorIllegalAddress"),
        ];
        for (driver, runtime) in pairs {
            assert_eq!(runtime_name(driver as u32).as_deref(), Some(runtime));
        }
    }

    #[test]
    fn a_code_the_runtime_does_not_know_has_no_name() {
        assert_eq!(runtime_name(918), None);
    }
}
