//! Device memory of each lane: its buffers, measured beside the closed form.

use graphproof_harness::report::{BufferBytes, LaneReport, MemoryReceipt};
use maud::{Markup, html};

use super::links;
use super::room::{self, missing};
use super::units::{count, cut, lines, n};
use crate::report::table;

/// Bytes for the tables of buffers.
const ROOM: usize = 90 << 10;
/// Lanes in the picture.
const MOST_LANES: usize = 24;
/// Buffers of a lane that are drawn apart, the largest ones.
const MOST_BUFFERS: usize = 40;
const BAR: f64 = 26.0;
const ADVANCE: f64 = 6.6;

/// The picture's frame: it is drawn for wide and for narrow screens.
struct Frame {
    class: &'static str,
    width: f64,
    /// Height of a lane.
    row: f64,
    /// Room to the left for the names; without it they stand above the bars.
    label: f64,
    /// Room to the right for the figures; without it they stand below the bars.
    value: f64,
}

const WIDE: Frame = Frame { class: "only-wide", width: 900.0, row: 66.0, label: 152.0, value: 225.0 };
const NARROW: Frame = Frame { class: "only-narrow", width: 350.0, row: 112.0, label: 1.0, value: 2.0 };

/// The section's content.
pub fn section(lanes: &[LaneReport]) -> Markup {
    let all: Vec<(usize, &MemoryReceipt)> =
        lanes.iter().enumerate().filter_map(|(lane, report)| Some((lane, report.memory.as_ref()?))).collect();
    let shown = &all[..all.len().min(MOST_LANES)];
    let order: Vec<usize> = (0..all.len()).collect();
    let (tables, left_out) = room::draw(&order, ROOM, |at| buffers(lanes, all[at].0, all[at].1));
    html! {
        @if all.is_empty() { p { "No step allocated its buffers." } }
        @if !shown.is_empty() {
            p {
                "One set of each step's buffers, all on one scale. Above: what the driver's pool counted, buffer by buffer. "
                "Below: the closed form. Hatched is what the pool counted beyond the declared buffers. "
                span.chips { @for role in ["input", "state", "output", "scratch"] { span class={ "chip " (role) } { (role) } } }
            }
            (picture(lanes, shown, &WIDE))
            (picture(lanes, shown, &NARROW))
        }
        @if all.len() > shown.len() {
            (missing(&count((all.len() - shown.len()) as u64, "further lane"), "The tables below hold more."))
        }
        @for (_, table) in &tables { (table) }
        @if !left_out.is_empty() {
            (missing(&count(left_out.len() as u64, "table"), "The receipt (--json) holds all."))
        }
    }
}

/// The bytes of all buffers.
fn sum(memory: &MemoryReceipt) -> u64 {
    memory.buffers.iter().fold(0, |sum, buffer| sum.saturating_add(buffer.bytes))
}

fn picture(lanes: &[LaneReport], shown: &[(usize, &MemoryReceipt)], frame: &Frame) -> Markup {
    let largest = |memory: &MemoryReceipt| memory.high_water.max(memory.closed_form.unwrap_or(0)).max(sum(memory));
    let most = shown.iter().map(|(_, memory)| largest(memory)).max().unwrap_or(0).max(1);
    let scale = (frame.width - frame.label - frame.value) / most as f64;
    let height = shown.len() as f64 * frame.row;
    html! {
        svg class={ "memory " (frame.class) } role="img" viewBox={ "0 0 " (frame.width) " " (height) } {
            title { "Device memory of " (count(shown.len() as u64, "lane")) ", on one scale from 0 to " (table::bytes(most)) }
            @for (row, (lane, memory)) in shown.iter().enumerate() {
                (bars(&links::name(lanes, *lane), memory, row as f64 * frame.row + 6.0, scale, frame))
            }
        }
    }
}

fn bars(name: &str, memory: &MemoryReceipt, top: f64, scale: f64, frame: &Frame) -> Markup {
    let measured = memory.high_water > 0;
    let total = if measured { memory.high_water.max(sum(memory)) } else { sum(memory) };
    let narrow = frame.label < 100.0;
    let y = if narrow { top + 20.0 } else { top };
    let mut x = frame.label;
    let mut draw = |title: String, name: &str, class: &str, bytes: u64| {
        let width = bytes as f64 * scale;
        let drawn = segment(&title, name, class, x, y, width);
        x += width;
        drawn
    };
    let (largest, rest) = largest_first(memory);
    let mut segments: Vec<Markup> = largest
        .iter()
        .map(|buffer| {
            let title = format!("{}, {}: {}", cut(&buffer.name, 80), cut(&buffer.role, 20), table::bytes(buffer.bytes));
            draw(title, &buffer.name, class(&buffer.role), buffer.bytes)
        })
        .collect();
    if rest > 0 {
        segments.push(draw(format!("further buffers: {}", table::bytes(rest)), "others", "plain", rest));
    }
    if total > sum(memory) {
        let over = total - sum(memory);
        segments.push(draw(format!("beyond the declared buffers: {}", table::bytes(over)), "", "doubt", over));
    }
    let beside = frame.label + total.max(memory.closed_form.unwrap_or(0)) as f64 * scale + 8.0;
    let (value_x, measured_y, closed_y) =
        if narrow { (frame.label, y + BAR + 32.0, y + BAR + 47.0) } else { (beside, y + 17.0, y + BAR + 14.0) };
    html! {
        @let (columns, most) = if narrow { (46, 1) } else { (20, 4) };
        @for (line, text) in lines(name, columns, most).iter().enumerate() {
            text.label x="0" y=(n(if narrow { top + 12.0 } else { y + 13.0 + line as f64 * 14.0 })) { (text) }
        }
        @for segment in &segments { (segment) }
        text.value x=(n(value_x)) y=(n(measured_y)) {
            @if measured { (table::bytes(memory.high_water)) " measured" } @else { (table::bytes(total)) " declared" }
        }
        @if let Some(bytes) = memory.closed_form {
            g {
                title { "closed form: " (table::bytes(bytes)) }
                rect.closed-form x=(n(frame.label)) y=(n(y + BAR + 4.0)) width=(n((bytes as f64 * scale).max(1.0))) height="11" {}
            }
            text.value x=(n(value_x)) y=(n(closed_y)) {
                (table::bytes(bytes)) " closed form" @if measured { @if let Some(ratio) = memory.ratio() { ", ×" (format!("{ratio:.3}")) } }
            }
        } @else {
            text.value x=(n(value_x)) y=(n(closed_y)) { "no closed form" }
        }
    }
}

fn segment(title: &str, name: &str, class: &str, x: f64, y: f64, width: f64) -> Markup {
    html! {
        g {
            title { (title) }
            rect class={ "segment " (class) } x=(n(x)) y=(n(y)) width=(n(width.max(0.8))) height=(n(BAR)) {}
            @if name.chars().count() as f64 * ADVANCE + 8.0 < width && !name.is_empty() {
                text class={ "segment " (class) } x=(n(x + width / 2.0)) y=(n(y + 17.0)) text-anchor="middle" { (name) }
            }
        }
    }
}

/// The largest buffers, by role and then by size, and the bytes of all others.
fn largest_first(memory: &MemoryReceipt) -> (Vec<&BufferBytes>, u64) {
    const ROLES: [&str; 4] = ["input", "state", "output", "scratch"];
    let mut by_size: Vec<&BufferBytes> = memory.buffers.iter().collect();
    by_size.sort_by_key(|buffer| std::cmp::Reverse(buffer.bytes));
    let rest = by_size.iter().skip(MOST_BUFFERS).fold(0_u64, |sum, buffer| sum.saturating_add(buffer.bytes));
    by_size.truncate(MOST_BUFFERS);
    by_size.sort_by_key(|buffer| ROLES.iter().position(|role| *role == buffer.role));
    (by_size, rest)
}

fn class(role: &str) -> &'static str {
    super::graph::role_class(Some(&role))
}

fn buffers(lanes: &[LaneReport], lane: usize, memory: &MemoryReceipt) -> Markup {
    const MOST_ROWS: usize = 200;
    html! {
        details {
            summary { "Buffers of " (links::name(lanes, lane)) ": " (count(memory.buffers.len() as u64, "buffer")) ", " (table::bytes(sum(memory))) }
            @if let Some(formula) = &memory.formula { p.formula { "Closed form: " code { (cut(formula, 1_000)) } } }
            div.scroll tabindex="0" role="region" aria-label={ "Buffers of " (links::name(lanes, lane)) } {
                table.figures {
                    thead { tr { th scope="col" { "Buffer" } th scope="col" { "Role" } th scope="col" { "Bytes" } th scope="col" { "Size" } } }
                    tbody {
                        @for buffer in memory.buffers.iter().take(MOST_ROWS) {
                            tr {
                                th scope="row" { (cut(&buffer.name, 80)) }
                                td { (cut(&buffer.role, 20)) }
                                td { (super::units::grouped(buffer.bytes)) }
                                td { (table::bytes(buffer.bytes)) }
                            }
                        }
                    }
                }
            }
            @if memory.buffers.len() > MOST_ROWS {
                (missing(&count((memory.buffers.len() - MOST_ROWS) as u64, "buffer"), "The receipt (--json) holds all."))
            }
        }
    }
}
