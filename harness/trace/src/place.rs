//! Places out of stacks: whose line made a call.
//!
//! Python frames come first where there are any: they are what the person wrote. Frames are judged by what
//! they belong to: a Python file by the folder that packages or the interpreter keep theirs in, a native
//! frame by its image and, in Rust, by the crate in its symbol.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::{Component, Path};
use std::rc::Rc;

use graphproof_door::{Frame, Process, PythonFrame, Stack};
use graphproof_harness::calls::is_machinery;
use graphproof_harness::finding::{Site, SiteKind};

/// Images whose frames say nothing about who called: CUDA's own, the C library, the loader.
const MACHINERY: &[&str] =
    &["libcuda.so", "libcudart.so", "libc.so", "ld-linux-x86-64.so", "libpthread.so", "libdl.so"];
/// Larger images are told by their exported symbols: to read their tables takes longer than is worth it.
const LARGEST: u64 = 256 << 20;
/// Further callers that are told.
const MOST_CALLERS: usize = 4;

/// Who made a call.
#[derive(Debug, Clone, Default)]
pub struct Caller {
    /// The innermost line of the user's; else the innermost of anybody's.
    pub site: Option<Site>,
    /// What called that, innermost first.
    pub callers: Vec<Site>,
    /// What lies between the line and the driver: the library that made the call.
    pub through: Option<Site>,
}

impl Caller {
    /// A line of the program by which calls are the same place.
    pub fn key(&self) -> Option<(String, u32)> {
        self.site.as_ref().map(|site| (site.file.clone(), site.line))
    }

    /// The place in a few words.
    pub fn place(&self) -> String {
        self.site.as_ref().map_or_else(|| "an unknown place".to_owned(), Site::place)
    }

    /// What a finding says of it beyond the place.
    pub fn notes(&self) -> Vec<String> {
        let through = self.through.as_ref().map(|site| format!("made by {site}"));
        let called = self.callers.iter().map(|site| format!("called from {site}"));
        through.into_iter().chain(called).collect()
    }
}

/// The places of one process.
pub struct Places<'a> {
    process: &'a Process,
    loaders: RefCell<HashMap<u32, Option<Rc<Lines>>>>,
    known: RefCell<HashMap<u64, Caller>>,
}

/// The line tables of an image, and what is to be added to an offset in it.
struct Lines {
    loader: addr2line::Loader,
    bias: u64,
}

impl<'a> Places<'a> {
    /// Of that process.
    pub fn of(process: &'a Process) -> Self {
        Places { process, loaders: RefCell::default(), known: RefCell::default() }
    }

    /// Who made the call with that stack.
    pub fn caller(&self, stack: Option<u64>, function: &str) -> Caller {
        let Some(id) = stack else { return Caller::default() };
        let known = self.known.borrow().get(&id).cloned();
        let mut caller = known.unwrap_or_else(|| {
            let caller = self.process.stack(id).map(|stack| self.resolve(stack)).unwrap_or_default();
            self.known.borrow_mut().insert(id, caller.clone());
            caller
        });
        if let Some(site) = &mut caller.site {
            site.what = match site.what.as_str() {
                "" => function.to_owned(),
                inside => format!("{function} in {inside}"),
            };
        }
        caller
    }

    fn resolve(&self, stack: &Stack) -> Caller {
        let native = || stack.native.iter().filter(|frame| !self.is_machine(frame));
        if !stack.python.is_empty() {
            let user = stack.python.iter().position(|frame| !is_package(&frame.file)).unwrap_or(0);
            let callers = stack.python[user + 1..].iter().take(MOST_CALLERS).map(|frame| self.python(frame)).collect();
            let through = match user {
                0 => native().find(|frame| !frame.symbol.is_empty()).map(|frame| self.image_site(frame)),
                _ => stack.python.first().map(|frame| self.python(frame)),
            };
            return Caller { site: Some(self.python(&stack.python[user])), callers, through };
        }
        let sites: Vec<Site> = native().flat_map(|frame| self.native(frame)).take(16).collect();
        let user = sites.iter().position(|site| site.kind != SiteKind::Library).unwrap_or(0);
        let mut later = sites.iter().skip(user).cloned();
        Caller {
            site: later.next(),
            callers: later.take(MOST_CALLERS).collect(),
            through: (user > 0).then(|| sites[0].clone()),
        }
    }

    fn python(&self, frame: &PythonFrame) -> Site {
        let file = self.relative(&frame.file).to_owned();
        Site { what: frame.function.clone(), file, line: frame.line, kind: SiteKind::Python }
    }

    /// A file as it is named from the folder that the program was started in.
    fn relative<'f>(&self, file: &'f str) -> &'f str {
        let folder = self.process.start.folder.trim_end_matches('/');
        let below = (!folder.is_empty()).then(|| file.strip_prefix(folder)?.strip_prefix('/')).flatten();
        below.unwrap_or(file)
    }

    fn image_name(&self, frame: &Frame) -> &str {
        let path = self.process.images.get(&frame.image).map_or("", |image| image.path.as_str());
        path.rsplit('/').next().unwrap_or(path)
    }

    fn is_machine(&self, frame: &Frame) -> bool {
        let name = self.image_name(frame);
        MACHINERY
            .iter()
            .any(|known| name == *known || name.strip_prefix(known).is_some_and(|rest| rest.starts_with('.')))
    }

    /// The frame's lines, inlined ones first; the library where there are none.
    fn native(&self, frame: &Frame) -> Vec<Site> {
        let lines = self.lines(frame);
        let mut sites = Vec::new();
        if let Some(lines) = lines {
            // A return address is that of the instruction after the call.
            let probe = (frame.offset + lines.bias).saturating_sub(1);
            if let Ok(mut frames) = lines.loader.find_frames(probe) {
                while let Ok(Some(inner)) = frames.next() {
                    let name = inner.function.and_then(|name| name.demangle().ok().map(|name| name.into_owned()));
                    let name = name.unwrap_or_default();
                    let Some(location) = inner.location else { continue };
                    let (Some(file), Some(line)) = (location.file, location.line) else { continue };
                    if is_machinery(&name) {
                        continue;
                    }
                    let kind = SiteKind::of_file(file);
                    sites.push(Site { what: name, file: self.relative(file).to_owned(), line, kind });
                }
                if !sites.is_empty() || lines.loader.find_location(probe).is_ok_and(|place| place.is_some()) {
                    return sites;
                }
            }
        }
        let site = self.image_site(frame);
        // The first frame of a stack returns to nowhere: the byte before address 0.
        let end = frame.offset == u64::MAX;
        let start = end || matches!(site.what.as_str(), "_start" | "main") || is_machinery(&site.what);
        if start { Vec::new() } else { vec![site] }
    }

    fn image_site(&self, frame: &Frame) -> Site {
        let symbol = addr2line::demangle_auto(frame.symbol.as_str().into(), None).into_owned();
        let what = if symbol.is_empty() { format!("offset {:#x}", frame.offset) } else { symbol };
        let name = self.image_name(frame);
        let file = if name.is_empty() { "code without an image" } else { name };
        Site { what, file: file.to_owned(), line: 0, kind: SiteKind::Library }
    }

    fn lines(&self, frame: &Frame) -> Option<Rc<Lines>> {
        self.loaders
            .borrow_mut()
            .entry(frame.image)
            .or_insert_with(|| {
                let image = self.process.images.get(&frame.image)?;
                let path = Path::new(&image.path);
                let small = std::fs::metadata(path).is_ok_and(|about| about.is_file() && about.len() <= LARGEST);
                let loader = small.then(|| addr2line::Loader::new(path).ok()).flatten()?;
                let bias = if is_fixed(path) { image.base } else { 0 };
                Some(Rc::new(Lines { loader, bias }))
            })
            .clone()
    }
}

/// Whether an ELF file is loaded where it says (`ET_EXEC`).
fn is_fixed(path: &Path) -> bool {
    let mut head = [0u8; 18];
    let read = std::fs::File::open(path).and_then(|mut file| std::io::Read::read_exact(&mut file, &mut head));
    read.is_ok() && head[16..] == [2, 0]
}

/// Whether a Python file belongs to an installed package or to the interpreter.
fn is_package(file: &str) -> bool {
    if file.starts_with("<frozen ") {
        return true;
    }
    let mut before = "";
    for component in Path::new(file).components() {
        let Component::Normal(name) = component else { continue };
        let name = name.to_str().unwrap_or_default();
        let interpreter = before.starts_with("lib") && name.strip_prefix("python3.").is_some_and(is_number);
        if matches!(name, "site-packages" | "dist-packages") || interpreter {
            return true;
        }
        before = name;
    }
    false
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::is_package;

    #[test]
    fn files_are_judged_by_the_folders_that_packages_are_kept_in() {
        for file in [
            "/usr/lib/python3.12/contextlib.py",
            "/home/me/venv/lib/python3.12/site-packages/torch/cuda/graphs.py",
            "/usr/lib/python3/dist-packages/numpy/core.py",
            "<frozen runpy>",
        ] {
            assert!(is_package(file), "{file}");
        }
        for file in
            ["/home/me/site-packages.py", "/home/me/library/src/x.py", "train.py", "<string>", "/home/python3.12/x.py"]
        {
            assert!(!is_package(file), "{file}");
        }
    }
}
