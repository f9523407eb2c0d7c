//! This program again, in a process of its own: a crash or a hang ends the child, never the run. The child
//! answers by JSON on its standard output.

use std::io::Read;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;

use crate::output::escape;

/// How a child ended.
#[derive(Debug, Clone)]
pub enum Outcome<T> {
    /// It came back with what it was asked for.
    Answer(T),
    /// It did not, and this is how it died.
    Died(String),
}

/// Runs this program again with `arguments` and waits for it, `deadline` at most, and not when asked to stop.
pub fn spawn<T: DeserializeOwned>(arguments: &[String], deadline: Duration, stop: &AtomicBool) -> Outcome<T> {
    spawn_with(arguments, &[], deadline, stop)
}

/// The same with `environment` beside that of this process.
pub fn spawn_with<T: DeserializeOwned>(
    arguments: &[String],
    environment: &[(&str, &str)],
    deadline: Duration,
    stop: &AtomicBool,
) -> Outcome<T> {
    let run = |program: std::path::PathBuf| {
        let mut command = Command::new(program);
        command.args(arguments).envs(environment.iter().copied());
        try_spawn(command, deadline, stop)
    };
    match std::env::current_exe().and_then(run) {
        Ok(outcome) => outcome,
        Err(error) => Outcome::Died(format!("the child could not be run: {error}")),
    }
}

fn try_spawn<T: DeserializeOwned>(
    mut command: Command,
    deadline: Duration,
    stop: &AtomicBool,
) -> std::io::Result<Outcome<T>> {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    // Both are drained while the child runs: a full pipe would stop it.
    let (sender, receiver) = mpsc::channel();
    for (is_error, stream) in [
        (false, child.stdout.take().map(|s| Box::new(s) as Box<dyn Read + Send>)),
        (true, child.stderr.take().map(|s| Box::new(s) as _)),
    ] {
        let sender = sender.clone();
        std::thread::spawn(move || {
            let mut text = String::new();
            if let Some(mut stream) = stream {
                let _ = stream.read_to_string(&mut text);
            }
            let _ = sender.send((is_error, text));
        });
    }
    drop(sender);
    let started = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        let stopped = stop.load(Ordering::Relaxed);
        if stopped || started.elapsed() >= deadline {
            child.kill()?;
            child.wait()?;
            let why = if stopped { "the run was stopped".to_owned() } else { too_long(deadline) };
            return Ok(Outcome::Died(why));
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let (mut out, mut errors) = (String::new(), String::new());
    for (is_error, text) in receiver {
        *(if is_error { &mut errors } else { &mut out }) = text;
    }
    Ok(match serde_json::from_str(&out) {
        Ok(answer) => Outcome::Answer(answer),
        Err(_) => Outcome::Died(format!("{}{}", how(status), last_words(&errors))),
    })
}

fn too_long(deadline: Duration) -> String {
    format!("it was ended after {} s without an answer", deadline.as_secs())
}

fn how(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(11)) => "killed by signal 11 (segmentation fault)".to_owned(),
        (None, Some(6)) => "killed by signal 6 (abort)".to_owned(),
        (None, Some(signal)) => format!("killed by signal {signal}"),
        (None, None) => "ended without a status".to_owned(),
    }
}

fn last_words(errors: &str) -> String {
    let lines: Vec<&str> = errors.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let kept = &lines[lines.len().saturating_sub(3)..];
    if kept.is_empty() { String::new() } else { format!(": {}", escape::line(&kept.join(" | "))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, deadline: Duration) -> String {
        let go = AtomicBool::new(false);
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", script]);
        match try_spawn::<String>(shell, deadline, &go) {
            Ok(Outcome::Died(how)) => how,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn how_a_child_died_is_told() {
        let long = Duration::from_secs(60);
        assert_eq!(shell("kill -SEGV $$", long), "killed by signal 11 (segmentation fault)");
        assert_eq!(shell("echo first; echo last words >&2; exit 15", long), "exit code 15: last words");
        assert!(shell("exec sleep 600", Duration::ZERO).starts_with("it was ended after"));
    }

    #[test]
    fn more_than_a_pipe_holds_does_not_stop_a_child() {
        let how = shell("head -c 300000 /dev/zero | tr '\\0' x; exit 3", Duration::from_secs(60));
        assert_eq!(how, "exit code 3");
    }
}
