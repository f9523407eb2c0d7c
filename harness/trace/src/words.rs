//! The words of a node that may be addresses.

use std::collections::HashMap;

use graphproof_door::{Function, GraphNode};

use super::place::Caller;
use super::tensor_maps::{BYTES, TensorMaps};

/// A word in a node that may be an address.
pub struct Word {
    pub place: String,
    pub value: u64,
    /// The parameter is one word, or it stands in a tensor map: it can be nothing else than what it looks like.
    pub is_pointer: bool,
    /// Of the address in a tensor map: who encoded that.
    pub encoded: Option<Caller>,
}

/// The words of a node: its parameters in steps of eight bytes, tensor maps as what they point at, and what it copies
/// or fills.
pub fn words(node: &GraphNode, functions: &HashMap<u64, Function>, maps: &TensorMaps) -> Vec<Word> {
    let layout = functions.get(&node.function).and_then(|function| function.parameters.clone());
    let whole = || vec![(0, node.parameters.len() as u32)];
    let mut all = Vec::new();
    let known = layout.is_some();
    for (number, (offset, size)) in layout.unwrap_or_else(whole).into_iter().enumerate() {
        let (start, size) = (offset as usize, size as usize);
        let end = start.saturating_add(size).min(node.parameters.len());
        let mut at = start;
        while at + 8 <= end {
            let map = (at + BYTES <= end).then(|| maps.find(&node.parameters, at)).flatten();
            let place = match (known, map.map_or(8, |_| BYTES) == size) {
                (true, true) => format!("parameter {number}"),
                (true, false) => format!("parameter {number} at byte {}", at - start),
                (false, _) => format!("parameters at byte {}", at - start),
            };
            if let Some(map) = map {
                let (place, encoded) = (format!("tensor map of {place}"), Some(map.caller.clone()));
                all.push(Word { place, value: map.address, is_pointer: true, encoded });
                // What else stands in a map is no address, whatever it looks like.
                at += BYTES;
            } else {
                let value = u64::from_le_bytes(node.parameters[at..at + 8].try_into().expect("eight bytes"));
                all.push(Word { place, value, is_pointer: known && size == 8, encoded: None });
                at += 8;
            }
        }
    }
    // What a copy or fill works on; memory that the graph allocates itself is no address that it was given.
    let is_address = |what: &str| ["device", "host", "unified"].iter().any(|kind| what.ends_with(kind));
    let operands = node.operands.iter().filter(|(what, ..)| is_address(what));
    all.extend(operands.map(|(what, value, _)| Word {
        place: what.clone(),
        value: *value,
        is_pointer: true,
        encoded: None,
    }));
    all
}
