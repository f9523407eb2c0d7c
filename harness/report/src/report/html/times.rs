//! Times, with their spread.

use graphproof_harness::report::{Achieved, LaneReport, Spread};
use maud::{Markup, html};

use super::lanes::time;
use super::links;
use super::room::{fill, missing};
use super::units::{count, grouped, n};

/// Bytes for the table.
const ROOM: usize = 100 << 10;

/// The section's content.
pub fn section(lanes: &[LaneReport], software: bool) -> Markup {
    let timed = (0..lanes.len()).filter(|&lane| lanes[lane].times.eager.samples > 0);
    let on_device = lanes.iter().any(|lane| !lane.times.device.is_empty());
    let (shown, left_out) = fill(ROOM, timed, |lane| row(lanes, lane, on_device));
    html! {
        p {
            "Times of the host, from the start of a step until the device is done: the median, and in brackets the "
            "lower and the upper quartile."
            @if software { " The software driver executes PTX on the CPU: its times say nothing about a GPU." }
        }
        @if shown.is_empty() { p { "No step was timed." } }
        @if !shown.is_empty() {
            div.scroll tabindex="0" role="region" aria-label="Times of each lane" {
                table.figures {
                    thead {
                        tr {
                            th scope="col" { "Step" }
                            th scope="col" { "Eager" }
                            th scope="col" { "Replay" }
                            th scope="col" { "Eager beside replay" }
                            th scope="col" { "Replay ÷ eager" }
                            th scope="col" { "Capture" }
                            th scope="col" { "Instantiate" }
                            th scope="col" { "Samples" }
                            @if on_device {
                                th scope="col" { "Replay on the device" }
                                th scope="col" { "Speed" }
                            }
                        }
                    }
                    tbody { @for row in &shown { (row) } }
                }
            }
        }
        @if left_out > 0 {
            (missing(&count(left_out, "further lane"), "The receipt (--json) holds all."))
        }
    }
}

fn row(lanes: &[LaneReport], lane: usize, on_device: bool) -> Markup {
    let times = &lanes[lane].times;
    let ratio = &times.replay_per_mille;
    let thousandths = |value: u64| format!("{:.3}", value as f64 / 1000.0);
    html! {
        tr {
            th scope="row" { (links::name(lanes, lane)) }
            td { (spread(&times.eager)) }
            td { (spread(&times.replay)) }
            td { (picture(&links::name(lanes, lane), &times.eager, &times.replay)) }
            td {
                @if ratio.samples > 0 {
                    (thousandths(ratio.median))
                    span.minor { "[" (thousandths(ratio.low)) ", " (thousandths(ratio.high)) "]" }
                } @else { "–" }
            }
            td { (time(times.capture)) }
            td { (time(times.instantiate)) }
            td { (grouped(times.eager.samples)) }
            @if on_device {
                td { (spread(&times.device)) }
                td { (lanes[lane].speed.as_ref().map_or_else(|| "–".to_owned(), speed)) }
            }
        }
    }
}

fn speed(of: &Achieved) -> String {
    let mut words = vec![format!("{:.1} TFLOP/s", of.tflops)];
    words.extend(of.beside_it());
    words.join(", ")
}

fn spread(spread: &Spread) -> Markup {
    html! {
        @if spread.samples > 0 {
            (time(spread.median))
            span.minor { "[" (time(spread.low)) ", " (time(spread.high)) "]" }
        } @else { "–" }
    }
}

/// Quartiles as bars on one scale, the median as a mark.
fn picture(name: &str, eager: &Spread, replay: &Spread) -> Markup {
    const WIDTH: f64 = 150.0;
    let most = eager.high.max(replay.high).max(1) as f64;
    let x = |value: u64| value as f64 / most * (WIDTH - 4.0) + 2.0;
    html! {
        svg.quartiles role="img" width=(WIDTH) height="30" viewBox={ "0 0 " (WIDTH) " 30" } {
            title { (name) ": quartiles of eager steps above, of replays below, from 0" }
            @for (y, class, spread) in [(4.0, "host", eager), (18.0, "device", replay)] {
                line.axis x1="2" x2=(n(WIDTH - 2.0)) y1=(n(y + 4.0)) y2=(n(y + 4.0)) {}
                @if spread.samples > 0 {
                    rect class=(class) x=(n(x(spread.low))) y=(n(y))
                        width=(n((x(spread.high) - x(spread.low)).max(1.0))) height="8" {}
                    line.median x1=(n(x(spread.median))) x2=(n(x(spread.median))) y1=(n(y - 2.0)) y2=(n(y + 10.0)) {}
                }
            }
        }
    }
}
