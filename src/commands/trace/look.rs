//! What can be seen of a program before and while it runs: whether the recorder can be in it at all.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use object::{Architecture, Object as _};

/// What the file of a program says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// The loader of this machine loads it, with the libraries of its environment.
    Dynamic,
    /// It loads no library.
    Static,
    /// It is for another processor.
    Foreign(String),
    /// The loader drops the environment that would put the recorder into it.
    Privileged,
    /// A script, or what cannot be read.
    Other,
}

/// A program that is about to run.
#[derive(Debug, Clone)]
pub struct Program {
    path: PathBuf,
    kind: Kind,
}

/// Finds the program of a command as `execvp` does, and looks at it.
///
/// # Errors
/// There is none of that name, or it cannot be executed.
pub fn program(command: &[OsString]) -> anyhow::Result<Program> {
    let name = Path::new(command.first().context("no command")?);
    let is_file = |path: &PathBuf| path.is_file();
    let path = if name.components().count() > 1 {
        Some(name.to_owned()).filter(is_file)
    } else {
        let search = std::env::var_os("PATH").unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".into());
        std::env::split_paths(&search).map(|folder| folder.join(name)).filter(|path| is_executable(path)).find(is_file)
    };
    let path = path.ok_or_else(|| anyhow!("there is no program {}", name.display()))?;
    if !is_executable(&path) {
        return Err(anyhow!("{} cannot be executed: it is not marked so", path.display()));
    }
    // A script is run by the program that its first line names.
    let kind = interpreter(&path).map_or_else(|| kind(&path), |other| kind(&other));
    Ok(Program { path, kind })
}

fn is_executable(path: &Path) -> bool {
    path.metadata().is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}

/// The program that a script's first line names.
fn interpreter(path: &Path) -> Option<PathBuf> {
    let bytes = head(path)?;
    let line = bytes.strip_prefix(b"#!")?.split(|&byte| byte == b'\n').next()?;
    let name = std::str::from_utf8(line).ok()?.split_whitespace().next()?;
    Some(PathBuf::from(name))
}

fn head(path: &Path) -> Option<Vec<u8>> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    std::fs::File::open(path).ok()?.take(256).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

/// What the file is to the loader.
pub fn kind(path: &Path) -> Kind {
    const SET_ID: u32 = 0o6000;
    if path.metadata().is_ok_and(|data| data.permissions().mode() & SET_ID != 0) {
        return Kind::Privileged;
    }
    let Ok(bytes) = std::fs::read(path) else { return Kind::Other };
    if !bytes.starts_with(b"\x7fELF") {
        return Kind::Other;
    }
    match object::File::parse(&*bytes) {
        Ok(file) if file.architecture() != Architecture::X86_64 => Kind::Foreign(format!("{:?}", file.architecture())),
        Ok(_) => {
            let names = has_interpreter(&bytes);
            if names { Kind::Dynamic } else { Kind::Static }
        }
        Err(_) => Kind::Other,
    }
}

/// Whether a program header names the loader (`PT_INTERP`), in a file without sections.
fn has_interpreter(file: &[u8]) -> bool {
    use object::read::elf::{FileHeader as _, ProgramHeader as _};
    let Ok(header) = object::elf::FileHeader64::<object::Endianness>::parse(file) else { return false };
    let Ok(endian) = header.endian() else { return false };
    let headers = header.program_headers(endian, file).unwrap_or_default();
    headers.iter().any(|program| program.p_type(endian) == object::elf::PT_INTERP)
}

impl Program {
    /// Why a program may have left no record.
    pub fn why_nothing(&self) -> String {
        let path = self.path.display();
        match &self.kind {
            Kind::Static => format!("{path} is linked statically: it loads no driver that could be watched"),
            Kind::Foreign(other) => {
                format!("{path} is built for {other}, and calls are recorded in x86-64 programs only")
            }
            Kind::Privileged => format!(
                "{path} is set-user-ID or set-group-ID: the loader drops LD_LIBRARY_PATH, by which the recorder \
                 gets in front of the driver; run it as a user who needs no such bit"
            ),
            Kind::Dynamic | Kind::Other => format!(
                "no process of {path} called the driver through the recorder: it calls no driver, or it drops \
                 LD_LIBRARY_PATH from its environment, or it loads the driver by its path or from a run path of its own"
            ),
        }
    }
}

/// Looks for processes below this one that have the driver and not the recorder.
#[derive(Debug)]
pub struct Watch {
    driver: PathBuf,
    recorder: PathBuf,
    seen: BTreeSet<u32>,
    unseen: Vec<String>,
}

impl Watch {
    pub fn new(driver: PathBuf, recorder: PathBuf) -> Self {
        Self { driver, recorder, seen: BTreeSet::new(), unseen: Vec::new() }
    }

    /// Looks once at the processes below `root`.
    pub fn look(&mut self, root: u32) {
        let mut open = vec![root];
        while let Some(pid) = open.pop() {
            open.extend(children(pid));
            if self.seen.contains(&pid) {
                continue;
            }
            let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default();
            let has = |path: &Path| maps.lines().any(|line| line.ends_with(&*path.to_string_lossy()));
            if has(&self.driver) {
                self.seen.insert(pid);
                if !has(&self.recorder) {
                    let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
                    let driver = self.driver.display();
                    self.unseen.push(format!(
                        "process {pid} ({}) loaded {driver} past the recorder: by its path, or without LD_LIBRARY_PATH",
                        name.trim()
                    ));
                }
            }
        }
    }

    /// What was found.
    pub fn unseen(self) -> Vec<String> {
        self.unseen
    }
}

fn children(pid: u32) -> Vec<u32> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let lists = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok());
    lists.flat_map(|list| list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>()).collect()
}
