//! Streams and their attributes.

use std::collections::BTreeMap;

use super::StreamId;
use super::params::AttributeValue;

/// `CU_STREAM_NON_BLOCKING`.
pub const NON_BLOCKING: u32 = 1;

/// A stream; the default streams of each context are of this type too.
#[derive(Debug)]
pub struct Stream {
    /// Its name in the model.
    pub id: StreamId,
    /// `CUstream_flags`.
    pub flags: u32,
    /// Clamped to the range of `cuCtxGetStreamPriorityRange`.
    pub priority: i32,
    /// What `cuStreamGetId` answers.
    pub number: u64,
    /// The green context that it was made in, 0 for none.
    pub green: u64,
    /// That green context is destroyed.
    pub detached: bool,
    /// `cuStreamSetAttribute`, by attribute.
    pub attributes: BTreeMap<u32, AttributeValue>,
}

/// Numerically lowest (highest) priority.
pub const GREATEST_PRIORITY: i32 = -5;
/// Numerically highest (lowest) priority.
pub const LEAST_PRIORITY: i32 = 0;
