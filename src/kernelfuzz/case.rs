//! A difference as a file: the kernel, its launch, its inputs' seed and both answers.

use std::fmt::Write as _;

use super::check::Difference;
use super::inputs;
use super::ir::{Kernel, Layout, Stmt};
use super::print::{HEADER, output_bytes, places};
use super::task::{Answer, Task};

/// Input cells that a case lists; more are named by the seed alone.
const MOST_CELLS: usize = 64;
/// Words of the answers that a case lists.
const MOST_WORDS: usize = 24;

/// Lines of code of a kernel's body.
pub fn statements(kernel: &Kernel) -> usize {
    fn count(stmts: &[Stmt]) -> usize {
        stmts
            .iter()
            .map(|stmt| match stmt {
                Stmt::Code(_) => 1,
                Stmt::If { then, other, .. } => 1 + count(then) + count(other),
                Stmt::Loop { body, .. } => 1 + count(body),
            })
            .sum()
    }
    count(&kernel.body)
}

/// The case file of a difference that was cut down.
pub fn file(difference: &Difference, names: &[String; 2]) -> Option<String> {
    let kernel = difference.kernel.as_ref()?;
    let task = Task::new(kernel);
    let mut text = format!(
        "// A kernel on which two drivers differ, drawn from seed {} and cut down.\n// run: grid={:?} block={:?} \
         shared={}\n// arguments: in, out ({} bytes of 0xa5), cells, then the scalars of the seed\n",
        difference.seed, task.grid, task.block, task.shared, task.output
    );
    for (name, (answer, _)) in names.iter().zip(&difference.answers) {
        let told = match answer {
            Answer::Ran(digest) => format!("{digest:016x}"),
            Answer::Refused(why) | Answer::Failed(why) => why.clone(),
        };
        let _ = writeln!(text, "// {name}: {told}");
    }
    words(kernel, &task, difference, &mut text);
    cells_read(&task, &mut text);
    text.push_str(HEADER);
    text.push_str(&task.text);
    Some(text)
}

/// The words that differ, by thread and register.
fn words(kernel: &Kernel, task: &Task, difference: &Difference, out: &mut String) {
    let [(_, a), (_, b)] = &difference.answers;
    if a.is_empty() || b.is_empty() {
        return;
    }
    let (per_thread, places) = (output_bytes(kernel) / 8, places(kernel));
    let threads = kernel.all_threads() as usize;
    for (shown, n) in (0..a.len().min(b.len())).filter(|&n| a[n] != b[n]).enumerate() {
        if shown == MOST_WORDS {
            out.push_str("// …\n");
            return;
        }
        let what = if n < task.output / 8 {
            let (thread, slot) = match kernel.layout {
                Layout::Slots => (n % threads, n / threads),
                _ => (n / per_thread, n % per_thread),
            };
            let register = places.get(slot).map_or_else(|| format!("slot {slot}"), |place| place.var.to_string());
            format!("thread {thread}, {register}")
        } else {
            format!("cell {}", n - task.output / 8)
        };
        let _ = writeln!(out, "// {what}: {:016x} and {:016x}", a[n], b[n]);
    }
}

/// The inputs that the kernel can read, if they are few: cells follow from the thread's number.
fn cells_read(task: &Task, out: &mut String) {
    let input = inputs::input(task.seed);
    let mut index = (0u64, 0u64);
    let mut cells = std::collections::BTreeSet::new();
    for line in task.text.lines().map(str::trim) {
        let numbers = |line: &str| -> Vec<u64> {
            line.trim_end_matches(';').split(", ").filter_map(|word| word.parse().ok()).collect()
        };
        if line.starts_with("mad.lo.u32") && line.contains("%gid") {
            if let [factor, shift] = numbers(line)[..] {
                index = (factor, shift);
            }
        } else if line.starts_with("ld.") && line.contains("[%d") {
            let offset = line.rsplit('+').next().and_then(|rest| rest.trim_end_matches("];").parse::<u64>().ok());
            let Some(offset) = offset else { continue };
            for thread in 0..u64::from(task.threads()) {
                cells.insert(offset / 8 + (thread * index.0 + index.1) % u64::from(inputs::CELLS));
            }
        }
    }
    if cells.len() <= MOST_CELLS {
        for cell in cells {
            let value = input.get(cell as usize).copied().unwrap_or_default();
            let _ = writeln!(out, "// in[{cell}] = {value:016x}");
        }
    }
}
