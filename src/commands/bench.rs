//! `graphproof bench`: measures graphproof itself.

mod checks;
mod record;
mod step;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use crate::report::notice::Notice;
use anyhow::{Context as _, anyhow};
use graphproof_exec::{Fault, Isa, Launch, LaunchConfig, MemoryMap, MemoryRange, Pool, Program, bench};
use graphproof_harness::buffers::BufferSet;
use graphproof_harness::cuda::NodeKind;
use graphproof_harness::driver::DriverChoice;
use graphproof_harness::exit_code::ExitCode;
use graphproof_harness::gate;
use graphproof_harness::step::HostBuffers;
use graphproof_harness::topology::Topology;

use super::Failure;
use super::suite::{Planned, PlannedJob};
use crate::args::{BenchArgs, BenchWhat, SuiteArgs, TargetArgs};
use crate::output::progress::StepBar;
use crate::output::table::time;
use crate::suite::{Suite, default_shape};

/// Steps whose kernels are measured.
const STEPS: [&str; 2] = ["fused", "fused-mma"];
/// Time spent on each kernel.
const TIME: Duration = Duration::from_secs(2);

pub fn run(args: &BenchArgs, own: Arc<dyn Suite>) -> Result<ExitCode, Failure> {
    match &args.what {
        BenchWhat::Exec => interpreter(own),
        BenchWhat::Graph => graphs(),
        BenchWhat::Load => load(),
        BenchWhat::Step(args) => step::run(args, own),
        BenchWhat::Record(args) => record::run(args),
        BenchWhat::Checks(args) => checks::run(args, own),
    }
}

/// Graphs on the software driver, each figure beside the same work launched eagerly.
fn graphs() -> Result<ExitCode, Failure> {
    let notice = Notice::of_known_length("bench graph", "graphs of 10,000 kernels, about 10 s in all");
    let found = graphproof_driver::bench::graph()
        .map_err(|code| Failure::new(ExitCode::Driver, anyhow!("the measurement failed: {code}")))?;
    drop(notice);
    let say = |what: &str, value: Duration| println!("{what:<44} {}", time(value.as_nanos() as u64));
    say("enqueue of a kernel", found.enqueue);
    say("launch of an empty kernel, and wait", found.launch_and_wait);
    say("capture of 10,000 kernels", found.capture);
    say("instantiation of 10,000 nodes", found.instantiate);
    say("the same 10,000 kernels eagerly", found.eager_captured_nodes);
    say("launch of a graph of 1,000 kernels, and wait", found.graph_launch);
    say("the same 1,000 kernels eagerly", found.eager_launches);
    say("a node above its kernel's own execution", found.overhead_per_node());
    Ok(ExitCode::Passed)
}

/// A big module on the software driver.
fn load() -> Result<ExitCode, Failure> {
    let notice = Notice::of_known_length("bench load", "a big module is decoded, about 10 s in all");
    let found = bench::load().map_err(|error| Failure::new(ExitCode::Internal, anyhow!("{error}")))?;
    drop(notice);
    let say = |what: &str, value: Duration| println!("{what:<44} {}", time(value.as_nanos() as u64));
    println!(
        "{} entries, {:.1} MB of PTX; decoded by loading: {}",
        bench::ENTRIES,
        found.bytes as f64 / 1e6,
        found.decoded
    );
    say("load", found.load);
    say("decoding of the first entry asked for", found.first);
    say("decoding of all others", found.others);
    Ok(ExitCode::Passed)
}

/// The PTX interpreter on the kernels of the default shape, one thread.
fn interpreter(own: Arc<dyn Suite>) -> Result<ExitCode, Failure> {
    let suite = SuiteArgs { file: None };
    let target = TargetArgs { suite, driver: DriverChoice::Software, shape: None, compile: false };
    let known = own.steps();
    // The kernels that the figures in the documents are of; a suite without them is measured whole.
    let names: Vec<&str> = STEPS.into_iter().filter(|name| known.iter().any(|step| step.name == *name)).collect();
    let shape = default_shape(own.as_ref());
    let suite = Planned::of_steps(&target, own, &names)?;
    println!("PTX interpreter, {:?} code path, shape {shape}, processor time of one thread", Isa::detect());
    let fma = bench::fma_lanes_per_second(Isa::detect());
    if let Some(lanes) = fma {
        println!("{:<26}  {:.2} G lanes/s a core", "fma loop of this width", lanes / 1e9);
    }
    let bar = StepBar::in_pipes("bench exec", suite.jobs.len() as u64);
    for (done, PlannedJob { step, .. }) in suite.jobs.iter().enumerate() {
        let programs: Vec<Program> = step
            .modules()
            .iter()
            .map(|module| Program::from_ptx(&module.ptx).with_context(|| module.name.to_string()))
            .collect::<anyhow::Result<_>>()
            .map_err(|error| Failure::new(ExitCode::Kernels, error))?;
        let measured = gate::inspect(&suite.session, step, |topology, buffers, inputs| {
            kernels(topology, buffers, inputs, &programs, fma)
        })?;
        match measured {
            Ok(result) => result.map_err(|error| Failure::new(ExitCode::Internal, error))?,
            Err(findings) => {
                let error = anyhow!("step '{}' cannot be captured: {:?}", step.name(), findings);
                return Err(Failure::new(ExitCode::Findings, error));
            }
        }
        bar.at(done as u64 + 1);
    }
    let overhead = bench::launch_overhead(&Pool::new(std::thread::available_parallelism().map_or(1, usize::from)))
        .map_err(|fault| Failure::new(ExitCode::Internal, anyhow!("{fault:?}")))?;
    println!("launch of one empty block   {}", time(overhead.as_nanos() as u64));
    Ok(ExitCode::Passed)
}

/// Executes each kernel node of a captured graph on host memory that stands in for its buffers.
/// `fma`: lanes a second of the loop that each is held against.
fn kernels(
    topology: &Topology,
    buffers: &BufferSet,
    inputs: &HostBuffers,
    programs: &[Program],
    fma: Option<f64>,
) -> anyhow::Result<()> {
    let mut images: Vec<Vec<u64>> = Vec::new();
    for (index, spec) in buffers.specs().iter().enumerate() {
        let len = buffers.memory(index).len();
        let mut image = vec![0u64; len.div_ceil(8)];
        if let Ok(bytes) = inputs.bytes(&spec.name) {
            bytemuck::cast_slice_mut(&mut image)[..len].copy_from_slice(bytes);
        }
        images.push(image);
    }
    let mut ranges: Vec<MemoryRange> = images
        .iter_mut()
        .enumerate()
        .map(|(index, image)| {
            let memory = buffers.memory(index);
            MemoryRange { base: memory.address(), len: memory.len() as u64, host: image.as_mut_ptr().cast() }
        })
        .collect();
    ranges.sort_by_key(|range| range.base);
    let memory = MemoryMap { ranges: ranges.into() };
    for node in &topology.nodes {
        let NodeKind::Kernel { name, grid, block, shared_bytes, parameters } = &node.kind else { continue };
        let kernel = programs.iter().find_map(|program| program.kernel(name));
        let kernel = kernel.with_context(|| format!("no module holds kernel {name}"))?;
        let mut bytes = Vec::new();
        for (offset, parameter) in parameters {
            bytes.resize((*offset).max(bytes.len()), 0);
            bytes.extend_from_slice(parameter);
        }
        let config = LaunchConfig { grid: *grid, block: *block, dynamic_shared_bytes: *shared_bytes };
        let cancel = AtomicBool::new(false);
        let launch = Launch {
            kernel,
            config,
            cluster: [1; 3],
            parameters: &bytes,
            globals: &[],
            memory: &memory,
            textures: &[],
            order_seed: 0,
            resident: u64::MAX,
            stack_bytes: 0,
            cancel: &cancel,
            footprint: None,
        };
        let found = bench::throughput(&launch, TIME).map_err(|fault: Fault| anyhow!("{fault:?}"))?;
        let lanes = found.lane_instructions_per_second();
        let share = fma.map_or(String::new(), |fma| format!(", 1/{:.1} of the fma loop", fma / lanes));
        println!(
            "{name:<26}  {:.2} G lane-instructions/s a core{share}, {:.2} ns a warp instruction, {:.2} M warp instructions, {}",
            lanes / 1e9,
            found.nanoseconds_per_warp_instruction(),
            found.stats.warp_instructions as f64 / 1e6,
            time(found.best.as_nanos() as u64),
        );
    }
    Ok(())
}
