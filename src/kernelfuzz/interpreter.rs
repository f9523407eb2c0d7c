//! The interpreter without a driver: on one instruction set of the host, with one seed of the order.

use std::sync::atomic::AtomicBool;

use graphproof_exec::{Isa, Launch, LaunchConfig, MemoryMap, MemoryRange, Pool, Program, PtxError, run};

use super::inputs;
use super::print::HEADER;
use super::task::{Answer, Engine, Full, Task, UNWRITTEN, ran};

/// The interpreter as an engine.
pub struct Interpreter {
    isa: Isa,
    order: u64,
    pool: Pool,
}

impl Interpreter {
    /// On this instruction set, with so many threads, in the order of this seed.
    pub fn new(isa: Isa, threads: usize, order: u64) -> Self {
        Interpreter { isa, order, pool: Pool::new(threads) }
    }

    fn task(&self, task: &Task) -> Full {
        let program = match Program::from_ptx_for(&format!("{HEADER}{}", task.text), self.isa) {
            Ok(program) => program,
            Err(error) => return (refused(&error), Vec::new()),
        };
        let Some(entry) = program.entry(&task.entry) else {
            return (Answer::Refused(format!("no entry {}", task.entry)), Vec::new());
        };
        let kernel = match entry.kernel() {
            Ok(kernel) => kernel,
            Err(error) => return (refused(error), Vec::new()),
        };
        let mut memory = Memory::default();
        let input = memory.hold(inputs::input(task.seed));
        let output = memory.hold(vec![u64::from_ne_bytes([UNWRITTEN; 8]); task.output / 8]);
        let cells = memory.hold(task.cells());
        let globals: Vec<u64> =
            program.globals.iter().map(|global| memory.hold(initial(&global.init, global.size))).collect();
        let mut parameters = [input, output, cells].map(u64::to_le_bytes).concat();
        for (value, at) in inputs::scalars(task.seed).iter().zip(&entry.parameters[3.min(entry.parameters.len())..]) {
            parameters.resize(at.offset, 0);
            parameters.extend(value);
        }
        let (map, cancel) = (memory.map(), AtomicBool::new(false));
        let launch = Launch {
            kernel,
            config: LaunchConfig { grid: task.grid, block: task.block, dynamic_shared_bytes: task.shared },
            cluster: [1; 3],
            parameters: &parameters,
            globals: &globals,
            memory: &map,
            textures: &[],
            order_seed: self.order,
            resident: u64::MAX,
            stack_bytes: 0,
            cancel: &cancel,
            footprint: None,
        };
        match run(&launch, &self.pool) {
            Ok(_) => ran([&memory.buffers[1][..], &memory.buffers[2][..task.cells_compared()]].concat()),
            Err(fault) => (Answer::Failed(format!("{fault:?}")), Vec::new()),
        }
    }
}

impl Engine for Interpreter {
    fn name(&self) -> String {
        format!("the interpreter on {:?}, order {}", self.isa, self.order)
    }

    fn run(&mut self, tasks: &[Task]) -> Vec<Full> {
        tasks.iter().map(|task| self.task(task)).collect()
    }
}

fn refused(error: &PtxError) -> Answer {
    Answer::Refused(error.to_string().lines().next().unwrap_or_default().to_owned())
}

fn initial(bytes: &[u8], size: u64) -> Vec<u64> {
    let mut bytes = bytes.to_vec();
    bytes.resize(size.next_multiple_of(8) as usize, 0);
    bytes.as_chunks::<8>().0.iter().map(|word| u64::from_le_bytes(*word)).collect()
}

/// Host memory that stands for device memory.
#[derive(Default)]
struct Memory {
    buffers: Vec<Vec<u64>>,
    ranges: Vec<MemoryRange>,
}

impl Memory {
    /// Holds these words; gives their device address.
    fn hold(&mut self, mut words: Vec<u64>) -> u64 {
        let base = 0x7_0000_0000 + self.buffers.len() as u64 * 0x1000_0000;
        self.ranges.push(MemoryRange { base, len: 8 * words.len() as u64, host: words.as_mut_ptr().cast() });
        self.buffers.push(words);
        base
    }

    fn map(&self) -> MemoryMap {
        MemoryMap { ranges: self.ranges.clone().into() }
    }
}
