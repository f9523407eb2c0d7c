//! What one lane of a register holds, by type.

use super::compare::Numbers;

/// A lane of a vector slot.
pub(crate) trait Slot: Copy + Default + 'static {}
impl Slot for u32 {}
impl Slot for u64 {}

/// A value as an operation sees it, and its place in a slot.
pub(crate) trait Lane: Copy + 'static {
    type Slot: Slot;
    /// What the host's vectors compare it as.
    const NUMBERS: Option<Numbers> = None;
    fn from_slot(slot: Self::Slot) -> Self;
    fn to_slot(self) -> Self::Slot;
}

macro_rules! lane {
    ($($t:ty, $slot:ty $(, $numbers:ident)?: $from:expr, $to:expr;)*) => {$(
        impl Lane for $t {
            type Slot = $slot;
            $(const NUMBERS: Option<Numbers> = Some(Numbers::$numbers);)?
            #[inline(always)]
            fn from_slot(slot: $slot) -> Self {
                let f: fn($slot) -> $t = $from;
                f(slot)
            }
            #[inline(always)]
            fn to_slot(self) -> $slot {
                let f: fn($t) -> $slot = $to;
                f(self)
            }
        }
    )*};
}

/// Half precision, by its bits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct F16(pub u16);
/// bfloat16, by its bits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BF16(pub u16);
/// Two of something of 16 bits, low half first.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Two<T>(pub T, pub T);
lane! {
    u8, u32: |s| s as u8, |v| u32::from(v);
    i8, u32: |s| s as i8, |v| v as i32 as u32;
    u16, u32: |s| s as u16, |v| u32::from(v);
    i16, u32: |s| s as i16, |v| v as i32 as u32;
    u32, u32, U32: |s| s, |v| v;
    i32, u32, I32: |s| s as i32, |v| v as u32;
    f32, u32, F32: f32::from_bits, |v| v.to_bits();
    u64, u64, U64: |s| s, |v| v;
    i64, u64, I64: |s| s as i64, |v| v as u64;
    f64, u64, F64: f64::from_bits, |v| v.to_bits();
    F16, u32: |s| F16(s as u16), |v| u32::from(v.0);
    BF16, u32: |s| BF16(s as u16), |v| u32::from(v.0);
    Two<F16>, u32: |s| Two(F16(s as u16), F16((s >> 16) as u16)), |v| u32::from(v.0.0) | u32::from(v.1.0) << 16;
    Two<BF16>, u32: |s| Two(BF16(s as u16), BF16((s >> 16) as u16)), |v| u32::from(v.0.0) | u32::from(v.1.0) << 16;
}
