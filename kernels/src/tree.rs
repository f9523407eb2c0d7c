//! The kernels of one tree, read once: of the checkout that the run stands in, of another revision, or
//! built into the program.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use graphproof_harness::step::Module;

use crate::error::KernelsError;
use crate::ptx::{self, Manifest, Sources};
use crate::{checkout, compile, host};

/// Where a tree is from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Built into the program.
    BuiltIn,
    /// A checkout, by its root.
    Checkout(PathBuf),
    /// A git revision, by the name that it was asked for by.
    Revision(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::BuiltIn => f.write_str("the program itself"),
            Origin::Checkout(root) => write!(f, "the checkout {}", root.display()),
            Origin::Revision(name) => write!(f, "the revision {name}"),
        }
    }
}

/// A text, or why it cannot be read.
type Text = Result<Cow<'static, str>, String>;

/// Sources, PTX and manifest, as texts.
#[derive(Debug, PartialEq, Eq)]
pub struct KernelTree {
    origin: Origin,
    sources: BTreeMap<String, Text>,
    modules: BTreeMap<String, Text>,
    manifest: Result<Manifest, String>,
    /// Whether the program's launches are the ones that are written in this tree, where it has any.
    own_host_code: bool,
}

/// Why the committed PTX of a tree does not do.
enum Misfit {
    Manifest(String),
    Stale(String),
    Missing,
    Tampered,
}

impl KernelTree {
    /// The tree that everything is judged by which names no other: that of the checkout around the
    /// current folder if it holds the indexer's kernels, else the one that is built in. Read once.
    pub fn present() -> &'static KernelTree {
        static PRESENT: OnceLock<KernelTree> = OnceLock::new();
        PRESENT.get_or_init(|| {
            let tree = checkout::root().map_or_else(KernelTree::built_in, |root| KernelTree::of_checkout(&root));
            tracing::info!(tree = %tree.origin, "kernels");
            tree
        })
    }

    /// The sources and the PTX that the program was built with.
    pub fn built_in() -> Self {
        let texts = |files: &[(&str, &'static str)]| {
            files.iter().map(|&(name, text)| (name.to_owned(), Ok(Cow::Borrowed(text)))).collect()
        };
        KernelTree {
            origin: Origin::BuiltIn,
            sources: texts(ptx::SOURCES),
            modules: texts(ptx::MODULES),
            manifest: parse(ptx::MANIFEST),
            own_host_code: true,
        }
    }

    /// The tree below `root`, which holds `kernels/`. What cannot be read is told when it is needed.
    pub fn of_checkout(root: &Path) -> Self {
        let kernels = root.join("kernels");
        let mut modules = read_folder(&kernels.join("ptx"));
        let manifest = match modules.remove("manifest.json") {
            Some(text) => text.and_then(|text| parse(&text)),
            None => Err("is not there".to_owned()),
        };
        let code = kernels.join("src");
        let own_host_code = !code.is_dir() || host::hash(&code).is_ok_and(|hash| hash == env!("GRAPHPROOF_HOST_CODE"));
        let origin = Origin::Checkout(root.to_owned());
        KernelTree { origin, sources: read_folder(&kernels.join("cu")), modules, manifest, own_host_code }
    }

    /// A tree of `files`, by path below `kernels/`: `cu/fused.cu`, `ptx/fused.ptx`,
    /// `ptx/manifest.json`. Other files are ignored. `revision` names it in messages. Its host code is
    /// not asked for: a comparison of revisions is one of kernels.
    pub fn of_revision(revision: String, files: impl IntoIterator<Item = (String, String)>) -> Self {
        let (mut sources, mut modules) = (BTreeMap::new(), BTreeMap::new());
        let mut manifest = Err("is not there".to_owned());
        for (path, text) in files {
            if path == "ptx/manifest.json" {
                manifest = parse(&text);
            } else if let Some(name) = path.strip_prefix("cu/") {
                sources.insert(name.to_owned(), Ok(Cow::Owned(text)));
            } else if let Some(name) = path.strip_prefix("ptx/") {
                modules.insert(name.to_owned(), Ok(Cow::Owned(text)));
            }
        }
        KernelTree { origin: Origin::Revision(revision), sources, modules, manifest, own_host_code: true }
    }

    /// Where it is from.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// NVRTC's version behind the committed PTX.
    ///
    /// # Errors
    /// The manifest cannot be read.
    pub fn nvrtc(&self) -> Result<&str, KernelsError> {
        let manifest = self.manifest.as_ref();
        manifest
            .map(|manifest| manifest.nvrtc.as_str())
            .map_err(|problem| KernelsError::Manifest { problem: problem.clone() })
    }

    /// The module `<stem>.ptx` as it was committed.
    ///
    /// # Errors
    /// A source cannot be read or has changed since the PTX was made from it, the manifest does not fit,
    /// or the tree's host code is not the program's.
    pub fn committed(&self, stem: &str) -> Result<Module, KernelsError> {
        self.check_host_code()?;
        let sources = self.sources_of(stem)?;
        let text = self.text_of(stem, &sources).map_err(|misfit| misfit.error(stem))?;
        Ok(made(stem, text.clone(), &sources))
    }

    /// The module `<stem>.ptx`, compiled now.
    ///
    /// # Errors
    /// A source cannot be read or does not compile, there is no NVRTC, or the tree's host code is not the
    /// program's.
    pub fn compiled(&self, stem: &str) -> Result<Module, KernelsError> {
        self.check_host_code()?;
        let sources = self.sources_of(stem)?;
        let text = compile::compile(stem, &sources)?;
        Ok(made(stem, Cow::Owned(text), &sources))
    }

    /// The module `<stem>.ptx`: as committed if the manifest fits sources and PTX, else compiled.
    ///
    /// # Errors
    /// A source is missing; or the committed PTX does not do, and there is no NVRTC or the source
    /// does not compile.
    pub fn fitting(&self, stem: &str) -> Result<Module, KernelsError> {
        let sources = self.sources_of(stem)?;
        let text = match self.text_of(stem, &sources) {
            Ok(text) => text.clone(),
            Err(misfit) => {
                let problem = misfit.words(stem);
                tracing::info!(tree = %self.origin, problem, "its kernels are compiled now");
                let compiled = compile::compile(stem, &sources);
                let tree = || self.origin.clone();
                Cow::Owned(compiled.map_err(|error| KernelsError::Ptx {
                    tree: tree(),
                    problem,
                    error: Box::new(error),
                })?)
            }
        };
        Ok(made(stem, text, &sources))
    }

    /// NVRTC's version behind the committed PTX of `<stem>.ptx`, if that is what is used.
    pub fn committed_with(&self, stem: &str) -> Option<&str> {
        let sources = self.sources_of(stem).ok()?;
        self.text_of(stem, &sources).ok()?;
        self.nvrtc().ok()
    }

    fn check_host_code(&self) -> Result<(), KernelsError> {
        if self.own_host_code { Ok(()) } else { Err(KernelsError::HostCode { tree: self.origin.clone() }) }
    }

    pub(crate) fn sources_of(&self, stem: &str) -> Result<Sources, KernelsError> {
        ptx::sources_with(stem, |name| {
            let problem = match self.sources.get(name) {
                Some(Ok(text)) => return Ok(text.clone()),
                Some(Err(problem)) => problem.clone(),
                None => "it is not there".to_owned(),
            };
            let (tree, file) = (self.origin.clone(), format!("kernels/cu/{name}"));
            Err(KernelsError::Source { tree, file, problem, module: stem.to_owned() })
        })
    }

    fn text_of(&self, stem: &str, sources: &Sources) -> Result<&Cow<'static, str>, Misfit> {
        let name = format!("{stem}.ptx");
        let manifest = self.manifest.as_ref().map_err(|problem| Misfit::Manifest(problem.clone()))?;
        let known = |file: &String, text: &str| manifest.sources.get(file) == Some(&ptx::sha256(text.as_bytes()));
        if let Some((file, _)) = sources.iter().find(|(file, text)| !known(file, text)) {
            return Err(Misfit::Stale(file.clone()));
        }
        let text = self.modules.get(&name).ok_or(Misfit::Missing)?.as_ref().map_err(|_| Misfit::Tampered)?;
        if manifest.ptx.get(&name) != Some(&ptx::sha256(text.as_bytes())) {
            return Err(Misfit::Tampered);
        }
        Ok(text)
    }
}

impl Misfit {
    /// About the present tree.
    fn error(self, stem: &str) -> KernelsError {
        let module = stem.to_owned();
        match self {
            Misfit::Manifest(problem) => KernelsError::Manifest { problem },
            Misfit::Stale(file) => KernelsError::Stale { file, module },
            Misfit::Missing | Misfit::Tampered => KernelsError::Tampered { module },
        }
    }

    /// About a revision.
    fn words(self, stem: &str) -> String {
        match self {
            Misfit::Manifest(problem) => format!("its kernels/ptx/manifest.json {problem}"),
            Misfit::Stale(_) => format!("its kernels/ptx/{stem}.ptx was made from other sources than its own"),
            Misfit::Missing => format!("it has no kernels/ptx/{stem}.ptx"),
            Misfit::Tampered => format!("its kernels/ptx/{stem}.ptx is not the file that its manifest describes"),
        }
    }
}

fn made(stem: &str, ptx: Cow<'static, str>, sources: &Sources) -> Module {
    let source_sha256 = Some(ptx::combined_hash(sources));
    Module { source_sha256, ..Module::ptx(format!("{stem}.ptx"), ptx) }
}

fn parse(manifest: &str) -> Result<Manifest, String> {
    serde_json::from_str(manifest).map_err(|error| format!("cannot be read ({error})"))
}

/// The files of a folder, by name; none if it cannot be read.
fn read_folder(folder: &Path) -> BTreeMap<String, Text> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let files = entries.map(|entry| entry.path()).filter(|path| path.is_file());
    files
        .filter_map(|path| {
            let name = path.file_name()?.to_str()?.to_owned();
            let text = std::fs::read_to_string(&path).map(Cow::Owned).map_err(|error| error.to_string());
            Some((name, text))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ptx::PtxSource;

    fn root() -> &'static Path {
        Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
    }

    /// The present tree with one text changed.
    fn edited(change: impl FnOnce(&mut KernelTree)) -> KernelTree {
        let mut tree = KernelTree { origin: Origin::Revision("edited".into()), ..KernelTree::of_checkout(root()) };
        change(&mut tree);
        tree
    }

    fn append(files: &mut BTreeMap<String, Text>, name: &str) {
        let text = files.get_mut(name).unwrap().as_mut().unwrap();
        text.to_mut().push_str("// edited\n");
    }

    #[test]
    fn the_present_tree_is_the_checkout_and_what_was_built_in_is_the_same() {
        assert_eq!(KernelTree::present().origin(), &Origin::Checkout(root().to_owned()));
        let built_in = KernelTree::built_in();
        assert_eq!(edited(|_| {}).sources, built_in.sources);
        for (name, _) in ptx::MODULES {
            let stem = name.trim_end_matches(".ptx");
            let (ours, theirs) = (ptx::module(stem, PtxSource::Committed).unwrap(), built_in.committed(stem).unwrap());
            assert!(ours.ptx == theirs.ptx && ours.source_sha256 == theirs.source_sha256, "{stem}");
            assert!(ours.ptx.contains(".target sm_"));
            assert!(built_in.committed_with(stem).is_some());
        }
    }

    #[test]
    fn what_does_not_fit_is_never_used_as_it_is() {
        let tree = edited(|tree| append(&mut tree.sources, "score.cuh"));
        assert_eq!(tree.committed_with("fused"), None);
        assert!(tree.committed_with("select").is_some(), "select does not include score.cuh");
        let error = tree.committed("fused").unwrap_err().to_string();
        assert!(error.contains("kernels/cu/score.cuh has changed since kernels/ptx/fused.ptx"), "{error}");
        assert!(error.contains("python3 kernels/regenerate.py"), "{error}");
        assert_eq!(edited(|tree| append(&mut tree.modules, "fused.ptx")).committed_with("fused"), None);
        let cut = edited(|tree| drop(tree.sources.remove("score.cuh")));
        let error = cut.fitting("fused").unwrap_err().to_string();
        assert_eq!(
            error,
            "the revision edited has no kernels/cu/score.cuh that can be used (it is not there), and fused.ptx is made \
             from it"
        );
        let other = edited(|tree| tree.own_host_code = false);
        assert!(matches!(other.committed("select"), Err(KernelsError::HostCode { .. })));
        assert!(matches!(other.compiled("select"), Err(KernelsError::HostCode { .. })));
        assert!(other.fitting("select").is_ok(), "a revision is compared by its kernels alone");
    }

    #[test]
    fn a_module_s_sources_are_its_own_and_every_header_that_they_include() {
        let sources = KernelTree::built_in().sources_of("fused").unwrap();
        let names: Vec<&str> = sources.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(
            names,
            ["common.cuh", "fused.cu", "fused.cuh", "options.txt", "score.cuh", "select.cuh", "stream.cuh"]
        );
    }
}
