//! Memory over length: where a lane stops to fit into a GPU.

mod axes;

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::graph::layout::apart;
use super::room::{fill, missing};
use super::units::{count, cut, grouped, n};
use crate::receipt::Geometry;
use crate::report::table;
use axes::{Axes, Frame, GPUS, LEFT, NARROW, TOP, WIDE, byte_ticks, length_text, length_ticks, size};

/// Curves of the picture.
const MOST_CURVES: usize = 12;
/// Points of a curve.
const MOST_POINTS: usize = 100;
/// Bytes for the table.
const ROOM: usize = 60 << 10;
/// One lane's rows, by length.
struct Curve<'a> {
    name: String,
    rows: Vec<&'a Geometry>,
}

/// The section's content.
pub fn section(geometry: &[Geometry]) -> Markup {
    let curves = curves(geometry);
    let shown = &curves[..curves.len().min(MOST_CURVES)];
    html! {
        @if shown.is_empty() { p { "This receipt holds no figures at other lengths than the one that was run." } }
        @if !shown.is_empty() {
            p {
                "Bytes of all buffers of a step over the length, on logarithmic scales: the closed form as a line, what was "
                "measured (every buffer really allocated, nothing executed) as filled marks, what was not as hollow ones."
                @if let Some(rest) = common_rest(geometry) { " At " code { (cut(&rest, 120)) } "." }
            }
            (picture(shown, &WIDE))
            (picture(shown, &NARROW))
            ul.cliff { @for curve in shown { li { (sentence(curve)) } } }
            @if curves.len() > shown.len() {
                (missing(&count((curves.len() - shown.len()) as u64, "curve"), "The receipt (--json) holds all."))
            }
            (numbers(geometry))
        }
    }
}

/// A shape without its length: `b=1,h=1,d=128,topk=1024`.
fn rest_of(shape: &str) -> String {
    let rest: Vec<&str> =
        shape.split(',').filter(|part| !part.starts_with("sq=") && !part.starts_with("sk=")).collect();
    rest.join(",")
}

fn common_rest(geometry: &[Geometry]) -> Option<String> {
    let first = rest_of(&geometry.first()?.shape);
    (!first.is_empty() && geometry.iter().all(|row| rest_of(&row.shape) == first)).then_some(first)
}

fn curves(geometry: &[Geometry]) -> Vec<Curve<'_>> {
    let mut order: Vec<(&str, String)> = Vec::new();
    let mut rows: BTreeMap<(&str, String), Vec<&Geometry>> = BTreeMap::new();
    for row in geometry.iter().filter(|row| row.length > 0 && row.closed_form > 0) {
        let key = (row.step.as_str(), rest_of(&row.shape));
        if !order.contains(&key) {
            order.push(key.clone());
        }
        rows.entry(key).or_default().push(row);
    }
    let plain = common_rest(geometry).is_some()
        || order.iter().all(|(step, _)| order.iter().filter(|(other, _)| other == step).count() == 1);
    order
        .into_iter()
        .map(|(step, rest)| {
            let name = if plain { step.to_owned() } else { format!("{step}, {rest}") };
            let mut rows = rows.remove(&(step, rest)).unwrap_or_default();
            rows.sort_by_key(|row| row.length);
            rows.truncate(MOST_POINTS);
            Curve { name, rows }
        })
        .collect()
}

fn picture(curves: &[Curve<'_>], frame: &Frame) -> Markup {
    let axes = Axes::of(curves, frame);
    let (right, bottom) = (axes.right(), axes.bottom());
    let narrow = frame.names < 100.0;
    let ends: Vec<f64> =
        curves.iter().map(|curve| curve.rows.last().map_or(0.0, |row| axes.y(row.closed_form as f64))).collect();
    html! {
        svg class={ "cliff " (frame.class) } role="img" viewBox={ "0 0 " (frame.width) " " (frame.height) } {
            title { "Bytes over length for " (count(curves.len() as u64, "lane")) ", logarithmic, with the memory of an H100 and an H200" }
            @for power in byte_ticks(&axes) {
                @let y = axes.y(2_f64.powi(power));
                line.grid x1=(n(LEFT)) x2=(n(right)) y1=(n(y)) y2=(n(y)) {}
                text.tick x=(n(LEFT - 6.0)) y=(n(y + 4.0)) text-anchor="end" { (size(power)) }
            }
            @for power in length_ticks(&axes) {
                @let x = axes.x(2_f64.powi(power));
                line.grid x1=(n(x)) x2=(n(x)) y1=(n(TOP)) y2=(n(bottom)) {}
                text.tick x=(n(x)) y=(n(bottom + 16.0)) text-anchor=(if x + 20.0 > frame.width { "end" } else { "middle" }) { (length_text(power)) }
            }
            text.tick x=(n((LEFT + right) / 2.0)) y=(n(frame.height - 8.0)) text-anchor="middle" {
                "length L, keys" @if !narrow { " (and, but for decode, query rows)" }
            }
            @for (at, (name, bytes)) in GPUS.into_iter().enumerate() {
                @let y = axes.y(bytes as f64);
                line.gpu x1=(n(LEFT)) x2=(n(right)) y1=(n(y)) y2=(n(y)) {}
                // Above and below their lines, which are near each other.
                text.gpu x=(n(LEFT + 6.0)) y=(n(if at == 0 { y + 14.0 } else { y - 5.0 })) { (name) }
            }
            @for (at, curve) in curves.iter().enumerate() { (line(&axes, at, curve)) }
            @for ((at, curve), y) in curves.iter().enumerate().zip(label_places(&ends, if narrow { -1.0 } else { 0.0 })) {
                @let x = curve.rows.last().map_or(right, |row| axes.x(row.length as f64));
                @if narrow {
                    text class={ "curve s" (at % 6) } x=(n(x - 10.0)) y=(n(y)) text-anchor="end" { (cut(&curve.name, 14)) }
                } @else {
                    line.leader x1=(n(x + 5.0)) x2=(n(right + 14.0)) y1=(n(ends[at])) y2=(n(y)) {}
                    text class={ "curve s" (at % 6) } x=(n(right + 18.0)) y=(n(y + 4.0)) { (cut(&curve.name, 19)) }
                }
            }
        }
    }
}

/// Where the curves' names stand, without touching: as near as can be to `below` their ends.
fn label_places(ends: &[f64], below: f64) -> Vec<f64> {
    let mut order: Vec<usize> = (0..ends.len()).collect();
    order.sort_by(|&a, &b| ends[a].total_cmp(&ends[b]));
    let wanted: Vec<f64> = order.iter().map(|&at| ends[at] + below).collect();
    let mut places = vec![0.0; ends.len()];
    for (&at, place) in order.iter().zip(apart(&wanted, &vec![15.0; wanted.len()], 1.0)) {
        places[at] = place;
    }
    places
}

fn line(axes: &Axes<'_>, at: usize, curve: &Curve<'_>) -> Markup {
    let points: Vec<String> = curve
        .rows
        .iter()
        .map(|row| format!("{},{}", n(axes.x(row.length as f64)), n(axes.y(row.closed_form as f64))))
        .collect();
    html! {
        polyline class={ "curve s" (at % 6) } points=(points.join(" ")) {}
        @for row in &curve.rows {
            @let bytes = row.measured.filter(|&bytes| bytes > 0);
            @let (x, y) = (axes.x(row.length as f64), axes.y(bytes.unwrap_or(row.closed_form) as f64));
            g {
                title { (cut(&curve.name, 60)) " at L = " (grouped(row.length)) ": " (describe(row)) }
                path class={ "point s" (at % 6) @if bytes.is_none() { " hollow" } } d=(shape(at, x, y)) {}
            }
        }
    }
}

/// A mark that differs by its shape too: circle, square, diamond, triangle, cross bar, hexagon.
fn shape(at: usize, x: f64, y: f64) -> String {
    let start = |dx: f64, dy: f64| format!("M{} {}", n(x + dx), n(y + dy));
    match at % 6 {
        0 => format!("{}a4.5 4.5 0 1 0 9 0a4.5 4.5 0 1 0-9 0z", start(-4.5, 0.0)),
        1 => format!("{}h8v8h-8z", start(-4.0, -4.0)),
        2 => format!("{}l5.5 5.5-5.5 5.5-5.5-5.5z", start(0.0, -5.5)),
        3 => format!("{}l5.5 9h-11z", start(0.0, -5.5)),
        4 => format!("{}h11l-5.5 9z", start(-5.5, -3.5)),
        _ => format!("{}h5l3 4.5-3 4.5h-5l-3-4.5z", start(-2.5, -4.5)),
    }
}

fn describe(row: &Geometry) -> String {
    let measured = match (row.measured, &row.not_measured) {
        (Some(bytes), _) => format!("{} measured", table::bytes(bytes)),
        (None, Some(reason)) => format!("not measured: {}", cut(reason, 120)),
        (None, None) => "not measured".to_owned(),
    };
    format!("{} by the closed form, {measured}", table::bytes(row.closed_form))
}

/// Where the curve passes the GPUs' memory.
fn sentence(curve: &Curve<'_>) -> Markup {
    let last = curve.rows.last();
    let crossings: Vec<String> = GPUS
        .iter()
        .filter_map(|(name, bytes)| Some(format!("{name} near L = {}", grouped(crossing(curve, *bytes)?))))
        .collect();
    html! {
        b { (cut(&curve.name, 60)) } ": "
        @match (last, crossings.is_empty()) {
            (Some(row), true) => { "needs " (table::bytes(row.closed_form)) " at L = " (grouped(row.length)) },
            _ => { "passes " (crossings.join(" and ")) },
        }
        "."
    }
}

/// The length at which the closed form reaches `bytes`, between two rows, to three digits.
fn crossing(curve: &Curve<'_>, bytes: u64) -> Option<u64> {
    let pair = curve.rows.windows(2).find(|pair| pair[0].closed_form <= bytes && pair[1].closed_form > bytes)?;
    let log = |value: u64| (value as f64).ln();
    let part = (log(bytes) - log(pair[0].closed_form)) / (log(pair[1].closed_form) - log(pair[0].closed_form));
    let length = (log(pair[0].length) + part * (log(pair[1].length) - log(pair[0].length))).exp();
    let unit = 10_f64.powf((length.log10().floor() - 2.0).max(0.0));
    Some(((length / unit).round() * unit) as u64)
}

fn numbers(geometry: &[Geometry]) -> Markup {
    let (rows, left_out) = fill(ROOM, geometry.iter(), |row| {
        html! {
            tr {
                th scope="row" { (cut(&row.step, 60)) }
                td { (grouped(row.length)) }
                td { (table::bytes(row.closed_form)) }
                td {
                    @match row.measured { Some(bytes) => (table::bytes(bytes)), None => "–" }
                    @if let Some(reason) = &row.not_measured { span.minor { (cut(reason, 200)) } }
                }
                td { code { (cut(&row.shape, 80)) } }
            }
        }
    });
    html! {
        details {
            summary { "The figures" }
            div.scroll tabindex="0" role="region" aria-label="Figures of memory over length" {
                table.figures {
                    thead {
                        tr {
                            th scope="col" { "Lane" } th scope="col" { "Length" } th scope="col" { "Closed form" }
                            th scope="col" { "Measured" } th scope="col" { "Shape" }
                        }
                    }
                    tbody { @for row in &rows { (row) } }
                }
            }
            @if left_out > 0 { (missing(&count(left_out, "row"), "The receipt (--json) holds all.")) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(length: u64, closed_form: u64) -> Geometry {
        Geometry {
            step: "materialized".to_owned(),
            shape: format!("sq={length},sk={length},b=1,h=1"),
            length,
            closed_form,
            formula: String::new(),
            terms: Vec::new(),
            published: Vec::new(),
            measured: None,
            not_measured: None,
        }
    }

    #[test]
    fn the_cliff_is_where_the_closed_form_says() {
        let rows: Vec<Geometry> = (10..20).map(|power| row(1 << power, (1 << (2 * power)) * 4)).collect();
        let curves = curves(&rows);
        // 4 L² = 80 GiB at L = √(20 Gi) = 146,543.
        assert_eq!(crossing(&curves[0], 80 << 30), Some(147_000));
        assert_eq!(crossing(&curves[0], 1 << 62), None);
        assert_eq!(common_rest(&rows).as_deref(), Some("b=1,h=1"));
    }

    #[test]
    fn one_row_and_absurd_rows_are_survived() {
        for rows in [vec![row(512, 1)], vec![row(u64::MAX, u64::MAX), row(1, 1)], vec![row(0, 0)]] {
            let text = section(&rows).0;
            assert!(!text.contains("NaN") && !text.contains("inf"), "{text}");
        }
    }

    #[test]
    fn names_at_the_same_height_move_apart() {
        let places = label_places(&[100.0, 100.0, 20.0], 0.0);
        assert!((places[0] - places[1]).abs() >= 16.0 && places[2] == 20.0, "{places:?}");
    }
}
