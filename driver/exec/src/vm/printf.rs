//! `vprintf`: what CUDA C's `printf` calls.

use std::fmt::Write as _;

use super::ctx::{Ctx, each_active};
use super::map::Step;
use super::memory::{GENERIC, peek};
use crate::code::Inst;
use crate::fault::FaultKind;
use crate::output;

/// Characters of a text that are read at most.
const LONGEST: usize = 1 << 16;

/// Register `a`: generic address of the format; list at `c`: destination, generic address of the
/// arguments. `b`: site.
pub(crate) struct Printf;

impl Step for Printf {
    fn step(c: &mut Ctx, i: &Inst) -> *const Inst {
        let (d, arguments) = (c.extra(i.c, 0), c.extra(i.c, 1));
        let mut wrong = None;
        each_active(c, |c, l| {
            if wrong.is_some() {
                return;
            }
            let (format, at): (u64, u64) = (c.lane(i.a, l), c.lane(arguments, l));
            match (Reader { c, site: i.b, lane: l }).printed(format, at) {
                Ok((text, count)) => {
                    output::push(&text);
                    c.set_lane(d, l, count);
                }
                Err(kind) => wrong = Some((l, kind)),
            }
        });
        if let Some((lane, kind)) = wrong {
            c.fault(i, lane as u32, kind);
            return std::ptr::null();
        }
        std::ptr::from_ref(i).wrapping_add(1)
    }
}

struct Reader<'a> {
    c: &'a mut Ctx,
    site: u32,
    lane: usize,
}

impl Reader<'_> {
    fn read<T: Copy>(&mut self, address: u64) -> Result<T, FaultKind> {
        let bytes = size_of::<T>() as u32;
        self.c.reach_one(GENERIC, address, self.site, bytes, self.lane, false).map(|place| peek(place))
    }

    fn text(&mut self, address: u64) -> Result<Vec<u8>, FaultKind> {
        let mut text = Vec::new();
        while text.len() < LONGEST {
            match self.read::<u8>(address.wrapping_add(text.len() as u64))? {
                0 => break,
                byte => text.push(byte),
            }
        }
        Ok(text)
    }

    /// The next argument, of `T`'s size and alignment.
    fn argument<T: Copy>(&mut self, at: &mut u64) -> Result<T, FaultKind> {
        let size = size_of::<T>() as u64;
        let from = at.next_multiple_of(size);
        *at = from + size;
        self.read(from)
    }

    /// What is printed, and how many arguments were.
    fn printed(&mut self, format: u64, mut at: u64) -> Result<(Vec<u8>, u32), FaultKind> {
        let format = self.text(format)?;
        let (mut out, mut count) = (Vec::new(), 0);
        let mut rest = format.as_slice();
        while let Some((&byte, tail)) = rest.split_first() {
            rest = tail;
            if byte != b'%' {
                out.push(byte);
                continue;
            }
            let Some((mut spec, length)) = Spec::parse(rest) else {
                out.push(b'%');
                continue;
            };
            rest = &rest[length..];
            if spec.kind == b'%' {
                out.push(b'%');
                continue;
            }
            if spec.width_given {
                let width: i32 = self.argument(&mut at)?;
                spec.left |= width < 0;
                spec.width = (width.unsigned_abs() as usize).min(LONGEST);
            }
            if spec.precision_given {
                let precision: i32 = self.argument(&mut at)?;
                spec.precision = usize::try_from(precision).ok().map(|n| n.min(LONGEST));
            }
            count += 1;
            match spec.kind {
                b'd' | b'i' => {
                    let value =
                        if spec.long { self.argument(&mut at)? } else { i64::from(self.argument::<i32>(&mut at)?) };
                    out.extend(spec.integer(value < 0, &value.unsigned_abs().to_string()));
                }
                b'u' | b'o' | b'x' | b'X' => {
                    let value =
                        if spec.long { self.argument(&mut at)? } else { u64::from(self.argument::<u32>(&mut at)?) };
                    out.extend(spec.unsigned(value));
                }
                b'c' => {
                    let value: u32 = self.argument(&mut at)?;
                    out.extend(spec.padded(vec![value as u8]));
                }
                b'p' => {
                    let value: u64 = self.argument(&mut at)?;
                    out.extend(spec.padded(format!("{value:#x}").into_bytes()));
                }
                b's' => {
                    let address: u64 = self.argument(&mut at)?;
                    let mut text = if address == 0 { b"(null)".to_vec() } else { self.text(address)? };
                    text.truncate(spec.precision.unwrap_or(usize::MAX));
                    out.extend(spec.padded(text));
                }
                _ => {
                    let value: f64 = self.argument(&mut at)?;
                    out.extend(spec.float(value));
                }
            }
        }
        Ok((out, count))
    }
}

/// `%-08.3lld` and its like.
#[derive(Default)]
struct Spec {
    left: bool,
    plus: bool,
    space: bool,
    alternative: bool,
    zero: bool,
    width: usize,
    /// `*`: the width is an argument.
    width_given: bool,
    precision: Option<usize>,
    precision_given: bool,
    /// 64 bits.
    long: bool,
    kind: u8,
}

impl Spec {
    /// What follows `%`, and its length.
    fn parse(text: &[u8]) -> Option<(Self, usize)> {
        let mut spec = Spec::default();
        let mut at = 0;
        loop {
            match text.get(at)? {
                b'-' => spec.left = true,
                b'+' => spec.plus = true,
                b' ' => spec.space = true,
                b'#' => spec.alternative = true,
                b'0' => spec.zero = true,
                _ => break,
            }
            at += 1;
        }
        let number = |at: &mut usize| {
            let mut value = 0usize;
            while let Some(digit) = text.get(*at).filter(|byte| byte.is_ascii_digit()) {
                value = (value * 10 + usize::from(digit - b'0')).min(LONGEST);
                *at += 1;
            }
            value
        };
        if text.get(at) == Some(&b'*') {
            spec.width_given = true;
            at += 1;
        } else {
            spec.width = number(&mut at);
        }
        if text.get(at) == Some(&b'.') {
            at += 1;
            if text.get(at) == Some(&b'*') {
                spec.precision_given = true;
                at += 1;
            } else {
                spec.precision = Some(number(&mut at));
            }
        }
        while let Some(&size) = text.get(at).filter(|byte| b"hlLjzt".contains(byte)) {
            spec.long |= size != b'h' && size != b'L';
            at += 1;
        }
        spec.kind = *text.get(at).filter(|byte| b"%diuoxXcpsfFeEgGaA".contains(byte))?;
        Some((spec, at + 1))
    }

    fn padded(&self, mut text: Vec<u8>) -> Vec<u8> {
        let missing = self.width.saturating_sub(text.len());
        if self.left {
            text.resize(text.len() + missing, b' ');
        } else {
            text.splice(0..0, std::iter::repeat_n(b' ', missing));
        }
        text
    }

    /// Sign, prefix and digits, with zeros between them up to the width where asked for.
    fn assembled(&self, sign: &str, digits: &str, zeros: bool) -> Vec<u8> {
        let used = sign.len() + digits.len();
        let fill = if zeros && !self.left { self.width.saturating_sub(used) } else { 0 };
        self.padded(format!("{sign}{}{digits}", "0".repeat(fill)).into_bytes())
    }

    fn sign(&self, negative: bool) -> &'static str {
        match (negative, self.plus, self.space) {
            (true, ..) => "-",
            (_, true, _) => "+",
            (_, _, true) => " ",
            _ => "",
        }
    }

    fn integer(&self, negative: bool, digits: &str) -> Vec<u8> {
        self.assembled(self.sign(negative), &self.lengthened(digits), self.zero && self.precision.is_none())
    }

    /// As many digits as the precision says.
    fn lengthened(&self, digits: &str) -> String {
        match self.precision {
            Some(0) if digits == "0" => String::new(),
            Some(least) => format!("{}{digits}", "0".repeat(least.saturating_sub(digits.len()))),
            None => digits.to_owned(),
        }
    }

    fn unsigned(&self, value: u64) -> Vec<u8> {
        let (prefix, digits) = match self.kind {
            b'u' => ("", value.to_string()),
            b'o' => (if self.alternative && value != 0 { "0" } else { "" }, format!("{value:o}")),
            b'x' => (if self.alternative && value != 0 { "0x" } else { "" }, format!("{value:x}")),
            _ => (if self.alternative && value != 0 { "0X" } else { "" }, format!("{value:X}")),
        };
        self.assembled(prefix, &self.lengthened(&digits), self.zero && self.precision.is_none())
    }

    fn float(&self, value: f64) -> Vec<u8> {
        let (upper, magnitude) = (self.kind.is_ascii_uppercase(), value.abs());
        let precision = self.precision.unwrap_or(6);
        let digits = if !magnitude.is_finite() {
            if magnitude.is_nan() { "nan" } else { "inf" }.to_owned()
        } else {
            match self.kind.to_ascii_lowercase() {
                b'f' => format!("{magnitude:.precision$}{}", if self.alternative && precision == 0 { "." } else { "" }),
                b'e' => exponential(magnitude, precision),
                b'g' => self.shortest(magnitude, precision.max(1)),
                _ => hexadecimal(magnitude, self.precision),
            }
        };
        let digits = if upper { digits.to_uppercase() } else { digits };
        self.assembled(self.sign(value.is_sign_negative()), &digits, self.zero && magnitude.is_finite())
    }

    fn shortest(&self, magnitude: f64, precision: usize) -> String {
        let exponent = exponential(magnitude, precision - 1);
        let power: i32 = exponent.split_once('e').and_then(|(_, power)| power.parse().ok()).unwrap_or(0);
        let trim = |digits: &str| match digits.contains('.') && !self.alternative {
            true => digits.trim_end_matches('0').trim_end_matches('.').to_owned(),
            false => digits.to_owned(),
        };
        if power < -4 || power >= precision as i32 {
            let (digits, power) = exponent.split_once('e').unwrap_or((&exponent, "+00"));
            return format!("{}e{power}", trim(digits));
        }
        let places = (precision as i32 - 1 - power).max(0) as usize;
        trim(&format!("{magnitude:.places$}"))
    }
}

/// As C's `%e`: two digits of exponent at least.
fn exponential(magnitude: f64, precision: usize) -> String {
    let text = format!("{magnitude:.precision$e}");
    let (digits, power) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, power) = match power.strip_prefix('-') {
        Some(power) => ('-', power),
        None => ('+', power),
    };
    format!("{digits}e{sign}{power:0>2}")
}

/// As C's `%a`.
fn hexadecimal(magnitude: f64, precision: Option<usize>) -> String {
    let bits = magnitude.to_bits();
    let (mut whole, mut fraction) = (u64::from(bits >> 52 != 0), bits & ((1 << 52) - 1));
    let power = match bits >> 52 {
        0 if fraction == 0 => 0,
        0 => -1022,
        power => power as i64 - 1023,
    };
    let places = precision.unwrap_or(13).min(13);
    if places < 13 {
        let shift = 52 - 4 * places as u32;
        let all = whole << 52 | fraction;
        let (kept, half) = (all >> shift, 1u64 << (shift - 1));
        let lost = all & ((1 << shift) - 1);
        let kept = kept + u64::from(lost > half || (lost == half && kept & 1 != 0));
        (whole, fraction) = (kept >> (4 * places), (kept << shift) & ((1 << 52) - 1));
    }
    let mut digits = format!("{fraction:013x}");
    digits.truncate(places);
    if precision.is_none() {
        digits.truncate(digits.trim_end_matches('0').len());
    }
    let mut text = format!("0x{whole}");
    if !digits.is_empty() {
        // Writing to a `String` does not fail.
        let _ = write!(text, ".{digits}");
    }
    format!("{text}p{}{}", if power < 0 { '-' } else { '+' }, power.abs())
}
