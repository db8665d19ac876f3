//! The real binary as the tests see it: started, asked, signalled, ended.

pub(crate) mod client;
pub(crate) mod openapi;

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::Duration;

pub(crate) use rustix::process::Signal;
use rustix::process::{Pid, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use client::{Answer, Client};

/// How long anything may take: far more than it does, on a busy machine too.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);
/// The repository's own file.
pub(crate) const SEED: &str = include_str!("../../../seed_data.csv");
pub(crate) const HEADER: &str =
    "tracking_number,carrier,sender_address,receiver_address,article_name,article_quantity,article_price,SKU,status";

/// A file of `rows`, LF line ends.
pub(crate) fn csv(rows: &[impl AsRef<str>]) -> String {
    rows.iter().fold(format!("{HEADER}\n"), |file, row| file + row.as_ref() + "\n")
}

/// A good row.
pub(crate) fn row(tracking_number: &str, carrier: &str) -> String {
    format!("{tracking_number},{carrier},from,to,Laptop,1,800,LP1,scanned")
}

/// What [`row`] becomes.
/// A file of keys or tokens, which its owner alone may read.
pub(crate) fn secrets(lines: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), lines).unwrap();
    file
}

/// A row of a shipment that has this status.
pub(crate) fn row_with_status(tracking_number: &str, carrier: &str, status: &str) -> String {
    row(tracking_number, carrier).replace("scanned", status)
}

pub(crate) fn shipment(tracking_number: &str, carrier: &str) -> String {
    format!(
        r#"{{"tracking_number":"{tracking_number}","carrier":"{carrier}","status":"scanned","sender_address":"from","#
    ) + r#""receiver_address":"to","articles":[{"name":"Laptop","quantity":1,"price":800,"SKU":"LP1"}]}"#
}

/// The binary, without settings from the environment of the tests.
pub(crate) fn waybill(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_waybill"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("WAYBILL_")) {
        command.env_remove(name);
    }
    command.env_remove("RUST_LOG").args(arguments).stdin(Stdio::null());
    command
}

/// A run that ended by itself.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Ended {
    pub(crate) fn stdout(&self) -> &str {
        std::str::from_utf8(&self.stdout).unwrap()
    }
}

/// Runs to the end.
pub(crate) fn run(command: &mut Command) -> Ended {
    let mut child = Guard(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap());
    let stdout = read_aside(child.0.stdout.take().unwrap());
    let stderr = read_aside(child.0.stderr.take().unwrap());
    let stdout = stdout.recv_timeout(DEADLINE).expect("the command ends in time");
    let stderr = stderr.recv_timeout(DEADLINE).expect("the command ends in time");
    let code = child.0.wait().unwrap().code();
    Ended { code, stdout, stderr: String::from_utf8(stderr).unwrap() }
}

fn read_aside(mut pipe: impl Read + Send + 'static) -> Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        pipe.read_to_end(&mut bytes).unwrap();
        // The test may have given up.
        let _ = sender.send(bytes);
    });
    receiver
}

/// `serve` with `--data`, which ends by itself: refused.
pub(crate) fn run_serve(data: &Path, arguments: &[&str]) -> Ended {
    let mut command = waybill(&["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]);
    run(command.arg("--data").arg(data).args(arguments))
}

/// Ends the process with the test.
pub(crate) struct Guard(pub(crate) Child);

impl Drop for Guard {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A server and its data file.
pub(crate) struct Server {
    process: Guard,
    log: Receiver<String>,
    seen: Vec<String>,
    /// Port 0 where it is a socket in the file system.
    pub(crate) public: SocketAddr,
    /// None with `--admin-listen off`, or a socket in the file system.
    pub(crate) admin: Option<SocketAddr>,
    pub(crate) data: PathBuf,
    dir: TempDir,
}

impl Server {
    /// Serves `file`, with further `arguments`.
    pub(crate) fn start(file: impl AsRef<[u8]>, arguments: &[&str]) -> Server {
        let mut server = Server::start_loading(file, arguments);
        server.wait_for("serving");
        server
    }

    /// Listens; the file is being loaded.
    pub(crate) fn start_loading(file: impl AsRef<[u8]>, arguments: &[&str]) -> Server {
        let mut command = waybill(&["serve", "--listen", "127.0.0.1:0", "--log-format", "json"]);
        for (flag, value) in [("--admin-listen", "127.0.0.1:0"), ("--threads", "2")] {
            if !arguments.contains(&flag) {
                command.args([flag, value]);
            }
        }
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data.csv");
        std::fs::write(&data, file).unwrap();
        command.arg("--data").arg(&data).args(arguments);
        Server::spawn(&mut command, dir, data)
    }

    /// `command` must log to standard error, as JSON.
    pub(crate) fn spawn(command: &mut Command, dir: TempDir, data: PathBuf) -> Server {
        let mut process = Guard(command.stderr(Stdio::piped()).spawn().unwrap());
        let stderr = BufReader::new(process.0.stderr.take().unwrap());
        let (sender, log) = mpsc::channel();
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                // The test may have ended.
                let _ = sender.send(line);
            }
        });
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut server = Server { process, log, seen: Vec::new(), public: nowhere, admin: None, data, dir };
        let listening = server.wait_for("listening");
        server.public = listening["public"].as_str().unwrap().parse().unwrap_or(nowhere);
        server.admin = listening["admin"].as_str().unwrap().parse().ok();
        server
    }

    /// Waits for a log line with `message`; its fields. Lines before it are passed over.
    pub(crate) fn wait_for(&mut self, message: &str) -> Value {
        loop {
            let line = self.log.recv_timeout(DEADLINE);
            let line = line.unwrap_or_else(|error| panic!("{error} before {message:?}: {:#?}", self.seen));
            let fields = serde_json::from_str::<Value>(&line).map(|line| line["fields"].clone()).unwrap_or_default();
            self.seen.push(line);
            if fields["message"] == message {
                return fields;
            }
        }
    }

    pub(crate) fn client(&self) -> Client {
        Client::connect(self.public)
    }

    pub(crate) fn admin_client(&self) -> Client {
        Client::connect(self.admin.expect("an admin listener"))
    }

    /// On a connection of its own.
    pub(crate) fn get(&self, path: &str) -> Answer {
        self.client().get(path)
    }

    pub(crate) fn admin_get(&self, path: &str) -> Answer {
        self.admin_client().get(path)
    }

    pub(crate) fn admin_post(&self, path: &str) -> Answer {
        self.admin_client().request("POST", path, &["Content-Length: 0"])
    }

    /// The value of a whole number among the metrics, such as `waybill_http_buffered_bytes`.
    pub(crate) fn metric(&self, series: &str) -> u64 {
        let metrics = self.admin_get("/metrics");
        let value = metrics.text().lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        value.unwrap_or_else(|| panic!("no {series} in {}", metrics.text())).parse().unwrap()
    }

    pub(crate) fn reload(&self) -> Answer {
        self.admin_post("/-/reload")
    }

    /// `/-/dataset`
    pub(crate) fn state(&self) -> Value {
        let answer = self.admin_get("/-/dataset");
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    }

    /// The version that is served.
    pub(crate) fn version(&self) -> String {
        self.state()["version"].as_str().unwrap().to_owned()
    }

    /// Publishes `file`, whatever the guards say. Returns its version.
    pub(crate) fn publish(&self, file: impl AsRef<[u8]>) -> String {
        self.replace(file);
        let report = self.admin_post("/-/reload?force=true").json();
        assert_eq!(report["result"], "ok", "{report}");
        report["version"].as_str().unwrap().to_owned()
    }

    /// Puts another file in the place of the served one, as an export should.
    pub(crate) fn replace(&self, file: impl AsRef<[u8]>) {
        let next = self.dir.path().join("next.csv");
        std::fs::write(&next, file).unwrap();
        std::fs::rename(next, &self.data).unwrap();
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.process.0.id()
    }

    /// Resident memory of the process, in bytes.
    pub(crate) fn resident_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.0.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.process.0), signal).unwrap();
    }

    /// Waits until the process has ended.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        loop {
            match self.log.recv_timeout(DEADLINE) {
                Ok(line) => self.seen.push(line),
                Err(RecvTimeoutError::Disconnected) => return self.process.0.wait().unwrap(),
                Err(RecvTimeoutError::Timeout) => panic!("still running: {:#?}", self.seen),
            }
        }
    }

    /// Ends it with SIGTERM, in good order.
    pub(crate) fn stop(mut self) {
        self.signal(Signal::TERM);
        assert_eq!(self.wait().code(), Some(0), "{:#?}", self.seen);
    }

    /// Ends it likewise; the whole log.
    pub(crate) fn end(mut self) -> Vec<String> {
        self.signal(Signal::TERM);
        assert_eq!(self.wait().code(), Some(0), "{:#?}", self.seen);
        std::mem::take(&mut self.seen)
    }

    /// The log so far.
    pub(crate) fn seen(&self) -> &[String] {
        &self.seen
    }
}
