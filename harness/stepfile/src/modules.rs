//! The modules that a suite names: PTX, CUDA C++ compiled by NVRTC, machine code, and what Triton dumps.

use std::borrow::Cow;
use std::collections::BTreeMap;

use graphproof_harness::nvrtc::Nvrtc;
use graphproof_harness::step::Module;
use graphproof_report::receipt::sha256;
use graphproof_report::suite::SuiteError;

use crate::files::Files;

/// A module as it is declared.
#[derive(Debug, Clone)]
pub struct Declared {
    pub origin: Origin,
    pub options: Vec<String>,
    pub include: Vec<String>,
    /// The name for messages.
    pub name: String,
    /// Where it stands: `my.toml:12`.
    pub place: String,
}

/// Where its code is.
#[derive(Debug, Clone)]
pub enum Origin {
    File(String),
    Ptx(String),
    Cuda(String),
}

/// What Triton says about a kernel in the JSON beside its PTX.
#[derive(Debug, Clone, serde::Deserialize)]
pub struct Triton {
    pub name: String,
    pub num_warps: u64,
    #[serde(default = "one")]
    pub num_ctas: u64,
    #[serde(default)]
    pub shared: u64,
    /// Bytes for each block.
    #[serde(default)]
    pub global_scratch_size: u64,
    #[serde(default)]
    pub profile_scratch_size: u64,
    #[serde(default)]
    pub launch_cooperative_grid: bool,
    #[serde(default)]
    pub launch_pdl: bool,
}

fn one() -> u64 {
    1
}

impl Declared {
    /// Reads or compiles it.
    ///
    /// # Errors
    /// A file cannot be read, has an ending that says nothing, or does not compile.
    pub fn load(&self, files: &Files) -> Result<Module, SuiteError> {
        let at = |why: String| SuiteError::kernels(format!("{}: {why}", self.place));
        let name = self.name.clone();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).map_err(|_| at(format!("{name} is not text")));
        match &self.origin {
            Origin::Ptx(ptx) => Ok(Module::ptx(name, ptx.clone())),
            Origin::Cuda(source) => self.compile(source.clone(), files),
            Origin::File(file) => {
                let bytes = files.read(file).map_err(|why| SuiteError::io(format!("{}: {why}", self.place)))?;
                match file.rsplit_once('.').map_or("", |(_, ending)| ending) {
                    "ptx" => Ok(Module::ptx(name.clone(), text(bytes)?)),
                    "cu" => self.compile(text(bytes)?, files),
                    "cubin" | "fatbin" => {
                        Ok(Module { name: name.into(), image: Some(bytes.into()), ..Module::default() })
                    }
                    _ => Err(at(format!("{file} is none of .ptx, .cu, .cubin and .fatbin"))),
                }
            }
        }
    }

    fn compile(&self, source: String, files: &Files) -> Result<Module, SuiteError> {
        let at = |why: String| SuiteError::kernels(format!("{}: {why}", self.place));
        let nvrtc = Nvrtc::find().map_err(|error| at(error.to_string()))?;
        let mut sources = vec![(self.name.clone(), Cow::Owned(source))];
        self.headers(&mut sources, files);
        let mut options = self.options.clone();
        let architecture =
            |option: &String| ["--gpu-architecture", "-arch"].iter().any(|name| option.starts_with(name));
        if !options.iter().any(architecture) {
            options.push("--gpu-architecture=compute_80".to_owned());
        }
        options.extend(self.include.iter().map(|folder| format!("--include-path={}", files.path(folder).display())));
        let words: Vec<&str> = options.iter().map(String::as_str).collect();
        let ptx = nvrtc.compile(&self.name, &sources, &words).map_err(|error| at(error.to_string()))?;
        let line = |(name, text): &(String, Cow<'static, str>)| format!("{}  {name}\n", sha256(text.as_bytes()));
        let all: String = sources.iter().map(line).chain([self.options.join(" ")]).collect();
        Ok(Module { source_sha256: Some(sha256(all.as_bytes())), ..Module::ptx(self.name.clone(), ptx) })
    }

    /// The headers that are included with quotes and lie beside the suite or in its include folders. Others
    /// are left to the compiler.
    fn headers(&self, sources: &mut Vec<(String, Cow<'static, str>)>, files: &Files) {
        let mut next = 0;
        while next < sources.len() {
            let text = sources[next].1.clone();
            let quoted = text.lines().filter_map(|line| line.trim().strip_prefix("#include \"")?.split('"').next());
            for name in quoted {
                if sources.iter().any(|(known, _)| known == name) {
                    continue;
                }
                let places =
                    [name.to_owned()].into_iter().chain(self.include.iter().map(|folder| format!("{folder}/{name}")));
                let found =
                    places.filter_map(|path| files.read(&path).ok()).find_map(|bytes| String::from_utf8(bytes).ok());
                if let Some(text) = found {
                    sources.push((name.to_owned(), Cow::Owned(text)));
                }
            }
            next += 1;
        }
    }
}

/// The number of parameters of each entry of a PTX text.
pub fn parameter_counts(ptx: &str) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for declared in ptx.split(".entry").skip(1) {
        let head = declared.split('{').next().unwrap_or_default();
        let name: String = head
            .trim_start()
            .chars()
            .take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '$' | '%'))
            .collect();
        let list = head.split_once('(').and_then(|(_, rest)| rest.split_once(')')).map_or("", |(list, _)| list);
        counts.insert(name, list.matches(".param").count());
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_counted_entry_by_entry() {
        let ptx = ".visible .entry a(\n.param .u64 .ptr .global a_0,\n.param .u32 a_1\n)\n.reqntid 128\n{ret;}\n.entry b\n{ret;}";
        assert_eq!(parameter_counts(ptx), [("a".to_owned(), 2), ("b".to_owned(), 0)].into());
    }
}
