// The functions of the two libraries, without what their names begin with.
pub(crate) const NVRTC: &str = "AddNameExpression CompileProgram CreateProgram DestroyProgram GetCUBIN GetCUBINSize GetErrorString \
    GetLTOIR GetLTOIRSize GetLoweredName GetNVVM GetNVVMSize GetNumSupportedArchs GetOptiXIR GetOptiXIRSize \
    GetPCHCreateStatus GetPCHHeapSize GetPCHHeapSizeRequired GetPTX GetPTXSize GetProgramLog GetProgramLogSize \
    GetSupportedArchs SetFlowCallback SetPCHHeapSize Version";
pub(crate) const NVJITLINK: &str = "AddData AddFile Complete Create Destroy GetErrorLog GetErrorLogSize GetInfoLog GetInfoLogSize \
    GetLinkedCubin GetLinkedCubinSize GetLinkedLTOIR GetLinkedLTOIRSize GetLinkedPtx GetLinkedPtxSize";
/// The forms that nvJitLink.h's inline functions call: one for each release.
pub(crate) const RELEASES: [(u32, u32); 2] = [(12, 9), (13, 5)];
