//! What `cuGetProcAddress` chooses.

use crate::{Function, PerThread, base, find, functions};

/// The first CUDA version with per-thread forms.
const PER_THREAD_SINCE: u32 = 7000;

/// A function, and which of its forms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Choice {
    /// The function.
    pub function: &'static Function,
    /// The form whose default stream is the calling thread's.
    pub form: Option<PerThread>,
}

impl Choice {
    /// The exported name.
    pub fn name(self) -> String {
        format!("{}{}", self.function.name, self.form.map_or("", PerThread::suffix))
    }
}

/// Why there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotFound {
    /// `CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND`.
    Symbol,
    /// `CU_GET_PROC_ADDRESS_VERSION_NOT_SUFFICIENT`: every form of it is newer.
    Version,
}

/// The functions whose names begin with this one: the table is sorted by name.
fn named_from(name: &str) -> impl Iterator<Item = &'static Function> {
    let all = functions();
    let first = all.partition_point(|function| function.name < name);
    all[first..].iter().take_while(move |function| function.name.starts_with(name))
}

/// The newest form of `name` that a program built for CUDA `version` may use, in the form with the
/// per-thread default stream if `per_thread` and it has one: of `cuMemAlloc` and 13000,
/// `cuMemAlloc_v2`. A name with its suffixes is taken as it is.
pub fn select(name: &str, version: u32, per_thread: bool) -> Result<Choice, NotFound> {
    // cuda.h since 12.0: the plain name means the form with flags.
    let name = if name == "cuGraphInstantiate" && version >= 12000 { "cuGraphInstantiateWithFlags" } else { name };
    let candidates: Vec<&'static Function> = match find(name) {
        Some(exact) if base(name) != name || exact.name != name => vec![exact],
        _ => named_from(name).filter(|function| function.base() == name).collect(),
    };
    if candidates.is_empty() {
        return Err(NotFound::Symbol);
    }
    let newest = candidates.into_iter().filter(|function| function.since <= version).max_by_key(|f| f.since);
    let function = newest.ok_or(NotFound::Version)?;
    let named = function.per_thread.filter(|form| name.ends_with(form.suffix()));
    let asked = function.per_thread.filter(|_| per_thread && version >= PER_THREAD_SINCE);
    Ok(Choice { function, form: named.or(asked) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_chooses_the_form() {
        let name = |name, version| select(name, version, false).map(Choice::name);
        let is = |name: &str| Ok(name.to_owned());
        assert_eq!(name("cuMemAlloc", 13000), is("cuMemAlloc_v2"));
        assert_eq!(name("cuMemAlloc", 2000), is("cuMemAlloc"));
        assert_eq!(name("cuCtxCreate", 12000), is("cuCtxCreate_v3"));
        assert_eq!(name("cuCtxCreate", 13000), is("cuCtxCreate_v4"));
        assert_eq!(name("cuStreamGetCaptureInfo", 11000), is("cuStreamGetCaptureInfo"));
        assert_eq!(name("cuStreamGetCaptureInfo", 12030), is("cuStreamGetCaptureInfo_v3"));
        assert_eq!(name("cuGraphInstantiate", 11000), is("cuGraphInstantiate_v2"));
        assert_eq!(name("cuGraphInstantiate", 12000), is("cuGraphInstantiateWithFlags"));
        assert_eq!(name("cuMemAllocAsync", 11000), Err(NotFound::Version));
        assert_eq!(name("cuMemAlloc_v2", 13000), is("cuMemAlloc_v2"));
        assert_eq!(name("cuNothing", 13000), Err(NotFound::Symbol));
    }

    #[test]
    fn the_flag_chooses_the_default_stream() {
        let name = |name, version| select(name, version, true).map(Choice::name);
        let is = |name: &str| Ok(name.to_owned());
        assert_eq!(name("cuLaunchKernel", 12000), is("cuLaunchKernel_ptsz"));
        assert_eq!(name("cuMemcpyHtoD", 12000), is("cuMemcpyHtoD_v2_ptds"));
        assert_eq!(name("cuMemcpyHtoD", 6050), is("cuMemcpyHtoD_v2"));
        assert_eq!(name("cuStreamCreate", 12000), is("cuStreamCreate"));
        assert_eq!(select("cuStreamQuery_ptsz", 12000, false).map(Choice::name), is("cuStreamQuery_ptsz"));
    }

    #[test]
    fn every_name_is_found() {
        for function in functions() {
            for name in function.exports() {
                assert!(select(&name, 13050, false).is_ok(), "{name}");
            }
        }
    }
}
