//! Commands of documents with the output that stands under them, run with the real binary.
//!
//! A line that begins with `$ ` is a command for a shell; what follows is its output. `waybill … &` starts a server
//! with these flags, else one serves the sample data. Both have ports of their own, which take the place of 8080 and
//! 8081 in commands, and `curl` is the tests' own client, which understands `-X`, `-H` and `-d`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use tempfile::TempDir;

use super::markdown::Block;
use crate::support::client::Client;
use crate::support::{Server, run, waybill};

const PUBLIC: &str = "localhost:8080";
const ADMIN: &str = "localhost:8081";
/// Stands in for curl: passes its arguments on to the test.
const CURL: &str = "#!/bin/sh\nprintf '%s\\0' \"$@\" >curl-arguments\n";
/// Members and figures that differ from run to run.
const VOLATILE: [&str; 5] =
    ["\"loaded_at\":", "\"modified_at\":", "\"load_seconds\":", "\"bytes\":", "\"duration_us\":"];

/// A shell's session.
struct Session {
    dir: TempDir,
    server: Option<Server>,
}

/// Runs the commands of a block; what differs, if anything does.
pub(crate) fn check(block: &Block) -> Vec<String> {
    let mut session = Session::new();
    let mut differences = Vec::new();
    for (command, shown) in commands(&block.text) {
        let got = session.run(&command);
        if normalized(&got) != normalized(&shown) {
            differences.push(format!("{command}\n  shown: {shown}\n  got:   {got}"));
        }
    }
    differences
}

/// The commands of a block, each with its output.
fn commands(text: &str) -> Vec<(String, String)> {
    let mut commands: Vec<(String, String)> = Vec::new();
    for line in text.lines() {
        match (line.strip_prefix("$ "), commands.last_mut()) {
            (Some(command), _) => commands.push((command.to_owned(), String::new())),
            (None, Some((_, output))) => output.extend([line, "\n"]),
            (None, None) => panic!("output before a command: {line}"),
        }
    }
    commands
}

/// Without what differs from run to run: volatile members, MiB, and a last line break.
fn normalized(output: &str) -> String {
    let mut output = output.trim_end().to_owned();
    for name in VOLATILE {
        let mut parts = output.split(name);
        let first = parts.next().unwrap_or_default().to_owned();
        output = parts.fold(first, |output, part| {
            let end = part.find([',', '}']).unwrap_or(part.len());
            output + name + "…" + &part[end..]
        });
    }
    let words: Vec<&str> = output.split(' ').collect();
    let is_size = |at: usize| words.get(at + 1).is_some_and(|next| next.starts_with("MiB"));
    let words = words.iter().enumerate().map(|(at, word)| match word.trim_end_matches(|c: char| c.is_ascii_digit()) {
        kept if is_size(at) => format!("{kept}…"),
        _ => (*word).to_owned(),
    });
    words.collect::<Vec<_>>().join(" ")
}

impl Session {
    fn new() -> Session {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("seed_data.csv"), crate::support::SEED).unwrap();
        let curl = dir.path().join("curl");
        std::fs::write(&curl, CURL).unwrap();
        std::fs::set_permissions(curl, PermissionsExt::from_mode(0o755)).unwrap();
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_waybill"), dir.path().join("waybill")).unwrap();
        Session { dir, server: None }
    }

    /// What a command writes to standard output.
    fn run(&mut self, command: &str) -> String {
        if let Some(flags) = command.strip_prefix("waybill ").and_then(|flags| flags.strip_suffix(" &")) {
            self.start(&flags.split(' ').collect::<Vec<_>>());
            return String::new();
        }
        let output = self.shell(command);
        if command.starts_with("curl ") { self.fetch() } else { output }
    }

    fn shell(&self, command: &str) -> String {
        let mut shell = Command::new("sh");
        let path = format!("{}:{}", self.dir.path().display(), std::env::var("PATH").unwrap());
        shell.args(["-c", command]).env("PATH", path).current_dir(&self.dir);
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("WAYBILL_")) {
            shell.env_remove(name);
        }
        let ended = run(&mut shell);
        // A check that ends with 1 has refused a file, as it is shown.
        let is_refusal = command.starts_with("waybill check ") && ended.stdout().starts_with("refused: ");
        assert_eq!(ended.code, Some(i32::from(is_refusal)), "{command}: {}", ended.stderr);
        ended.stdout().to_owned()
    }

    fn start(&mut self, flags: &[&str]) {
        let mut command = waybill(&["serve", "--log-format", "json", "--threads", "2"]);
        command.args(["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]).args(flags).current_dir(&self.dir);
        let mut server = Server::spawn(&mut command, tempfile::tempdir().unwrap(), "seed_data.csv".into());
        server.wait_for("serving");
        self.server = Some(server);
    }

    /// Does what curl was told, and gives the response's body.
    fn fetch(&mut self) -> String {
        let arguments = std::fs::read_to_string(self.dir.path().join("curl-arguments")).unwrap();
        let request = Request::parse(&arguments.split_terminator('\0').collect::<Vec<_>>());
        if self.server.is_none() {
            self.start(&[]);
        }
        let server = self.server.as_ref().unwrap();
        let ports = BTreeMap::from([(PUBLIC, server.public), (ADMIN, server.admin.unwrap())]);
        request.send(&ports)
    }
}

/// A request as curl makes it.
struct Request {
    method: String,
    host: String,
    path: String,
    fields: Vec<String>,
    body: String,
}

impl Request {
    fn parse(arguments: &[&str]) -> Request {
        let (mut method, mut url, mut fields, mut body) = (None, None, Vec::new(), String::new());
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            let mut value = || (*arguments.next().unwrap()).to_owned();
            match *argument {
                "-X" => method = Some(value()),
                "-H" => fields.push(value()),
                "-d" => body = value(),
                _ => assert!(url.replace(*argument).is_none() && !argument.starts_with('-'), "{argument}"),
            }
        }
        let (host, path) = url.unwrap().split_once('/').expect("a path");
        let method = method.unwrap_or_else(|| if body.is_empty() { "GET" } else { "POST" }.to_owned());
        Request { method, host: host.to_owned(), path: format!("/{path}"), fields, body }
    }

    fn send(&self, ports: &BTreeMap<&str, SocketAddr>) -> String {
        let Request { method, host, path, fields, body } = self;
        let fields = fields.iter().fold(String::new(), |all, field| all + field + "\r\n");
        let length = body.len();
        let address = ports.get(host.as_str()).unwrap_or_else(|| panic!("{host} is no server of these"));
        let mut client = Client::connect(*address);
        client.send(format!(
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\n{fields}Content-Length: {length}\r\n\r\n{body}"
        ));
        client.answer_to(method).text().to_owned()
    }
}
