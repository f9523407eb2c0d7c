//! The extents of a step: `sq=64,sk=512,b=1,h=8,d=64,topk=64`.

use std::fmt;
use std::str::FromStr;

/// Extents of the indexer step, in elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Shape {
    /// Query rows of a batch. The decode lane always has one and ignores this.
    pub sq: u32,
    /// Keys of a batch; the capacity of the index cache in the decode lane.
    pub sk: u32,
    /// Batches.
    pub b: u32,
    /// Indexer heads.
    pub h: u32,
    /// Elements of a head: 32, 64 or 128.
    pub d: u32,
    /// Keys to keep for each query row, at most 2048.
    pub topk: u32,
    /// Keys of a page of the paged decode lane's cache, a multiple of 64; other lanes ignore it.
    pub page: u32,
}

/// Head dimensions that the kernels are instantiated for.
pub const HEAD_DIMENSIONS: [u32; 3] = [32, 64, 128];
/// Most keys kept for a row: the default of DeepSeek-V3.2.
pub const MOST_TOPK: u32 = 2048;
/// Most keys of a batch.
pub const MOST_KEYS: u32 = 1 << 20;
/// Most query rows of a batch: a grid has at most 2^31 - 1 blocks in x.
pub const MOST_QUERIES: u32 = i32::MAX as u32;
/// Most batches: a grid has at most 65,535 blocks in y and z.
pub const MOST_BATCHES: u32 = 65_535;
/// Keys of a page where nothing else is said: those of a block of DeepSeek's index cache. Tiles are as long.
pub const PAGE: u32 = 64;
/// Most heads: the streamed lane launches one kernel for each.
pub const MOST_HEADS: u32 = 1024;

/// A shape that cannot be read or run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ShapeError {
    /// An entry without `=`.
    #[error("'{entry}' is not of the form name=number; a shape is written like {}", Shape::default())]
    NotAnEntry {
        /// The text.
        entry: String,
    },
    /// An extent that does not exist.
    #[error("a shape has no extent '{name}'; it has sq, sk, b, h, d, topk and page")]
    UnknownExtent {
        /// The name.
        name: String,
    },
    /// An extent given more than once.
    #[error("the extent {name} is given twice")]
    Repeated {
        /// The name.
        name: &'static str,
    },
    /// A value that is not a whole number of 32 bits.
    #[error("{name}={value} is not a whole number from 1 to 4294967295")]
    NotANumber {
        /// The extent.
        name: &'static str,
        /// The text.
        value: String,
    },
    /// An extent of zero.
    #[error("{name} must be at least 1")]
    Zero {
        /// The extent.
        name: &'static str,
    },
    /// An extent above what the kernels or a CUDA grid allow.
    #[error("{name}={value} is more than the {most} that the kernels support")]
    TooLarge {
        /// The extent.
        name: &'static str,
        /// The value.
        value: u32,
        /// The largest supported.
        most: u32,
    },
    /// A head dimension without a kernel.
    #[error("d={d} is not supported; the kernels are built for d = 32, 64 and 128")]
    HeadDimension {
        /// The value.
        d: u32,
    },
    /// Pages that tiles of keys would cross.
    #[error("page={page} is not a multiple of {PAGE}")]
    Page {
        /// The value.
        page: u32,
    },
    /// A buffer whose size in bytes does not fit a signed 64-bit integer.
    #[error("the buffer '{buffer}' of {shape} has more bytes than a 64-bit address space")]
    Overflow {
        /// The buffer.
        buffer: String,
        /// The shape.
        shape: Shape,
    },
}

impl Default for Shape {
    /// Small enough for a gate on a CPU, with every path of the kernels taken.
    fn default() -> Self {
        Shape { sq: 64, sk: 512, b: 1, h: 8, d: 64, topk: 64, page: PAGE }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shape { sq, sk, b, h, d, topk, page } = self;
        write!(f, "sq={sq},sk={sk},b={b},h={h},d={d},topk={topk}")?;
        // What most lanes ignore is told where somebody has chosen it.
        if *page == PAGE { Ok(()) } else { write!(f, ",page={page}") }
    }
}

impl FromStr for Shape {
    type Err = ShapeError;

    /// Reads entries over the default: `h=3,topk=100`. The result is valid.
    fn from_str(text: &str) -> Result<Self, ShapeError> {
        let mut shape = Shape::default();
        let mut seen = Vec::new();
        for entry in text.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
            let (name, value) =
                entry.split_once('=').ok_or_else(|| ShapeError::NotAnEntry { entry: entry.to_owned() })?;
            let (name, slot) = match name.trim() {
                "sq" => ("sq", &mut shape.sq),
                "sk" => ("sk", &mut shape.sk),
                "b" => ("b", &mut shape.b),
                "h" => ("h", &mut shape.h),
                "d" => ("d", &mut shape.d),
                "topk" => ("topk", &mut shape.topk),
                "page" => ("page", &mut shape.page),
                other => return Err(ShapeError::UnknownExtent { name: other.to_owned() }),
            };
            if seen.contains(&name) {
                return Err(ShapeError::Repeated { name });
            }
            seen.push(name);
            let value = value.trim();
            *slot = value.parse().map_err(|_| ShapeError::NotANumber { name, value: value.to_owned() })?;
        }
        shape.validate()?;
        Ok(shape)
    }
}

impl Shape {
    /// Checks the extents. Sizes of buffers are checked for each lane when its step is made.
    ///
    /// # Errors
    /// The first extent that is zero or not supported.
    pub fn validate(&self) -> Result<(), ShapeError> {
        let extents = [
            ("sq", self.sq, MOST_QUERIES),
            ("sk", self.sk, MOST_KEYS),
            ("b", self.b, MOST_BATCHES),
            ("h", self.h, MOST_HEADS),
            ("d", self.d, u32::MAX),
            ("topk", self.topk, MOST_TOPK),
            ("page", self.page, MOST_KEYS),
        ];
        for (name, value, most) in extents {
            if value == 0 {
                return Err(ShapeError::Zero { name });
            }
            if value > most {
                return Err(ShapeError::TooLarge { name, value, most });
            }
        }
        if !HEAD_DIMENSIONS.contains(&self.d) {
            return Err(ShapeError::HeadDimension { d: self.d });
        }
        if !self.page.is_multiple_of(PAGE) {
            return Err(ShapeError::Page { page: self.page });
        }
        Ok(())
    }

    /// Keys really kept for a row without limits: `min(topk, sk)`.
    pub fn kept(&self) -> u32 {
        self.topk.min(self.sk)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> String {
        text.parse::<Shape>().unwrap_err().to_string()
    }

    #[test]
    fn parses_over_the_default_and_prints_what_it_parsed() {
        let shape: Shape = "h=3, topk=100".parse().unwrap();
        assert_eq!(shape, Shape { h: 3, topk: 100, ..Shape::default() });
        assert_eq!(shape.to_string().parse::<Shape>().unwrap(), shape);
        assert_eq!("".parse::<Shape>().unwrap(), Shape::default());
        let paged: Shape = "page=128".parse().unwrap();
        assert_eq!((paged.page, paged.to_string().parse::<Shape>().unwrap()), (128, paged));
    }

    #[test]
    fn says_what_is_wrong() {
        assert_eq!(message("topk=0"), "topk must be at least 1");
        assert_eq!(message("sq=0"), "sq must be at least 1");
        assert_eq!(message("d=48"), "d=48 is not supported; the kernels are built for d = 32, 64 and 128");
        assert_eq!(message("page=100"), "page=100 is not a multiple of 64");
        assert_eq!(message("topk=2049"), "topk=2049 is more than the 2048 that the kernels support");
        assert_eq!(message("sk=2000000"), "sk=2000000 is more than the 1048576 that the kernels support");
        assert_eq!(message("sk=-1"), "sk=-1 is not a whole number from 1 to 4294967295");
        assert_eq!(message("sk=99999999999"), "sk=99999999999 is not a whole number from 1 to 4294967295");
        assert_eq!(message("n=1"), "a shape has no extent 'n'; it has sq, sk, b, h, d, topk and page");
        assert_eq!(message("sk=8,sk=9"), "the extent sk is given twice");
        assert!(message("64").starts_with("'64' is not of the form name=number"));
    }
}
