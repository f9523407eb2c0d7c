//! Reads `graphproof.toml`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use graphproof_harness::checkout;
use graphproof_harness::finding::Id;
use serde::Deserialize;
use toml::Spanned;

use super::error::{ConfigError, Source, did_you_mean};
use super::{Allow, OfStep, Settings};
use crate::diff::{Kind, Policy};
use crate::suite::{Parameters, Suite, unknown_step};

/// The name under which a configuration is found.
pub const FILE_NAME: &str = "graphproof.toml";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    suite: Option<Spanned<Vec<Spanned<String>>>>,
    shapes: Option<Spanned<Vec<Spanned<String>>>>,
    seeds: Option<Spanned<Vec<u64>>>,
    steps: Option<Spanned<u64>>,
    driver: Option<Spanned<String>>,
    compile: Option<bool>,
    patience: Option<Spanned<u64>>,
    #[serde(default)]
    policy: RawPolicy,
    #[serde(default)]
    diff: RawDiff,
    #[serde(default)]
    step: BTreeMap<Spanned<String>, RawStep>,
    #[serde(default)]
    allow: Vec<Spanned<RawAllow>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RawPolicy {
    fail_fast: Option<bool>,
    retries: Option<u64>,
    locked: Option<bool>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RawDiff {
    #[serde(default)]
    allow: Vec<Spanned<String>>,
    max_memory_growth: Option<Spanned<f64>>,
    max_time_growth: Option<Spanned<f64>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawStep {
    shapes: Option<Spanned<Vec<Spanned<String>>>>,
    seeds: Option<Spanned<Vec<u64>>>,
    steps: Option<Spanned<u64>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawAllow {
    id: Option<Spanned<String>>,
    step: Option<Spanned<String>>,
    reason: Option<Spanned<String>>,
}

/// The file in `folder` or in the nearest folder above it, up to the root of the git checkout, as a
/// path from `folder`: receipts of several machines then name it alike.
/// Outside a checkout only `folder` itself counts: what lies above it is somebody else's.
pub fn find(folder: &Path) -> Option<PathBuf> {
    let depth = checkout::folders(folder).position(|above| above.join(FILE_NAME).is_file())?;
    let up: PathBuf = std::iter::repeat_n("..", depth).collect();
    Some(up.join(FILE_NAME))
}

/// The folder above the `snapshots/` with reviewed graphs that is nearest to `folder`, found as
/// [`find`] finds the configuration, and told as a path from `folder`. Where there is none, the root of
/// the checkout: that is where they will be.
pub fn find_reviewed(folder: &Path) -> PathBuf {
    let holds = |above: &Path| {
        let entries = std::fs::read_dir(above.join("snapshots")).into_iter().flatten().flatten();
        entries.map(|entry| entry.file_name()).any(|name| {
            let name = name.to_string_lossy();
            name.starts_with("graph_") && name.ends_with(".snap")
        })
    };
    let last = checkout::folders(folder).count().saturating_sub(1);
    let depth = checkout::folders(folder).position(holds).unwrap_or(last);
    let up: PathBuf = std::iter::repeat_n("..", depth).collect();
    if depth == 0 { PathBuf::from(".") } else { up }
}

impl Settings {
    /// The defaults for `suite`, changed by what `file` says.
    ///
    /// # Errors
    /// The file cannot be read, is not TOML, or says something that cannot be.
    pub fn read(file: &Path, suite: &dyn Suite) -> Result<Self, ConfigError> {
        Self::parse(file, &text_of(file)?, suite)
    }

    /// The defaults for `suite`, changed by `text`, which stands in `file`.
    ///
    /// # Errors
    /// It is not TOML, or says something that cannot be.
    pub fn parse(file: &Path, text: &str, suite: &dyn Suite) -> Result<Self, ConfigError> {
        let source = Reader { source: Source { file, text }, suite };
        let raw: Raw = toml::from_str(text).map_err(|error| source.parser(&error))?;
        let mut settings = Settings { file: Some(file.to_owned()), ..Settings::of(suite) };
        if let Some(names) = raw.suite {
            let names = source.filled("suite", names)?;
            settings.suite = names.into_iter().map(|name| source.step(name)).collect::<Result<_, _>>()?;
        }
        let own = source.of_step(RawStep { shapes: raw.shapes, seeds: raw.seeds, steps: raw.steps })?;
        settings.shapes = own.shapes.unwrap_or(settings.shapes);
        settings.seeds = own.seeds.unwrap_or(settings.seeds);
        settings.steps = own.steps.unwrap_or(settings.steps);
        if let Some(name) = raw.driver {
            settings.driver = name.get_ref().parse().map_err(|error: String| source.wrong(name.span(), error))?;
        }
        settings.compile = raw.compile.unwrap_or(settings.compile);
        if let Some(seconds) = raw.patience {
            settings.patience = source.positive("patience", seconds)?;
        }
        settings.fail_fast = raw.policy.fail_fast.unwrap_or(settings.fail_fast);
        settings.retries = raw.policy.retries.unwrap_or(settings.retries);
        if raw.policy.locked == Some(true) {
            let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            // Links in a path would lead `..` elsewhere.
            let up = folder.canonicalize().map_or_else(|_| PathBuf::from("."), |real| find_reviewed(&real));
            settings.locked = Some(if up == Path::new(".") { folder.to_owned() } else { folder.join(up) });
        }
        settings.diff = source.source.diff(raw.diff)?;
        for (name, own) in raw.step {
            settings.of_step.insert(source.step(name)?, source.of_step(own)?);
        }
        settings.allow = raw.allow.into_iter().map(|entry| source.allow(entry)).collect::<Result<_, _>>()?;
        Ok(settings)
    }
}

/// The policy of `[diff]` in `file`, whatever suite the rest of the file is about.
///
/// # Errors
/// As for [`Settings::read`].
pub fn diff_policy(file: &Path) -> Result<Policy, ConfigError> {
    let text = text_of(file)?;
    let source = Source { file, text: &text };
    let raw: Raw = toml::from_str(&text).map_err(|error| source.parser(&error))?;
    source.diff(raw.diff)
}

fn text_of(file: &Path) -> Result<String, ConfigError> {
    std::fs::read_to_string(file).map_err(|error| ConfigError::Io { file: file.display().to_string(), error })
}

impl Source<'_> {
    fn diff(&self, raw: RawDiff) -> Result<Policy, ConfigError> {
        let kind =
            |name: Spanned<String>| name.get_ref().parse::<Kind>().map_err(|message| self.wrong(name.span(), message));
        let percent = |key: &str, number: Spanned<f64>| {
            let message = || format!("'{key}' must be a number of percent from 0 on");
            Policy::growth(*number.get_ref()).ok_or_else(|| self.wrong(number.span(), message()))
        };
        let memory = raw.max_memory_growth.map(|number| percent("max-memory-growth", number)).transpose()?;
        Ok(Policy {
            allowed: raw.allow.into_iter().map(kind).collect::<Result<_, _>>()?,
            max_memory_growth: memory.unwrap_or(0.0),
            max_time_growth: raw.max_time_growth.map(|number| percent("max-time-growth", number)).transpose()?,
        })
    }
}

/// A file in the making of settings.
struct Reader<'a> {
    source: Source<'a>,
    suite: &'a dyn Suite,
}

impl<'a> std::ops::Deref for Reader<'a> {
    type Target = Source<'a>;

    fn deref(&self) -> &Source<'a> {
        &self.source
    }
}

impl Reader<'_> {
    fn of_step(&self, raw: RawStep) -> Result<OfStep, ConfigError> {
        let shapes = raw.shapes.map(|shapes| {
            let shapes = self.filled("shapes", shapes)?;
            let shape = |text: Spanned<String>| {
                self.suite.shape(text.get_ref()).map_err(|error| self.wrong(text.span(), error.to_string()))
            };
            shapes.into_iter().map(shape).collect::<Result<Vec<Parameters>, _>>()
        });
        Ok(OfStep {
            shapes: shapes.transpose()?,
            seeds: raw.seeds.map(|seeds| self.filled("seeds", seeds)).transpose()?,
            steps: raw.steps.map(|steps| self.positive("steps", steps)).transpose()?,
        })
    }

    fn filled<T>(&self, key: &str, list: Spanned<Vec<T>>) -> Result<Vec<T>, ConfigError> {
        if list.get_ref().is_empty() {
            return Err(self.wrong(list.span(), format!("'{key}' is empty: nothing would be run")));
        }
        Ok(list.into_inner())
    }

    fn positive(&self, key: &str, number: Spanned<u64>) -> Result<u64, ConfigError> {
        if *number.get_ref() == 0 {
            return Err(self.wrong(number.span(), format!("'{key}' must be at least 1")));
        }
        Ok(number.into_inner())
    }

    fn step(&self, name: Spanned<String>) -> Result<String, ConfigError> {
        if self.suite.steps().iter().any(|step| step.name == *name.get_ref()) {
            return Ok(name.into_inner());
        }
        Err(self.wrong(name.span(), unknown_step(name.get_ref(), self.suite)))
    }

    fn allow(&self, raw: Spanned<RawAllow>) -> Result<Allow, ConfigError> {
        let whole = raw.span();
        let RawAllow { id, step, reason } = raw.into_inner();
        let id =
            id.ok_or_else(|| self.wrong(whole.clone(), "this [[allow]] has no 'id': which finding is allowed?"))?;
        let Ok(known) = id.get_ref().parse() else {
            let known: Vec<&str> = Id::ALL.iter().map(|id| id.as_str()).collect();
            let near = did_you_mean(id.get_ref(), &known);
            let message = format!("there is no finding id '{}'; {near}`graphproof explain` lists them", id.get_ref());
            return Err(self.wrong(id.span(), message));
        };
        let empty = || format!("this [[allow]] of {} has no 'reason': say why it is allowed", id.get_ref());
        let reason = match reason {
            None => return Err(self.wrong(whole, empty())),
            Some(reason) if reason.get_ref().trim().is_empty() => return Err(self.wrong(reason.span(), empty())),
            Some(reason) => reason.into_inner().trim().to_owned(),
        };
        let (line, _) = self.place(id.span().start);
        let step = step.map(|name| self.step(name)).transpose()?;
        let place =
            format!("{}:{line}", self.source.file.file_name().unwrap_or(self.source.file.as_os_str()).display());
        Ok(Allow { id: known, step, reason, place })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::initial;
    use crate::suite::tests::Lanes;

    fn parse(text: &str) -> Result<Settings, String> {
        Settings::parse(Path::new("graphproof.toml"), text, &Lanes).map_err(|error| error.to_string())
    }

    fn default() -> Settings {
        Settings { file: Some("graphproof.toml".into()), ..Settings::of(&Lanes) }
    }

    #[test]
    fn the_initial_file_and_an_empty_one_say_the_defaults() {
        assert_eq!(parse(&initial(&Lanes)).unwrap(), default());
        assert_eq!(parse("").unwrap(), default());
    }

    #[test]
    fn the_initial_file_names_every_key() {
        let initial = initial(&Lanes);
        // What serde knows stands in its message about a key that it does not know.
        let tables = [("", ""), ("", "[policy]"), ("", "[diff]"), ("#", "[step.decode]"), ("#", "[[allow]]")];
        for (table, wrong) in tables.map(|(comment, head)| (comment, format!("{head}\nzz = 1"))) {
            let message = parse(&wrong).unwrap_err();
            let (_, keys) = message.split_once("the keys here are ").unwrap();
            for key in keys.split(", ") {
                let comment = if table.is_empty() { String::new() } else { format!("{table} ") };
                let stands = [
                    format!("\n{comment}{key} = "),
                    // A key whose default is to be absent.
                    format!("\n# {key} = "),
                    format!("\n{comment}[{key}"),
                    format!("\n# [[{key}"),
                    format!("\n# [{key}."),
                ]
                .iter()
                .any(|form| initial.contains(form.as_str()));
                assert!(stands, "initial.toml lacks {key}");
            }
        }
    }

    #[test]
    fn the_examples_in_the_comments_of_the_initial_file_can_be_used() {
        let initial = initial(&Lanes);
        let (_, examples) = initial.split_once("# What differs for one step:").unwrap();
        let text: String = examples
            .lines()
            .filter_map(|line| line.strip_prefix("# "))
            .filter(|line| line.starts_with('[') || line.contains(" = "))
            .map(|line| format!("{line}\n"))
            .collect();
        let settings = parse(&text).unwrap();
        assert_eq!(settings.of_step["decode"].steps, Some(256));
        assert_eq!(settings.allow[0].id, "V07");
    }

    #[test]
    fn every_key_is_read() {
        let text = "suite = ['fused']\nshapes = ['sk=64', 'sk=128']\nseeds = [3, 4]\nsteps = 5\ndriver = 'software'\n\
                    compile = true\npatience = 9\n[policy]\nfail-fast = true\nretries = 2\nlocked = true\n\
                    [diff]\nallow = ['bits']\nmax-memory-growth = 1\nmax-time-growth = 2.5\n[step.fused]\nsteps = 6\n[[allow]]\nid = 'V07'\nreason = 'because'\n";
        let settings = Settings::parse(Path::new("ci/graphproof.toml"), text, &Lanes).unwrap();
        assert_eq!((settings.suite.as_slice(), settings.shapes.len()), (&["fused".to_owned()][..], 2));
        assert_eq!((settings.seeds.as_slice(), settings.steps, settings.patience), (&[3, 4][..], 5, 9));
        assert!(settings.compile && settings.fail_fast && settings.retries == 2);
        assert_eq!(settings.locked.as_deref(), Some(Path::new("ci")));
        assert_eq!(settings.jobs()[0].steps, 6);
        let diff = Policy { allowed: vec![Kind::Bits], max_memory_growth: 1.0, max_time_growth: Some(2.5) };
        assert_eq!(settings.diff, diff);
        assert_eq!(settings.allow[0].place, "graphproof.toml:19");
        assert_eq!(settings.allow[0].step, None);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        let cases = [
            ("shape = 3", "1:1: unknown key 'shape'; did you mean 'shapes'? the keys here are suite, shapes"),
            ("[policy]\nfailfast = true", "2:1: unknown key 'failfast'; did you mean 'fail-fast'?"),
            ("a = 3", "1:1: unknown key 'a'; the keys here are"),
            ("steps = 'many'", "1:9: invalid type: string \"many\", expected u64"),
            ("steps = -3", "1:9: invalid value: integer `-3`, expected u64"),
            ("\n\nsteps = 0", "3:9: 'steps' must be at least 1"),
            ("seeds = []", "1:9: 'seeds' is empty: nothing would be run"),
            ("suite = ['fused', 'fuzed']", "1:19: no step is called 'fuzed'; did you mean 'fused'?"),
            ("shapes = ['sk=x']", "1:11: sk=x is not a whole number"),
            ("driver = 'cuda'", "1:10: 'cuda' is none of auto, system, software"),
            ("[step.dekode]\nsteps = 1", "1:7: no step is called 'dekode'; did you mean 'decode'?"),
            ("[diff]\nallow = ['bit']", "2:10: 'bit' is none of bits, topology"),
            ("[diff]\nmax-time-growth = -1", "2:19: 'max-time-growth' must be a number of percent from 0 on"),
            ("[[allow]]\nid = 'X99'\nreason = 'r'", "2:6: there is no finding id 'X99'"),
            ("[[allow]]\nid = 'V07'", "1:1: this [[allow]] of V07 has no 'reason'"),
            ("[[allow]]\nid = 'V07'\nreason = ' '", "3:10: this [[allow]] of V07 has no 'reason'"),
            ("[[allow]]\nreason = 'r'", "1:1: this [[allow]] has no 'id'"),
            ("[[allow]]\nid = 'V07'\nstep = 'no'\nreason = 'r'", "3:8: no step is called 'no'"),
            ("steps = ", "1:9: "),
            ("ä = 1\nsteps = 1", "1:1: "),
        ];
        for (text, expected) in cases {
            let message = parse(text).unwrap_err();
            assert!(message.starts_with(&format!("graphproof.toml:{expected}")), "{text:?}\n{message}");
        }
    }
}
