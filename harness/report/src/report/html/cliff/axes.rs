//! The logarithmic axes of memory over length.

use super::Curve;

/// Memory of an H100 and an H200 (data sheets: 80 GB and 141 GB; their drivers report about as
/// many GiB).
pub const GPUS: [(&str, u64); 2] = [("80 GiB (H100)", 80 << 30), ("141 GiB (H200)", 141 << 30)];
pub const LEFT: f64 = 64.0;
pub const TOP: f64 = 14.0;
pub const BOTTOM: f64 = 44.0;

/// The picture's frame: it is drawn for wide and for narrow screens.
pub struct Frame {
    pub class: &'static str,
    pub width: f64,
    pub height: f64,
    /// Room to the right of the axes for the curves' names; without it they stand in the picture.
    pub names: f64,
}

pub const WIDE: Frame = Frame { class: "only-wide", width: 900.0, height: 420.0, names: 160.0 };
pub const NARROW: Frame = Frame { class: "only-narrow", width: 350.0, height: 400.0, names: 8.0 };

/// Logarithmic axes.
pub struct Axes<'a> {
    pub frame: &'a Frame,
    pub length: (f64, f64),
    pub bytes: (f64, f64),
}

impl<'a> Axes<'a> {
    pub fn of(curves: &[Curve<'_>], frame: &'a Frame) -> Self {
        let rows = || curves.iter().flat_map(|curve| &curve.rows);
        let bytes =
            || rows().flat_map(|row| [Some(row.closed_form), row.measured.filter(|&bytes| bytes > 0)]).flatten();
        let low = bytes().min().unwrap_or(1) as f64;
        // The lines of both GPUs are always seen.
        let high = bytes().chain(GPUS.map(|(_, bytes)| bytes)).max().unwrap_or(1) as f64;
        let lengths = || rows().map(|row| row.length as f64);
        let (short, long) = (lengths().fold(f64::INFINITY, f64::min), lengths().fold(1.0, f64::max));
        let pad = if short < long { 0.02 * (long.log2() - short.log2()) } else { 0.5 };
        Axes {
            frame,
            length: (short.log2() - pad, long.log2() + pad),
            bytes: (low.log2().floor() - 0.5, high.log2() + 0.7),
        }
    }

    pub fn x(&self, length: f64) -> f64 {
        LEFT + (length.log2() - self.length.0) / (self.length.1 - self.length.0) * (self.right() - LEFT)
    }

    /// Where the axis of lengths ends.
    pub fn right(&self) -> f64 {
        self.frame.width - self.frame.names
    }

    /// Where the axis of bytes begins.
    pub fn bottom(&self) -> f64 {
        self.frame.height - BOTTOM
    }

    pub fn y(&self, bytes: f64) -> f64 {
        let part = (bytes.max(1.0).log2() - self.bytes.0) / (self.bytes.1 - self.bytes.0);
        self.bottom() - part * (self.bottom() - TOP)
    }
}

/// Every fourth power of two, from 2^10 on: KiB, MiB, GiB and their multiples by 16.
pub fn byte_ticks(axes: &Axes<'_>) -> impl Iterator<Item = i32> {
    let span = axes.bytes.1 - axes.bytes.0;
    let step = if span > 24.0 {
        5
    } else if span > 8.0 {
        2
    } else {
        1
    };
    (axes.bytes.0.ceil() as i32..=axes.bytes.1 as i32).filter(move |power| power % step == 0)
}

pub fn length_ticks(axes: &Axes<'_>) -> impl Iterator<Item = i32> {
    let step = ((axes.length.1 - axes.length.0) / (axes.frame.width / 80.0)).ceil().max(1.0) as i32;
    (axes.length.0.ceil() as i32..=axes.length.1 as i32).filter(move |power| power % step == 0)
}

pub fn size(power: i32) -> String {
    const UNITS: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let power = power.clamp(0, 69);
    format!("{} {}", 1 << (power % 10), UNITS[power as usize / 10])
}

pub fn length_text(power: i32) -> String {
    if power < 10 { (1_u64 << power.max(0)).to_string() } else { format!("{}Ki", 1_u64 << (power.min(62) - 10)) }
}
