//! One launch while it runs: whole, or in parts where a kernel begins before the one ahead of it has ended.

use super::code::Code;
use super::fault::Fault;
use super::grid::{Grid, Workspace, lock};
use super::launch::{Conditional, ExecStats, Launch};
use super::pool::Pool;

/// Grids with no more threads than this run on the calling thread: waking another costs more.
const INLINE_THREADS: u64 = 256;

/// A launch that runs. What is called runs blocks, on the calling thread and the pool's, and returns.
///
/// Of two kernels, of which the second may begin early: the first runs [`Running::until_triggered`], and if all its
/// blocks have let dependent grids begin, the second [`Running::until_wait`]; then the first is finished, and then the
/// second. Where nothing begins early, a launch is finished, and that is all.
pub struct Running<'a> {
    /// None: it has no blocks.
    grid: Option<Grid<'a>>,
    pool: &'a Pool,
    /// It runs on the calling thread.
    inline: bool,
}

impl<'a> Running<'a> {
    /// Runs blocks as far as they come while the grids that they depend on are in flight: up to
    /// `griddepcontrol.wait`. How many blocks begin, the seed decides.
    pub fn until_wait(&mut self) {
        self.run(Grid::until_wait);
    }

    /// Runs blocks until all have let dependent grids begin (`griddepcontrol.launch_dependents`), or have ended. How
    /// many are held there, the seed decides.
    pub fn until_triggered(&mut self) {
        self.run(Grid::until_triggered);
    }

    /// Whether dependent grids may begin although this one has not ended.
    pub fn has_triggered(&self) -> bool {
        self.grid.as_ref().is_some_and(Grid::has_triggered)
    }

    /// Runs it to its end.
    ///
    /// # Errors
    /// The fault that stopped it, in whatever part. Blocks that ran before or beside it have had their effect.
    pub fn finish(&mut self) -> Result<ExecStats, Fault> {
        self.run(Grid::until_end);
        let Some(grid) = &self.grid else { return Ok(ExecStats::default()) };
        let mut outcome = lock(&grid.outcome);
        match outcome.fault.take() {
            Some((_, fault)) => Err(fault),
            None => Ok(outcome.stats),
        }
    }

    fn run(&mut self, part: impl FnOnce(&mut Grid<'a>)) {
        let Some(grid) = &mut self.grid else { return };
        part(grid);
        if self.inline {
            grid.work();
        } else {
            self.pool.share(grid);
        }
    }
}

/// Executes a launch to its end.
///
/// The geometry is the device's to check; a grid or block with a zero dimension executes nothing.
///
/// # Errors
/// The fault that stopped it. Blocks that ran before or beside it have had their effect.
pub fn run(launch: &Launch<'_>, pool: &Pool) -> Result<ExecStats, Fault> {
    run_in_graph(launch, &[], pool)
}

/// As [`run`], for a kernel node of a graph that has these conditionals.
///
/// # Errors
/// As [`run`].
pub fn run_in_graph(launch: &Launch<'_>, conditionals: &[Conditional], pool: &Pool) -> Result<ExecStats, Fault> {
    run_in_parts(launch, conditionals, pool, |running| running.finish())
}

/// As [`run_in_graph`], in the parts that `body` asks for.
pub fn run_in_parts<R>(
    launch: &Launch<'_>,
    conditionals: &[Conditional],
    pool: &Pool,
    body: impl FnOnce(&mut Running<'_>) -> R,
) -> R {
    let [gx, gy, gz] = launch.config.grid.map(u64::from);
    let threads: u64 = launch.config.block.iter().map(|&n| u64::from(n)).product();
    let blocks = gx.saturating_mul(gy).saturating_mul(gz);
    if blocks == 0 || threads == 0 {
        return body(&mut Running { grid: None, pool, inline: true });
    }
    // The device has seen to it that clusters divide the grid.
    let of_cluster = launch.cluster.iter().map(|&n| u64::from(n)).product::<u64>().max(1);
    let code = code(launch);
    // A grid that is larger than the device cannot wait for itself: its counters have the address 0, as in a
    // launch that is not cooperative.
    let waits = code.waits_for_grid() && blocks <= launch.resident;
    let mut counters = Workspace::new();
    let with_counters = waits.then(|| counters.map(launch.memory));
    let launch = Launch { memory: with_counters.as_ref().unwrap_or(launch.memory), ..*launch };
    let count = blocks / of_cluster;
    let inline = count == 1 || pool.threads() == 1 || blocks.saturating_mul(threads) <= INLINE_THREADS;
    let grid = Some(Grid::new(&launch, code, conditionals, waits, (count, of_cluster)));
    body(&mut Running { grid, pool, inline })
}

fn code<'a>(launch: &Launch<'a>) -> &'a Code {
    let kernel = launch.kernel;
    match &kernel.plain {
        Some(plain) if kernel.code.needs_rows && !rows(launch.config.block) => plain,
        _ => &kernel.code,
    }
}

/// Whether each warp of such a block has one value of `%tid.x / 32`, `%tid.y` and `%tid.z`.
fn rows([x, y, z]: [u32; 3]) -> bool {
    (y == 1 && z == 1) || x.is_multiple_of(32)
}
