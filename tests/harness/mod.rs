//! Starts the built `crossbar-edge` for a test: writes its configuration, waits until it says that it is ready, knows
//! where it listens, and ends it in an orderly way. When the test fails, the log of the router is printed with it.

#![allow(dead_code, unreachable_pub, reason = "each test program uses its own part of the harness")]

pub mod client;
pub mod cluster;
pub mod haproxy;
pub mod http;
pub mod io;
pub mod master;
pub mod pattern;
pub mod probe;
pub mod recorder;
pub mod rogue;
pub mod router;

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long the router may take to start, and to stop. It only bounds a failure, so it is generous.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running `crossbar-edge run` with a directory of its own.
pub struct Edge {
    process: Child,
    directory: tempfile::TempDir,
    urls: Vec<String>,
    log: Arc<Mutex<Vec<u8>>>,
    readers: Vec<JoinHandle<()>>,
}

impl Edge {
    /// Starts an edge with this configuration, to which the `[node]` table is added. `{dir}` in the text stands for a
    /// directory that lives as long as the edge. Listeners should use port 0, so that tests can run at once.
    pub fn start(config: &str) -> Edge {
        let directory = tempfile::tempdir().expect("a temporary directory");
        Edge::start_in(directory, config)
    }

    /// As `start`, in a directory that the test has prepared.
    pub fn start_in(directory: tempfile::TempDir, config: &str) -> Edge {
        let node = "[node]\nid = \"edge1\"\nstate_dir = \"{dir}/state\"\ndrain_time = \"0s\"\n\n";
        Edge::start_with(directory, &format!("{node}{config}"), |_| {})
    }

    /// As `start_in`, with a configuration that has all its tables, and a command to which `prepare` may add.
    pub fn start_with(directory: tempfile::TempDir, config: &str, prepare: impl FnOnce(&mut Command)) -> Edge {
        Edge::start_program(env!("CARGO_BIN_EXE_crossbar-edge"), directory, config, prepare)
    }

    /// Any daemon that says on standard output where it listens and when it is ready.
    pub fn start_program(
        program: &str,
        directory: tempfile::TempDir,
        config: &str,
        prepare: impl FnOnce(&mut Command),
    ) -> Edge {
        let at = directory.path().display().to_string();
        let file = config_file(directory.path());
        std::fs::write(&file, config.replace("{dir}", &at)).expect("the configuration is written");
        let mut command = Command::new(program);
        command.args(["run", "--config"]).arg(&file).env_remove("NOTIFY_SOCKET");
        prepare(&mut command);
        let mut process = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program is started");
        let log = Arc::new(Mutex::new(Vec::new()));
        let (lines, reader) = lines_of(process.stdout.take().expect("stdout is piped"));
        let logger = keep(process.stderr.take().expect("stderr is piped"), Arc::clone(&log));
        let mut edge = Edge { process, directory, urls: Vec::new(), log, readers: vec![reader, logger] };
        edge.await_ready(&lines);
        edge
    }

    fn await_ready(&mut self, lines: &Receiver<String>) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) if line.ends_with(": ready") => return,
                Ok(line) => {
                    if let Some((_, url)) = line.split_once(": listening on ") {
                        self.urls.push(url.to_owned());
                    }
                }
                Err(RecvTimeoutError::Timeout) => panic!("crossbar-edge is not ready within {PATIENCE:?}"),
                Err(RecvTimeoutError::Disconnected) => panic!("crossbar-edge ended before it was ready"),
            }
        }
    }

    /// Where it listens, in the order of the configuration: `ws://`, `wss://`, `rs://`, `rs+unix:` or `http://`.
    pub fn urls(&self) -> &[String] {
        &self.urls
    }

    /// The first address with this scheme, for example `ws`.
    pub fn url(&self, scheme: &str) -> &str {
        self.nth_url(scheme, 0)
    }

    /// The address with this scheme that comes after `n` others.
    pub fn nth_url(&self, scheme: &str, n: usize) -> &str {
        let fits = |url: &&String| url.split_once(':').is_some_and(|(its, _)| its == scheme);
        let found = self.urls.iter().filter(fits).nth(n);
        found.unwrap_or_else(|| panic!("no {scheme} listener number {n} among {:?}", self.urls))
    }

    /// The directory that `{dir}` stood for.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Its configuration, as it was started with it.
    pub fn config_file(&self) -> PathBuf {
        config_file(self.directory())
    }

    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&self.log.lock().expect("the log's reader does not panic")).into_owned()
    }

    /// Sends a signal by its name, for example `HUP`.
    pub fn signal(&self, name: &str) {
        signal(&[self.pid()], name);
    }

    /// Ends it as a service manager would, and asserts that it went well.
    pub fn stop(mut self) {
        let status = self.terminate();
        assert!(status.is_some_and(|status| status.success()), "crossbar-edge ends with {status:?} after SIGTERM");
    }

    /// Waits until it has ended by itself.
    pub fn await_exit(&mut self) -> ExitStatus {
        self.wait().unwrap_or_else(|| panic!("crossbar-edge does not end within {PATIENCE:?}"))
    }

    /// None when it had to be killed.
    fn terminate(&mut self) -> Option<ExitStatus> {
        if let Ok(Some(status)) = self.process.try_wait() {
            return Some(status);
        }
        self.signal("TERM");
        // Whom a test has stopped does not end.
        self.signal("CONT");
        self.wait()
    }

    /// None when it had to be killed.
    fn wait(&mut self) -> Option<ExitStatus> {
        // Its pipes close when it is gone, which the readers notice.
        let (done, gone) = channel();
        let readers = std::mem::take(&mut self.readers);
        std::thread::spawn(move || {
            for reader in readers {
                let _ = reader.join();
            }
            let _ = done.send(());
        });
        if gone.recv_timeout(PATIENCE).is_err() {
            let _ = self.process.kill();
            let _ = self.process.wait();
            return None;
        }
        self.process.wait().ok()
    }
}

impl Drop for Edge {
    fn drop(&mut self) {
        let status = self.terminate();
        if std::thread::panicking() {
            println!("--- crossbar-edge ended with {status:?}; its log:\n{}---", self.log());
        }
    }
}

fn config_file(directory: &Path) -> PathBuf {
    directory.join("edge.toml")
}

/// Sends a signal to processes that this test has started, to all of them at once.
pub fn signal(pids: &[u32], name: &str) {
    let status = Command::new("kill").args(["-s", name]).args(pids.iter().map(u32::to_string)).status();
    assert!(status.is_ok_and(|status| status.success()), "the processes {pids:?} get SIG{name}");
}

fn lines_of(stdout: impl Read + Send + 'static) -> (Receiver<String>, JoinHandle<()>) {
    let (sender, receiver) = channel();
    let reader = std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            // After it is ready nobody listens, but the pipe has to be emptied.
            let _ = sender.send(line);
        }
    });
    (receiver, reader)
}

fn keep(stderr: impl Read + Send + 'static, log: Arc<Mutex<Vec<u8>>>) -> JoinHandle<()> {
    std::thread::spawn(move || {
        for line in BufReader::new(stderr).split(b'\n').map_while(Result::ok) {
            let mut log = log.lock().expect("those who read the log do not panic with it");
            log.extend_from_slice(&line);
            log.push(b'\n');
        }
    })
}

/// Runs a program to its end and asserts that it succeeds; what it printed is printed when it does not. A program that
/// takes longer than `within` is ended, with all that it started.
pub fn run(command: &mut Command, within: Duration) -> String {
    let (status, stdout, stderr) = output_of(command, within);
    assert!(status.success(), "{command:?}\nended with {status}; it printed:\n{stdout}\nand to stderr:\n{stderr}");
    stdout
}

/// As `run`, however it ends: its status, what it printed, and what it printed to standard error.
pub fn output_of(command: &mut Command, within: Duration) -> (ExitStatus, String, String) {
    let mut guarded = Command::new("timeout");
    guarded.arg("--kill-after=10").arg(within.as_secs().to_string());
    guarded.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => guarded.env(name, value),
            None => guarded.env_remove(name),
        };
    }
    if let Some(directory) = command.get_current_dir() {
        guarded.current_dir(directory);
    }
    let output = guarded.stdin(Stdio::null()).output().expect("timeout is a program of every Debian");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status, text(&output.stdout), text(&output.stderr))
}

/// Where the clients are; None, with a word on it, where they are not installed and need not be.
pub fn clients() -> Option<PathBuf> {
    let clients = in_target("test-clients");
    if clients.join("python.stamp").exists() && clients.join("node.stamp").exists() {
        return Some(clients);
    }
    let required = std::env::var_os("CROSSBAR_TEST_CLIENTS").is_some_and(|value| value == "required");
    assert!(!required, "the test clients are not installed: run tests/clients/setup");
    println!("skipped: the test clients are not installed (tests/clients/setup does it)");
    None
}

/// A folder of Cargo's target directory.
pub fn in_target(name: &str) -> PathBuf {
    let temporary = Path::new(env!("CARGO_TARGET_TMPDIR"));
    temporary.parent().expect("CARGO_TARGET_TMPDIR is a folder in the target directory").join(name)
}

/// A folder of this package.
pub fn in_package(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}
