//! Children of the test: a broker and services. Each is ended through its own handle, when it is dropped at the latest.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

const PROGRAM: &str = env!("CARGO_BIN_EXE_driftline");
/// Nothing here takes that long, on any machine, whatever runs beside it; what does, hangs.
pub const PATIENCE: Duration = Duration::from_secs(600);

/// An embedded broker as a process of its own.
pub struct Broker {
    child: Child,
    pub address: String,
}

impl Broker {
    pub fn start(topics: &[&str]) -> Self {
        let mut command = Command::new(PROGRAM);
        command.arg("broker");
        for topic in topics {
            command.args(["--topic", topic]);
        }
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the broker's process starts");
        let mut address = String::new();
        let out = child.stdout.take().expect("it is piped");
        BufReader::new(out)
            .read_line(&mut address)
            .expect("the broker tells its address");
        Self {
            child,
            address: address.trim().to_owned(),
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // It has nothing to save, and its clients are gone.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A free port below those that outgoing connections take, so that none of them takes it between here and its use.
pub fn free_port() -> u16 {
    const FIRST: u16 = 20_000;
    const COUNT: u16 = 12_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = (std::process::id() % u32::from(COUNT)) as u16;
    loop {
        let port = FIRST + (start + NEXT.fetch_add(1, Ordering::Relaxed)) % COUNT;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}

/// `driftline serve`, or another of its services, as a process of its own.
pub struct Service {
    child: Child,
    address: SocketAddr,
    errors: PathBuf,
}

impl Service {
    /// `command` is the service. In `folder`, from which relative paths are taken. `errors` takes what it writes to standard error, after what stands there already.
    pub fn start(
        command: &str,
        folder: &Path,
        config: &Path,
        port: u16,
        errors: &Path,
        failpoint: Option<&str>,
    ) -> Self {
        let log = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(errors)
            .expect("a file for the log");
        let service = command;
        let mut command = Command::new(PROGRAM);
        command
            .current_dir(folder)
            .args([service, "--config"])
            .arg(config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        command
            .env_remove("RUST_LOG")
            .env_remove("DRIFTLINE_FAILPOINT");
        if let Some(failpoint) = failpoint {
            command.env("DRIFTLINE_FAILPOINT", failpoint);
        }
        let child = command.spawn().expect("the service's process starts");
        Self {
            child,
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
            errors: errors.to_owned(),
        }
    }

    /// Status and body; `None` while it does not answer.
    pub fn request(&self, method: &str, path: &str) -> Option<(u16, String)> {
        let mut stream = TcpStream::connect_timeout(&self.address, Duration::from_secs(5)).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        write!(stream, "{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            .ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
    }

    /// Waits until all that lies in the topics is committed and what is due is closed.
    #[track_caller]
    pub fn settle(&mut self) {
        if let Err(status) = self.settle_or_end() {
            panic!(
                "the service ended with {status} before it settled; its last words:\n{}",
                self.last_words()
            );
        }
    }

    /// As [`Service::settle`]; `Err` with how it ended if it ends instead.
    #[track_caller]
    pub fn settle_or_end(&mut self) -> Result<(), ExitStatus> {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some((200, _)) = self.request("POST", "/api/v1/settle?timeout=60s") {
                return Ok(());
            }
            if let Some(status) = self.ended() {
                return Err(status);
            }
            assert!(
                Instant::now() < until,
                "not settled in {PATIENCE:?}; last words:\n{}",
                self.last_words()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child can be asked")
    }

    /// SIGKILL.
    pub fn kill(mut self) {
        self.child.kill().expect("it is our child");
        let status = self.child.wait().expect("it ends");
        assert_eq!(
            status.signal(),
            Some(9),
            "it ended by itself, with {status}:\n{}",
            self.last_words()
        );
    }

    /// SIGTERM; returns how it ended and how long that took.
    #[track_caller]
    pub fn terminate(mut self) -> (ExitStatus, Duration) {
        let started = Instant::now();
        let told = Command::new("sh")
            .args(["-c", "kill -TERM \"$0\"", &self.child.id().to_string()])
            .status();
        assert!(told.expect("sh runs").success());
        loop {
            if let Some(status) = self.ended() {
                return (status, started.elapsed());
            }
            assert!(
                started.elapsed() < PATIENCE,
                "it does not end:\n{}",
                self.last_words()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub fn last_words(&self) -> String {
        let text = fs::read_to_string(&self.errors).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Service {
    /// Waits for something that this service will bring about.
    #[track_caller]
    pub fn wait_until(&mut self, what: &str, mut come: impl FnMut() -> bool) {
        wait_until(what, || {
            if let Some(status) = self.ended() {
                panic!(
                    "the service ended with {status} before {what}; its last words:\n{}",
                    self.last_words()
                );
            }
            come()
        });
    }
}

/// Waits for something that will come.
#[track_caller]
pub fn wait_until(what: &str, mut come: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !come() {
        assert!(Instant::now() < until, "waited {PATIENCE:?} for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
