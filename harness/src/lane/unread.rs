//! Whether kernels follow an address that stands in their parameters. A parameter may hold what nobody reads: bytes
//! between the fields of a structure, places of an array that were never filled. Compilers copy them as they lie on
//! the stack, with addresses in them that mean nothing. What a kernel of a framework reads cannot be seen from
//! outside, but it can be tried: the graph is replayed with the words pointing at memory that holds zeros. Where the
//! results stay the eager run's and nothing is written there, nobody followed them.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::judge::Beside;
use super::{Captured, Ended, Lane, REPLAY_POISON};
use crate::checks::addresses;
use crate::checks::bits::Pair;
use crate::cuda::{self, CudaError, DeviceMemory, Guard, MemoryPool, ParameterWord};
use crate::finding::{Finding, Id};
use crate::topology::AddressWord;

/// Memory that stands in for another, in bytes: more is not tried.
const MOST_BYTES: u64 = 256 << 20;

/// A little more on either side, for what is read beside it.
const AROUND: Guard = Guard { bytes: 512, value: 0 };

/// What the trial showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tried {
    Unread,
    /// They are followed, or it cannot be told.
    Read,
    /// The device is lost: they are followed.
    Lost,
}

impl Lane {
    /// Keeps findings about addresses in kernels' parameters; those of words that no kernel follows only as suspects.
    /// Gives whether all of them are such.
    pub(super) fn keep_if_read(
        &mut self,
        found: Vec<Finding>,
        words: &[AddressWord],
        graph: &Captured,
        step: u64,
    ) -> Result<bool, Ended> {
        let known = words.iter().all(|word| self.evidence.unread.contains(&word.word));
        let tried = if known && !words.is_empty() { Tried::Unread } else { self.try_words(words, graph, step)? };
        match tried {
            Tried::Unread => {
                self.evidence.unread.extend(words.iter().map(|word| word.word));
                found.into_iter().for_each(|finding| self.suspect(finding));
                Ok(true)
            }
            Tried::Read => {
                self.keep_all(found);
                Ok(false)
            }
            Tried::Lost => {
                self.keep_all(found);
                self.poisoned = true;
                Err(Ended::Stop)
            }
        }
    }

    /// Keeps what is told only if results differ too.
    pub(super) fn suspect(&mut self, finding: Finding) {
        if !self.suspects.iter().any(|known| known.site == finding.site && known.id == finding.id) {
            self.suspects.push(finding);
        }
    }

    /// The words that hold dead addresses; none where one stands elsewhere than in a kernel's parameters.
    fn dead_words(&self, graph: &Captured, step: u64) -> Option<Vec<AddressWord>> {
        let addresses = addresses::of_framework(&graph.topology);
        let lost = if addresses.is_empty() { Vec::new() } else { self.step.lost(&addresses) };
        if lost.is_empty() && addresses::check(&graph.topology, &self.replay, step).is_empty() {
            return Some(Vec::new());
        }
        Some(addresses::words(&graph.topology, &self.replay, &lost)).filter(|words| !words.is_empty())
    }

    /// Replays `step`, whose inputs are staged and whose eager results are kept, with other memory behind the words.
    /// The replay's own state goes on as if nothing had happened.
    fn try_words(&mut self, words: &[AddressWord], graph: &Captured, step: u64) -> Result<Tried, Ended> {
        let unsteady = self.findings.keys().any(|(id, ..)| matches!(id, Id::R01 | Id::V07));
        let (Some(spare), false) = (&graph.spare, words.is_empty() || unsteady || self.poisoned) else {
            return Ok(Tried::Read);
        };
        // Zeros in place of zeros show nothing.
        let shows = |word: &AddressWord| {
            cuda::peek(word.address, word.len as usize).is_none_or(|bytes| bytes.iter().any(|&byte| byte != 0))
        };
        if words.iter().map(|word| word.len).sum::<u64>() > MOST_BYTES || !words.iter().all(shows) {
            return Ok(Tried::Read);
        }
        // A replay may follow no other address that is dead.
        let Some(dead) = self.dead_words(graph, step) else { return Ok(Tried::Read) };
        let words: Vec<AddressWord> =
            words.iter().chain(dead.iter().filter(|dead| !words.contains(dead))).copied().collect();
        let words = words.as_slice();
        self.heartbeat.enter("parameters", step);
        let Ok(stand_ins) = StandIns::allocate(words, &self.stream) else { return Ok(Tried::Read) };
        let made = spare.with_words(&stand_ins.values(words)).and_then(|graph| graph.instantiate());
        let Ok(exec) = made else { return Ok(Tried::Read) };
        let saved = self.state_before.save(&self.replay, &self.stream);
        self.driver(saved, "saving the state")?;
        let loaded = self.load(&self.replay, REPLAY_POISON);
        self.driver(loaded, "copying the inputs in")?;
        if let Err(error) = exec.launch(&self.stream).and_then(|()| self.wait()) {
            return Ok(if error.is_sticky() { Tried::Lost } else { Tried::Read });
        }
        let differing = self.evidence.differing.clone();
        let judged = self.compare(Pair::EagerReplay, Beside::Nothing, step, Some(&graph.topology))?;
        self.evidence.differing = differing;
        let restored = self.state_before.restore(&self.replay, &self.stream);
        self.driver(restored, "restoring the state")?;
        let unread = judged.images.is_empty() && stand_ins.hold_zeros();
        Ok(if unread { Tried::Unread } else { Tried::Read })
    }
}

/// Memory with zeros, for each memory that words point at.
struct StandIns {
    // Declared before `_pool`: memory must go back before its pool does.
    memory: BTreeMap<u64, DeviceMemory>,
    _pool: MemoryPool,
}

impl StandIns {
    fn allocate(words: &[AddressWord], stream: &cuda::Stream) -> Result<Self, CudaError> {
        let pool = MemoryPool::of_current()?;
        let mut memory = BTreeMap::new();
        for word in words {
            if let Entry::Vacant(none) = memory.entry(word.base) {
                let made = none.insert(pool.allocate(word.len as usize, AROUND, stream)?);
                made.fill(0, stream)?;
            }
        }
        stream.synchronize()?;
        Ok(StandIns { memory, _pool: pool })
    }

    fn values(&self, words: &[AddressWord]) -> Vec<(ParameterWord, u64)> {
        words.iter().map(|word| (word.word, self.memory[&word.base].address() + (word.address - word.base))).collect()
    }

    fn hold_zeros(&self) -> bool {
        self.memory.values().all(|memory| {
            cuda::peek(memory.guard_address(), memory.len() + 2 * AROUND.bytes)
                .is_some_and(|bytes| bytes.iter().all(|&byte| byte == 0))
        })
    }
}
