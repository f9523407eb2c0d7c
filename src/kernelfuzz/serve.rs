//! The child's side: tasks from standard input, answers to standard output, on one driver.

use std::io::{BufRead, Write};

use anyhow::Context as _;
use graphproof_harness::cuda::{CudaError, Guard, LoadedModule, MemoryPool, PinnedMemory, Session, Stream};
use graphproof_harness::driver::{self, DriverChoice};
use serde::{Deserialize, Serialize};

use super::inputs;
use super::print::HEADER;
use super::task::{Answer, Full, Task, UNWRITTEN, ran};

/// The largest buffer that travels, in bytes.
const STAGING: usize = 8 << 20;

/// What the parent asks: a line.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Request {
    pub tasks: Vec<Task>,
    /// Whether the words are wanted, not only their digest.
    pub words: bool,
}

/// What the child says: a line, for each task in turn. The first line names the device instead.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Response {
    Device(String),
    Answer(Answer, Vec<u64>),
}

/// Serves until standard input ends.
///
/// # Errors
/// A driver that cannot be opened, or a pipe that breaks.
pub fn serve(choice: DriverChoice) -> anyhow::Result<()> {
    let (selected, session) = driver::open(choice)?;
    let facts = session.facts();
    let device = format!("{}: {}, CUDA {}", selected.kind.name(), facts.name, facts.driver_version);
    say(&Response::Device(device))?;
    let mut bench = Bench::new(&session).context("allocating on the device")?;
    for line in std::io::stdin().lock().lines() {
        let request: Request = serde_json::from_str(&line?).context("a request that is no JSON")?;
        bench.serve(&request)?;
    }
    Ok(())
}

fn say(response: &Response) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    serde_json::to_writer(&mut out, response)?;
    out.write_all(b"\n")?;
    out.flush()?;
    Ok(())
}

/// The first line of a compiler's log, without the place: kernels are told apart by their seeds.
fn reason(log: &str) -> String {
    let line = log.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    let mut words = Vec::new();
    let mut place = false;
    for word in line.split(' ') {
        if !(place && word.trim_end_matches([',', ':', ';']).parse::<u64>().is_ok()) {
            words.push(word);
        }
        place = matches!(word, "line" | "column");
    }
    words.join(" ")
}

/// What every launch uses.
struct Bench {
    pool: MemoryPool,
    stream: Stream,
    there: PinnedMemory,
    back: PinnedMemory,
}

/// Why a launch has no result, and whether the context survived.
struct Broken {
    what: String,
    sticky: bool,
}

impl From<CudaError> for Broken {
    fn from(error: CudaError) -> Self {
        Broken { sticky: error.is_sticky(), what: error.to_string() }
    }
}

impl Bench {
    fn new(session: &Session) -> Result<Self, CudaError> {
        Ok(Bench {
            pool: MemoryPool::new(session.device())?,
            stream: Stream::blocking()?,
            there: PinnedMemory::new(STAGING)?,
            back: PinnedMemory::new(STAGING)?,
        })
    }

    fn serve(&mut self, request: &Request) -> anyhow::Result<()> {
        let all: String = request.tasks.iter().map(|task| task.text.as_str()).collect();
        let together = LoadedModule::load(&format!("{HEADER}{all}")).ok();
        for task in &request.tasks {
            // A module that is refused is tried kernel by kernel: one of them is the reason.
            let alone =
                if together.is_some() { None } else { Some(LoadedModule::load(&format!("{HEADER}{}", task.text))) };
            let (answer, words) = match (&together, &alone) {
                (Some(module), _) | (None, Some(Ok(module))) => self.launch(module, task)?,
                (None, Some(Err((error, log)))) => {
                    (Answer::Refused(format!("{} {}", error.name, reason(log))), Vec::new())
                }
                (None, None) => continue,
            };
            say(&Response::Answer(answer, if request.words { words } else { Vec::new() }))?;
        }
        Ok(())
    }

    fn launch(&mut self, module: &LoadedModule, task: &Task) -> anyhow::Result<Full> {
        match self.try_launch(module, task) {
            Ok(words) => Ok(ran(words)),
            // An entry that is not executed may be refused only now.
            Err(Broken { what, sticky: false }) if what.contains("NOT_SUPPORTED") || what.contains("INVALID_PTX") => {
                Ok((Answer::Refused(what), Vec::new()))
            }
            Err(Broken { what, sticky }) => {
                let told = driver::last_fault().map(|fault| fault.lines.join("; "));
                let answer = Answer::Failed(told.map_or(what.clone(), |told| format!("{what}: {told}")));
                if sticky {
                    // Every later call of this process fails too: the parent starts another.
                    say(&Response::Answer(answer, Vec::new()))?;
                    anyhow::bail!("the context is lost");
                }
                Ok((answer, Vec::new()))
            }
        }
    }

    fn try_launch(&mut self, module: &LoadedModule, task: &Task) -> Result<Vec<u64>, Broken> {
        let Some(function) = module.functions().get(&task.entry) else {
            return Err(Broken { what: format!("the module has no entry {}", task.entry), sticky: false });
        };
        let (input, cells) = (inputs::input(task.seed), task.cells());
        if task.output.max(8 * input.len()).max(8 * cells.len()) > STAGING {
            return Err(Broken { what: format!("its buffers have more than {STAGING} bytes"), sticky: false });
        }
        let stream = &self.stream;
        let mut sent = |words: &[u64]| -> Result<_, CudaError> {
            let memory = self.pool.allocate(8 * words.len(), Guard::NONE, stream)?;
            self.there.bytes_mut()[..8 * words.len()].copy_from_slice(bytemuck::cast_slice(words));
            memory.upload(&self.there, stream)?;
            stream.synchronize()?;
            Ok(memory)
        };
        let (input, cells) = (sent(&input)?, sent(&cells)?);
        let output = self.pool.allocate(task.output, Guard::NONE, stream)?;
        output.fill(UNWRITTEN, stream)?;
        let mut arguments: Vec<Vec<u8>> =
            [&input, &output, &cells].iter().map(|memory| memory.address().to_ne_bytes().to_vec()).collect();
        arguments.extend(inputs::scalars(task.seed));
        function.launch(task.grid, task.block, task.shared, &mut arguments, stream)?;
        stream.synchronize()?;
        let mut words = Vec::new();
        for (memory, bytes) in [(&output, task.output), (&cells, 8 * task.cells_compared())] {
            memory.download(&mut self.back, stream)?;
            stream.synchronize()?;
            words.extend(self.back.bytes()[..bytes].as_chunks::<8>().0.iter().map(|word| u64::from_le_bytes(*word)));
        }
        Ok(words)
    }
}
