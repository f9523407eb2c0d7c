//! The file as it is written, with the place of every value.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};
use toml::Spanned;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Raw {
    pub name: Option<String>,
    #[serde(default)]
    pub parameters: BTreeMap<Spanned<String>, Spanned<u64>>,
    #[serde(default, rename = "let")]
    pub lets: BTreeMap<Spanned<String>, Spanned<Number>>,
    #[serde(default)]
    pub module: Vec<Spanned<RawModule>>,
    #[serde(default)]
    pub step: Vec<Spanned<RawStep>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawModule {
    pub file: Option<Spanned<String>>,
    pub ptx: Option<Spanned<String>>,
    pub cuda: Option<Spanned<String>>,
    pub options: Option<Vec<String>>,
    pub include: Option<Vec<String>>,
    pub triton: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawStep {
    pub name: Spanned<String>,
    pub summary: Option<String>,
    pub default: Option<bool>,
    pub memory: Option<Spanned<Number>>,
    #[serde(default)]
    pub buffers: BTreeMap<Spanned<String>, RawBuffer>,
    #[serde(default)]
    pub work: Vec<Spanned<RawWork>>,
    #[serde(default)]
    pub before: Vec<Spanned<RawBefore>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawBuffer {
    pub role: Spanned<String>,
    #[serde(rename = "type")]
    pub dtype: Spanned<String>,
    pub shape: Spanned<List>,
    pub strides: Option<Spanned<List>>,
    pub align: Option<Spanned<Number>>,
    pub fill: Option<Spanned<RawFill>>,
    pub dummy: Option<Spanned<RawFill>>,
    pub agree: Option<Spanned<String>>,
    pub valid: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawBefore {
    pub reallocate: Spanned<String>,
    pub when: Option<Spanned<Number>>,
}

/// A list of work.
pub type RawBody = Vec<Spanned<RawWork>>;

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub struct RawWork {
    pub launch: Option<Spanned<String>>,
    pub memset: Option<Spanned<String>>,
    pub copy: Option<Spanned<String>>,
    pub record: Option<Spanned<String>>,
    pub wait: Option<Spanned<String>>,
    pub host: Option<Spanned<String>>,
    #[serde(rename = "if")]
    pub if_: Option<Spanned<String>>,
    #[serde(rename = "while")]
    pub while_: Option<Spanned<String>>,
    pub switch: Option<Spanned<String>>,
    pub stream: Option<Spanned<String>>,
    pub when: Option<Spanned<Number>>,
    pub grid: Option<Spanned<List>>,
    pub block: Option<Spanned<List>>,
    pub shared: Option<Spanned<Number>>,
    pub cooperative: Option<Spanned<bool>>,
    pub programmatic: Option<Spanned<bool>>,
    pub args: Option<Spanned<Vec<Spanned<RawArg>>>>,
    pub value: Option<Spanned<Number>>,
    pub to: Option<Spanned<String>>,
    pub buffer: Option<Spanned<String>>,
    pub bytes: Option<Spanned<Number>>,
    #[serde(rename = "do")]
    pub do_: Option<Spanned<RawBody>>,
    #[serde(rename = "else")]
    pub else_: Option<Spanned<RawBody>>,
    pub cases: Option<Spanned<Vec<Spanned<RawBody>>>>,
}

/// A number, or an expression that gives one.
#[derive(Debug, Clone, PartialEq)]
pub enum Number {
    Int(i64),
    Float(f64),
    Text(String),
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl Visitor<'_> for Reader {
            type Value = Number;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number, or an expression in quotes")
            }
            fn visit_i64<E: Error>(self, value: i64) -> Result<Number, E> {
                Ok(Number::Int(value))
            }
            fn visit_u64<E: Error>(self, value: u64) -> Result<Number, E> {
                i64::try_from(value).map(Number::Int).map_err(|_| E::custom("a number of more than 63 bits"))
            }
            fn visit_f64<E: Error>(self, value: f64) -> Result<Number, E> {
                Ok(Number::Float(value))
            }
            fn visit_bool<E: Error>(self, value: bool) -> Result<Number, E> {
                Ok(Number::Int(value.into()))
            }
            fn visit_str<E: Error>(self, value: &str) -> Result<Number, E> {
                Ok(Number::Text(value.to_owned()))
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

/// One number or several.
#[derive(Debug)]
pub struct List(pub Vec<Number>);

impl<'de> Deserialize<'de> for List {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = List;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of numbers, or of expressions in quotes")
            }
            fn visit_i64<E: Error>(self, value: i64) -> Result<List, E> {
                Ok(List(vec![Number::Int(value)]))
            }
            fn visit_str<E: Error>(self, value: &str) -> Result<List, E> {
                Ok(List(vec![Number::Text(value.to_owned())]))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<List, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = seq.next_element()? {
                    items.push(item);
                }
                Ok(List(items))
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

/// A word, or a table of keys and numbers or words.
#[derive(Debug)]
pub enum WordOrTable {
    Word(String),
    Table(Vec<(Spanned<String>, Spanned<Entry>)>),
}

/// A value in such a table.
#[derive(Debug, Clone)]
pub enum Entry {
    Number(Number),
    Words(Vec<String>),
}

/// An argument of a launch: a buffer's name, `{ f32 = 0.5 }`, or `{ buffer = "x", offset = 64 }`.
pub type RawArg = WordOrTable;
/// How a buffer is filled: `"normal"`, `{ uniform = … }`, `{ file = "x.npy" }`.
pub type RawFill = WordOrTable;

impl<'de> Deserialize<'de> for WordOrTable {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = WordOrTable;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a word in quotes or a table such as { f32 = 0.5 }")
            }
            fn visit_str<E: Error>(self, value: &str) -> Result<WordOrTable, E> {
                Ok(WordOrTable::Word(value.to_owned()))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<WordOrTable, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(WordOrTable::Table(entries))
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Entry;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number, a word, or a list of words")
            }
            fn visit_i64<E: Error>(self, value: i64) -> Result<Entry, E> {
                Ok(Entry::Number(Number::Int(value)))
            }
            fn visit_f64<E: Error>(self, value: f64) -> Result<Entry, E> {
                Ok(Entry::Number(Number::Float(value)))
            }
            fn visit_bool<E: Error>(self, value: bool) -> Result<Entry, E> {
                Ok(Entry::Number(Number::Int(value.into())))
            }
            fn visit_str<E: Error>(self, value: &str) -> Result<Entry, E> {
                Ok(Entry::Number(Number::Text(value.to_owned())))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Entry, A::Error> {
                let mut words = Vec::new();
                while let Some(word) = seq.next_element()? {
                    words.push(word);
                }
                Ok(Entry::Words(words))
            }
        }
        deserializer.deserialize_any(Reader)
    }
}
