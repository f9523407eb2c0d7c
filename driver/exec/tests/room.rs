//! The engine's memory by itself, in a process of its own: what the process holds is looked at.
#![allow(missing_docs, reason = "a test")]

#[path = "../src/room.rs"]
mod room;
