//! Settings from a file, what goes before them, and what `--print-config` says of them.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::process::Command;

use crate::support::{Ended, SEED, Server, run, waybill};
use proptest::prelude::*;
use tempfile::TempDir;

/// `waybill` in a folder of its own, with a settings file there.
struct Place {
    dir: TempDir,
}

impl Place {
    fn with(settings: impl AsRef<[u8]>) -> Place {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("waybill.toml"), settings).unwrap();
        Place { dir }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = waybill(arguments);
        command.current_dir(self.dir.path());
        command
    }

    fn run(&self, arguments: &[&str]) -> Ended {
        run(&mut self.command(arguments))
    }

    fn printed(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Printed {
        let arguments = [&["--config", "waybill.toml", "--print-config"], arguments].concat();
        Printed::of(&run(self.command(&arguments).envs(variables.iter().copied())))
    }
}

/// What `--print-config` says: value and source by setting.
#[derive(Debug, PartialEq)]
struct Printed(BTreeMap<String, (String, String)>);

impl Printed {
    fn of(ended: &Ended) -> Printed {
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
        let setting = |line: &str| {
            let (pair, source) = line.rsplit_once("  # ").unwrap();
            let (name, value) = pair.trim_start_matches("# ").split_once(' ').unwrap();
            (name.to_owned(), (value.trim_start_matches("= ").to_owned(), source.to_owned()))
        };
        Printed(ended.stdout().lines().map(setting).collect())
    }

    fn get(&self, setting: &str) -> (&str, &str) {
        let (value, source) = &self.0[setting];
        (value, source)
    }
}

const FILE: &str = r#"
listen = "127.0.0.1:1"
max-connections = 300
max-removed-percent = 12.5
header-timeout = "3s"
body-timeout = 4
keep-previous = true
watch = "1m"
"#;

#[test]
fn a_flag_goes_before_its_variable_that_before_the_file_that_before_the_default() {
    let place = Place::with(FILE);
    let none = Place::with("").printed(&[], &[]);
    let file = place.printed(&[], &[]);
    let variables = [
        ("WAYBILL_LISTEN", "127.0.0.1:2"),
        ("WAYBILL_MAX_CONNECTIONS", "301"),
        ("WAYBILL_MAX_REMOVED_PERCENT", "13"),
        ("WAYBILL_HEADER_TIMEOUT", "3.5s"),
        ("WAYBILL_BODY_TIMEOUT", "5"),
        ("WAYBILL_KEEP_PREVIOUS", "no"),
        ("WAYBILL_WATCH", "2m"),
    ];
    let variable = place.printed(&[], &variables);
    let flags = [
        "--listen=127.0.0.1:3",
        "--max-connections=302",
        "--max-removed-percent=14",
        "--header-timeout=4s",
        "--body-timeout=6",
        "--keep-previous",
        "--watch",
    ];
    let flag = place.printed(&flags, &variables);
    for (line, (setting, values)) in [
        ("listen", [r#""127.0.0.1:8080""#, r#""127.0.0.1:1""#, r#""127.0.0.1:2""#, r#""127.0.0.1:3""#]),
        ("max-connections", ["20000", "300", "301", "302"]),
        ("max-removed-percent", ["50.0", "12.5", "13.0", "14.0"]),
        ("header-timeout", [r#""10s""#, r#""3s""#, r#""3.5s""#, r#""4s""#]),
        ("body-timeout", [r#""10s""#, r#""4""#, r#""5""#, r#""6""#]),
        ("keep-previous", ["false", "true", "false", "true"]),
        ("watch", ["is not set", r#""1m""#, r#""2m""#, r#""5s""#]),
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("WAYBILL_{}", setting.replace('-', "_").to_uppercase());
        let sources = ["default", &format!("waybill.toml:{}", line + 2), &name, "flag"];
        let printed = [&none, &file, &variable, &flag].map(|printed| printed.get(setting));
        assert_eq!(printed, std::array::from_fn(|level| (values[level], sources[level])), "{setting}");
    }
    // Where nothing is in between, the next level counts.
    assert_eq!(place.printed(&flags, &[]), flag);
    assert_eq!(Place::with("").printed(&[], &variables), variable);
    assert_eq!(file.get("threads"), ("is not set", "default"));
}

#[test]
fn a_server_runs_on_its_file() {
    let place = Place::with(
        "data = \"export.csv\"\nlisten = \"127.0.0.1:0\"\nadmin-listen = \"off\"\nlog-format = \"json\"\n\
         drain-delay = \"10m\"\n",
    );
    std::fs::write(place.dir.path().join("export.csv"), SEED).unwrap();
    let mut command = place.command(&["--drain-delay", "0"]);
    command.env("WAYBILL_CONFIG", "waybill.toml");
    let mut server = Server::spawn(&mut command, tempfile::tempdir().unwrap(), "export.csv".into());
    // Found from the working directory, as a flag's path is.
    assert_eq!(server.wait_for("serving")["source"], "export.csv");
    assert_eq!((server.admin, server.get("/readyz").status), (None, 200));
    let listen = server.public.to_string();
    let settings = format!("listen = \"{listen}\"\n");
    let health = |settings: &str| run(Place::with(settings).command(&["health"]).env("WAYBILL_CONFIG", "waybill.toml"));
    assert_eq!(health(&settings).code, Some(0));
    server.stop();
    let ended = health(&settings);
    assert!(ended.code == Some(1) && ended.stderr.contains(&listen), "{}", ended.stderr);
    assert_eq!(health("nothing = 1").code, Some(2));
}

#[test]
fn the_flag_names_another_file_than_the_variable() {
    let place = Place::with("max-connections = 1");
    std::fs::write(place.dir.path().join("other.toml"), "max-connections = 2").unwrap();
    let printed = |arguments: &[&str]| {
        let arguments = [&["--print-config"], arguments].concat();
        Printed::of(&run(place.command(&arguments).env("WAYBILL_CONFIG", "other.toml")))
    };
    assert_eq!(printed(&[]).get("max-connections"), ("2", "other.toml:1"));
    assert_eq!(printed(&["--config", "waybill.toml"]).get("max-connections"), ("1", "waybill.toml:1"));
}

#[test]
fn an_unusable_file_ends_it_with_status_2_and_what_is_wrong_where() {
    for (file, errors) in [
        (
            "\n\nmax-conections = 1",
            &[r#"error: waybill.toml:3: unknown key "max-conections"; did you mean "max-connections"?"#][..],
        ),
        ("print-config = true", &["waybill.toml:1: unknown key \"print-config\""]),
        ("[limits]\nthreads = 1", &["waybill.toml:1: unknown key \"limits\""]),
        ("threads = '1'", &["waybill.toml:1: threads: expected a whole number, got a value of type string"]),
        ("\nkeep-previous = 1", &["waybill.toml:2: keep-previous: expected true or false"]),
        ("data = ['a']", &["waybill.toml:1: data: expected a string, got a value of type array"]),
        ("idle-timeout = true", &["waybill.toml:1: idle-timeout: expected a string such as \"10s\", or seconds"]),
        ("threads = 1\nthreads = 2", &["waybill.toml:2: duplicate key: \"threads\""]),
        ("threads =\n", &["waybill.toml:1: "]),
        ("data = \"\n", &["waybill.toml:1: "]),
        ("\nlisten = 'nowhere'", &["waybill.toml:2: ", "'nowhere'", "--listen", "expected an address such as"]),
        ("log-format = 'xml'", &["waybill.toml:1: ", "'xml'", "--log-format", "possible values: text, json"]),
        ("max-bad-rows = -1", &["waybill.toml:1: ", "'-1'", "--max-bad-rows", "expected a whole number"]),
        ("drain-delay = 'soon'", &["waybill.toml:1: ", "'soon'", "--drain-delay", "expected a time span such as"]),
        // What is checked of all settings together.
        ("\nthreads = 0", &["waybill.toml:2: --threads 0: expected a number from 1 to 1024"]),
        ("admin-listen = '0.0.0.0:1'", &["waybill.toml:1: --admin-listen 0.0.0.0:1: ", "loopback"]),
        ("watch = 0.001", &["waybill.toml:1: --watch 1ms: expected from 10ms"]),
    ] {
        let ended = Place::with(file).run(&["--config", "waybill.toml", "--print-config"]);
        assert_eq!((ended.code, ended.stdout()), (Some(2), ""), "{file}");
        for part in errors {
            assert!(ended.stderr.contains(part) && ended.stderr.lines().count() == 1, "{file}: {}", ended.stderr);
        }
    }
    // However little of it counts.
    let ended = Place::with("threads = 'x'").run(&["--config", "waybill.toml", "--print-config", "--threads", "1"]);
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
}

#[test]
fn a_file_that_cannot_be_read_ends_it_with_status_2() {
    for path in ["nowhere.toml", "."] {
        let ended = Place::with("").run(&["--config", path, "--print-config"]);
        assert_eq!((ended.code, ended.stdout()), (Some(2), ""), "{path}");
        assert!(ended.stderr.starts_with(&format!("error: cannot read {path}: ")), "{}", ended.stderr);
    }
    let ended = Place::with(b"data = \"\xff\"").run(&["--config", "waybill.toml"]);
    assert!(ended.code == Some(2) && ended.stderr.contains("cannot read waybill.toml: "), "{}", ended.stderr);
}

#[test]
fn a_variable_out_of_range_is_named() {
    let ended = run(Place::with("").command(&["--print-config"]).env("WAYBILL_THREADS", "0"));
    assert_eq!(ended.code, Some(2));
    assert_eq!(ended.stderr, "error: WAYBILL_THREADS: --threads 0: expected a number from 1 to 1024\n");
}

#[test]
fn settings_are_printed_without_binding_or_loading() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let ended = Place::with("").run(&["--print-config", "--listen", &address, "--data", "/nowhere/export.csv"]);
    let printed = Printed::of(&ended);
    assert_eq!(printed.get("listen"), (format!("{address:?}").as_str(), "flag"));
    let help = Place::with("").run(&["serve", "--help"]);
    let variables = help.stdout().lines().filter_map(|line| line.trim().strip_prefix("[env: WAYBILL_"));
    let names: Vec<String> =
        variables.map(|line| line.split('=').next().unwrap().replace('_', "-").to_lowercase()).collect();
    assert!(names.len() > 15 && printed.0.len() == names.len() - 1, "{names:?}");
    assert!(names.iter().all(|name| name == "config" || printed.0.contains_key(name)), "{names:?}");
}

#[test]
fn a_path_that_toml_cannot_hold_is_not_printed() {
    use std::os::unix::ffi::OsStrExt;
    let mut command = waybill(&["--print-config", "--data"]);
    let ended = run(command.arg(std::ffi::OsStr::from_bytes(b"\xff.csv")));
    assert_eq!((ended.code, ended.stdout()), (Some(2), ""));
    assert!(ended.stderr.contains("--data: not UTF-8"), "{}", ended.stderr);
}

#[test]
fn other_commands_do_not_read_the_file() {
    let place = Place::with("nothing = 1");
    std::fs::write(place.dir.path().join("export.csv"), SEED).unwrap();
    for arguments in [&["check", "export.csv"][..], &["generate", "--shipments", "1"], &["man"]] {
        let ended = run(place.command(arguments).env("WAYBILL_CONFIG", "waybill.toml"));
        assert_eq!(ended.code, Some(0), "{arguments:?}: {}", ended.stderr);
    }
}

#[test]
fn the_manual_page_has_every_flag_and_what_they_leave_unsaid() {
    let page = Place::with("").run(&["man"]);
    assert_eq!(page.code, Some(0));
    let text = page.stdout().replace("\\-", "-");
    let help = Place::with("").run(&["serve", "--help"]);
    let flags: Vec<&str> = help.stdout().lines().filter_map(|line| line.trim_start().strip_prefix("--")).collect();
    assert!(flags.len() > 15, "{flags:?}");
    for flag in flags {
        let name = flag.split(' ').next().unwrap();
        assert!(text.contains(&format!("\\fB--{name}\\fR")), "{name}");
    }
    for word in ["WAYBILL_DATA", "SIGTERM", "SIGHUP", ".SH \"EXIT STATUS\"", ".SH FILES", ".SH ENVIRONMENT"] {
        assert!(text.contains(word), "{word}");
    }
    for command in ["serve", "check", "generate", "health", "completions", "man"] {
        assert!(text.contains(&format!("waybill {command}")), "{command}");
    }
}

/// A setting, and a value as it is typed and as it stands in a file.
fn setting() -> impl Strategy<Value = (&'static str, String, String)> {
    let quoted = |name| move |text: String| (name, text.clone(), toml::Value::String(text).to_string());
    let plain = |name| move |text: String| (name, text.clone(), text);
    prop_oneof![
        r#"[a-zA-Z0-9 '"\\#=\t\n/é-]{1,8}"#.prop_map(quoted("data")),
        (1..9u16).prop_map(|port| format!("127.0.0.1:{port}")).prop_map(quoted("listen")),
        prop_oneof![Just("off".to_owned()), Just("[::1]:7".to_owned())].prop_map(quoted("admin-listen")),
        (1..1000usize).prop_map(|threads| threads.to_string()).prop_map(plain("threads")),
        (0..=i64::MAX).prop_map(|rows| rows.to_string()).prop_map(plain("max-bad-rows")),
        (0.0..100.0f64).prop_map(|percent| percent.to_string()).prop_map(plain("max-removed-percent")),
        "[1-9][0-9]?(ms|s|m|h| min)".prop_map(quoted("idle-timeout")),
        (1..100u32).prop_map(|seconds| seconds.to_string()).prop_map(plain("drain-delay")),
        any::<bool>().prop_map(|keep| keep.to_string()).prop_map(plain("keep-previous")),
        "[1-9](s|m|h)".prop_map(quoted("watch")),
        prop_oneof![Just("on".to_owned()), Just("off".to_owned())].prop_map(quoted("pages")),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_printed_is_a_settings_file_that_says_the_same(
        settings in proptest::collection::vec((setting(), 0..3), 0..8)
    ) {
        let settings: BTreeMap<&str, (String, String, i32)> =
            settings.into_iter().map(|((name, typed, toml), level)| (name, (typed, toml, level))).collect();
        let mut file = Vec::new();
        let mut flags = Vec::new();
        let mut variables = Vec::new();
        for (name, (typed, toml, level)) in &settings {
            match level {
                0 => file.push(format!("{name} = {toml}")),
                1 => variables.push((format!("WAYBILL_{}", name.replace('-', "_").to_uppercase()), typed.clone())),
                _ if *name == "keep-previous" => flags.push("--keep-previous".to_owned()),
                _ => flags.push(format!("--{name}={typed}")),
            }
        }
        let place = Place::with(file.join("\n"));
        let mut first = place.command(&["--config", "waybill.toml", "--print-config"]);
        let first = run(first.args(flags).envs(variables));
        prop_assert_eq!(first.code, Some(0), "{}", first.stderr);
        let again = Place::with(&first.stdout).run(&["--config", "waybill.toml", "--print-config"]);
        prop_assert_eq!(again.code, Some(0), "{}", again.stderr);
        let values = |ended: &Ended| ended.stdout().parse::<toml::Table>().unwrap();
        prop_assert_eq!(values(&first), values(&again));
        let without_sources = |ended: &Ended| -> Vec<String> {
            ended.stdout().lines().map(|line| line.rsplit_once("  # ").map_or(line, |(pair, _)| pair).to_owned()).collect()
        };
        prop_assert_eq!(without_sources(&first), without_sources(&again));
        for (name, (typed, toml, _)) in settings.iter().filter(|(name, _)| **name != "keep-previous") {
            let expected: toml::Table = format!("x = {toml}").parse().unwrap();
            let printed = &values(&first)[*name];
            prop_assert!(*printed == expected["x"] || printed.as_str() == Some(typed), "{} {} {}", name, printed, typed);
        }
    }
}
