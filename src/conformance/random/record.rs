//! What a driver answered to many sequences, in a file that is small enough to keep.
//!
//! ```text
//! graphproof random sequences, generator 1
//! driver 580.159.04
//! answers
//! SUCCESS
//! …
//! seed 7 count 1000 digest 0f3a…
//! !!"!…
//! ```
//!
//! The answers stand once each, the most frequent first. A sequence is one line with a mark per answer:
//! one character of the first 74 of the alphabet, or two or three for the rarer ones; `crash`, `timeout`
//! or `error` follows after a blank. The digest is over the text of a seed's sequences, so that a record of
//! another generator is noticed.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, bail, ensure};
use sha2::{Digest, Sha256};

use super::pool::{End, Ran};

const FIRST: u8 = b'!';
/// Printable characters from `!` to `~`.
const ALPHABET: usize = 94;
/// Marks of one character; then as many first characters of two-character marks; the rest starts three.
const ONE: usize = 74;
const TWO: usize = 14;

/// The answers of one seed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// The seed.
    pub seed: u64,
    /// Over the text of the sequences.
    pub digest: String,
    /// The answers, by index.
    pub ran: Vec<Ran>,
}

/// A driver's answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The driver, in words.
    pub driver: String,
    /// The seeds.
    pub blocks: Vec<Block>,
}

/// The digest of a seed's sequences.
pub fn digest(sequences: &[Vec<String>]) -> String {
    let mut hash = Sha256::new();
    for line in sequences.iter().flat_map(|lines| lines.iter().map(String::as_str).chain([""])) {
        hash.update(line.as_bytes());
        hash.update(b"\n");
    }
    hash.finalize().iter().take(8).fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn mark(at: usize) -> Vec<u8> {
    let letter = |at: usize| FIRST + at as u8;
    match at {
        at if at < ONE => vec![letter(at)],
        at if at < ONE + TWO * ALPHABET => {
            let at = at - ONE;
            vec![letter(ONE + at / ALPHABET), letter(at % ALPHABET)]
        }
        at => {
            let at = at - ONE - TWO * ALPHABET;
            let high = at / (ALPHABET * ALPHABET);
            vec![letter(ONE + TWO + high), letter(at / ALPHABET % ALPHABET), letter(at % ALPHABET)]
        }
    }
}

fn unmark(text: &[u8]) -> Option<(usize, &[u8])> {
    let digit = |at: usize| text.get(at)?.checked_sub(FIRST).map(usize::from).filter(|at| *at < ALPHABET);
    let first = digit(0)?;
    Some(if first < ONE {
        (first, &text[1..])
    } else if first < ONE + TWO {
        (ONE + (first - ONE) * ALPHABET + digit(1)?, &text[2..])
    } else {
        let high = first - ONE - TWO;
        (ONE + TWO * ALPHABET + (high * ALPHABET + digit(1)?) * ALPHABET + digit(2)?, &text[3..])
    })
}

impl Record {
    /// The answers to the sequences of a seed.
    pub fn block(&self, seed: u64) -> Option<&Block> {
        self.blocks.iter().find(|block| block.seed == seed)
    }

    /// The text of the file.
    pub fn text(&self) -> String {
        let mut counts: HashMap<&str, usize> = HashMap::new();
        let all = self.blocks.iter().flat_map(|block| &block.ran).flat_map(|ran| &ran.saw);
        all.for_each(|saw| *counts.entry(saw).or_default() += 1);
        let mut answers: Vec<(&str, usize)> = counts.into_iter().collect();
        answers.sort_by(|left, right| right.1.cmp(&left.1).then(left.0.cmp(right.0)));
        let places: HashMap<&str, usize> = answers.iter().enumerate().map(|(at, (answer, _))| (*answer, at)).collect();
        let mut text = format!("{}\ndriver {}\nanswers\n", Self::head(), self.driver);
        for (answer, _) in &answers {
            text.push_str(answer);
            text.push('\n');
        }
        for block in &self.blocks {
            let _ = writeln!(text, "seed {} count {} digest {}", block.seed, block.ran.len(), block.digest);
            for ran in &block.ran {
                let marks = ran.saw.iter().flat_map(|saw| mark(places[saw.as_str()]));
                text.extend(marks.map(char::from));
                match &ran.end {
                    End::Done => {}
                    End::Crash(_) => text.push_str(" crash"),
                    End::Timeout => text.push_str(" timeout"),
                    End::Error(_) => text.push_str(" error"),
                }
                text.push('\n');
            }
        }
        text
    }

    fn head() -> String {
        format!("graphproof random sequences, generator {}", super::GENERATOR)
    }

    /// Reads a record.
    ///
    /// # Errors
    /// A file that cannot be read, or that another generator or another program wrote.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let text =
            std::fs::read_to_string(path).with_context(|| format!("cannot read the record {}", path.display()))?;
        Self::parse(&text).with_context(|| format!("in the record {}", path.display()))
    }

    /// Parses the text of a record.
    ///
    /// # Errors
    /// The first line that is not as it must be.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let mut lines = text.lines();
        let head = lines.next().unwrap_or_default();
        ensure!(
            head == Self::head(),
            "the file starts with `{head}`, not with `{}`: record it anew with this program",
            Self::head()
        );
        let driver =
            lines.next().and_then(|line| line.strip_prefix("driver ")).context("the second line is `driver …`")?;
        ensure!(lines.next() == Some("answers"), "the third line is `answers`");
        let mut answers = Vec::new();
        let mut blocks: Vec<Block> = Vec::new();
        let mut left = 0usize;
        for (number, line) in lines.enumerate().map(|(at, line)| (at + 4, line)) {
            if left > 0 {
                let block = blocks.last_mut().context("answers before a seed")?;
                block.ran.push(sequence(line, &answers).with_context(|| format!("line {number}"))?);
                left -= 1;
            } else if let Some(words) = line.strip_prefix("seed ") {
                let [seed, "count", count, "digest", digest] = words.split(' ').collect::<Vec<_>>()[..] else {
                    bail!("line {number}: write `seed N count N digest HEX`");
                };
                left = count.parse().with_context(|| format!("line {number}: the count"))?;
                let seed = seed.parse().with_context(|| format!("line {number}: the seed"))?;
                blocks.push(Block { seed, digest: digest.to_owned(), ran: Vec::new() });
            } else if blocks.is_empty() {
                answers.push(line.to_owned());
            } else {
                bail!("line {number}: more sequences than the seed's count");
            }
        }
        ensure!(left == 0, "the file ends {left} sequences too early");
        Ok(Self { driver: driver.to_owned(), blocks })
    }
}

fn sequence(line: &str, answers: &[String]) -> anyhow::Result<Ran> {
    let (marks, end) = line.split_once(' ').unwrap_or((line, ""));
    let end = match end {
        "" => End::Done,
        "crash" => End::Crash(String::new()),
        "timeout" => End::Timeout,
        "error" => End::Error(String::new()),
        other => bail!("`{other}` is no end of a sequence"),
    };
    let (mut marks, mut saw) = (marks.as_bytes(), Vec::new());
    while !marks.is_empty() {
        let (at, rest) = unmark(marks).context("a mark that is cut off")?;
        saw.push(answers.get(at).context("a mark without an answer")?.clone());
        marks = rest;
    }
    Ok(Ran { saw, end })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let saw = |from: usize| (from..from + 40).map(|at| format!("answer {at}")).collect::<Vec<_>>();
        let ends = [End::Done, End::Crash(String::new()), End::Timeout, End::Error(String::new())];
        let ran: Vec<Ran> = (0..200).map(|at| Ran { saw: saw(at * 13), end: ends[at % 4].clone() }).collect();
        let block = |seed| Block { seed, digest: "00ff".into(), ran: ran.clone() };
        let record = Record { driver: "12 (test)".into(), blocks: vec![block(3), block(9)] };
        let text = record.text();
        assert!(text.is_ascii());
        assert_eq!(Record::parse(&text).unwrap(), record);
        let error = Record::parse(&text.replacen("generator", "generator 9", 1)).unwrap_err();
        assert!(error.to_string().contains("record it anew"), "{error}");
        let short = &text[..text.trim_end().rfind('\n').unwrap()];
        assert!(Record::parse(short).unwrap_err().to_string().contains("1 sequences too early"));
    }
}
