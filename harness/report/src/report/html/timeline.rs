//! Host calls beside device work, as a picture for each run of each lane.

use std::collections::BTreeMap;

use graphproof_harness::report::{LaneReport, RunKind, Span, Timeline, Track};
use maud::{Markup, html};

use super::lanes::time;
use super::links;
use super::room::{self, missing};
use super::ticks::ticks;
use super::units::{count, cut, n};

/// Bytes for all timelines.
const ROOM: usize = 340 << 10;
/// Tracks of one picture.
const MOST_TRACKS: usize = 10;
const WIDTH: f64 = 900.0;
const LABEL: f64 = 92.0;
const TRACK: f64 = 30.0;
const BAR: f64 = 20.0;
const AXIS: f64 = 22.0;
/// Spans that are narrower are drawn together where they touch.
const NARROW: f64 = 2.0;
/// Width of a character of a bar's text.
const ADVANCE: f64 = 6.6;
/// The calls before the longest wait are drawn again, enlarged, where they take less than this part.
const ENLARGE_BELOW: f64 = 0.2;

/// The section's content.
pub fn section(lanes: &[LaneReport]) -> Markup {
    let mut order = links::worst_first(lanes);
    order.retain(|&lane| !lanes[lane].timelines.is_empty());
    let (drawn, left_out) = room::draw(&order, ROOM, |lane| {
        html! {
            div.lane {
                h3 { (links::name(lanes, lane)) }
                @for timeline in shown(&lanes[lane]) { (figure(&links::name(lanes, lane), &lanes[lane], timeline)) }
            }
        }
    });
    let without = lanes.len() - drawn.len() - left_out.len();
    html! {
        p {
            "One track for each thread of the host and each stream of the device. "
            span.key { span.swatch.host {} "a driver call" } " "
            span.key { (hatched()) "the host waits for the device" } " "
            span.key { span.swatch.device {} "work of the device" }
        }
        p.minor {
            "The eager run and the replay end with the gate's own wait for the stream. Hatching before that is a hidden "
            "synchronisation: the host stands still, and the device may run dry."
        }
        @for (_, picture) in &drawn { (picture) }
        @if without > 0 {
            p {
                (count(without as u64, "lane")) @if without == 1 { " has" } @else { " have" }
                " no timeline: the run ended before it was drawn, or the driver keeps no record of its calls."
            }
        }
        @if !left_out.is_empty() {
            (missing(&format!("the timelines of {}", count(left_out.len() as u64, "lane")), "--trace FILE writes all."))
        }
    }
}

/// The first timeline of each kind; others are in the trace.
fn shown(lane: &LaneReport) -> impl Iterator<Item = &Timeline> {
    let kinds = [RunKind::Eager, RunKind::Replay, RunKind::StalledStream];
    kinds.into_iter().filter_map(|kind| lane.timelines.iter().find(|timeline| timeline.run == kind))
}

fn hatched() -> Markup {
    html! { svg.swatch aria-hidden="true" width="22" height="12" { rect.blocked width="22" height="12" {} } }
}

/// What a run is called.
pub fn run_name(run: RunKind) -> &'static str {
    match run {
        RunKind::Eager => "eager",
        RunKind::Replay => "replay",
        RunKind::StalledStream => "eager on a held stream",
    }
}

/// What a track is called.
pub fn track_name(track: Track) -> String {
    match track {
        Track::Host(0) => "host".to_owned(),
        Track::Host(thread) => format!("host thread {thread}"),
        Track::Stream(stream) => format!("stream {stream}"),
    }
}

fn end(span: &Span) -> u64 {
    span.start_ns.saturating_add(span.duration_ns)
}

fn figure(name: &str, lane: &LaneReport, timeline: &Timeline) -> Markup {
    let spans: Vec<&Span> = timeline.spans.iter().collect();
    // Eager run and replay share a scale, so that their lengths can be compared.
    let alike = |other: &&Timeline| (other.run == RunKind::StalledStream) == (timeline.run == RunKind::StalledStream);
    let most = shown(lane).filter(alike).flat_map(|timeline| &timeline.spans).map(end).max().unwrap_or(0);
    let label = format!("{name}, {}", run_name(timeline.run));
    html! {
        figure.timeline {
            h4 { (run_name(timeline.run)) ", step " (timeline.step) }
            @if spans.is_empty() { p { "Nothing was called." } }
            @if !spans.is_empty() {
                div.scroll tabindex="0" role="region" aria-label={ "Timeline of " (label) } {
                    (picture(&label, &spans, 0, most.max(1)))
                    @if let Some(until) = beginning(&spans, most) {
                        p.minor { "The beginning, enlarged:" }
                        (picture(&format!("{label}, the beginning"), &spans, 0, until))
                    }
                }
            }
            figcaption.minor { (summary(&spans)) @if timeline.dropped > 0 { " " (count(timeline.dropped, "call")) " found no room in the record." } }
        }
    }
}

/// Until when the first calls are drawn again: the longest wait begins early.
fn beginning(spans: &[&Span], most: u64) -> Option<u64> {
    let wait = spans.iter().filter(|span| span.blocked_ns > 0).max_by_key(|span| span.blocked_ns)?;
    let before =
        spans.iter().filter(|span| matches!(span.track, Track::Host(_)) && span.start_ns < wait.start_ns).count();
    let until = wait.start_ns + wait.start_ns / 8 + 1;
    (before >= 2 && (until as f64) < most as f64 * ENLARGE_BELOW).then_some(until)
}

fn summary(spans: &[&Span]) -> String {
    let host = spans.iter().filter(|span| matches!(span.track, Track::Host(_)));
    let (mut calls, mut blocked) = (0, BTreeMap::<&str, u64>::new());
    for span in host {
        calls += 1;
        if span.blocked_ns > 0 {
            *blocked.entry(&span.what).or_default() += span.blocked_ns;
        }
    }
    let device: Vec<&&Span> = spans.iter().filter(|span| matches!(span.track, Track::Stream(_))).collect();
    let busy: u64 = device.iter().map(|span| span.duration_ns).sum();
    let mut blocked: Vec<(&str, u64)> = blocked.into_iter().collect();
    blocked.sort_by_key(|&(_, nanoseconds)| std::cmp::Reverse(nanoseconds));
    let waits: Vec<String> = blocked
        .iter()
        .take(3)
        .map(|(what, nanoseconds)| format!("{} in {}", time(*nanoseconds), cut(what, 60)))
        .collect();
    let waited =
        if waits.is_empty() { "none of them waited".to_owned() } else { format!("waited {}", waits.join(", ")) };
    format!(
        "{}, {waited}; {} on the device, {} in all.",
        count(calls, "driver call"),
        count(device.len() as u64, "piece") + " of work",
        time(busy)
    )
}

/// One bar: a span, or several narrow ones that touch.
struct Bar<'a> {
    first: &'a Span,
    count: u64,
    start: f64,
    end: f64,
    until: u64,
    blocked: u64,
}

/// The spans of one track as bars within `from`..`until`, `x` to the right.
fn bars<'a>(spans: &[&'a Span], from: u64, until: u64) -> Vec<Bar<'a>> {
    let x = |at: u64| (at.clamp(from, until) - from) as f64 / (until - from) as f64 * (WIDTH - LABEL);
    let mut bars: Vec<Bar<'a>> = Vec::new();
    for &span in spans.iter().filter(|span| span.start_ns < until && end(span) >= from) {
        let (start, stop) = (x(span.start_ns), x(end(span)));
        let narrow = stop - start < NARROW;
        match bars.last_mut() {
            Some(last) if narrow && start - last.end < 1.0 && (last.count > 1 || last.end - last.start < NARROW) => {
                last.count += 1;
                last.end = last.end.max(stop);
                last.until = last.until.max(end(span));
                last.blocked += span.blocked_ns;
            }
            _ => bars.push(Bar { first: span, count: 1, start, end: stop, until: end(span), blocked: span.blocked_ns }),
        }
    }
    bars
}

fn picture(label: &str, spans: &[&Span], from: u64, until: u64) -> Markup {
    let mut tracks: BTreeMap<Track, Vec<&Span>> = BTreeMap::new();
    for span in spans {
        tracks.entry(span.track).or_default().push(span);
    }
    let left_out = tracks.len().saturating_sub(MOST_TRACKS);
    let shown: Vec<(Track, Vec<Bar<'_>>)> = tracks
        .into_iter()
        .take(MOST_TRACKS)
        .map(|(track, spans)| (track, bars(&spans, from, until)))
        .filter(|(_, bars)| !bars.is_empty())
        .collect();
    let height = shown.len() as f64 * TRACK + AXIS;
    let bottom = height - AXIS;
    html! {
        svg.timeline role="img" viewBox={ "0 0 " (WIDTH) " " (height) } {
            title { "Timeline of " (label) }
            @for (at, text) in ticks(until - from) {
                @let x = LABEL + at * (WIDTH - LABEL);
                line.grid x1=(n(x)) x2=(n(x)) y1="0" y2=(n(bottom + 4.0)) {}
                text.tick x=(n(x)) y=(n(height - 6.0)) text-anchor=(if at > 0.96 { "end" } else if at < 0.02 { "start" } else { "middle" }) { (text) }
            }
            @for (row, (track, bars)) in shown.iter().enumerate() {
                @let y = row as f64 * TRACK + (TRACK - BAR) / 2.0;
                text.label x="0" y=(n(y + 14.0)) { (track_name(*track)) }
                line.axis x1=(n(LABEL)) x2=(n(WIDTH)) y1=(n(y + BAR)) y2=(n(y + BAR)) {}
                @for bar in bars { (draw_bar(bar, *track, y, (from, until))) }
            }
        }
        @if left_out > 0 { (missing(&count(left_out as u64, "track"), "--trace FILE writes all.")) }
    }
}

fn draw_bar(bar: &Bar<'_>, track: Track, y: f64, (from, until): (u64, u64)) -> Markup {
    let class = if matches!(track, Track::Host(_)) { "host" } else { "device" };
    let (x, width) = (LABEL + bar.start, (bar.end - bar.start).max(1.2));
    let scale = (WIDTH - LABEL) / (until - from) as f64;
    // How long it waited is known, not when: the wait is drawn at the end, from which calls return.
    let blocked = (bar.blocked as f64 * scale).min(width);
    let began_hatch = if bar.until > until {
        // Cut off by the picture's end: what is seen is as much of the wait as lies inside.
        let wait = bar.until.saturating_sub(bar.blocked);
        (LABEL + (wait.max(from) - from) as f64 * scale).clamp(x, x + width)
    } else {
        x + width - blocked
    };
    let hatch = x + width - began_hatch;
    let text = if bar.count > 1 { format!("{} calls", bar.count) } else { bar.first.what.clone() };
    let fits = text.chars().count() as f64 * ADVANCE + 8.0 < width;
    html! {
        g.span {
            title { (tooltip(bar)) }
            rect class=(class) x=(n(x)) y=(n(y)) width=(n(width)) height=(n(BAR)) {}
            @if bar.blocked > 0 && hatch > 0.3 {
                rect.blocked x=(n(began_hatch)) y=(n(y)) width=(n(hatch)) height=(n(BAR)) {}
            }
            @if fits && bar.count == 1 {
                @if bar.blocked > 0 {
                    rect.plate x=(n(x + 3.0)) y=(n(y + 3.0)) width=(n(text.chars().count() as f64 * ADVANCE + 4.0)) height=(n(BAR - 6.0)) {}
                }
                text class={ "bar " (class) } x=(n(x + 5.0)) y=(n(y + 14.0)) { (text) }
            }
        }
    }
}

fn tooltip(bar: &Bar<'_>) -> String {
    let span = bar.first;
    let mut text = if bar.count > 1 {
        format!(
            "{} short spans, the first {}: {} to {}",
            bar.count,
            cut(&span.what, 80),
            precise(span.start_ns),
            precise(bar.until)
        )
    } else {
        format!("{}: {} long, from {}", cut(&span.what, 120), precise(span.duration_ns), precise(span.start_ns))
    };
    if bar.blocked > 0 {
        text.push_str(&format!(", {} of it waiting", precise(bar.blocked)));
    }
    if let Some(node) = span.node.filter(|_| bar.count == 1) {
        text.push_str(&format!(", node {node}"));
    }
    text
}

fn precise(nanoseconds: u64) -> String {
    if nanoseconds == 0 { "0".to_owned() } else { time(nanoseconds) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(what: &str, start_ns: u64, duration_ns: u64, blocked_ns: u64) -> Span {
        Span { track: Track::Host(0), what: what.to_owned(), start_ns, duration_ns, blocked_ns, node: None }
    }

    #[test]
    fn thousands_of_short_calls_become_few_bars_and_long_ones_stay() {
        let mut spans: Vec<Span> = (0..20_000).map(|at| call("cuLaunchKernel", at * 50, 40, 0)).collect();
        spans.push(call("cuStreamSynchronize", 1_000_000, 1_000_000, 900_000));
        let spans: Vec<&Span> = spans.iter().collect();
        let bars = bars(&spans, 0, 2_000_000);
        assert!(bars.len() < 10, "{}", bars.len());
        assert_eq!(bars.iter().map(|bar| bar.count).sum::<u64>(), 20_001);
        assert_eq!(bars.last().map(|bar| (bar.count, bar.blocked)), Some((1, 900_000)));
    }

    #[test]
    fn a_wait_is_hatched_for_its_length_at_the_end_of_its_call() {
        let span = call("cuStreamSynchronize", 0, 1_000, 500);
        let bars = bars(&[&span], 0, 1_000);
        let text = draw_bar(&bars[0], Track::Host(0), 0.0, (0, 1_000)).0;
        assert!(text.contains(r#"<rect class="blocked" x="496" y="0" width="404""#), "{text}");
        assert!(text.contains("1.0 µs long, from 0, 500 ns of it waiting"), "{text}");
    }
}
