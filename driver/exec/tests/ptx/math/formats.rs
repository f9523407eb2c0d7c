//! Small number formats, from their definition.

/// A number type of the matrix instructions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Format {
    /// Exponent bits, fraction bits, whether all ones is a number (but for the last).
    Float(u32, u32, bool),
    Signed(u32),
    Unsigned(u32),
}

pub const F16: Format = Format::Float(5, 10, false);
pub const BF16: Format = Format::Float(8, 7, false);
pub const E4M3: Format = Format::Float(4, 3, true);
pub const E5M2: Format = Format::Float(5, 2, false);
pub const TF32: Format = Format::Float(8, 10, false);
pub const F32: Format = Format::Float(8, 23, false);
pub const F64: Format = Format::Float(11, 52, false);
pub const S32: Format = Format::Signed(32);

pub fn format(name: &str) -> Format {
    match name {
        "f16" => F16,
        "bf16" => BF16,
        "tf32" => TF32,
        "f32" => F32,
        "f64" => F64,
        "e4m3" => E4M3,
        "e5m2" => E5M2,
        "b1" => Format::Unsigned(1),
        "s32" => S32,
        _ if name.starts_with('s') => Format::Signed(name[1..].parse().unwrap()),
        _ => Format::Unsigned(name[1..].parse().unwrap()),
    }
}

impl Format {
    /// Bits in memory and registers.
    pub fn bits(self) -> u32 {
        match self {
            TF32 => 32,
            Format::Float(e, f, _) => 1 + e + f,
            Format::Signed(n) | Format::Unsigned(n) => n,
        }
    }

    /// The value of these bits.
    pub fn value(self, bits: u64) -> f64 {
        match self {
            Format::Signed(n) => ((bits << (64 - n)) as i64 >> (64 - n)) as f64,
            Format::Unsigned(n) => (bits & (u64::MAX >> (64 - n))) as f64,
            TF32 => F32.value(bits & 0xffff_e000),
            Format::Float(exponent, fraction, finite) => {
                let bias = (1 << (exponent - 1)) - 1;
                let e = (bits >> fraction & ((1 << exponent) - 1)) as i32;
                let f = bits & ((1 << fraction) - 1);
                let last = (1 << exponent) - 1;
                let one = (1u64 << fraction) as f64;
                let magnitude = match e {
                    0 => f as f64 / one * 2f64.powi(1 - bias),
                    e if e == last && finite && f == (1 << fraction) - 1 => f64::NAN,
                    e if e == last && !finite && f == 0 => f64::INFINITY,
                    e if e == last && !finite => f64::NAN,
                    e => (1.0 + f as f64 / one) * 2f64.powi(e - bias),
                };
                if bits >> (exponent + fraction) & 1 != 0 { -magnitude } else { magnitude }
            }
        }
    }

    /// Bits of a value that the format holds exactly.
    pub fn exact(self, x: f64) -> u64 {
        let bits = match self {
            Format::Signed(n) => x as i64 as u64 & (u64::MAX >> (64 - n)),
            Format::Unsigned(_) => x as u64,
            F64 => x.to_bits(),
            TF32 | F32 => u64::from((x as f32).to_bits()),
            Format::Float(exponent, fraction, _) => {
                let sign = u64::from(x.is_sign_negative()) << (exponent + fraction);
                let all = 0..1u64 << (exponent + fraction);
                sign | all.into_iter().find(|&b| self.value(b) == x.abs()).expect("an exact value")
            }
        };
        let back = self.value(bits);
        assert!(back == x, "{self:?} does not hold {x}: {back}");
        bits
    }
}
