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

/// How many pointers in memory are followed one behind the other, and tables kept of one graph.
const DEEPEST: usize = 4;
const MOST_TABLES: usize = 256;

/// What stands in the memory of the step's own that a graph points at, as it was at capture.
#[derive(Debug, Default)]
pub struct Behind {
    tables: Vec<Table>,
}

/// Memory of the step's own that holds addresses.
#[derive(Debug)]
struct Table {
    node: usize,
    /// Where its address stands: `parameter 0`, or behind a word of another table.
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
    Elsewhere(Allocation, u64),
}

impl Behind {
    /// Reads what the graph's foreign pointers lead to. `own` are the graph's buffers, `eager` those of
    /// the eager runs. What cannot be read is left out.
    pub fn read(topology: &Topology, own: &BufferSet, eager: &BufferSet) -> Self {
        let mut tables: Vec<Table> = Vec::new();
        for (index, node) in topology.nodes.iter().enumerate() {
            let roots = node.foreign.iter().filter(|foreign| !foreign.allocation.host);
            // Each with how many pointers in memory lead to it.
            let mut left: Vec<(String, u64, usize)> =
                roots.map(|foreign| (foreign.place.clone(), foreign.address, 0)).collect();
            while let Some((place, address, depth)) = left.pop() {
                let known = tables.iter().any(|table| table.node == index && table.address == address);
                if known || !address.is_multiple_of(8) || tables.len() >= MOST_TABLES {
                    continue;
                }
                let Some(bytes) = cuda::peek(address, LOOK) else { continue };
                let words = bytes.chunks_exact(8).enumerate().filter_map(|(at, word)| {
                    let value = u64::from_ne_bytes(word.try_into().expect("chunks of eight"));
                    Some(Word { offset: at * 8, value, leads: leads(value, own, eager)? })
                });
                let words: Vec<Word> = words.collect();
                let deeper =
                    words.iter().filter(|word| depth + 1 < DEEPEST && matches!(word.leads, Leads::Elsewhere(..)));
                left.extend(
                    deeper.map(|word| (format!("{place}, behind byte {}", word.offset), word.value, depth + 1)),
                );
                if !words.is_empty() {
                    tables.push(Table { node: index, place, address, words });
                }
            }
        }
        Behind { tables }
    }

    /// The findings for words of tables that lead to memory which is gone or is another's by now, before replay
    /// `step`. Whether the graph follows such a word only the replay shows: to be told where it fails or differs.
    pub fn gone(&self, topology: &Topology, own: &BufferSet, step: u64) -> Vec<Finding> {
        let words = self.tables.iter().flat_map(|table| table.words.iter().map(move |word| (table, word)));
        words.filter_map(|(table, word)| table.gone(word, topology, own, step)).collect()
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
    fn gone(&self, word: &Word, topology: &Topology, own: &BufferSet, step: u64) -> Option<Finding> {
        let value = word.value;
        let (id, expected, seen, origin) = match &word.leads {
            Leads::Own => {
                let target = own.locate(value).filter(|target| !target.live)?;
                let name = &own.specs()[target.buffer].name;
                let present = own.memory(target.buffer).address();
                (
                    Id::A08,
                    format!("{value:#x}, in buffer '{name}'"),
                    format!("buffer '{name}' is at {present:#x}, and {value:#x} is not allocated"),
                    own.released_at(value).cloned(),
                )
            }
            Leads::Elsewhere(allocation, _) => {
                let now = Allocation::of(value);
                if now == Some(*allocation) {
                    return None;
                }
                let seen = match now {
                    Some(_) => format!("{value:#x} belongs to another allocation now"),
                    None => format!("{value:#x} is not allocated any more"),
                };
                (Id::A07, format!("{value:#x}, device memory that the step has of its own"), seen, None)
            }
            Leads::Eager(_) => return None,
        };
        // A table that was written anew is right.
        let now = cuda::peek(self.address, LOOK)?;
        if now.get(word.offset..word.offset + 8)? != value.to_ne_bytes() {
            return None;
        }
        let node = &topology.nodes[self.node];
        let place = format!("node {} ({}), {}", self.node, headline(&node.kind), self.place);
        let finding = Finding::new(id, CHECK).at_step(step).at(node.site.clone()).began(origin);
        let offset = word.offset;
        Some(finding.contrast(format!("{place}: a table in memory, whose word at byte {offset} is {expected}"), seen))
    }

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
            let Leads::Elsewhere(_, digest) = word.leads else { return None };
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
    if word >= 1 << 48 {
        return None;
    }
    let allocation = Allocation::of(word).filter(|allocation| !allocation.host)?;
    cuda::peek(word, LOOK).map(|bytes| Leads::Elsewhere(allocation, digest::of_bytes(&bytes)))
}
