//! Memory behind pointers in memory: a graph that is given the address of a table follows what stands in
//! the table. Neither the table's words nor what lies behind them are in the graph.

use super::bits;
use crate::buffers::BufferSet;
use crate::cuda::{self, Allocation};
use crate::digest;
use crate::finding::{Check, Finding, Id};
use crate::topology::{Topology, headline};

const CHECK: Check = Check::Addresses;

/// Bytes of a table that are looked at, and of what lies behind each of its words.
const LOOK: usize = 4096;

/// What stands in the memory of the step's own that a graph points at, as it was at capture.
#[derive(Debug, Default)]
pub struct Behind {
    tables: Vec<Table>,
}

/// Memory of the step's own that holds addresses.
#[derive(Debug)]
struct Table {
    node: usize,
    /// Where the node holds its address: `parameter 0`.
    place: String,
    address: u64,
    words: Vec<Word>,
}

/// A word that is an address.
#[derive(Debug)]
struct Word {
    /// Bytes from the table's start.
    offset: usize,
    value: u64,
    leads: Leads,
}

#[derive(Debug)]
enum Leads {
    /// To a buffer of the graph.
    Own,
    /// To the same buffer of the eager runs, by its name.
    Eager(String),
    /// To memory of the step's own, with the digest of what was there.
    Elsewhere(u64),
}

impl Behind {
    /// Reads what the graph's foreign pointers lead to. `own` are the graph's buffers, `eager` those of
    /// the eager runs. What cannot be read is left out.
    pub fn read(topology: &Topology, own: &BufferSet, eager: &BufferSet) -> Self {
        let mut tables: Vec<Table> = Vec::new();
        for (index, node) in topology.nodes.iter().enumerate() {
            for foreign in node.foreign.iter().filter(|foreign| !foreign.allocation.host) {
                let known = tables.iter().any(|table| table.node == index && table.address == foreign.address);
                if known || !foreign.address.is_multiple_of(8) {
                    continue;
                }
                let Some(bytes) = cuda::peek(foreign.address, LOOK) else { continue };
                let words = bytes.chunks_exact(8).enumerate().filter_map(|(at, word)| {
                    let value = u64::from_ne_bytes(word.try_into().expect("chunks of eight"));
                    Some(Word { offset: at * 8, value, leads: leads(value, own, eager)? })
                });
                let (place, address) = (foreign.place.clone(), foreign.address);
                let words: Vec<Word> = words.collect();
                if !words.is_empty() {
                    tables.push(Table { node: index, place, address, words });
                }
            }
        }
        Behind { tables }
    }

    /// The findings for tables that lead to buffers of the eager runs and to none of the graph's: the
    /// table was made for other buffers. To be asked for where results differ, which they must if the
    /// graph reads there.
    pub fn stale(&self, topology: &Topology) -> Vec<Finding> {
        let own = |word: &Word| matches!(word.leads, Leads::Own);
        let tables = self.tables.iter().filter(|table| !table.words.iter().any(own));
        let stale = tables.filter_map(|table| {
            let eager = |word: &Word| match &word.leads {
                Leads::Eager(name) => Some((word.offset, word.value, name.clone())),
                _ => None,
            };
            let (offset, value, name) = table.words.iter().find_map(eager)?;
            let node = &topology.nodes[table.node];
            let place = format!("node {} ({}), {}", table.node, headline(&node.kind), table.place);
            let expected = format!("{place} points at memory that holds the address of the graph's own '{name}'");
            let seen = format!(
                "the word at byte {offset} of it is {value:#x}: '{name}' of the eager runs, for which the memory was filled"
            );
            Some(Finding::new(Id::A09, CHECK).at(node.site.clone()).contrast(expected, seen))
        });
        stale.collect()
    }

    /// Adds, to a finding about results that node `node` wrote, what stands behind pointers in memory
    /// that it or a node before it follows.
    pub fn explain(&self, finding: Finding, topology: &Topology, node: Option<usize>) -> Finding {
        if finding.check != bits::CHECK || finding.id == Id::V07 || finding.id == Id::R02 {
            return finding;
        }
        let until = node.unwrap_or(topology.nodes.len());
        let tables = self.tables.iter().filter(|table| table.node <= until);
        tables.fold(finding, |finding, table| match table.changed() {
            Some(changed) => {
                let holder = headline(&topology.nodes[table.node].kind);
                let finding = Finding {
                    help: "look at the memory behind the pointers in the table that the graph is given: keep what it \
                           leads to alive and in place, or write the new address into the table itself"
                        .to_owned(),
                    ..finding
                };
                finding.note(format!(
                    "memory behind a pointer in memory differs: node {} ({holder}), {} points at a table at {:#x}, {changed}",
                    table.node, table.place, table.address
                ))
            }
            None => finding,
        })
    }
}

impl Table {
    /// What is not as it was at capture: a word of the table, or what lies behind one.
    fn changed(&self) -> Option<String> {
        let now = cuda::peek(self.address, LOOK)?;
        self.words.iter().find_map(|word| {
            let bytes = now.get(word.offset..word.offset + 8)?;
            let value = u64::from_ne_bytes(bytes.try_into().expect("eight bytes"));
            let (offset, then) = (word.offset, word.value);
            if value != then {
                return Some(format!("whose word at byte {offset} was {then:#x} at capture and is {value:#x} now"));
            }
            let Leads::Elsewhere(digest) = word.leads else { return None };
            match cuda::peek(then, LOOK) {
                Some(bytes) if digest::of_bytes(&bytes) == digest => None,
                Some(_) => {
                    Some(format!("whose word at byte {offset} leads to {then:#x}, where other values stand now"))
                }
                None => {
                    Some(format!("whose word at byte {offset} leads to {then:#x}, which is not allocated any more"))
                }
            }
        })
    }
}

/// Where a word leads to, if it is an address.
fn leads(word: u64, own: &BufferSet, eager: &BufferSet) -> Option<Leads> {
    if own.locate(word).is_some_and(|target| target.live) {
        return Some(Leads::Own);
    }
    if let Some(target) = eager.locate(word).filter(|target| target.live) {
        return Some(Leads::Eager(eager.specs()[target.buffer].name.to_string()));
    }
    // No device address is as large; floats and negative numbers are larger.
    if word >= 1 << 48 || Allocation::of(word).is_none_or(|allocation| allocation.host) {
        return None;
    }
    cuda::peek(word, LOOK).map(|bytes| Leads::Elsewhere(digest::of_bytes(&bytes)))
}
