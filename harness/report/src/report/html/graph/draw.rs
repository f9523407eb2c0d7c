//! A graph's picture in SVG.

use std::collections::HashMap;

use graphproof_harness::report::{GraphReport, NodeReport};
use maud::{Markup, html};

use super::Marks;
use super::collapse::{Box, Boxes};
use super::layout::{self, Point};
use crate::report::html::links;
use crate::report::html::units::{cut, n};

/// Width of a character over the size of the font, in the widest of the usual monospaced fonts.
const ADVANCE: f64 = 0.61;
const NAME_SIZE: f64 = 13.0;
const DETAIL_SIZE: f64 = 11.0;
const CHIP_SIZE: f64 = 10.5;
/// Space between a box and its text.
const PAD: f64 = 9.0;
const LINE: f64 = 17.0;
const CHIP_LINE: f64 = 20.0;
const LEAST_WIDTH: f64 = 150.0;
const MOST_WIDTH: f64 = 292.0;
/// Space around the picture, for strokes.
const MARGIN: f64 = 3.0;
/// A picture that is wider takes a row of its own.
const WIDE: f64 = 340.0;
/// Most ids of findings in a node.
const MOST_MARKS: usize = 4;
/// Most chips of a node.
const MOST_CHIPS: usize = 24;

/// What a box says.
struct Face<'a> {
    part: &'a Box,
    name: String,
    detail: String,
    title: String,
    chips: Vec<Vec<Chip>>,
    marks: Vec<(&'a str, Option<&'a str>)>,
    height: f64,
}

/// A buffer's name in its frame.
struct Chip {
    text: String,
    class: &'static str,
    x: f64,
    width: f64,
}

/// The marks of all nodes that a box stands for.
pub fn marks_of<'a>(part: &Box, marks: &'a HashMap<usize, Marks>) -> Vec<(&'a str, Option<&'a str>)> {
    let mut all: Vec<(&str, Option<&str>)> = Vec::new();
    for node in part.node..part.node + part.count {
        for (id, anchor) in marks.get(&node).into_iter().flatten() {
            if !all.iter().any(|(known, _)| id == known) {
                all.push((id.as_str(), anchor.as_deref()));
            }
        }
    }
    all
}

/// The picture, and whether it is wide.
pub fn picture(
    name: &str,
    lane: usize,
    graph: &GraphReport,
    boxes: &Boxes,
    marks: &HashMap<usize, Marks>,
    roles: &HashMap<&str, &str>,
) -> (Markup, bool) {
    let width =
        boxes.boxes.iter().map(|part| wanted_width(&graph.node_list[part.node], part)).fold(LEAST_WIDTH, f64::max);
    let width = width.min(MOST_WIDTH);
    let faces: Vec<Face<'_>> =
        boxes.boxes.iter().map(|part| face(part, &graph.node_list[part.node], width, marks, roles)).collect();
    let sizes: Vec<(f64, f64)> = faces.iter().map(|face| (width, face.height)).collect();
    let layout = layout::layout(&sizes, &boxes.edges);
    let (w, h) = (layout.size.0 + 2.0 * MARGIN, layout.size.1 + 2.0 * MARGIN);
    let style = format!("width:{0}px;min-width:{1}px", n(w), n(w.min(WIDE).max(w * 0.75).min(w) * 0.8));
    let markup = html! {
        svg.graph role="img" viewBox={ (n(-MARGIN)) " " (n(-MARGIN)) " " (n(w)) " " (n(h)) } style=(style) {
            title { "Graph of " (name) ": " (graph.nodes) " nodes, " (graph.edges) " edges" }
            @for arrow in &layout.arrows { path.arrow d=(curve(arrow)) {} }
            @for (face, &corner) in faces.iter().zip(&layout.boxes) { (draw_box(lane, face, corner, width)) }
        }
    };
    (markup, w > WIDE)
}

/// The name and the rest of a headline: `kernel f grid 1x1x1 …` is `f` and `grid 1x1x1 …`.
fn words(node: &NodeReport) -> (String, String) {
    let rest = match &node.kernel {
        Some(kernel) => {
            let rest = node.headline.strip_prefix("kernel ").and_then(|rest| rest.strip_prefix(kernel.as_str()));
            return (kernel.clone(), rest.unwrap_or(&node.headline).trim().to_owned());
        }
        None => &node.headline,
    };
    match rest.split_once(' ') {
        Some(("host" | "memory", _)) => match rest.split_once(", ") {
            Some((name, detail)) => (name.to_owned(), detail.to_owned()),
            None => (rest.clone(), String::new()),
        },
        Some((name, detail)) => (name.to_owned(), detail.to_owned()),
        None => (rest.clone(), String::new()),
    }
}

fn number(part: &Box) -> String {
    if part.count > 1 {
        format!("{}–{} ×{}", part.node, part.node + part.count - 1, part.count)
    } else {
        part.node.to_string()
    }
}

fn text_width(text: &str, size: f64) -> f64 {
    text.chars().count() as f64 * size * ADVANCE
}

fn wanted_width(node: &NodeReport, part: &Box) -> f64 {
    let (name, detail) = words(node);
    let head = text_width(&name, NAME_SIZE) + text_width(&number(part), DETAIL_SIZE) + 14.0;
    head.max(text_width(&detail, DETAIL_SIZE)) + 2.0 * PAD
}

fn face<'a>(
    part: &'a Box,
    node: &NodeReport,
    width: f64,
    marks: &'a HashMap<usize, Marks>,
    roles: &HashMap<&str, &str>,
) -> Face<'a> {
    let inner = width - 2.0 * PAD;
    let fit = |text: &str, room: f64, size: f64| cut(text, ((room / (size * ADVANCE)) as usize).max(4));
    let (name, detail) = words(node);
    let site = node.site.as_ref().map_or(String::new(), |site| format!("\n{}", site.place()));
    let chips = chips(&node.buffers, inner, roles);
    let marks = marks_of(part, marks);
    let lines = 1.0 + f64::from(u8::from(!detail.is_empty())) + f64::from(u8::from(!marks.is_empty()));
    Face {
        part,
        title: cut(&format!("node {}: {}{site}", number(part), node.headline), 400),
        name: fit(&name, inner - text_width(&number(part), DETAIL_SIZE) - 10.0, NAME_SIZE),
        detail: fit(&detail, inner, DETAIL_SIZE),
        height: 10.0 + lines * LINE + chips.len() as f64 * CHIP_LINE,
        chips,
        marks,
    }
}

/// The buffers' names as rows of chips that fit into `inner`.
fn chips(buffers: &[String], inner: f64, roles: &HashMap<&str, &str>) -> Vec<Vec<Chip>> {
    let mut rows: Vec<Vec<Chip>> = Vec::new();
    let mut x = f64::INFINITY;
    let more = (buffers.len() > MOST_CHIPS).then(|| (format!("and {} more", buffers.len() - MOST_CHIPS), "plain"));
    let known = buffers.iter().take(MOST_CHIPS).map(|buffer| (buffer.clone(), role_class(roles.get(buffer.as_str()))));
    for (text, class) in known.chain(more) {
        let text = cut(&text, ((inner - 12.0) / (CHIP_SIZE * ADVANCE)) as usize);
        let width = text_width(&text, CHIP_SIZE) + 10.0;
        if x + width > inner {
            rows.push(Vec::new());
            x = 0.0;
        }
        if let Some(row) = rows.last_mut() {
            row.push(Chip { text, class, x, width });
        }
        x += width + 5.0;
    }
    rows
}

/// The class of a role; texts of a receipt never become one.
pub fn role_class(role: Option<&&str>) -> &'static str {
    match role.copied() {
        Some("input") => "input",
        Some("state") => "state",
        Some("output") => "output",
        Some("scratch") => "scratch",
        _ => "plain",
    }
}

fn draw_box(lane: usize, face: &Face<'_>, (x, y): Point, width: f64) -> Markup {
    let hit = !face.marks.is_empty();
    let detail = !face.detail.is_empty();
    let chips = y + LINE + if detail { LINE } else { 0.0 } + 6.0;
    html! {
        g id=(links::node(lane, face.part.node)) class={ "node" @if hit { " hit" } } {
            title { (face.title) }
            @if face.part.count > 1 {
                rect.behind x=(n(x + 4.0)) y=(n(y + 3.0)) width=(n(width - 2.0)) height=(n(face.height)) rx="6" {}
            }
            rect x=(n(x)) y=(n(y)) width=(n(width)) height=(n(face.height)) rx="6" {}
            text.name x=(n(x + PAD)) y=(n(y + LINE)) { (face.name) }
            text.number x=(n(x + width - PAD)) y=(n(y + LINE)) { (number(face.part)) }
            @if detail { text.detail x=(n(x + PAD)) y=(n(y + 2.0 * LINE - 1.0)) { (face.detail) } }
            @for (row, line) in face.chips.iter().enumerate() {
                @let below = chips + row as f64 * CHIP_LINE;
                @for chip in line {
                    rect class={ "chip " (chip.class) } x=(n(x + PAD + chip.x)) y=(n(below)) width=(n(chip.width)) height="16" rx="8" {}
                    text class={ "chip " (chip.class) } x=(n(x + PAD + chip.x + 5.0)) y=(n(below + 11.8)) { (chip.text) }
                }
            }
            @if hit {
                text.mark x=(n(x + PAD)) y=(n(chips + face.chips.len() as f64 * CHIP_LINE + 11.0)) {
                    "▲"
                    @for (id, anchor) in face.marks.iter().take(MOST_MARKS) {
                        " " @match anchor {
                            Some(anchor) => a href={ "#" (anchor) } { (cut(id, 7)) },
                            None => (cut(id, 7)),
                        }
                    }
                    @if face.marks.len() > MOST_MARKS { " …" }
                }
            }
        }
    }
}

/// A smooth line through the points, downwards.
fn curve(points: &[Point]) -> String {
    let mut text = String::new();
    for (at, &(x, y)) in points.iter().enumerate() {
        match at.checked_sub(1).map(|before| points[before]) {
            None => text = format!("M{} {}", n(x), n(y)),
            Some((px, _)) if (px - x).abs() < 0.05 => text.push_str(&format!("V{}", n(y))),
            Some((px, py)) => {
                let middle = n((py + y) / 2.0);
                text.push_str(&format!("C{} {middle} {} {middle} {} {}", n(px), n(x), n(x), n(y)));
            }
        }
    }
    text
}
