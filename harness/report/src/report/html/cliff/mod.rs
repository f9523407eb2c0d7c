//! Memory over length: where a lane stops to fit into a GPU.

mod axes;

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::graph::layout::apart;
use super::room::{fill, missing};
use super::units::{self, count, cut, grouped, n};
use crate::receipt::Geometry;
use crate::report::table;
use axes::{Axes, Frame, GPUS, LEFT, NARROW, TOP, WIDE, byte_ticks, length_text, length_ticks, size};

/// Curves of the picture.
const MOST_CURVES: usize = 12;
/// Points of a curve.
const MOST_POINTS: usize = 100;
/// Characters of a line of a curve's name.
const NAME: usize = 19;
/// Height of a line of text.
const LINE: f64 = 14.0;
/// Width of a letter of a GPU's name.
const LETTER: f64 = 7.2;
/// From so far away nothing touches a mark.
const MARK: f64 = 8.0;
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
            p.minor { "Dashed: " (GPUS.map(|(name, _)| name).join(" and ")) "." }
            ul.cliff { @for (at, curve) in shown.iter().enumerate() { li { (mark(at)) (sentence(curve)) } } }
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
    // Of a shape, a name tells what not all have.
    let everywhere = |part: &str| order.iter().all(|(_, rest)| rest.split(',').any(|other| other == part));
    let telling = |rest: &str| rest.split(',').filter(|part| !everywhere(part)).collect::<Vec<_>>().join(",");
    let names: Vec<String> = order
        .iter()
        .map(|(step, rest)| match telling(rest) {
            rest if plain || rest.is_empty() => (*step).to_owned(),
            rest => format!("{step}, {rest}"),
        })
        .collect();
    order
        .into_iter()
        .zip(names)
        .map(|((step, rest), name)| {
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
    let names: Vec<Vec<String>> = curves.iter().map(|curve| units::lines(&curve.name, NAME, 3)).collect();
    let ends: Vec<f64> =
        curves.iter().map(|curve| curve.rows.last().map_or(0.0, |row| axes.y(row.closed_form as f64))).collect();
    let heights: Vec<f64> = names.iter().map(|lines| lines.len() as f64 * LINE).collect();
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
            @for (_, bytes) in GPUS {
                @let y = axes.y(bytes as f64);
                line.gpu x1=(n(LEFT)) x2=(n(right)) y1=(n(y)) y2=(n(y)) {}
            }
            @for (at, curve) in curves.iter().enumerate() { (line(&axes, at, curve)) }
            @for (name, (x, y)) in gpu_names(frame).zip(free_places(&axes, curves)) {
                text.gpu x=(n(x)) y=(n(y)) { (name) }
            }
            // On a narrow screen the list beneath the picture tells which mark is whose.
            @if !narrow {
                @for ((at, name), y) in names.iter().enumerate().zip(label_places(&ends, &heights)) {
                    @let x = curves[at].rows.last().map_or(right, |row| axes.x(row.length as f64));
                    line.leader x1=(n(x + 5.0)) x2=(n(right + 14.0)) y1=(n(ends[at])) y2=(n(y)) {}
                    @for (row, text) in name.iter().enumerate() {
                        @let line = row as f64 - (name.len() - 1) as f64 / 2.0;
                        text class={ "curve s" (at % 6) } x=(n(right + 18.0)) y=(n(y + 4.0 + line * LINE)) { (text) }
                    }
                }
            }
        }
    }
}

/// The GPUs' names, with their memory where there is room for it.
fn gpu_names(frame: &Frame) -> impl Iterator<Item = &'static str> {
    let narrow = frame.names < 100.0;
    GPUS.iter().map(move |(name, _)| if narrow { name.split(['(', ')']).nth(1).unwrap_or(name) } else { name })
}

/// Where the GPUs' names stand: at their lines, above or below, where they keep clear of all curves, of
/// their marks and of each other; as far from them as can be, if nowhere.
fn free_places(axes: &Axes<'_>, curves: &[Curve<'_>]) -> Vec<(f64, f64)> {
    let mut taken: Vec<(f64, f64)> = Vec::new();
    for curve in curves {
        let point = |row: &Geometry| (axes.x(row.length as f64), axes.y(row.closed_form as f64));
        let points: Vec<(f64, f64)> = curve.rows.iter().map(|row| point(row)).collect();
        taken.extend(
            curve.rows.iter().filter_map(|row| Some((axes.x(row.length as f64), axes.y(row.measured? as f64)))),
        );
        taken.extend(points.first());
        for pair in points.windows(2) {
            taken.extend((1..=40).map(|part| {
                let part = f64::from(part) / 40.0;
                (pair[0].0 + part * (pair[1].0 - pair[0].0), pair[0].1 + part * (pair[1].1 - pair[0].1))
            }));
        }
    }
    let lines: Vec<f64> = GPUS.iter().map(|(_, bytes)| axes.y(*bytes as f64)).collect();
    let mut places: Vec<(f64, f64)> = Vec::new();
    for (at, name) in gpu_names(axes.frame).enumerate() {
        let width = name.len() as f64 * LETTER;
        // How far the box of the name is from what is there.
        let clear = |&(x, y): &(f64, f64)| {
            let distance = |&(px, py): &(f64, f64)| {
                let (dx, dy) = ((x - px).max(px - x - width).max(0.0), (y - 11.0 - py).max(py - y - 3.0).max(0.0));
                dx.hypot(dy)
            };
            let names =
                places.iter().map(|&(px, py)| if (py - y).abs() < LINE && (px - x).abs() < width { 0.0 } else { 99.0 });
            let other = lines.iter().enumerate().filter(|&(line, _)| line != at).map(|(_, py)| distance(&(x, *py)));
            taken.iter().map(distance).chain(names).chain(other).fold(MARK, f64::min)
        };
        let columns = (0..=12).map(|part| LEFT + 6.0 + f64::from(part) / 12.0 * (axes.right() - LEFT - width - 12.0));
        let sides = [lines[at] - 5.0, lines[at] + 14.0];
        // Of equal places the first, which is the leftmost above its line.
        let best = columns
            .flat_map(|x| sides.map(|y| (x, y)))
            .reduce(|best, next| if clear(&next) > clear(&best) { next } else { best });
        places.extend(best);
    }
    places
}

/// The middles of the curves' names of these `heights`, without touching, as near as can be to their ends.
fn label_places(ends: &[f64], heights: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..ends.len()).collect();
    order.sort_by(|&a, &b| ends[a].total_cmp(&ends[b]));
    let wanted: Vec<f64> = order.iter().map(|&at| ends[at]).collect();
    let heights: Vec<f64> = order.iter().map(|&at| heights[at]).collect();
    let mut places = vec![0.0; ends.len()];
    let mut top = 0.0_f64;
    for ((&at, place), height) in order.iter().zip(apart(&wanted, &heights, 2.0)).zip(&heights) {
        // None above the picture's edge.
        places[at] = place.max(top + height / 2.0);
        top = places[at] + height / 2.0 + 2.0;
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

/// The mark of a curve, before its name.
fn mark(at: usize) -> Markup {
    html! {
        svg.mark aria-hidden="true" width="14" height="14" viewBox="-7 -7 14 14" {
            path class={ "point s" (at % 6) } d=(shape(at, 0.0, 0.0)) {}
        }
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
        let places = label_places(&[100.0, 100.0, 20.0], &[14.0; 3]);
        assert!((places[0] - places[1]).abs() >= 16.0 && places[2] == 20.0, "{places:?}");
        assert_eq!(label_places(&[0.0, 0.0], &[20.0, 20.0]), [10.0, 32.0]);
    }
}
