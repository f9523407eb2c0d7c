//! A step of your own: `y = a·x + y` with `a` read from device memory, so that the graph may be
//! replayed with another `a`. Run it with `cargo run -p graphproof-harness --example own_step`.

use std::sync::Arc;

use graphproof_harness::context::{Launch, StepContext};
use graphproof_harness::driver::{self, DriverChoice};
use graphproof_harness::error::StepResult;
use graphproof_harness::gate::{self, GateConfig};
use graphproof_harness::step::{BufferSpec, DType, HostBuffers, Module, Step};

const ELEMENTS: u32 = 1000;

/// `y` is state: every step adds to what the step before it left.
struct Axpy;

impl Step for Axpy {
    fn name(&self) -> &str {
        "axpy"
    }

    fn summary(&self) -> String {
        format!("y = a*x + y over {ELEMENTS} elements")
    }

    fn modules(&self) -> Vec<Module> {
        vec![Module { name: "axpy.ptx".into(), ptx: AXPY.into(), source_sha256: None }]
    }

    fn buffers(&self) -> Vec<BufferSpec> {
        vec![
            BufferSpec::input("a", DType::F32, [1]),
            BufferSpec::input("x", DType::F32, [ELEMENTS as usize]),
            BufferSpec::state("y", DType::F32, [ELEMENTS as usize]),
        ]
    }

    fn fill_inputs(&self, index: u64, seed: u64, inputs: &mut HostBuffers) -> StepResult<()> {
        inputs.slice_mut::<f32>("a")?[0] = 1.0 / (1.0 + index as f32);
        for (i, x) in inputs.slice_mut::<f32>("x")?.iter_mut().enumerate() {
            *x = (i as u64 * 37 + index * 11 + seed) as f32;
        }
        Ok(())
    }

    fn record(&self, cx: &mut StepContext<'_>) -> StepResult<()> {
        let launch = Launch::new("axpy").grid([ELEMENTS.div_ceil(128), 1, 1]).block([128, 1, 1]);
        cx.launch(launch.buffer("a").buffer("x").buffer("y").value(ELEMENTS))
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (selected, session) = driver::open(DriverChoice::Auto)?;
    println!("driver: {} ({})", selected.kind.name(), selected.reason);
    let step: Arc<dyn Step> = Arc::new(Axpy);
    let config = GateConfig { steps: 16, ..GateConfig::default() };
    let report = gate::run(&Arc::new(session), &step, &config, &mut |_| {})?.report;
    println!(
        "{}: {:?}, {} of {} replays agree",
        report.step, report.verdict, report.steps_agreeing, report.steps_asked
    );
    for finding in &report.findings {
        println!("{} {}\n  {}\n  {}", finding.id, finding.title, finding.expected, finding.seen);
    }
    if report.failed() { Err("the step is not safe to replay".into()) } else { Ok(()) }
}

/// Written by hand; a step of yours would embed what NVRTC or nvcc made of its CUDA source.
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
";
