//! The verdicts as a table, one line for each step.

use std::fmt::Write as _;

use graphproof_harness::report::{LaneReport, Verdict};

/// The table, ending with a newline.
pub fn render(lanes: &[LaneReport]) -> String {
    let header = ["step", "verdict", "replays equal", "graph", "device memory", "of closed form", "eager", "replay"];
    let mut rows: Vec<Vec<String>> = vec![header.iter().map(|&cell| cell.to_owned()).collect()];
    rows.extend(lanes.iter().map(row));
    let widths: Vec<usize> =
        (0..header.len()).map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0)).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            let _ = write!(line, "{cell:<width$}  ");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

fn row(lane: &LaneReport) -> Vec<String> {
    let verdict = match lane.verdict {
        Verdict::Pass => "pass",
        Verdict::Fail => "FAIL",
        Verdict::Interrupted => "interrupted",
        Verdict::NotRun => "not run",
    };
    let graph = lane.graph.as_ref().map(|graph| {
        let s = if graph.nodes == 1 { "" } else { "s" };
        format!("{} node{s}", graph.nodes)
    });
    let memory = lane.memory.as_ref().filter(|memory| memory.high_water > 0);
    let dash = || "-".to_owned();
    vec![
        lane.step.clone(),
        verdict.to_owned(),
        format!("{}/{}", lane.steps_agreeing, lane.steps_asked),
        graph.unwrap_or_else(dash),
        memory.map_or_else(dash, |memory| bytes(memory.high_water)),
        memory.and_then(|memory| memory.ratio()).map_or_else(dash, |ratio| format!("x{ratio:.3}")),
        time(lane.times.eager.median),
        time(lane.times.replay.median),
    ]
}

/// Bytes in binary units: `1.31 MiB`.
pub fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{bytes} B") } else { format!("{value:.2} {}", UNITS[unit]) }
}

/// Nanoseconds in the unit that fits: `12.3 ms`.
pub fn time(nanoseconds: u64) -> String {
    match nanoseconds {
        0 => "-".to_owned(),
        1..1_000 => format!("{nanoseconds} ns"),
        1_000..1_000_000 => format!("{:.1} us", nanoseconds as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} ms", nanoseconds as f64 / 1e6),
        _ => format!("{:.2} s", nanoseconds as f64 / 1e9),
    }
}
