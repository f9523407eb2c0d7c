//! Compiles the kernels at run time, with NVRTC where one is found.

use std::borrow::Cow;

use graphproof_harness::nvrtc::{CompileError, Nvrtc};

/// Compiles the module `stem` from `sources`, which hold `<stem>.cu`, its headers and
/// `options.txt`.
///
/// # Errors
/// As for [`Nvrtc::find`] and [`Nvrtc::compile`].
pub fn compile(stem: &str, sources: &[(String, Cow<'static, str>)]) -> Result<String, CompileError> {
    let nvrtc = Nvrtc::find()?;
    tracing::info!(path = nvrtc.path(), version = nvrtc.version(), module = stem, "compiling with NVRTC");
    let file = format!("{stem}.cu");
    // The folder of the sources says more than their names, which are all that NVRTC is told.
    nvrtc.compile(&file, sources, &options(&file, sources)).map_err(|error| error.of_file(format!("kernels/cu/{file}")))
}

/// The options of `options.txt`, those that the source's first line gives (`// nvrtc: …`) in place of
/// shared ones of the same name.
fn options<'a>(file: &str, sources: &'a [(String, Cow<'static, str>)]) -> Vec<&'a str> {
    let text = |wanted: &str| sources.iter().find(|(name, _)| name == wanted).map_or("", |(_, text)| text.as_ref());
    let first = text(file).lines().next().unwrap_or_default();
    let own: Vec<&str> = first.strip_prefix("// nvrtc: ").unwrap_or_default().split_whitespace().collect();
    let name = |option: &'a str| option.split('=').next().unwrap_or(option);
    let shared = text("options.txt").split_whitespace();
    let kept = shared.filter(|option| own.iter().all(|own| name(own) != name(option)));
    kept.chain(own.iter().copied()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ptx::{PtxSource, module};
    use crate::tree::KernelTree;

    /// NVRTC where there is one; a test that needs it says by name that it is skipped.
    fn nvrtc(test: &str) -> Option<Nvrtc> {
        match Nvrtc::find() {
            Ok(nvrtc) => Some(nvrtc),
            Err(error) => {
                eprintln!("{test} is skipped: {error}");
                None
            }
        }
    }

    #[test]
    fn the_pinned_compiler_makes_the_committed_ptx() {
        let Some(nvrtc) = nvrtc("the_pinned_compiler_makes_the_committed_ptx") else { return };
        if nvrtc.version() != KernelTree::present().nvrtc().unwrap() {
            eprintln!("the_pinned_compiler_makes_the_committed_ptx is skipped: {nvrtc:?} is not the pinned version");
            return;
        }
        for stem in ["fused", "select", "fused_wgmma", "fused_fp8"] {
            let compiled = module(stem, PtxSource::Compile).unwrap();
            let committed = module(stem, PtxSource::Committed).unwrap();
            assert!(compiled.ptx == committed.ptx, "{stem}");
            assert_eq!(compiled.source_sha256, committed.source_sha256);
        }
    }

    #[test]
    fn a_source_s_own_option_replaces_the_shared_one() {
        let source = |name: &str, text: &'static str| (name.to_owned(), Cow::Borrowed(text));
        let sources = [
            source("options.txt", "--gpu-architecture=compute_80\n--fmad=false\n"),
            source("a.cu", "// nvrtc: --gpu-architecture=compute_90a\nint x;"),
            source("b.cu", "int x; // nvrtc: --fmad=true"),
        ];
        assert_eq!(options("a.cu", &sources), ["--fmad=false", "--gpu-architecture=compute_90a"]);
        assert_eq!(options("b.cu", &sources), ["--gpu-architecture=compute_80", "--fmad=false"]);
    }

    #[test]
    fn a_broken_source_is_answered_with_the_compiler_s_log() {
        let Some(nvrtc) = nvrtc("a_broken_source_is_answered_with_the_compiler_s_log") else { return };
        let mut sources = KernelTree::present().sources_of("select").unwrap();
        let main = sources.iter_mut().find(|(name, _)| name == "select.cu").unwrap();
        main.1.to_mut().push_str("\nthis is not CUDA;\n");
        let error = nvrtc.compile("select.cu", &sources, &["--gpu-architecture=compute_80"]).unwrap_err().to_string();
        assert!(error.starts_with("select.cu does not compile with NVRTC"), "{error}");
        assert!(error.contains("select.cu("), "{error}");
    }

    #[test]
    fn a_missing_compiler_is_answered_with_what_to_install() {
        let error = CompileError::NotFound { tried: vec!["a: no".into(), "b: no".into()] }.to_string();
        assert!(error.contains("`python3 kernels/regenerate.py` installs the pinned one"), "{error}");
        assert!(error.ends_with("Tried: a: no; b: no"), "{error}");
    }
}
