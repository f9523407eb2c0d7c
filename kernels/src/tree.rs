//! The kernels of another revision, read once.

use std::borrow::Cow;
use std::collections::BTreeMap;

use graphproof_harness::step::Module;

use crate::compile;
use crate::error::KernelsError;
use crate::ptx::{self, Manifest, Sources};

/// Sources, PTX and manifest of a revision, as texts.
#[derive(Debug, PartialEq, Eq)]
pub struct KernelTree {
    revision: String,
    sources: BTreeMap<String, String>,
    modules: BTreeMap<String, String>,
    manifest: Result<Manifest, String>,
}

impl KernelTree {
    /// A tree of `files`, by path below `kernels/`: `cu/fused.cu`, `ptx/fused.ptx`,
    /// `ptx/manifest.json`. Other files are ignored. `revision` names it in messages.
    pub fn new(revision: String, files: impl IntoIterator<Item = (String, String)>) -> Self {
        let (mut sources, mut modules) = (BTreeMap::new(), BTreeMap::new());
        let mut manifest = Err("it has no kernels/ptx/manifest.json".to_owned());
        for (path, text) in files {
            if path == "ptx/manifest.json" {
                let unreadable = |error| format!("its kernels/ptx/manifest.json cannot be read ({error})");
                manifest = serde_json::from_str(&text).map_err(unreadable);
            } else if let Some(name) = path.strip_prefix("cu/") {
                sources.insert(name.to_owned(), text);
            } else if let Some(name) = path.strip_prefix("ptx/") {
                modules.insert(name.to_owned(), text);
            }
        }
        KernelTree { revision, sources, modules, manifest }
    }

    /// The revision, as it was named.
    pub fn revision(&self) -> &str {
        &self.revision
    }

    /// The module `<stem>.ptx`: as committed if the manifest fits sources and PTX, else compiled.
    ///
    /// # Errors
    /// A source is missing; or the committed PTX does not do, and there is no NVRTC or the source
    /// does not compile.
    pub fn module(&self, stem: &str) -> Result<Module, KernelsError> {
        let sources = self.sources_of(stem)?;
        let ptx = match self.committed(stem, &sources) {
            Ok(text) => text.to_owned(),
            Err(problem) => {
                tracing::info!(revision = self.revision, problem, "its kernels are compiled now");
                let revision = self.revision.clone();
                compile::compile(stem, &sources).map_err(|error| KernelsError::RevisionPtx {
                    revision,
                    problem,
                    error: Box::new(error),
                })?
            }
        };
        let source_sha256 = Some(ptx::combined_hash(&sources));
        Ok(Module { name: Cow::Owned(format!("{stem}.ptx")), ptx: Cow::Owned(ptx), source_sha256 })
    }

    /// NVRTC's version behind the committed PTX of `<stem>.ptx`, if that is what is used.
    pub fn committed_with(&self, stem: &str) -> Option<&str> {
        let sources = self.sources_of(stem).ok()?;
        self.committed(stem, &sources).ok()?;
        self.manifest.as_ref().ok().map(|manifest| manifest.nvrtc.as_str())
    }

    fn sources_of(&self, stem: &str) -> Result<Sources, KernelsError> {
        ptx::sources_with(stem, |name| match self.sources.get(name) {
            Some(text) => Ok(Cow::Owned(text.clone())),
            None => {
                let problem = format!("has no kernels/cu/{name}, which {stem}.ptx is made from");
                Err(KernelsError::Revision { revision: self.revision.clone(), problem })
            }
        })
    }

    fn committed(&self, stem: &str, sources: &Sources) -> Result<&str, String> {
        let name = format!("{stem}.ptx");
        let manifest = self.manifest.as_ref().map_err(String::clone)?;
        if ptx::check_sources(stem, sources, manifest).is_err() {
            return Err(format!("its kernels/ptx/{name} was made from other sources than its own"));
        }
        let text = self.modules.get(&name).ok_or_else(|| format!("it has no kernels/ptx/{name}"))?;
        if manifest.ptx.get(&name) != Some(&ptx::sha256(text.as_bytes())) {
            return Err(format!("its kernels/ptx/{name} is not the file that its manifest describes"));
        }
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ptx::PtxSource;

    fn files() -> Vec<(String, String)> {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut files = Vec::new();
        for folder in ["cu", "ptx"] {
            for entry in std::fs::read_dir(root.join(folder)).unwrap() {
                let entry = entry.unwrap();
                let name = format!("{folder}/{}", entry.file_name().into_string().unwrap());
                files.push((name, std::fs::read_to_string(entry.path()).unwrap()));
            }
        }
        files
    }

    #[test]
    fn the_present_tree_gives_the_present_modules() {
        let tree = KernelTree::new("now".into(), files());
        for stem in ["fused", "decode", "select"] {
            let (ours, theirs) = (ptx::module(stem, PtxSource::Committed).unwrap(), tree.module(stem).unwrap());
            assert!(ours.ptx == theirs.ptx && ours.source_sha256 == theirs.source_sha256, "{stem}");
            assert!(tree.committed_with(stem).is_some());
        }
    }

    #[test]
    fn what_does_not_fit_is_never_used_as_it_is() {
        let mut changed = files();
        changed.iter_mut().find(|(name, _)| name == "cu/score.cuh").unwrap().1.push_str("// edited\n");
        let tree = KernelTree::new("edited".into(), changed);
        assert_eq!(tree.committed_with("fused"), None);
        assert!(tree.committed_with("select").is_some(), "select does not include score.cuh");
        let mut changed = files();
        changed.iter_mut().find(|(name, _)| name == "ptx/fused.ptx").unwrap().1.push_str("// edited\n");
        assert_eq!(KernelTree::new("edited".into(), changed).committed_with("fused"), None);
        let changed = files().into_iter().filter(|(name, _)| name != "cu/score.cuh");
        let error = KernelTree::new("cut".into(), changed).module("fused").unwrap_err().to_string();
        assert_eq!(error, "the revision cut has no kernels/cu/score.cuh, which fused.ptx is made from");
    }
}
