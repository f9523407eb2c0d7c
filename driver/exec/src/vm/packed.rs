//! Integer instructions on two halves of a word, and those with `.relu`.

use super::map::define;
use super::rounding::RELU;

fn both(a: u32, b: u32, f: impl Fn(u16, u16) -> u16) -> u32 {
    u32::from(f(a as u16, b as u16)) | u32::from(f((a >> 16) as u16, (b >> 16) as u16)) << 16
}

/// As [`both`], signed; mode: `.relu`.
fn signed(a: u32, b: u32, mode: u32, f: impl Fn(i16, i16) -> i16) -> u32 {
    let least = if mode & RELU != 0 { 0 } else { i16::MIN };
    both(a, b, |a, b| f(a as i16, b as i16).max(least) as u16)
}

define! {
    Add16x2(a: u32, b: u32) -> u32 = both(a, b, u16::wrapping_add);
    MinU16x2(a: u32, b: u32) -> u32 = both(a, b, Ord::min);
    MaxU16x2(a: u32, b: u32) -> u32 = both(a, b, Ord::max);
    MinS16x2(a: u32, b: u32; mode) -> u32 = signed(a, b, mode, Ord::min);
    MaxS16x2(a: u32, b: u32; mode) -> u32 = signed(a, b, mode, Ord::max);
    MinRelu32(a: i32, b: i32) -> i32 = a.min(b).max(0);
    MaxRelu32(a: i32, b: i32) -> i32 = a.max(b).max(0);
}
