//! Makes the structures that calls read, field by field.

use std::ptr::null_mut;

use graphproof_driver::abi::graph_types::*;
use graphproof_driver::abi::types::*;
use graphproof_driver::abi::{
    CUDA_ARRAY_DESCRIPTOR, CUDA_ARRAY3D_DESCRIPTOR, CUDA_RESOURCE_DESC, CUDA_TEXTURE_DESC, cuDevResourceGenerateDesc,
    cuDeviceGetDevResource,
};

use super::generator::Generator;
use super::handles::kind;

impl Generator {
    fn kernel(&mut self) -> CUDA_KERNEL_NODE_PARAMS {
        let launch = CUDA_KERNEL_NODE_PARAMS_v1 {
            func: CUfunction(self.handle(kind::FUNCTION)),
            gridDimX: self.extent(),
            gridDimY: self.extent(),
            gridDimZ: self.extent(),
            blockDimX: self.extent(),
            blockDimY: self.extent(),
            blockDimZ: self.extent(),
            sharedMemBytes: self.bytes() as u32,
            kernelParams: self.pointers(),
            extra: self.extra(),
        };
        let (kern, ctx) = (CUkernel(self.handle(kind::KERNEL)), CUcontext(self.handle(kind::CONTEXT)));
        let kern = if self.below(2) == 0 { CUkernel::NULL } else { kern };
        let ctx = if self.below(2) == 0 { CUcontext::NULL } else { ctx };
        CUDA_KERNEL_NODE_PARAMS { launch, kern, ctx }
    }

    /// `CUDA_KERNEL_NODE_PARAMS`, all versions.
    pub fn kernel_params(&mut self) -> *mut u64 {
        let value = self.kernel();
        self.put(value)
    }

    fn host_node(&mut self) -> CUDA_HOST_NODE_PARAMS {
        CUDA_HOST_NODE_PARAMS { function: self.host_function(), userData: self.host_memory().cast() }
    }

    /// `CUDA_HOST_NODE_PARAMS`.
    pub fn host_params(&mut self) -> *mut u64 {
        let value = self.host_node();
        self.put(value)
    }

    /// `CUDA_MEMSET_NODE_PARAMS`.
    pub fn fill_params(&mut self) -> *mut u64 {
        let value = self.fill();
        self.put(value)
    }

    fn fill(&mut self) -> CUDA_MEMSET_NODE_PARAMS {
        CUDA_MEMSET_NODE_PARAMS {
            dst: self.address(),
            pitch: self.bytes(),
            value: self.number() as u32,
            elementSize: self.pick(&[1, 2, 4, 4, 3, 0]),
            width: self.bytes(),
            height: self.count(),
        }
    }

    fn batch(&mut self) -> CUDA_BATCH_MEM_OP_NODE_PARAMS {
        CUDA_BATCH_MEM_OP_NODE_PARAMS {
            ctx: CUcontext(self.handle(kind::CONTEXT)),
            count: self.count() as u32,
            paramArray: self.operations(),
            flags: self.below(2) as u32,
        }
    }

    /// Memory operations: writes, and waits that are met by any value most of the time.
    pub fn operations(&mut self) -> *mut CUstreamBatchMemOpParams {
        if self.below(12) == 0 {
            return null_mut();
        }
        let slot = self.slot();
        for operation in 0..4 {
            let never = self.below(64) == 0;
            let op =
                [self.pick(&[2, 5, 2, 5, 3, 6, 1, 4, 9]), self.address(), u64::from(never), u64::from(never), 0, 0];
            for (at, word) in op.into_iter().enumerate() {
                // SAFETY: within the slot.
                unsafe { slot.add(operation * 6 + at).write(word) };
            }
        }
        slot.cast()
    }

    /// `CUDA_BATCH_MEM_OP_NODE_PARAMS`.
    pub fn batch_params(&mut self) -> *mut u64 {
        let value = self.batch();
        self.put(value)
    }

    fn small(&mut self) -> usize {
        self.pick(&[0, 0, 0, 1, 2, 4, 16])
    }

    fn copy(&mut self) -> CUDA_MEMCPY3D {
        CUDA_MEMCPY3D {
            srcXInBytes: self.small(),
            srcY: self.small(),
            srcZ: self.small(),
            srcLOD: self.below(20) / 19,
            srcMemoryType: self.pick(&[1, 2, 2, 4, 3, 0, 9]),
            srcHost: self.host_memory() as u64,
            srcDevice: self.address(),
            srcArray: CUarray(self.handle(kind::ARRAY)),
            reserved0: 0,
            srcPitch: self.bytes(),
            srcHeight: self.small(),
            dstXInBytes: self.small(),
            dstY: self.small(),
            dstZ: self.small(),
            dstLOD: 0,
            dstMemoryType: self.pick(&[1, 2, 2, 4, 3, 0, 9]),
            dstHost: self.host_memory() as u64,
            dstDevice: self.address(),
            dstArray: CUarray(self.handle(kind::ARRAY)),
            reserved1: 0,
            dstPitch: self.bytes(),
            dstHeight: self.small(),
            WidthInBytes: self.small(),
            Height: self.pick(&[0, 1, 1, 2, 4]),
            Depth: self.pick(&[0, 1, 1, 2, 4]),
        }
    }

    /// `CUDA_MEMCPY3D`.
    pub fn copy3d(&mut self) -> *mut u64 {
        let value = self.copy();
        self.put(value)
    }

    fn operand(&mut self) -> CUmemcpy3DOperand {
        let type_ = self.pick(&[1, 1, 1, 2, 2, 0, 9]);
        let first = if type_ == 2 { self.handle(kind::ARRAY) } else { self.address() };
        CUmemcpy3DOperand { type_, op: [first, self.small() as u64, self.small() as u64, self.small() as u64] }
    }

    /// As many `CUDA_MEMCPY3D_BATCH_OP` as a call may read.
    pub fn batch_of_copies(&mut self) -> *mut u64 {
        let operations: [CUDA_MEMCPY3D_BATCH_OP; 4] = std::array::from_fn(|_| CUDA_MEMCPY3D_BATCH_OP {
            src: self.operand(),
            dst: self.operand(),
            extent: CUextent3D {
                width: self.small(),
                height: self.pick(&[0, 1, 1, 2]),
                depth: self.pick(&[0, 1, 1, 2]),
            },
            srcAccessOrder: self.pick(&[1, 1, 2, 3, 0, 4]),
            flags: 0,
        });
        self.put(operations)
    }

    /// `CUDA_RESOURCE_DESC`.
    pub fn texture_resource(&mut self) -> *mut u64 {
        let class = self.pick(&[0, 0, 2, 2, 3, 1, 9]);
        let first = if class < 2 { self.handle(kind::ARRAY) } else { self.address() };
        let mut res = [0; 16];
        let format = self.pick(&[1u64, 3, 8, 0x10, 0x20, 0x20, 0, 0x91]) | self.pick(&[1u64, 2, 4, 3]) << 32;
        res[..3].copy_from_slice(&[first, format, self.bytes() as u64]);
        if class == 3 {
            res[2..5].copy_from_slice(&[self.bytes() as u64, self.small() as u64, self.pick(&[0, 32, 64, 1000])]);
        }
        let flags = u32::from(self.below(16) == 0);
        self.put(CUDA_RESOURCE_DESC { resType: class, res, flags })
    }

    /// `CUDA_TEXTURE_DESC`.
    pub fn texture_description(&mut self) -> *mut u64 {
        let value = CUDA_TEXTURE_DESC {
            addressMode: std::array::from_fn(|_| self.pick(&[0, 1, 2, 3, 1, 1, 9])),
            filterMode: self.pick(&[0, 0, 1, 1, 2]),
            flags: self.pick(&[0, 1, 2, 3, 0x10, 0x20, 0x80]),
            ..Default::default()
        };
        self.put(value)
    }

    /// `CUDA_MEMCPY2D`.
    pub fn copy2d(&mut self) -> *mut u64 {
        let c = self.copy();
        self.put(CUDA_MEMCPY2D {
            srcXInBytes: c.srcXInBytes,
            srcY: c.srcY,
            srcMemoryType: c.srcMemoryType,
            srcHost: c.srcHost,
            srcDevice: c.srcDevice,
            srcArray: c.srcArray,
            srcPitch: c.srcPitch,
            dstXInBytes: c.dstXInBytes,
            dstY: c.dstY,
            dstMemoryType: c.dstMemoryType,
            dstHost: c.dstHost,
            dstDevice: c.dstDevice,
            dstArray: c.dstArray,
            dstPitch: c.dstPitch,
            WidthInBytes: c.WidthInBytes,
            Height: c.Height,
        })
    }

    /// `CUlaunchConfig`.
    pub fn launch_config(&mut self) -> *mut u64 {
        let value = CUlaunchConfig {
            gridDimX: self.extent(),
            gridDimY: self.extent(),
            gridDimZ: self.extent(),
            blockDimX: self.extent(),
            blockDimY: self.extent(),
            blockDimZ: self.extent(),
            sharedMemBytes: self.bytes() as u32,
            hStream: CUstream(self.handle(kind::STREAM)),
            attrs: self.words().cast(),
            numAttrs: self.count() as u32 / 2,
        };
        self.put(value)
    }

    fn allocate(&mut self) -> CUDA_MEM_ALLOC_NODE_PARAMS {
        let words = self.words();
        CUDA_MEM_ALLOC_NODE_PARAMS {
            poolProps: CUmemPoolProps {
                allocType: self.pick(&[1, 1, 1, 0, 7]),
                handleTypes: self.pick(&[0, 0, 0, 1]),
                location: CUmemLocation { type_: self.pick(&[1, 1, 1, 0, 2]), id: self.device() },
                win32SecurityAttributes: null_mut(),
                maxSize: self.bytes(),
                usage: 0,
                reserved: [0; 54],
            },
            accessDescs: words.cast(),
            accessDescCount: self.count() / 3,
            bytesize: self.allocation(),
            dptr: 0,
        }
    }

    /// `CUDA_MEM_ALLOC_NODE_PARAMS`.
    pub fn alloc_params(&mut self) -> *mut u64 {
        let value = self.allocate();
        self.put(value)
    }

    /// `CUgraphNodeParams` of every type.
    pub fn node_params(&mut self) -> *mut u64 {
        let type_ = self.below(16) as u32;
        let member = match type_ {
            0 => self.kernel_params(),
            1 => {
                let copy = self.copy();
                let ctx = CUcontext(self.handle(kind::CONTEXT));
                self.put(CUDA_MEMCPY_NODE_PARAMS { flags: 0, reserved: 0, copyCtx: ctx, copyParams: copy })
            }
            2 => self.fill_params(),
            3 => self.host_params(),
            4 => self.handles(kind::GRAPH),
            6 | 7 => self.handles(kind::EVENT),
            10 => self.alloc_params(),
            12 => self.batch_params(),
            13 => {
                let value = CUDA_CONDITIONAL_NODE_PARAMS {
                    handle: self.handle(kind::CONDITIONAL),
                    type_: self.below(4) as u32,
                    size: self.count() as u32,
                    phGraph_out: null_mut(),
                    ctx: CUcontext(self.handle(kind::CONTEXT)),
                };
                self.put(value)
            }
            _ => self.words(),
        };
        let slot = self.slot();
        // SAFETY: both are slots; the member is at byte 16 and 232 bytes long.
        unsafe {
            slot.cast::<u32>().write(type_);
            if !member.is_null() {
                slot.add(2).copy_from_nonoverlapping(member, 28);
            }
        }
        slot
    }

    /// `CUDA_ARRAY3D_DESCRIPTOR`.
    pub fn array_shape(&mut self) -> *mut u64 {
        let value = CUDA_ARRAY3D_DESCRIPTOR {
            Width: self.small(),
            Height: self.small(),
            Depth: self.small(),
            Format: self.pick(&[0x20, 0x20, 3, 1, 0x10, 0, 0x91]),
            NumChannels: self.pick(&[1, 1, 2, 4, 3]),
            Flags: self.pick(&[0, 0, 1, 2, 3, 4]),
        };
        self.put(value)
    }

    /// `CUDA_ARRAY_DESCRIPTOR`.
    pub fn flat_array_shape(&mut self) -> *mut u64 {
        let value = CUDA_ARRAY_DESCRIPTOR {
            Width: self.small(),
            Height: self.pick(&[0, 1, 4, usize::MAX]),
            Format: self.pick(&[0x20, 0x20, 3, 1, 0x10, 0, 0x91]),
            NumChannels: self.pick(&[1, 1, 2, 4, 3]),
        };
        self.put(value)
    }

    /// `CUdevResource`, mostly that of the device.
    pub fn resource(&mut self) -> *mut u64 {
        let slot = self.words();
        if self.below(4) != 0 && !slot.is_null() {
            // SAFETY: a slot, which is larger than the structure.
            unsafe { cuDeviceGetDevResource(0, slot.cast(), 1) };
        }
        slot
    }

    /// `CUdevResourceDesc`, mostly that of the whole device.
    pub fn description(&mut self) -> u64 {
        let mut found = self.number();
        let resource = self.resource();
        if self.below(4) != 0 && !resource.is_null() {
            // SAFETY: a slot, and a place for the result.
            unsafe { cuDevResourceGenerateDesc(&mut found, resource.cast(), 1) };
        }
        found
    }
}
