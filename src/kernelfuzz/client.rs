//! A driver in a process of its own: one that is lost, or hangs, is replaced.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use super::serve::{Request, Response};
use super::task::{Answer, Engine, Full, Task};

/// Kernels of one request, and so of one module.
const TOGETHER: usize = 16;

/// Seconds that a child may take for one kernel, its module's compilation included.
const PATIENCE: Duration = Duration::from_secs(60);

/// Kernels at most that may cost a process before nothing more is asked.
const MOST_LOST: usize = 200;

/// An engine behind a pipe.
pub struct Driver {
    command: Vec<OsString>,
    name: String,
    running: Option<Running>,
    lost: usize,
    words: bool,
}

struct Running {
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
}

impl Running {
    fn start(command: &[OsString]) -> Result<Self, String> {
        let (program, arguments) = command.split_first().ok_or("no command to start a child with")?;
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("cannot start {}: {error}", program.to_string_lossy()))?;
        let (input, output) = (child.stdin.take(), child.stdout.take().ok_or("the child has no output")?);
        let (send, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if send.send(line).is_err() {
                    break;
                }
            }
        });
        Ok(Running { child, input, lines })
    }

    fn receive(&self) -> Result<Response, String> {
        let line = self.lines.recv_timeout(PATIENCE).map_err(|gone| match gone {
            std::sync::mpsc::RecvTimeoutError::Timeout => format!("no answer in {} seconds", PATIENCE.as_secs()),
            std::sync::mpsc::RecvTimeoutError::Disconnected => "the process ended".to_owned(),
        })?;
        // A driver may print to standard output too.
        match serde_json::from_str(&line) {
            Ok(response) => Ok(response),
            Err(_) => self.receive(),
        }
    }

    fn ask(&mut self, request: &Request) -> Result<(), String> {
        let mut line = serde_json::to_vec(request).map_err(|error| error.to_string())?;
        line.push(b'\n');
        let Some(input) = &mut self.input else { return Err("the child has no input".to_owned()) };
        input.write_all(&line).and_then(|()| input.flush()).map_err(|error| format!("asking the child: {error}"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.input.take());
        // One that hangs would not see that its input ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Driver {
    /// The driver that `command` serves; its words are fetched if `words`.
    ///
    /// # Errors
    /// A child that does not start, or has no driver.
    pub fn open(command: Vec<OsString>, words: bool) -> Result<Self, String> {
        let mut driver = Driver { command, name: String::new(), running: None, lost: 0, words };
        driver.start()?;
        Ok(driver)
    }

    fn start(&mut self) -> Result<&mut Running, String> {
        let running = Running::start(&self.command)?;
        match running.receive()? {
            Response::Device(name) => self.name = name,
            Response::Answer(..) => return Err("the child answers before it was asked".to_owned()),
        }
        Ok(self.running.insert(running))
    }

    /// Runs tasks until one costs the process; gives the answers so far.
    fn some(&mut self, tasks: &[Task]) -> Vec<Full> {
        let request = Request { tasks: tasks.to_vec(), words: self.words };
        let mut answers = Vec::new();
        let running = match self.running.take() {
            Some(running) => Ok(self.running.insert(running)),
            None => self.start(),
        };
        let failure = match running.and_then(|running| running.ask(&request).map(|()| running)) {
            Err(error) => Some(error),
            Ok(running) => loop {
                if answers.len() == tasks.len() {
                    break None;
                }
                match running.receive() {
                    Ok(Response::Answer(answer, words)) => answers.push((answer, words)),
                    Ok(Response::Device(_)) => {}
                    Err(error) => break Some(error),
                }
            },
        };
        if let Some(error) = failure {
            self.running = None;
            // The context that a fault took answers for the fault and ends; else this kernel was the reason.
            let told = matches!(answers.last(), Some((Answer::Failed(_), _)));
            if !told {
                answers.push((Answer::Failed(error), Vec::new()));
            }
            self.lost += 1;
        }
        answers
    }
}

impl Engine for Driver {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn run(&mut self, tasks: &[Task]) -> Vec<Full> {
        let mut answers = Vec::with_capacity(tasks.len());
        for batch in tasks.chunks(TOGETHER) {
            let end = answers.len() + batch.len();
            while answers.len() < end {
                let rest = &batch[batch.len() - (end - answers.len())..];
                if self.lost > MOST_LOST {
                    let why = format!("not asked: {MOST_LOST} kernels before it each ended a process");
                    answers.extend(rest.iter().map(|_| (Answer::Failed(why.clone()), Vec::new())));
                } else {
                    answers.extend(self.some(rest));
                }
            }
        }
        answers
    }
}
