//! Parts of the engine that stand on nothing else, with the tests beside them. They are compiled here once more, and
//! not the whole engine: that takes longer than all its tests.
#![allow(dead_code, reason = "what only the engine calls")]

#[path = "../../src/ptx/opcodes.rs"]
mod opcodes;
#[path = "../../src/order.rs"]
mod order;
#[path = "../../src/strength.rs"]
mod strength;
