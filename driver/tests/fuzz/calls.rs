//! Every export with a model, and how the fuzzer makes its arguments: from the table of the driver API,
//! by role, C type and name.

use std::sync::LazyLock;

use graphproof_api::{Argument, Function, Role};
use graphproof_driver::abi::{CUresult, SYMBOLS};

use super::generator::Generator;
use super::handles::kind;

/// Makes one argument, as the word that the C ABI passes.
type Make = fn(&mut Generator) -> u64;

/// An export: its name, its address, and how its arguments are made.
pub struct Call {
    /// The exported name, per-thread forms and old names among them.
    pub name: &'static str,
    function: unsafe extern "C" fn(),
    arguments: Vec<Make>,
}

/// All of them.
pub static CALLS: LazyLock<Vec<Call>> = LazyLock::new(|| {
    // `cuLink*` keep the caller's log buffers until the state is destroyed, and read as many bytes as they are
    // told: the fuzzer's memory lives for one call. tests/device/link.rs and tests/process/image_fuzz.rs are about them.
    // Exports give the caller a descriptor to close; handles of other processes are no integer words.
    let left_out = |name: &str| {
        name.starts_with("cuLink") || name.starts_with("cuIpcOpen") || name.ends_with("ExportToShareableHandle")
    };
    let modelled = SYMBOLS.iter().filter(|symbol| symbol.modelled && !left_out(symbol.name));
    let call = |symbol: &'static graphproof_driver::abi::Symbol| {
        let function = graphproof_api::find(symbol.name).expect("exports stand in the table");
        let arguments = function.arguments.as_deref().expect("a modelled function is declared");
        let arguments = arguments.iter().map(|argument| make(function, argument)).collect();
        Call { name: symbol.name, function: symbol.function, arguments }
    };
    modelled.map(call).collect()
});

impl Call {
    /// Calls it with new arguments.
    pub fn call(&self, generator: &mut Generator) -> CUresult {
        let mut words = [0u64; 16];
        for (word, make) in words.iter_mut().zip(&self.arguments) {
            *word = make(generator);
        }
        // Every argument is one integer word (the table's tests would show a float or a larger
        // structure), and the C ABI leaves words beyond those that a function has alone.
        type Any = unsafe extern "C" fn(
            u64,
            u64,
            u64,
            u64,
            u64,
            u64,
            u64,
            u64,
            u64,
            u64,
            u64,
            u64,
            u64,
            u64,
            u64,
            u64,
        ) -> CUresult;
        assert!(self.arguments.len() <= words.len(), "{}", self.name);
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = words;
        // SAFETY: as said above; the generator makes pointers that are null or good for what the call
        // may do.
        unsafe {
            std::mem::transmute::<unsafe extern "C" fn(), Any>(self.function)(
                a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p,
            )
        }
    }
}

fn make(function: &Function, argument: &Argument) -> Make {
    let c_type = argument.c_type.trim_start_matches("const ").trim_end_matches(['*', ' ']);
    match argument.role {
        Role::Stream => |g| g.handle(kind::STREAM),
        Role::Handle => handle(c_type, function.name),
        Role::Device => |g| g.device() as u64,
        Role::Address => |g| g.address(),
        Role::Size => size(function.name, argument.name),
        Role::Flags => |g| g.number(),
        Role::Value => value(c_type, argument.name),
        Role::Call => callback(c_type, function.name),
        Role::Data => |g| g.out() as u64,
        Role::Host => host(function.name, argument.name),
        Role::In => input(function.name, c_type, argument.name),
        Role::Out | Role::InOut => output(function.name, argument),
    }
}

fn handle(c_type: &str, function: &str) -> Make {
    match c_type {
        "CUcontext" => |g| g.handle(kind::CONTEXT),
        "CUevent" => |g| g.handle(kind::EVENT),
        "CUmodule" => |g| g.handle(kind::MODULE),
        "CUfunction" => |g| g.handle(kind::FUNCTION),
        "CUlibrary" => |g| g.handle(kind::LIBRARY),
        "CUkernel" => |g| g.handle(kind::KERNEL),
        "CUmemoryPool" => |g| g.handle(kind::MEMORYPOOL),
        "CUgreenCtx" => |g| g.handle(kind::GREENCONTEXT),
        "CUarray" => |g| g.handle(kind::ARRAY),
        "CUtexref" | "CUsurfref" => |g| g.address(),
        "CUtexObject" => |g| g.handle(kind::TEXTURE),
        "CUsurfObject" => |g| g.handle(kind::SURFACE),
        "CUgraph" => |g| g.handle(kind::GRAPH),
        "CUgraphNode" => |g| g.handle(kind::GRAPHNODE),
        "CUgraphExec" => |g| g.handle(kind::GRAPHEXEC),
        "CUuserObject" => |g| g.handle(kind::USEROBJECT),
        "CUgraphConditionalHandle" => |g| g.handle(kind::CONDITIONAL),
        "CUdevResourceDesc" => |g| g.description(),
        // Kinds that the fuzzer has none of yet: any number.
        "CUmemGenericAllocationHandle" | "CUlinkState" | "CUmipmappedArray" => |g| g.number(),
        _ => panic!("{function}: say in fuzz/calls.rs how a `{c_type}` is made"),
    }
}

fn size(function: &str, name: &str) -> Make {
    match (function, name) {
        ("cuMemHostRegister_v2" | "cuMemHostRegister", _) => |g| g.count() as u64 * 512,
        (_, "bytesize") => |g| g.allocation() as u64,
        ("cuGraphInstantiate_v2" | "cuGraphInstantiate", _) => |g| g.count() as u64,
        (_, "ByteCount" | "N" | "Width" | "Height" | "WidthInBytes" | "dstPitch") => |g| g.bytes() as u64,
        (_, "sharedMemBytes" | "dynamicSMemSize" | "dynamicSmemSize" | "blockSizeLimit") => |g| g.number(),
        _ => |g| g.count() as u64,
    }
}

fn value(c_type: &str, name: &str) -> Make {
    match c_type {
        _ if name.starts_with("gridDim") || name.starts_with("blockDim") => |g| u64::from(g.extent()),
        "CUmemLocation" => |g| u64::from(g.number() as u32) | (g.device() as u64) << 32,
        _ if name == "minCount" => |g| g.below(3) as u64,
        _ => |g| g.number(),
    }
}

fn callback(c_type: &str, function: &str) -> Make {
    match c_type {
        "CUhostFn" => |g| g.host_function().map_or(0, |f| f as usize as u64),
        "CUstreamCallback" => |g| g.callback().map_or(0, |f| f as usize as u64),
        "CUoccupancyB2DSize" => |g| g.block_to_shared().map_or(0, |f| f as usize as u64),
        "CUgraphRecaptureCallback" => |g| g.recapture().map_or(0, |f| f as usize as u64),
        _ => panic!("{function}: say in fuzz/calls.rs how a `{c_type}` is made"),
    }
}

fn host(function: &str, name: &str) -> Make {
    match (function, name) {
        ("cuMemHostRegister_v2" | "cuMemHostRegister", _) | (_, "dstHost" | "srcHost") => |g| g.host_memory() as u64,
        _ => |g| g.pinned() as u64,
    }
}

/// Types that any words will do for: no pointer in them is followed.
const PLAIN: &[&str] = &[
    "CUDA_RESOURCE_VIEW_DESC",
    "CUatomicOperation",
    "CUdeviceptr",
    "CUexecAffinityParam",
    "CUgraphEdgeData",
    "CUjit_option",
    "CUkernelNodeAttrValue",
    "CUlibraryOption",
    "CUmemAccessDesc",
    "CUmemAllocationProp",
    "CUmemLocation",
    "CUmemPoolProps",
    "CUmemPoolPtrExportData",
    "CUmem_range_attribute",
    "CUmemcpyAttributes",
    "CUmulticastObjectProp",
    "CUpointer_attribute",
    "CUstreamAttrValue",
    "CUuuid",
    "cuuint32_t",
    "cuuint64_t",
    "float",
    "int",
    "size_t",
    "void",
];

fn input(function: &str, c_type: &str, name: &str) -> Make {
    match c_type {
        "CUgraphNode" => |g| g.handles(kind::GRAPHNODE) as u64,
        // What a copy reads and writes must be the fuzzer's own memory.
        _ if matches!(name, "dsts" | "srcs") => |g| g.list(Generator::address) as u64,
        _ if name == "sizes" => |g| g.list(|g| g.bytes() as u64) as u64,
        "CUDA_KERNEL_NODE_PARAMS" | "CUDA_KERNEL_NODE_PARAMS_v1" => |g| g.kernel_params() as u64,
        "CUDA_HOST_NODE_PARAMS" => |g| g.host_params() as u64,
        "CUDA_MEMSET_NODE_PARAMS" => |g| g.fill_params() as u64,
        "CUDA_MEM_ALLOC_NODE_PARAMS" => |g| g.alloc_params() as u64,
        "CUDA_BATCH_MEM_OP_NODE_PARAMS" => |g| g.batch_params() as u64,
        "CUDA_MEMCPY3D" | "CUDA_MEMCPY3D_PEER" => |g| g.copy3d() as u64,
        "CUDA_MEMCPY2D" => |g| g.copy2d() as u64,
        "CUDA_MEMCPY3D_BATCH_OP" => |g| g.batch_of_copies() as u64,
        "CUgraphNodeParams" => |g| g.node_params() as u64,
        "CUlaunchConfig" => |g| g.launch_config() as u64,
        "CUDA_ARRAY3D_DESCRIPTOR" => |g| g.array_shape() as u64,
        "CUDA_RESOURCE_DESC" => |g| g.texture_resource() as u64,
        "CUDA_TEXTURE_DESC" => |g| g.texture_description() as u64,
        "CUDA_ARRAY_DESCRIPTOR" => |g| g.flat_array_shape() as u64,
        "CUstreamBatchMemOpParams" => |g| g.operations() as u64,
        "CUdevResource" => |g| g.resource() as u64,
        "CUctxCreateParams" => |g| g.zeros() as u64,
        "char" if function == "cuGraphDebugDotPrint" => |g| g.path() as u64,
        "char" => |g| g.name() as u64,
        _ => match name {
            "extra" => |g| g.extra() as u64,
            "image" | "code" | "fatCubin" => |g| g.image() as u64,
            "kernelParams" | "optionValues" | "jitOptionsValues" | "libraryOptionValues" => |g| g.pointers() as u64,
            _ if PLAIN.contains(&c_type) => |g| g.words() as u64,
            _ => panic!("{function}: say in fuzz/calls.rs how a `{c_type}` is made: it may hold pointers"),
        },
    }
}

fn output(function: &str, argument: &Argument) -> Make {
    match (argument.c_type, argument.name) {
        // The address of host memory is freed as host memory.
        ("CUdeviceptr *", _) if !function.starts_with("cuMemHostGetDevicePointer") => |g| g.out_address() as u64,
        ("void **", "pp") => |g| g.out_pinned() as u64,
        ("void **", "pfn" | "data") => |g| g.pointers() as u64,
        _ => |g| g.out() as u64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_modelled_export_can_be_called() {
        assert!(CALLS.len() > 400 && CALLS.iter().any(|call| call.name == "cuLaunchKernel_ptsz"));
        for call in CALLS.iter() {
            let function = graphproof_api::find(call.name).expect("exports stand in the table");
            for argument in function.arguments.as_deref().unwrap_or_default() {
                let float = matches!(argument.c_type, "float" | "double");
                // By value; a pointer to one is a word.
                let structure = argument.c_type.starts_with("CUipc") && !argument.c_type.ends_with('*');
                assert!(!float && !structure, "{}: `{}` is no integer word", call.name, argument.c_type);
            }
        }
    }
}
