//! The agreement of each replay with eager execution, as a strip of cells.

use std::collections::{BTreeMap, BTreeSet};

use graphproof_harness::report::LaneReport;
use maud::{Markup, html};

use super::links;
use super::room::{self, missing};
use super::units::{count, cut, grouped, n};

/// Bytes for all strips.
const ROOM: usize = 110 << 10;
/// Cells of a strip; with more steps each cell stands for several.
const MOST_CELLS: u64 = 128;
/// Cells beside each other.
const PER_ROW: u64 = 64;
const CELL: f64 = 14.0;
/// Steps with findings that are listed.
const MOST_LISTED: usize = 20;

/// What is known of the steps of one cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Every replay agreed.
    Agrees,
    /// A finding shows here.
    Finding,
    /// The replay differed, as a finding at an earlier step tells.
    Differs,
    /// Compared; some of the lane's later steps differ, and the receipt does not tell which.
    Unknown,
    /// Not compared.
    NotCompared,
}

/// What a lane's steps are known to be.
struct Steps<'a> {
    lane: &'a LaneReport,
    /// Steps at which findings show, with their ids.
    found: BTreeMap<u64, BTreeSet<&'a str>>,
    /// Steps that are known to differ.
    differing: BTreeSet<u64>,
    /// Before this step every other replay agreed.
    sure_before: u64,
}

impl<'a> Steps<'a> {
    fn of(lane: &'a LaneReport) -> Self {
        let mut found: BTreeMap<u64, BTreeSet<&str>> = BTreeMap::new();
        for finding in &lane.findings {
            if let Some(step) = finding.step {
                found.entry(step).or_default().insert(finding.id.as_str());
            }
        }
        let count = lane.steps_compared.saturating_sub(lane.steps_agreeing);
        let differing: BTreeSet<u64> = lane.steps_differing.iter().copied().collect();
        let known = found.keys().filter(|&&step| step < lane.steps_compared).count() as u64;
        // A finding names its first step only. Where it is the only one, all others agreed.
        let sure_before = if count <= known.max(differing.len() as u64) {
            lane.steps_compared
        } else {
            let last = differing.last().map(|last| last + 1);
            last.or(found.keys().next().copied()).unwrap_or(0).min(lane.steps_compared)
        };
        Steps { lane, found, differing, sure_before }
    }

    /// The state of the steps in `from..until`.
    fn state(&self, from: u64, until: u64) -> State {
        if self.found.range(from..until).next().is_some() {
            State::Finding
        } else if self.differing.range(from..until).next().is_some() {
            State::Differs
        } else if from >= self.lane.steps_compared {
            State::NotCompared
        } else if until.min(self.lane.steps_compared) <= self.sure_before {
            State::Agrees
        } else {
            State::Unknown
        }
    }
}

/// The section's content.
pub fn section(lanes: &[LaneReport]) -> Markup {
    let mut order = links::worst_first(lanes);
    order.retain(|&lane| lanes[lane].steps_asked > 0);
    let (drawn, left_out) = room::draw(&order, ROOM, |lane| strip(&links::name(lanes, lane), &lanes[lane]));
    html! {
        p {
            span.key { (sample(State::Agrees)) "the replay gave what eager execution gives, bit for bit" } " "
            span.key { (sample(State::Finding)) "a finding shows at this step" } " "
            span.key { (sample(State::Differs)) "the replay differed too" } " "
            span.key { (sample(State::Unknown)) "compared; some of these differ" } " "
            span.key { (sample(State::NotCompared)) "not compared" }
        }
        @for (_, strip) in &drawn { (strip) }
        @if drawn.is_empty() { p { "No steps were asked for." } }
        @if !left_out.is_empty() {
            (missing(&count(left_out.len() as u64, "lane"), "The table of lanes holds their numbers."))
        }
    }
}

fn sample(state: State) -> Markup {
    html! { svg.swatch aria-hidden="true" width="14" height="14" { (cell(state, 0.0, 0.0)) } }
}

fn cell(state: State, x: f64, y: f64) -> Markup {
    let class = match state {
        State::Agrees => "agrees",
        State::Finding | State::Differs => "differs",
        State::Unknown => "unknown",
        State::NotCompared => "not-compared",
    };
    html! {
        rect class={ "cell " (class) } x=(n(x + 1.0)) y=(n(y + 1.0)) width=(n(CELL - 2.0)) height=(n(CELL - 2.0)) {}
        // Not by colour alone.
        @if matches!(state, State::Finding | State::Differs) {
            path.cross d={ "M" (n(x + 3.5)) " " (n(y + 3.5)) "l7 7m0-7l-7 7" } {}
        }
    }
}

fn strip(name: &str, lane: &LaneReport) -> Markup {
    let steps = Steps::of(lane);
    // A finding may stand at a step beyond those asked for only in a receipt that is wrong.
    let asked = lane.steps_asked;
    let each = asked.div_ceil(MOST_CELLS).max(1);
    let cells = asked.div_ceil(each);
    let (columns, rows) = (cells.min(PER_ROW), cells.div_ceil(PER_ROW));
    let (width, height) = (columns as f64 * CELL, rows as f64 * CELL);
    html! {
        div.steps-lane {
            h3 { (name) }
            svg.strip role="img" viewBox={ "0 0 " (n(width)) " " (n(height)) } style={ "max-width:" (n(width)) "px" } {
                title { (name) ": " (agreement(lane)) }
                @for index in 0..cells {
                    @let (from, until) = (index * each, ((index + 1) * each).min(asked));
                    @let state = steps.state(from, until);
                    g {
                        title { (tooltip(&steps, state, from, until)) }
                        (cell(state, (index % PER_ROW) as f64 * CELL, (index / PER_ROW) as f64 * CELL))
                    }
                }
            }
            p.minor {
                (agreement(lane)) ". "
                @if each > 1 { "Each cell stands for " (grouped(each)) " steps. " }
                @if !steps.found.is_empty() { (listed(&steps)) }
                @if !lane.digests.inputs.is_empty() { "Digest of all inputs " code { (cut(&lane.digests.inputs, 32)) } "." }
            }
        }
    }
}

fn agreement(lane: &LaneReport) -> String {
    let mut text = format!("{} of {} replays equal", grouped(lane.steps_agreeing), grouped(lane.steps_compared));
    if lane.steps_compared < lane.steps_asked {
        text.push_str(&format!(", {} asked for", grouped(lane.steps_asked)));
    }
    text
}

fn listed(steps: &Steps<'_>) -> String {
    let one = |(step, ids): (&u64, &BTreeSet<&str>)| {
        let ids: Vec<String> = ids.iter().take(6).map(|id| cut(id, 12)).collect();
        format!("{step} ({})", ids.join(", "))
    };
    let all: Vec<String> = steps.found.iter().take(MOST_LISTED).map(one).collect();
    let more = steps.found.len().saturating_sub(MOST_LISTED);
    let more = if more > 0 { format!(" and {}", count(more as u64, "further step")) } else { String::new() };
    format!("Findings first show at step {}{more}. ", all.join(", "))
}

fn tooltip(steps: &Steps<'_>, state: State, from: u64, until: u64) -> String {
    let range = if until == from + 1 { format!("step {from}") } else { format!("steps {from} to {}", until - 1) };
    let what = match state {
        State::Agrees => "equal".to_owned(),
        State::Finding => {
            let ids: BTreeSet<&str> = steps.found.range(from..until).flat_map(|(_, ids)| ids.iter().copied()).collect();
            let ids: Vec<String> = ids.iter().take(6).map(|id| cut(id, 12)).collect();
            format!("finding {}", ids.join(", "))
        }
        State::Differs => {
            let steps: Vec<String> = steps.differing.range(from..until).take(6).map(|&step| grouped(step)).collect();
            format!("the replay differed at step {}", steps.join(", "))
        }
        State::Unknown => "compared, perhaps different".to_owned(),
        State::NotCompared => "not compared".to_owned(),
    };
    let digest =
        usize::try_from(from).ok().and_then(|at| steps.lane.digests.steps.get(at)).filter(|_| until == from + 1);
    digest.map_or_else(
        || format!("{range}: {what}"),
        |digest| format!("{range}: {what}, eager digest {}", cut(digest, 32)),
    )
}

#[cfg(test)]
mod tests {
    use graphproof_harness::finding::{Check, Finding, Id};
    use graphproof_harness::report::{Digests, Times, Verdict};

    use super::*;

    fn lane(asked: u64, compared: u64, agreeing: u64, found: &[u64]) -> LaneReport {
        LaneReport {
            step: "a".to_owned(),
            summary: String::new(),
            shape: String::new(),
            seed: 0,
            verdict: Verdict::Fail,
            steps_asked: asked,
            steps_compared: compared,
            steps_agreeing: agreeing,
            steps_differing: Vec::new(),
            steps_controlled: 0,
            findings: found.iter().map(|&step| Finding::new(Id::R01, Check::Bits).at_step(step)).collect(),
            graph: None,
            memory: None,
            times: Times::default(),
            speed: None,
            digests: Digests::default(),
            timelines: Vec::new(),
            not_checked: Vec::new(),
        }
    }

    #[test]
    fn a_receipt_that_tells_which_steps_differ_leaves_none_open() {
        let lane = LaneReport { steps_differing: vec![2, 5], ..lane(8, 8, 6, &[2]) };
        assert_eq!(states(&lane), "==x==d==");
        let more_than_told = LaneReport { steps_differing: vec![2, 5], ..lane_of_three() };
        assert_eq!(states(&more_than_told), "==x==d??");
    }

    fn lane_of_three() -> LaneReport {
        lane(8, 8, 5, &[2])
    }

    fn states(lane: &LaneReport) -> String {
        let sign = |step| match Steps::of(lane).state(step, step + 1) {
            State::Agrees => '=',
            State::Finding => 'x',
            State::Differs => 'd',
            State::Unknown => '?',
            State::NotCompared => '.',
        };
        (0..lane.steps_asked).map(sign).collect()
    }

    #[test]
    fn only_what_the_receipt_tells_is_said() {
        assert_eq!(states(&lane(6, 6, 6, &[])), "======");
        assert_eq!(states(&lane(6, 6, 5, &[2])), "==x===");
        assert_eq!(states(&lane(6, 6, 3, &[2])), "==x???");
        // The step of the finding was not compared: the replay was not launched.
        assert_eq!(states(&lane(6, 3, 3, &[3])), "===x..");
        assert_eq!(states(&lane(4, 0, 0, &[])), "....");
        assert_eq!(states(&lane(4, 4, 2, &[])), "????");
    }

    #[test]
    fn many_steps_share_few_cells() {
        let text = strip("a", &lane(10_000, 10_000, 10_000, &[])).0;
        assert_eq!(text.matches("<rect").count(), 127);
        assert!(text.contains("Each cell stands for 79 steps"), "{text}");
    }
}
