//! The PTX of the kernels, and the sources that are built into the program.

use std::borrow::Cow;
use std::collections::BTreeMap;

use graphproof_harness::step::Module;
use sha2::{Digest, Sha256};

use crate::error::KernelsError;
use crate::tree::KernelTree;

/// Where a step's PTX comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PtxSource {
    /// The committed PTX of the [present tree](KernelTree::present); an error if a source has changed
    /// since.
    #[default]
    Committed,
    /// Compiled now, with NVRTC, from the sources of the present tree.
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
pub(crate) static SOURCES: &[(&str, &str)] = embedded!("cu":
    "block_select.cuh", "common.cuh", "compare.cu", "decode.cu", "decode_heads.cuh", "decode_paged.cu", "decode_score.cuh",
    "faults.cu", "fused.cu", "fused.cuh", "fused_fp8.cu", "fused_mma.cu", "fused_tile.cuh",
    "fused_warpgroups.cuh", "fused_wgmma.cu", "group_rank.cuh", "group_select.cuh", "held_rank.cuh",
    "held_select.cuh", "materialized.cu", "mma.cuh", "options.txt", "peak.cu", "score.cuh", "select.cu",
    "select.cuh", "stream.cuh", "streamed.cu", "warpgroup.cuh",
);

/// (file name, text) of each committed PTX module.
pub(crate) static MODULES: &[(&str, &str)] = embedded!("ptx":
    "compare.ptx", "decode.ptx", "decode_paged.ptx", "faults.ptx", "fused.ptx", "fused_fp8.ptx", "fused_mma.ptx", "fused_wgmma.ptx",
    "materialized.ptx", "peak.ptx", "select.ptx", "streamed.ptx",
);

pub(crate) static MANIFEST: &str = include_str!("../ptx/manifest.json");

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

/// SHA-256 in lower-case hex.
pub fn sha256(data: &[u8]) -> String {
    use std::fmt::Write;
    Sha256::digest(data).iter().fold(String::with_capacity(64), |mut hex, byte| {
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// Names of files that `text` includes with quotes.
fn includes(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| line.trim().strip_prefix("#include \"")?.split('"').next())
}

/// Sources as (name, text).
pub(crate) type Sources = Vec<(String, Cow<'static, str>)>;

/// `<stem>.cu`, every header that it includes, and the compiler options, with each text as `text_of`
/// gives it: (name, text), in order.
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
/// A source cannot be read. With [`PtxSource::Committed`]: a source has changed since the PTX was made,
/// or the manifest does not fit. With [`PtxSource::Compile`]: no NVRTC was found, or the source does not
/// compile. With [`PtxSource::Tree`]: as for [`KernelTree::fitting`].
pub fn module(stem: &str, source: PtxSource) -> Result<Module, KernelsError> {
    let (module, compiled) = match source {
        PtxSource::Committed => (KernelTree::present().committed(stem)?, false),
        PtxSource::Compile => (KernelTree::present().compiled(stem)?, true),
        PtxSource::Tree(tree) => (tree.fitting(stem)?, tree.committed_with(stem).is_none()),
    };
    tracing::debug!(module = %module.name, compiled, bytes = module.ptx.len(), "PTX ready");
    Ok(module)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn everything_in_the_folders_is_embedded_and_in_the_manifest() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
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
        let manifest: Manifest = serde_json::from_str(MANIFEST).unwrap();
        assert_eq!(manifest.sources.keys().cloned().collect::<Vec<_>>(), embedded(SOURCES));
        assert_eq!(manifest.ptx.keys().cloned().collect::<Vec<_>>(), embedded(MODULES));
    }
}
