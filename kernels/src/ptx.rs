//! The committed PTX and the sources that it was made from.
//!
//! Both are embedded. Where the source tree is there, its sources are hashed each time a module
//! is asked for, so that an edited kernel is never answered with old PTX.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::OnceLock;

use graphproof_harness::step::Module;
use sha2::{Digest, Sha256};

use crate::compile;
use crate::error::KernelsError;
use crate::tree::KernelTree;

/// Where a step's PTX comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PtxSource {
    /// The PTX committed in `kernels/ptx`; an error if a source has changed since.
    #[default]
    Committed,
    /// Compiled now, with NVRTC, from `kernels/cu`.
    Compile,
    /// Of another revision, which lives as long as the process.
    Tree(&'static KernelTree),
}

macro_rules! embedded {
    ($folder:literal: $($name:literal),+ $(,)?) => {
        &[$(($name, include_str!(concat!("../", $folder, "/", $name)))),+]
    };
}

/// (file name, text) of each source.
static SOURCES: &[(&str, &str)] = embedded!("cu":
    "block_select.cuh", "common.cuh", "compare.cu", "decode.cu", "faults.cu", "fused.cu", "fused.cuh", "fused_mma.cu", "materialized.cu",
    "options.txt", "score.cuh", "select.cu", "select.cuh", "stream.cuh", "streamed.cu",
);

/// (file name, text) of each committed PTX module.
static MODULES: &[(&str, &str)] = embedded!("ptx":
    "compare.ptx", "decode.ptx", "faults.ptx", "fused.ptx", "fused_mma.ptx", "materialized.ptx", "select.ptx", "streamed.ptx",
);

static MANIFEST: &str = include_str!("../ptx/manifest.json");

/// What `regenerate.py` recorded.
#[derive(Debug, PartialEq, Eq, serde::Deserialize)]
pub struct Manifest {
    /// The pinned compiler package.
    pub compiler: String,
    /// NVRTC's version.
    pub nvrtc: String,
    /// NVRTC options.
    pub options: Vec<String>,
    /// SHA-256 of each source, by file name.
    pub sources: BTreeMap<String, String>,
    /// SHA-256 of each PTX file, by file name.
    pub ptx: BTreeMap<String, String>,
}

/// The manifest of the committed PTX.
///
/// # Errors
/// The manifest is not the JSON that `regenerate.py` writes.
pub fn manifest() -> Result<&'static Manifest, KernelsError> {
    static PARSED: OnceLock<Result<Manifest, String>> = OnceLock::new();
    let parsed = PARSED.get_or_init(|| serde_json::from_str(MANIFEST).map_err(|error| error.to_string()));
    parsed.as_ref().map_err(|problem| KernelsError::Manifest { problem: format!("cannot be read ({problem})") })
}

/// SHA-256 in lower-case hex.
pub fn sha256(data: &[u8]) -> String {
    use std::fmt::Write;
    Sha256::digest(data).iter().fold(String::with_capacity(64), |mut hex, byte| {
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// The folder of the sources, where the tree that this was built from is still there.
pub fn source_folder() -> Option<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("cu");
    folder.is_dir().then_some(folder)
}

/// The text of a source: from the tree if there is one, else as embedded.
///
/// # Errors
/// The tree is there, but the file cannot be read; or no source has this name.
pub fn source_text(name: &str) -> Result<Cow<'static, str>, KernelsError> {
    if let Some(folder) = source_folder() {
        let path = folder.join(name);
        return match std::fs::read_to_string(&path) {
            Ok(text) => Ok(Cow::Owned(text)),
            Err(error) => Err(KernelsError::Source { path: path.display().to_string(), error }),
        };
    }
    embedded_text(SOURCES, name)
        .map(Cow::Borrowed)
        .ok_or_else(|| KernelsError::Manifest { problem: format!("does not describe {name}") })
}

fn embedded_text(files: &'static [(&'static str, &'static str)], name: &str) -> Option<&'static str> {
    files.iter().find(|(file, _)| *file == name).map(|(_, text)| *text)
}

/// Names of files that `text` includes with quotes.
fn includes(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| line.trim().strip_prefix("#include \"")?.split('"').next())
}

/// `<stem>.cu`, every header that it includes, and the compiler options: (name, text), in order.
///
/// # Errors
/// As for [`source_text`].
pub fn sources_of(stem: &str) -> Result<Sources, KernelsError> {
    sources_with(stem, source_text)
}

/// Sources as (name, text).
pub(crate) type Sources = Vec<(String, Cow<'static, str>)>;

/// As [`sources_of`], with each text as `text_of` gives it.
pub(crate) fn sources_with(
    stem: &str,
    text_of: impl Fn(&str) -> Result<Cow<'static, str>, KernelsError>,
) -> Result<Sources, KernelsError> {
    let mut found: Vec<(String, Cow<'static, str>)> = Vec::new();
    let mut wanted = vec!["options.txt".to_owned(), format!("{stem}.cu")];
    while let Some(name) = wanted.pop() {
        if found.iter().any(|(seen, _)| *seen == name) {
            continue;
        }
        let text = text_of(&name)?;
        wanted.extend(includes(&text).map(str::to_owned));
        found.push((name, text));
    }
    found.sort();
    Ok(found)
}

/// One hash over all sources of a module: of the lines `<sha256>  <name>`.
pub(crate) fn combined_hash(sources: &[(String, Cow<'static, str>)]) -> String {
    let lines: String = sources.iter().map(|(name, text)| format!("{}  {name}\n", sha256(text.as_bytes()))).collect();
    sha256(lines.as_bytes())
}

/// The PTX module `<stem>.ptx`.
///
/// # Errors
/// With [`PtxSource::Committed`]: a source has changed since the PTX was made, or the manifest
/// does not fit. With [`PtxSource::Compile`]: no NVRTC was found, or the source does not compile.
/// With [`PtxSource::Tree`]: as for [`KernelTree::module`].
pub fn module(stem: &str, source: PtxSource) -> Result<Module, KernelsError> {
    if let PtxSource::Tree(tree) = source {
        return tree.module(stem);
    }
    let sources = sources_of(stem)?;
    let name = format!("{stem}.ptx");
    let ptx = match source {
        PtxSource::Committed => {
            let manifest = manifest()?;
            check_sources(stem, &sources, manifest)?;
            let missing = || KernelsError::Manifest { problem: format!("does not describe {name}") };
            let text = embedded_text(MODULES, &name).ok_or_else(missing)?;
            if *manifest.ptx.get(&name).ok_or_else(missing)? != sha256(text.as_bytes()) {
                return Err(KernelsError::Tampered { module: stem.to_owned() });
            }
            Cow::Borrowed(text)
        }
        _ => Cow::Owned(compile::compile(stem, &sources)?),
    };
    tracing::debug!(module = name, compiled = source == PtxSource::Compile, bytes = ptx.len(), "PTX ready");
    Ok(Module { name: Cow::Owned(name), ptx, source_sha256: Some(combined_hash(&sources)) })
}

pub(crate) fn check_sources(
    stem: &str,
    sources: &[(String, Cow<'static, str>)],
    manifest: &Manifest,
) -> Result<(), KernelsError> {
    match sources.iter().find(|(file, text)| manifest.sources.get(file) != Some(&sha256(text.as_bytes()))) {
        Some((file, _)) => Err(KernelsError::Stale { file: file.clone(), module: stem.to_owned() }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_in_the_folders_is_embedded_and_in_the_manifest() {
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let list = |folder: &str| {
            let entries = std::fs::read_dir(root.join(folder)).unwrap();
            let mut names: Vec<String> =
                entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
            names.sort();
            names
        };
        let embedded = |files: &[(&str, &str)]| files.iter().map(|(name, _)| (*name).to_owned()).collect::<Vec<_>>();
        let mut modules = list("ptx");
        modules.retain(|name| name != "manifest.json");
        assert_eq!(list("cu"), embedded(SOURCES));
        assert_eq!(modules, embedded(MODULES));
        let manifest = manifest().unwrap();
        assert_eq!(manifest.sources.keys().cloned().collect::<Vec<_>>(), embedded(SOURCES));
        assert_eq!(manifest.ptx.keys().cloned().collect::<Vec<_>>(), embedded(MODULES));
    }

    #[test]
    fn every_committed_module_is_up_to_date() {
        for (name, _) in MODULES {
            let module = module(name.trim_end_matches(".ptx"), PtxSource::Committed).unwrap();
            assert!(module.ptx.contains(".target sm_80"));
            assert_eq!(module.source_sha256.unwrap().len(), 64);
        }
    }

    #[test]
    fn an_edited_header_makes_the_modules_that_include_it_stale() {
        let mut sources = sources_of("fused").unwrap();
        let names: Vec<&str> = sources.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(
            names,
            ["common.cuh", "fused.cu", "fused.cuh", "options.txt", "score.cuh", "select.cuh", "stream.cuh"]
        );
        let manifest = manifest().unwrap();
        check_sources("fused", &sources, manifest).unwrap();
        sources[4].1.to_mut().push_str("// edited\n");
        let error = check_sources("fused", &sources, manifest).unwrap_err().to_string();
        assert!(error.contains("kernels/cu/score.cuh has changed since kernels/ptx/fused.ptx"), "{error}");
        assert!(error.contains("python3 kernels/regenerate.py"), "{error}");
    }
}
