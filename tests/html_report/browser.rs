//! A headless Chromium, driven by the DevTools protocol over its pipe: messages of JSON, each ended
//! by a zero byte, on file descriptors 3 and 4.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use serde_json::{Value, json};

/// A browser that does not answer for so long is broken.
const PATIENCE: Duration = Duration::from_secs(120);

const PROBE: &str = include_str!("probe.js");

/// What the page is shown on.
#[derive(Debug, Clone, Copy)]
pub struct Screen {
    /// CSS pixels.
    pub width: u32,
    /// Whether the user prefers dark pages.
    pub dark: bool,
}

/// The browser, with one page.
pub struct Browser {
    child: Child,
    to: ChildStdin,
    from: Receiver<Value>,
    session: String,
    last: u64,
    /// Events that came while an answer was awaited.
    events: Vec<Value>,
}

/// A Chromium on the PATH.
pub fn find() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let names = ["chromium", "chromium-browser", "google-chrome"];
    std::env::split_paths(&path).flat_map(|folder| names.map(|name| folder.join(name))).find(|file| file.is_file())
}

impl Browser {
    /// Starts `program` with a new profile in `profile`.
    pub fn start(program: &Path, profile: &Path) -> Self {
        // The shell moves our pipes to where Chromium reads and writes.
        let mut child = Command::new("sh")
            .args(["-c", "exec \"$@\" 3<&0 4>&1 0</dev/null 1>&2", "sh"])
            .arg(program)
            .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
            .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
            .args(["--remote-debugging-pipe", "--hide-scrollbars"])
            .arg(format!("--user-data-dir={}", profile.display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("a shell starts");
        let to = child.stdin.take().expect("a pipe");
        let out = child.stdout.take().expect("a pipe");
        let (sender, from) = mpsc::channel();
        std::thread::spawn(move || {
            for message in BufReader::new(out).split(0).map_while(Result::ok) {
                let Ok(message) = serde_json::from_slice(&message) else { break };
                if sender.send(message).is_err() {
                    break;
                }
            }
        });
        let mut browser = Browser { child, to, from, session: String::new(), last: 0, events: Vec::new() };
        let page = browser.ask("Target.createTarget", json!({"url": "about:blank"}));
        let attached = browser.ask("Target.attachToTarget", json!({"targetId": page["targetId"], "flatten": true}));
        browser.session = attached["sessionId"].as_str().expect("a session").to_owned();
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.ask(&format!("{domain}.enable"), json!({}));
        }
        browser
    }

    /// Opens `file` and returns what the probe found, and what the browser complained about or
    /// asked the network for.
    pub fn look(&mut self, file: &Path, screen: Screen) -> (Value, Vec<String>) {
        self.ask("Page.navigate", json!({"url": "about:blank"}));
        self.until("Page.loadEventFired");
        let metrics =
            json!({"width": screen.width, "height": 900, "deviceScaleFactor": 1, "mobile": screen.width < 600});
        self.ask("Emulation.setDeviceMetricsOverride", metrics);
        let scheme = if screen.dark { "dark" } else { "light" };
        let media = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.ask("Emulation.setEmulatedMedia", media);
        self.events.clear();
        let url = format!("file://{}", file.display());
        self.ask("Page.navigate", json!({"url": url}));
        self.until("Page.loadEventFired");
        let answer = self.ask(
            "Runtime.evaluate",
            json!({"expression": format!("({PROBE})({})", screen.width), "returnByValue": true}),
        );
        assert!(answer["exceptionDetails"].is_null(), "the probe failed: {answer}");
        let complaints = self.events.iter().filter_map(|event| complaint(event, &url)).collect();
        (answer["result"]["value"].clone(), complaints)
    }

    /// The page as PNG, cut off below where it is very long.
    pub fn screenshot(&mut self) -> Vec<u8> {
        let size = self.ask("Page.getLayoutMetrics", json!({}))["cssContentSize"].clone();
        let height = size["height"].as_f64().unwrap_or(900.0).min(14_000.0);
        let clip = json!({"x": 0, "y": 0, "width": size["width"], "height": height, "scale": 1});
        let wanted = json!({"format": "png", "captureBeyondViewport": true, "clip": clip});
        let shot = self.ask("Page.captureScreenshot", wanted);
        decode(shot["data"].as_str().expect("a picture"))
    }

    /// Ends the browser.
    pub fn close(mut self) {
        self.session.clear();
        self.ask("Browser.close", json!({}));
        let _ = self.child.wait();
    }

    fn ask(&mut self, method: &str, params: Value) -> Value {
        self.last += 1;
        let mut message = json!({"id": self.last, "method": method, "params": params});
        if !self.session.is_empty() {
            message["sessionId"] = json!(self.session);
        }
        self.to.write_all(format!("{message}\0").as_bytes()).and_then(|()| self.to.flush()).expect("chromium reads");
        loop {
            let answer = self.next();
            if answer["id"] == json!(self.last) {
                assert!(answer["error"].is_null(), "{method}: {answer}");
                return answer["result"].clone();
            }
            self.events.push(answer);
        }
    }

    fn until(&mut self, method: &str) {
        if let Some(at) = self.events.iter().position(|event| event["method"] == json!(method)) {
            self.events.remove(at);
            return;
        }
        loop {
            let event = self.next();
            if event["method"] == json!(method) {
                return;
            }
            self.events.push(event);
        }
    }

    fn next(&mut self) -> Value {
        self.from.recv_timeout(PATIENCE).expect("chromium answers")
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What must not happen on a page: a message on the console, an error, a request.
fn complaint(event: &Value, url: &str) -> Option<String> {
    let params = &event["params"];
    match event["method"].as_str()? {
        "Runtime.consoleAPICalled" => Some(format!("console: {params}")),
        "Runtime.exceptionThrown" => Some(format!("exception: {params}")),
        "Log.entryAdded" => Some(format!("log: {params}")),
        "Network.requestWillBeSent" => {
            let asked = params["request"]["url"].as_str().unwrap_or_default();
            // The page itself, and the icon that stands in it.
            (asked != url && !asked.starts_with("data:")).then(|| format!("request: {asked}"))
        }
        _ => None,
    }
}

/// Base64 as Chromium writes it.
fn decode(text: &str) -> Vec<u8> {
    let digit = |byte: u8| match byte {
        b'A'..=b'Z' => u32::from(byte - b'A'),
        b'a'..=b'z' => u32::from(byte - b'a') + 26,
        b'0'..=b'9' => u32::from(byte - b'0') + 52,
        b'+' => 62,
        _ => 63,
    };
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    for group in text.trim_end_matches('=').as_bytes().chunks(4) {
        let bits = group.iter().fold(0, |bits, &byte| bits << 6 | digit(byte)) << (6 * (4 - group.len()));
        bytes.extend_from_slice(&bits.to_be_bytes()[1..group.len()]);
    }
    bytes
}
