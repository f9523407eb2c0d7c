//! What stands in an input: a generator's numbers, or the arrays of files.

use graphproof_harness::dtype::DType;
use graphproof_harness::rng::Stream;

use crate::expression::Value;
use crate::number::{encode, encode_float};

/// How a buffer is filled.
#[derive(Debug, Clone)]
pub enum Fill {
    /// About normal, with mean and standard deviation.
    Normal(f64, f64),
    /// From the first number on, below the second.
    Uniform(Value, Value),
    /// So many different small numbers, which meet each other often.
    Ties(u32),
    /// The same number everywhere.
    Constant(Value),
    /// From the first number on, by the second.
    Arange(Value, Value),
    /// Lengths from the first number to the second, both included and both there.
    Lengths(i64, i64),
    /// Normal, with a NaN among every so many.
    Nan(u32),
    /// Any bits.
    Bits,
    /// The images of steps, from the first again behind the last.
    Images(Vec<Vec<u8>>),
}

/// The generators by their names, with the keys that each takes.
pub const KINDS: [(&str, &[&str]); 9] = [
    ("normal", &["mean", "deviation"]),
    ("uniform", &["low", "high"]),
    ("ties", &["values"]),
    ("zeros", &[]),
    ("constant", &["value"]),
    ("arange", &["start", "by"]),
    ("lengths", &["low", "high"]),
    ("nan", &["every"]),
    ("bits", &[]),
];

impl Fill {
    /// Writes the elements of step `index`; `number` tells the buffers of a step apart.
    ///
    /// # Errors
    /// Numbers that the type cannot hold.
    pub fn write(&self, dtype: DType, index: u64, seed: u64, number: u64, bytes: &mut [u8]) -> Result<(), String> {
        let random = Stream::new(seed, [index, number]);
        let size = dtype.size();
        let count = (bytes.len() / size) as u64;
        if let Fill::Images(images) = self {
            bytes.copy_from_slice(&images[(index % images.len() as u64) as usize]);
            return Ok(());
        }
        for (i, element) in bytes.chunks_exact_mut(size).enumerate() {
            let i = i as u64;
            let of = |value: Value| encode(dtype, value);
            let encoded = match self {
                Fill::Normal(mean, deviation) => encode_float(dtype, mean + deviation * f64::from(random.normal(i))),
                Fill::Uniform(low, high) => of(between(random.bits(i), *low, *high))?,
                Fill::Ties(values) => of(Value::Int(random.below(i, *values).into()))?,
                Fill::Constant(value) => of(*value)?,
                Fill::Arange(start, by) => of(match (start, by) {
                    (Value::Int(start), Value::Int(by)) => {
                        Value::Int(start.saturating_add(by.saturating_mul(i.into())))
                    }
                    _ => Value::Float(start.float() + by.float() * i as f64),
                })?,
                Fill::Lengths(low, high) => {
                    // Both ends are where kernels go wrong: they stand in every step that has room for them.
                    let (first, last) = (index % count, (index + 1) % count);
                    let length = match i {
                        _ if i == first => *low,
                        _ if i == last => *high,
                        _ => low + (random.bits(i) % (high.abs_diff(*low) + 1)) as i64,
                    };
                    of(Value::Int(length.into()))?
                }
                Fill::Nan(every) if random.below(i, *every) == 0 => encode_float(dtype, f64::NAN),
                Fill::Nan(_) => encode_float(dtype, random.normal(i ^ 1 << 63).into()),
                Fill::Bits if dtype == DType::Bool => vec![(random.bits(i) & 1) as u8],
                Fill::Bits => random.bits(i).to_le_bytes()[..size].to_vec(),
                Fill::Images(_) => continue,
            };
            element.copy_from_slice(&encoded);
        }
        Ok(())
    }
}

/// A number from `low` on below `high`, by 64 random bits.
fn between(bits: u64, low: Value, high: Value) -> Value {
    match (low, high) {
        (Value::Int(low), Value::Int(high)) => {
            let span = high.saturating_sub(low).clamp(1, 1 << 64) as u128;
            Value::Int(low + ((u128::from(bits) * span) >> 64) as i128)
        }
        _ => {
            let unit = (bits >> 11) as f64 / (1u64 << 53) as f64;
            Value::Float(low.float() + unit * (high.float() - low.float()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(fill: &Fill, index: u64) -> Vec<i32> {
        let mut bytes = [0; 400];
        fill.write(DType::I32, index, 7, 1, &mut bytes).unwrap();
        bytes.chunks_exact(4).map(|word| i32::from_le_bytes(word.try_into().unwrap())).collect()
    }

    #[test]
    fn generators_keep_what_they_promise() {
        for index in 0..50 {
            let lengths = words(&Fill::Lengths(3, 9), index);
            assert!(lengths.iter().all(|length| (3..=9).contains(length)));
            assert!(lengths.contains(&3) && lengths.contains(&9));
            let uniform = words(&Fill::Uniform(Value::Int(-2), Value::Int(2)), index);
            assert!(uniform.iter().all(|number| (-2..2).contains(number)));
            assert!(words(&Fill::Ties(2), index).iter().all(|number| (0..2).contains(number)));
        }
        assert_eq!(words(&Fill::Arange(Value::Int(5), Value::Int(-1)), 3)[..3], [5, 4, 3]);
        assert_ne!(words(&Fill::Bits, 1), words(&Fill::Bits, 2));
        assert_eq!(words(&Fill::Bits, 1), words(&Fill::Bits, 1));
        let mut bytes = [0; 4000];
        Fill::Nan(4).write(DType::F32, 0, 0, 0, &mut bytes).unwrap();
        let nans =
            bytes.chunks_exact(4).filter(|word| f32::from_le_bytes((*word).try_into().unwrap()).is_nan()).count();
        assert!((150..350).contains(&nans), "{nans} of 1000");
    }
}
