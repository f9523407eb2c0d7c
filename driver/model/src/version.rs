//! The version that the driver answers as: its newest, or what `GRAPHPROOF_AS` says.
//!
//! A driver that answers as an older version has that version's number, functions and PTX ISA. Its behaviour is
//! that of the version that was measured (`docs/calibration.md`): what an older driver did otherwise is not
//! known here.

use super::driver;

/// What sets the version.
const SETTING: &str = "GRAPHPROOF_AS";

/// A CUDA version, and the newest PTX ISA that its driver takes (PTX ISA, Release Notes).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version {
    /// As `cuDriverGetVersion` numbers it: 12040 is 12.4.
    pub number: u32,
    /// Major and minor number.
    pub ptx: (u32, u32),
}

/// Those that the driver can answer as, the newest last.
const VERSIONS: [Version; 23] = [
    version(11, 0, (7, 0)),
    version(11, 1, (7, 1)),
    version(11, 2, (7, 2)),
    version(11, 3, (7, 3)),
    version(11, 4, (7, 4)),
    version(11, 5, (7, 5)),
    version(11, 6, (7, 6)),
    version(11, 7, (7, 7)),
    version(11, 8, (7, 8)),
    version(12, 0, (8, 0)),
    version(12, 1, (8, 1)),
    version(12, 2, (8, 2)),
    version(12, 3, (8, 3)),
    version(12, 4, (8, 4)),
    version(12, 5, (8, 5)),
    version(12, 6, (8, 5)),
    version(12, 7, (8, 6)),
    version(12, 8, (8, 7)),
    version(12, 9, (8, 8)),
    version(13, 0, (9, 0)),
    version(13, 1, (9, 1)),
    version(13, 2, (9, 2)),
    NEWEST,
];
const NEWEST: Version = version(13, 3, (9, 3));

const fn version(major: u32, minor: u32, ptx: (u32, u32)) -> Version {
    Version { number: major * 1000 + minor * 10, ptx }
}

impl Version {
    /// The version that `text` names, such as `12.4`.
    fn from_text(text: &str) -> Result<Self, String> {
        let named = |version: &&Version| version.to_string() == text.trim();
        VERSIONS.iter().find(named).copied().ok_or_else(|| {
            format!(
                "{SETTING}={text}: the software driver answers as CUDA {} to {NEWEST}; set one of them",
                VERSIONS[0]
            )
        })
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.number / 1000, self.number % 1000 / 10)
    }
}

fn asked() -> &'static Result<Option<Version>, String> {
    let driver = driver();
    let read = || driver.settings.get(SETTING).map(|text| Version::from_text(&text)).transpose();
    driver.version.get_or_init(read)
}

/// The version.
pub fn answered() -> Version {
    restricted().unwrap_or(NEWEST)
}

/// The version, if the driver was asked for one: it then lacks the functions of newer ones.
pub fn restricted() -> Option<Version> {
    *asked().as_ref().unwrap_or(&None)
}

/// What is wrong with the setting.
pub fn refusal() -> Option<&'static str> {
    asked().as_ref().err().map(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_named_by_its_number() {
        assert_eq!(Version::from_text(" 12.4 ").map(|found| (found.number, found.ptx)), Ok((12040, (8, 4))));
        for wrong in ["12", "12.10", "550.54", "10.2", "13.9"] {
            let text = Version::from_text(wrong).unwrap_err();
            assert!(text.contains(wrong) && text.contains("11.0 to 13.3"), "{text}");
        }
        assert!(VERSIONS.is_sorted_by_key(|version| (version.number, version.ptx)));
    }
}
