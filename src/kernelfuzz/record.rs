//! A record of what a driver answered: a line a kernel, small enough to be kept.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::{Context as _, bail};

use super::generate::Options;
use super::task::Answer;

const TITLE: &str = "graphproof kernels 1";

/// What one driver answered to kernels of one generation.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// The driver and its device.
    pub driver: String,
    /// How the kernels are made.
    pub options: Options,
    /// By seed: the kernel's fingerprint, and the answer.
    pub answers: BTreeMap<u64, (u32, Answer)>,
    /// By name of the form: what it gave.
    pub approximate: BTreeMap<String, Sample>,
}

/// Values of a form whose bits are not promised.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// How far another implementation may be: see [`super::approximate`].
    pub bound: f64,
    /// Results, in order of the sample's inputs.
    pub words: Vec<u64>,
}

impl Record {
    /// The record as text.
    pub fn write(&self) -> String {
        let mut text = format!("{TITLE}\ndriver {}\ngeneration {}\n", self.driver, self.options.generation);
        if self.options.raw_nan {
            text.push_str("raw-nan\n");
        }
        for (seed, (fingerprint, answer)) in &self.answers {
            let _ = match answer {
                Answer::Ran(digest) => writeln!(text, "{seed} {fingerprint:08x} {digest:016x}"),
                Answer::Refused(why) => writeln!(text, "{seed} {fingerprint:08x} refused {why}"),
                Answer::Failed(why) => writeln!(text, "{seed} {fingerprint:08x} failed {why}"),
            };
        }
        for (form, sample) in &self.approximate {
            let words: Vec<String> = sample.words.iter().map(|word| format!("{word:x}")).collect();
            let _ = writeln!(text, "approximate {form} {} {}", sample.bound, words.join(" "));
        }
        text
    }

    /// Reads what [`Record::write`] wrote.
    ///
    /// # Errors
    /// The first line that is none of a record's.
    pub fn read(text: &str) -> anyhow::Result<Record> {
        let mut lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        if lines.next().map(|(_, line)| line) != Some(TITLE) {
            bail!("it does not begin with '{TITLE}'");
        }
        let mut record = Record {
            driver: String::new(),
            options: Options { generation: 0, raw_nan: false },
            answers: BTreeMap::new(),
            approximate: BTreeMap::new(),
        };
        for (n, line) in lines {
            let read =
                record.line(line).with_context(|| format!("line {}: '{}'", n + 1, line.get(..60).unwrap_or(line)));
            read?;
        }
        if record.options.generation == 0 {
            bail!("it names no generation of kernels");
        }
        Ok(record)
    }

    fn line(&mut self, line: &str) -> anyhow::Result<()> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "driver" => self.driver = rest.to_owned(),
            "generation" => self.options.generation = rest.parse().context("the generation is a number")?,
            "raw-nan" => self.options.raw_nan = true,
            "approximate" => {
                let mut words = rest.split(' ');
                let form = words.next().context("a form is missing")?.to_owned();
                let bound = words.next().context("a bound is missing")?.parse().context("the bound is a number")?;
                let words = words.map(|word| u64::from_str_radix(word, 16).context("a value in hexadecimal"));
                self.approximate.insert(form, Sample { bound, words: words.collect::<Result<_, _>>()? });
            }
            seed => {
                let seed = seed.parse().context("a seed")?;
                let (fingerprint, answer) = rest.split_once(' ').context("a fingerprint and an answer")?;
                let fingerprint = u32::from_str_radix(fingerprint, 16).context("the fingerprint")?;
                let (word, why) = answer.split_once(' ').unwrap_or((answer, ""));
                let answer = match word {
                    "refused" => Answer::Refused(why.to_owned()),
                    "failed" => Answer::Failed(why.to_owned()),
                    digest => Answer::Ran(u64::from_str_radix(digest, 16).context("the digest")?),
                };
                self.answers.insert(seed, (fingerprint, answer));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_reads_as_it_was_written() {
        let record = Record {
            driver: "system: a device, CUDA 13000".into(),
            options: Options { generation: 3, raw_nan: true },
            answers: [
                (4, (7, Answer::Ran(u64::MAX))),
                (5, (8, Answer::Refused("no such thing".into()))),
                (6, (9, Answer::Failed("719".into()))),
            ]
            .into(),
            approximate: [("ex2.approx.f32".into(), Sample { bound: 2.5, words: vec![1, 0x3f80_0000] })].into(),
        };
        assert_eq!(Record::read(&record.write()).expect("it reads"), record);
        for bad in ["", "graphproof kernels 1\n", "graphproof kernels 1\ngeneration 1\n12 zz 13\n", "{}"] {
            assert!(Record::read(bad).is_err(), "{bad:?}");
        }
    }
}
