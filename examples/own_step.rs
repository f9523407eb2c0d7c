//! Steps of your own with the whole command line: `y = a·x + y` with `a` read from device memory, so that
//! the graph may be replayed with another `a`, and the same with `a` passed by value, which freezes it.
//!
//!     cargo run --example own_step
//!     cargo run --example own_step -- gate --step axpy-by-value
//!     cargo run --example own_step -- gate --shape n=5000 --json receipt.json --html report.html

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use graphproof::prelude::*;

fn main() -> ExitCode {
    graphproof::cli(Steps)
}

/// What the command line knows them by.
struct Steps;

impl Suite for Steps {
    fn name(&self) -> &str {
        "own"
    }

    fn steps(&self) -> Vec<Listed> {
        vec![
            Listed::new("axpy", "y = a*x + y, with a in device memory"),
            Listed { by_default: false, ..Listed::new("axpy-by-value", "y = a*x + y, with a in the launch") },
        ]
    }

    fn parameters(&self) -> Vec<Parameter> {
        vec![Parameter::new("n", 1000)]
    }

    fn step(&self, name: &str, shape: &Parameters) -> Result<Arc<dyn Step>, SuiteError> {
        let n = u32::try_from(shape.size("n")?).map_err(|_| SuiteError::usage("n must fit 32 bits"))?;
        if n == 0 {
            return Err(SuiteError::usage("n must be at least 1"));
        }
        match name {
            "axpy" => Ok(Arc::new(Axpy { n, by_value: false, a: AtomicU64::new(0) })),
            "axpy-by-value" => Ok(Arc::new(Axpy { n, by_value: true, a: AtomicU64::new(0) })),
            _ => Err(SuiteError::unknown_step(name, self)),
        }
    }
}

/// `y` is state: every step adds to what the step before it left.
struct Axpy {
    n: u32,
    by_value: bool,
    /// What the host thinks that `a` is: a copy that a graph cannot follow.
    a: AtomicU64,
}

impl Step for Axpy {
    fn name(&self) -> &str {
        if self.by_value { "axpy-by-value" } else { "axpy" }
    }

    fn summary(&self) -> String {
        format!("y = a*x + y over {} elements", self.n)
    }

    fn modules(&self) -> Vec<Module> {
        vec![Module { name: "axpy.ptx".into(), ptx: AXPY.into(), source_sha256: None }]
    }

    fn buffers(&self) -> Vec<BufferSpec> {
        vec![
            BufferSpec::input("a", DType::F32, [1]),
            BufferSpec::input("x", DType::F32, [self.n as usize]),
            BufferSpec::state("y", DType::F32, [self.n as usize]),
        ]
    }

    fn fill_inputs(&self, index: u64, seed: u64, inputs: &mut HostBuffers) -> StepResult<()> {
        inputs.slice_mut::<f32>("a")?[0] = 1.0 / (1.0 + index as f32);
        for (i, x) in inputs.slice_mut::<f32>("x")?.iter_mut().enumerate() {
            *x = (i as u64 * 37 + index * 11 + seed) as f32;
        }
        Ok(())
    }

    fn prepare(&self, index: u64, _cx: &mut HostContext<'_>) -> StepResult<()> {
        self.a.store(index, Ordering::Relaxed);
        Ok(())
    }

    fn record(&self, cx: &mut StepContext<'_>) -> StepResult<()> {
        let (grid, block) = ([self.n.div_ceil(128), 1, 1], [128, 1, 1]);
        if self.by_value {
            let a = 1.0 / (1.0 + self.a.load(Ordering::Relaxed) as f32);
            let launch = Launch::new("axpy_by_value").grid(grid).block(block);
            return cx.launch(launch.value(a).buffer("x").buffer("y").value(self.n));
        }
        let launch = Launch::new("axpy").grid(grid).block(block);
        cx.launch(launch.buffer("a").buffer("x").buffer("y").value(self.n))
    }
}

/// Written by hand; a step of yours would embed what NVRTC or nvcc made of its CUDA source, or compile
/// it with `graphproof::harness::nvrtc::compile`.
const AXPY: &str = "
.version 8.0
.target sm_80
.address_size 64
.visible .entry axpy(.param .u64 pa, .param .u64 px, .param .u64 py, .param .u32 pn)
{
    .reg .pred %p<2>;
    .reg .b32 %r<6>;
    .reg .b64 %rd<8>;
    .reg .f32 %f<4>;
    ld.param.u64 %rd1, [pa];
    ld.param.u64 %rd2, [px];
    ld.param.u64 %rd3, [py];
    ld.param.u32 %r1, [pn];
    mov.u32 %r2, %ctaid.x;
    mov.u32 %r3, %ntid.x;
    mov.u32 %r4, %tid.x;
    mad.lo.s32 %r5, %r2, %r3, %r4;
    setp.ge.u32 %p1, %r5, %r1;
    @%p1 bra DONE;
    mul.wide.u32 %rd4, %r5, 4;
    add.s64 %rd5, %rd2, %rd4;
    add.s64 %rd6, %rd3, %rd4;
    ld.global.f32 %f1, [%rd1];
    ld.global.f32 %f2, [%rd5];
    ld.global.f32 %f3, [%rd6];
    fma.rn.f32 %f3, %f1, %f2, %f3;
    st.global.f32 [%rd6], %f3;
DONE:
    ret;
}
.visible .entry axpy_by_value(.param .f32 pa, .param .u64 px, .param .u64 py, .param .u32 pn)
{
    .reg .pred %p<2>;
    .reg .b32 %r<6>;
    .reg .b64 %rd<8>;
    .reg .f32 %f<4>;
    ld.param.f32 %f1, [pa];
    ld.param.u64 %rd2, [px];
    ld.param.u64 %rd3, [py];
    ld.param.u32 %r1, [pn];
    mov.u32 %r2, %ctaid.x;
    mov.u32 %r3, %ntid.x;
    mov.u32 %r4, %tid.x;
    mad.lo.s32 %r5, %r2, %r3, %r4;
    setp.ge.u32 %p1, %r5, %r1;
    @%p1 bra DONE;
    mul.wide.u32 %rd4, %r5, 4;
    add.s64 %rd5, %rd2, %rd4;
    add.s64 %rd6, %rd3, %rd4;
    ld.global.f32 %f2, [%rd5];
    ld.global.f32 %f3, [%rd6];
    fma.rn.f32 %f3, %f1, %f2, %f3;
    st.global.f32 [%rd6], %f3;
DONE:
    ret;
}
";
