//! The libraries that put a program in front of the software driver, under the names that programs load.

use std::ffi::OsString;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::{env, fs, io};

use anyhow::{Context as _, anyhow};
use graphproof_forward::{SOFTWARE_FILE, beside, search_path};
use graphproof_harness::exit_code::ExitCode;

use super::Failure;
use crate::args::LibrariesArgs;
use crate::output::json::io as file_failure;

/// A library as cargo leaves it beside the program, and the names under which programs load it.
struct Library {
    file: &'static str,
    names: &'static [&'static str],
    /// Whether each name is a file of its own: it goes by the name that it was loaded under. Of one file,
    /// however it is named, a process loads one copy: two drivers would be two worlds.
    apart: bool,
}

const DRIVER: Library = Library { file: SOFTWARE_FILE, names: &["libcuda.so.1", "libcuda.so"], apart: false };
const RUNTIME: Library = Library {
    file: "libgraphproof_runtime.so",
    names: &["libcudart.so.13", "libcudart.so.12", "libcudart.so"],
    apart: false,
};
const COMPILERS: Library = Library {
    file: "libgraphproof_compilers.so",
    names: &["libnvJitLink.so.13", "libnvJitLink.so.12", "libnvrtc.so.13", "libnvrtc.so.12"],
    apart: true,
};

/// Python packages look for these beside themselves first, and take one that is loaded already.
const PRELOADED: [&str; 2] = ["libnvJitLink.so.13", "libnvrtc.so.13"];

/// Writes the folder, and prints the variables that put it in front.
pub fn run(args: &LibrariesArgs) -> Result<ExitCode, Failure> {
    let folder = args.folder.as_path();
    let written = fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()));
    written.map_err(file_failure)?;
    let folder = folder.canonicalize().map_err(|error| file_failure(error.into()))?;
    for library in [&DRIVER, &RUNTIME, &COMPILERS] {
        let file = beside(library.file).ok_or_else(|| {
            let program = env::current_exe().unwrap_or_default();
            let error = anyhow!(
                "{} is not beside {}: `cargo build --release` leaves it there",
                library.file,
                program.display()
            );
            Failure::new(ExitCode::NoDriver, error)
        })?;
        library.place(&file, &folder).map_err(file_failure)?;
    }
    for (name, value) in in_front(&folder) {
        println!("export {name}={}", quoted(&value.to_string_lossy()));
    }
    Ok(ExitCode::Passed)
}

/// What came into the folder of the driver.
#[derive(Debug)]
pub struct Placed {
    /// The variables that put it in front.
    pub variables: Vec<(&'static str, OsString)>,
    /// The libraries that are not beside this program.
    pub missing: Vec<&'static str>,
}

/// Puts the runtime and the compilers into `folder`, which holds a `libcuda.so.1` already.
///
/// # Errors
/// The folder cannot be written to.
pub fn beside_the_driver(folder: &Path) -> anyhow::Result<Placed> {
    let mut missing = Vec::new();
    for library in [&RUNTIME, &COMPILERS] {
        match beside(library.file) {
            Some(file) => library.place(&file, folder)?,
            None => missing.push(library.file),
        }
    }
    let variables = if missing.contains(&COMPILERS.file) { Vec::new() } else { vec![preload(folder)] };
    Ok(Placed { variables, missing })
}

impl Library {
    /// Writes it into the folder under all its names.
    fn place(&self, file: &Path, folder: &Path) -> anyhow::Result<()> {
        for (index, name) in self.names.iter().enumerate() {
            let place = folder.join(name);
            let done = remove(&place).and_then(|()| match index == 0 || self.apart {
                true => fs::copy(file, &place).map(drop),
                false => symlink(self.names[0], &place),
            });
            done.with_context(|| format!("{} cannot be written", place.display()))?;
        }
        Ok(())
    }
}

/// A program may have the old file mapped: it is never written over.
fn remove(place: &Path) -> io::Result<()> {
    match fs::remove_file(place) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// What puts the libraries of `folder` in front of a program's own.
fn in_front(folder: &Path) -> [(&'static str, OsString); 2] {
    [("LD_LIBRARY_PATH", search_path(folder)), preload(folder)]
}

/// The two that Python packages would look for beside themselves, by their full names: what is preloaded by
/// its short name alone is an error line of the loader in every program that drops `LD_LIBRARY_PATH`.
fn preload(folder: &Path) -> (&'static str, OsString) {
    let mut files = env::var_os("LD_PRELOAD").unwrap_or_default();
    for name in PRELOADED {
        if !files.is_empty() {
            files.push(":");
        }
        files.push(folder.join(name));
    }
    ("LD_PRELOAD", files)
}

/// A word of a shell.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-:+@%=,".contains(c);
    if text.chars().all(plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn a_folder_is_one_word_of_a_shell() {
        assert_eq!(quoted("/a/b-1.2:c"), "/a/b-1.2:c");
        assert_eq!(quoted("/a b/it's"), r"'/a b/it'\''s'");
    }
}
