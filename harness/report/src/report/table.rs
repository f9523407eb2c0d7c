//! The verdicts as a table, one line for each job, as wide as there is room.

use graphproof_harness::report::{LaneReport, Spread, Verdict};

/// Between two columns.
const GAP: &str = "  ";

/// What a column tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Column {
    Step,
    Shape,
    Seed,
    Verdict,
    Replays,
    Graph,
    Memory,
    ClosedForm,
    Eager,
    Replay,
    Ratio,
}

use Column::{ClosedForm, Eager, Graph, Memory, Ratio, Replay, Replays, Seed, Shape, Step};

/// How much the table tells.
#[derive(Debug, Clone, Copy)]
struct Detail {
    /// Whether headers are written out.
    long: bool,
    /// Whether times come with their quartiles.
    spread: bool,
    without: &'static [Column],
}

/// From everything to the least, by what is missed least.
const DETAILS: [Detail; 9] = [
    Detail { long: true, spread: true, without: &[] },
    Detail { long: false, spread: true, without: &[] },
    Detail { long: true, spread: false, without: &[] },
    Detail { long: false, spread: false, without: &[] },
    Detail { long: false, spread: false, without: &[ClosedForm] },
    Detail { long: false, spread: false, without: &[ClosedForm, Graph] },
    Detail { long: false, spread: false, without: &[ClosedForm, Graph, Eager, Replay] },
    Detail { long: false, spread: false, without: &[ClosedForm, Graph, Eager, Replay, Memory] },
    Detail { long: false, spread: false, without: &[ClosedForm, Graph, Eager, Replay, Memory, Ratio] },
];

/// Verdicts in rows of cells, the header first.
#[derive(Debug, Clone)]
pub struct Table {
    rows: Vec<Vec<String>>,
    verdict: usize,
}

impl Table {
    /// With everything.
    pub fn full(lanes: &[LaneReport]) -> Self {
        Table::new(lanes, DETAILS[0])
    }

    /// With as much as fits into `width` columns; the step, its verdict and its replays in any case.
    pub fn fitting(lanes: &[LaneReport], width: usize) -> Self {
        let tables = DETAILS.into_iter().map(|detail| Table::new(lanes, detail));
        let mut last = None;
        for table in tables {
            if table.width() <= width {
                return table;
            }
            last = Some(table);
        }
        last.unwrap_or_else(|| Table::full(lanes))
    }

    fn new(lanes: &[LaneReport], detail: Detail) -> Self {
        let several = |differs: fn(&LaneReport, &LaneReport) -> bool| {
            lanes.first().is_some_and(|first| lanes.iter().any(|lane| differs(first, lane)))
        };
        let mut columns = vec![Step];
        if several(|a, b| a.shape != b.shape) {
            columns.push(Shape);
        }
        if several(|a, b| a.seed != b.seed) {
            columns.push(Seed);
        }
        let verdict = columns.len();
        columns.extend([Column::Verdict, Replays, Graph, Memory, ClosedForm, Eager, Replay, Ratio]);
        columns.retain(|column| !detail.without.contains(column));
        let shapes = Extents::of(lanes);
        let header = columns.iter().map(|column| column.header(detail.long).to_owned()).collect();
        let row = |lane| columns.iter().map(|column| column.cell(lane, &shapes, detail)).collect();
        Table { rows: std::iter::once(header).chain(lanes.iter().map(row)).collect(), verdict }
    }

    /// The rows, the header first.
    pub fn rows(&self) -> impl Iterator<Item = &[String]> {
        self.rows.iter().map(Vec::as_slice)
    }

    /// As lines, each ending with a newline. `paint` gets each verdict, with the spaces after it.
    pub fn render(&self, paint: impl Fn(&str) -> String) -> String {
        let widths = self.widths();
        let mut text = String::new();
        for (index, row) in self.rows.iter().enumerate() {
            let mut line = String::new();
            for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
                let padded = format!("{cell}{}", " ".repeat(width - console::measure_text_width(cell)));
                line.push_str(&if index > 0 && column == self.verdict { paint(&padded) } else { padded });
                line.push_str(GAP);
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }

    fn widths(&self) -> Vec<usize> {
        let columns = self.rows[0].len();
        let width = |column: usize| self.rows.iter().map(|row| console::measure_text_width(&row[column])).max();
        (0..columns).map(|column| width(column).unwrap_or(0)).collect()
    }

    fn width(&self) -> usize {
        let widths = self.widths();
        widths.iter().sum::<usize>() + GAP.len() * (widths.len() - 1)
    }
}

impl Column {
    fn header(self, long: bool) -> &'static str {
        match (self, long) {
            (Step, _) => "step",
            (Shape, _) => "shape",
            (Seed, _) => "seed",
            (Column::Verdict, _) => "verdict",
            (Replays, true) => "replays equal",
            (Replays, false) => "equal",
            (Graph, _) => "graph",
            (Memory, true) => "device memory",
            (Memory, false) => "memory",
            (ClosedForm, true) => "of closed form",
            (ClosedForm, false) => "of form",
            (Eager, _) => "eager",
            (Replay, _) => "replay",
            (Ratio, true) => "replay/eager",
            (Ratio, false) => "ratio",
        }
    }

    fn cell(self, lane: &LaneReport, shapes: &Extents, detail: Detail) -> String {
        let dash = || "-".to_owned();
        let memory = lane.memory.as_ref().filter(|memory| memory.high_water > 0);
        let took = |spread: &Spread| if detail.spread { with_quartiles(spread) } else { time(spread.median) };
        match self {
            Step => lane.step.clone(),
            Shape => shapes.differing(&lane.shape),
            Seed => lane.seed.to_string(),
            Column::Verdict => verdict(lane).to_owned(),
            Replays => format!("{}/{}", lane.steps_agreeing, lane.steps_asked),
            Graph => lane.graph.as_ref().map_or_else(dash, |graph| match (graph.nodes, detail.long) {
                (1, true) => "1 node".to_owned(),
                (nodes, true) => format!("{nodes} nodes"),
                (nodes, false) => nodes.to_string(),
            }),
            Memory => memory.map_or_else(dash, |memory| bytes(memory.high_water)),
            ClosedForm => memory.and_then(|memory| memory.ratio()).map_or_else(dash, |ratio| format!("x{ratio:.3}")),
            Eager => took(&lane.times.eager),
            Replay => took(&lane.times.replay),
            Ratio => match lane.times.replay_per_mille.samples {
                0 => dash(),
                _ => format!("{:.1}%", lane.times.replay_per_mille.median as f64 / 10.0),
            },
        }
    }
}

/// The verdict of a lane in a word.
pub fn verdict(lane: &LaneReport) -> &'static str {
    match lane.verdict {
        Verdict::Pass if lane.findings.iter().any(|finding| finding.allowed.is_some()) => "allowed",
        Verdict::Pass => "pass",
        Verdict::Fail => "FAIL",
        Verdict::Interrupted => "interrupted",
        Verdict::NotRun => "not run",
    }
}

/// The extents in which shapes differ.
struct Extents(Vec<String>);

impl Extents {
    fn of(lanes: &[LaneReport]) -> Self {
        let Some(first) = lanes.first() else { return Extents(Vec::new()) };
        let name = |entry: &str| entry.split('=').next().unwrap_or_default().to_owned();
        let same = |entry: &str| lanes.iter().all(|lane| lane.shape.split(',').any(|other| other == entry));
        Extents(first.shape.split(',').filter(|entry| !same(entry)).map(name).collect())
    }

    /// Those entries of `shape` in which it may differ from the others; all of it, if none can be told.
    fn differing(&self, shape: &str) -> String {
        let named = |entry: &&str| self.0.iter().any(|name| entry.split('=').next() == Some(name));
        let entries: Vec<&str> = shape.split(',').filter(named).collect();
        if entries.is_empty() { shape.to_owned() } else { entries.join(",") }
    }
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
    if nanoseconds == 0 {
        return "-".to_owned();
    }
    let (unit, size, digits) = unit(nanoseconds);
    format!("{:.digits$} {unit}", nanoseconds as f64 / size)
}

/// The median, and the quartiles in the same unit: `12.3 ms (11.9-12.8)`.
fn with_quartiles(spread: &Spread) -> String {
    if spread.samples < 2 {
        return time(spread.median);
    }
    let (_, size, digits) = unit(spread.median);
    let (low, high) = (spread.low as f64 / size, spread.high as f64 / size);
    format!("{} ({low:.digits$}-{high:.digits$})", time(spread.median))
}

/// The unit for a time, its nanoseconds, and digits after the point.
fn unit(nanoseconds: u64) -> (&'static str, f64, usize) {
    match nanoseconds {
        0..1_000 => ("ns", 1.0, 0),
        1_000..1_000_000 => ("us", 1e3, 1),
        1_000_000..1_000_000_000 => ("ms", 1e6, 1),
        _ => ("s", 1e9, 2),
    }
}
