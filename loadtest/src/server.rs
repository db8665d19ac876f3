//! The server under test, as a process of its own.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr, Command};
use tokio::time::{sleep, timeout};

/// Until the sockets are bound.
const START_TIMEOUT: Duration = Duration::from_secs(10);
/// Until the data is loaded.
const READY_TIMEOUT: Duration = Duration::from_mins(2);
const READY_POLL_INTERVAL: Duration = Duration::from_millis(20);
/// From SIGTERM to the end: longer than the server's own grace period.
const STOP_TIMEOUT: Duration = Duration::from_secs(30);

/// A running server, killed on drop.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    /// Where everybody asks.
    pub(crate) public: SocketAddr,
    /// Where operators ask.
    pub(crate) admin: SocketAddr,
}

/// The binary to test: the one given, or the release build of this workspace.
pub(crate) fn locate(given: Option<&Path>) -> Result<PathBuf> {
    let binary = if let Some(given) = given {
        given.to_owned()
    } else {
        let this = std::env::current_exe().context("cannot find this program's own file")?;
        // <target directory>/<profile>/loadtest
        let target = this.ancestors().nth(2).context("this program stands in no target directory")?;
        target.join("release/waybill")
    };
    if !binary.is_file() {
        bail!("there is no {}: run `cargo build --release` first, or set WAYBILL_BIN", binary.display());
    }
    Ok(binary)
}

impl Server {
    /// Serves `data` on free ports, which the server's log tells.
    pub(crate) async fn start(binary: &Path, data: PathBuf) -> Result<Server> {
        let mut command = Command::new(binary);
        for (name, _) in std::env::vars_os() {
            // The run is the same whatever the caller's own server is told.
            if name.to_string_lossy().starts_with("WAYBILL_") {
                command.env_remove(name);
            }
        }
        let mut child = command
            .arg("serve")
            .arg("--data")
            .arg(data)
            .args(["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--log-format", "json"])
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {}", binary.display()))?;
        let stderr = child.stderr.take().context("the server has no standard error")?;
        let mut log = BufReader::new(stderr).lines();
        let (public, admin) = timeout(START_TIMEOUT, listening(&mut log))
            .await
            .with_context(|| format!("the server does not listen after {} s", START_TIMEOUT.as_secs()))??;
        // A pipe that nobody reads would block the server's log.
        tokio::spawn(async move {
            while let Ok(Some(line)) = log.next_line().await {
                pass_on(&line);
            }
        });
        Ok(Server { child, public, admin })
    }

    /// Waits until a dataset is served.
    pub(crate) async fn until_ready(&self) -> Result<()> {
        let url = format!("http://{}/readyz", self.public);
        let ready = async {
            while !reqwest::get(&url).await.is_ok_and(|answer| answer.status().is_success()) {
                sleep(READY_POLL_INTERVAL).await;
            }
        };
        timeout(READY_TIMEOUT, ready)
            .await
            .with_context(|| format!("the server is not ready after {} s", READY_TIMEOUT.as_secs()))
    }

    /// Asks it to end, and fails unless it does so with status 0.
    pub(crate) async fn stop(mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!("the server ended before it was asked to: {status}");
        }
        let pid = self.child.id().and_then(|id| Pid::from_raw(id.cast_signed())).context("the server has ended")?;
        kill_process(pid, Signal::TERM).context("cannot send SIGTERM")?;
        let status = timeout(STOP_TIMEOUT, self.child.wait())
            .await
            .with_context(|| format!("the server still runs {} s after SIGTERM", STOP_TIMEOUT.as_secs()))??;
        if !status.success() {
            bail!("SIGTERM ended the server with {status}");
        }
        Ok(())
    }
}

/// The public and the admin address, from the log line that has them.
async fn listening(log: &mut Lines<BufReader<ChildStderr>>) -> Result<(SocketAddr, SocketAddr)> {
    while let Some(line) = log.next_line().await? {
        let fields = serde_json::from_str::<Value>(&line).map(|mut line| line["fields"].take()).unwrap_or_default();
        if fields["message"] == "listening" {
            let address = |name: &str| fields[name].as_str().and_then(|address| address.parse().ok());
            return address("public").zip(address("admin")).with_context(|| format!("no addresses in {line}"));
        }
        pass_on(&line);
    }
    bail!("the server ended before it listened")
}

/// Shows what an operator would look into.
#[expect(clippy::print_stderr, reason = "a command line program")]
fn pass_on(line: &str) {
    let is_routine = serde_json::from_str::<Value>(line).is_ok_and(|line| line["level"] == "INFO");
    if !is_routine {
        eprintln!("server: {line}");
    }
}
