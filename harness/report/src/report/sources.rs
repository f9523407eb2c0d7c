//! The sources that findings point into, for reports that other programs read.

use std::path::{Path, PathBuf};

use graphproof_harness::checkout;

/// A checkout, or the current folder outside one.
#[derive(Debug, Clone)]
pub struct Sources {
    root: PathBuf,
    /// The folders that the compiler may have been run in: it names files from there.
    folders: Vec<PathBuf>,
}

/// Where a file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// Below the root, with `/` between its parts.
    Within(String),
    /// Elsewhere.
    Outside(PathBuf),
}

impl Sources {
    /// Around the current folder.
    pub fn here() -> Self {
        let here = std::env::current_dir().unwrap_or_default();
        let folders: Vec<PathBuf> = checkout::folders(&here).map(Path::to_owned).collect();
        Sources { root: folders.last().cloned().unwrap_or_default(), folders }
    }

    /// Below `root`.
    pub fn below(root: &Path) -> Self {
        Sources { root: root.to_owned(), folders: vec![root.to_owned()] }
    }

    /// The root.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where `file` is, which the compiler named.
    pub fn place(&self, file: &str) -> Place {
        let path = self.find(file);
        let within = if path.is_absolute() { path.strip_prefix(&self.root).ok() } else { Some(path.as_path()) };
        match within {
            Some(path) => {
                let parts: Vec<_> = path.components().map(|part| part.as_os_str().to_string_lossy()).collect();
                Place::Within(parts.join("/"))
            }
            None => Place::Outside(path),
        }
    }

    /// Line `line`, from 1, of `file`, if it can be read.
    pub fn line(&self, file: &str, line: u32) -> Option<String> {
        let text = std::fs::read_to_string(self.find(file)).ok()?;
        text.lines().nth(usize::try_from(line).ok()?.checked_sub(1)?).map(str::to_owned)
    }
}

impl Sources {
    /// `file` in the nearest folder that has it, or as it is where none has.
    fn find(&self, file: &str) -> PathBuf {
        let there = self.folders.iter().map(|folder| folder.join(file)).find(|path| path.is_file());
        there.unwrap_or_else(|| file.into())
    }
}

/// A path as the path of a URI: what has a meaning there is percent-encoded (RFC 3986, 2.1).
pub fn uri_path(path: &str) -> String {
    let mut uri = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => uri.push(char::from(byte)),
            _ => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_placed_below_the_root() {
        let sources = Sources::below(Path::new("/a/b"));
        assert_eq!(sources.place("src/x.rs"), Place::Within("src/x.rs".to_owned()));
        assert_eq!(sources.place("/a/b/src/x.rs"), Place::Within("src/x.rs".to_owned()));
        assert_eq!(sources.place("/other/x.rs"), Place::Outside("/other/x.rs".into()));
    }

    #[test]
    fn a_workspace_below_the_root_is_found() {
        let root = tempfile::tempdir().unwrap();
        let workspace = root.path().join("rust");
        std::fs::create_dir_all(workspace.join("src")).unwrap();
        std::fs::write(workspace.join("src/x.rs"), "one\ntwo\n").unwrap();
        let sources = Sources { root: root.path().to_owned(), folders: vec![workspace, root.path().to_owned()] };
        assert_eq!(sources.place("src/x.rs"), Place::Within("rust/src/x.rs".to_owned()));
        assert_eq!(sources.line("src/x.rs", 2).as_deref(), Some("two"));
        assert_eq!((sources.line("src/x.rs", 3), sources.line("src/x.rs", 0)), (None, None));
        assert_eq!(sources.place("src/gone.rs"), Place::Within("src/gone.rs".to_owned()));
    }

    #[test]
    fn paths_become_uris() {
        assert_eq!(uri_path("a b/ü%#?.rs"), "a%20b/%C3%BC%25%23%3F.rs");
    }
}
