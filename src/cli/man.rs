//! `waybill man`: the manual page, from the same definitions as the command line.

use std::io;

use clap::{Command, CommandFactory};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use crate::cli::Cli;

/// What the definitions don't say: sections of names and what is to be known of each.
const SECTIONS: [(&str, &[(&str, &str)]); 4] = [
    (
        "FILES",
        &[
            (
                "seed_data.csv",
                "The data, unless --data names another file: CSV with a header row. Looked for in the working directory.",
            ),
            (
                "settings file",
                "Named by --config, TOML. Each line sets one long flag without its dashes, as in max-connections = 100. \
                 Times are strings such as \"10s\", or seconds as a number; switches are true or false; a flag that may \
                 be repeated takes an array. Relative paths in it start at the working directory, as those of flags do. \
                 An unknown key is an error. waybill serve --print-config writes such a file.",
            ),
        ],
    ),
    (
        "ENVIRONMENT",
        &[
            (
                "WAYBILL_...",
                "Every setting of serve has a variable, named with its flag. A flag goes before its variable, that \
                 before the settings file, that before the default.",
            ),
            ("RUST_LOG", "Which events are logged: info unless set. A level, or levels by target."),
        ],
    ),
    (
        "EXIT STATUS",
        &[
            ("0", "Done; of serve: ended by a signal."),
            ("1", "The data is refused or unreadable, or a check failed."),
            ("2", "The command line or a setting is unusable, or an address cannot be listened on."),
        ],
    ),
    (
        "SIGNALS",
        &[
            (
                "SIGTERM, SIGINT",
                "End in good order: /readyz says 503, after --drain-delay the listeners close, and after --grace-period \
                 at the latest the process ends. A second one skips the delay.",
            ),
            (
                "SIGHUP",
                "Load the data again, as POST /-/reload does; what comes of it is in the log. Either opens the file of \
                 --access-log again too, for log rotation by renaming.",
            ),
        ],
    ),
];

/// The page in the language of man(7).
pub fn page() -> io::Result<Vec<u8>> {
    let command = Cli::command().disable_help_flag(true).disable_version_flag(true);
    let mut page = Vec::new();
    let whole = Man::new(command.clone());
    whole.render_title(&mut page)?;
    whole.render_name_section(&mut page)?;
    synopsis(&command).to_writer(&mut page)?;
    whole.render_description_section(&mut page)?;
    let more = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    Roff::new().control("PP", []).text([roman(more)]).to_writer(&mut page)?;
    for sub in command.get_subcommands().filter(|sub| sub.get_name() == "serve") {
        Man::new(sub.clone().disable_help_flag(true)).render_options_section(&mut page)?;
    }
    Roff::new().control("SH", ["OTHER COMMANDS"]).to_writer(&mut page)?;
    for sub in command.get_subcommands().filter(|sub| sub.get_name() != "serve") {
        other_command(sub, &mut page)?;
    }
    sections().to_writer(&mut page)?;
    Ok(page)
}

/// A line for each command.
fn synopsis(command: &Command) -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", ["SYNOPSIS"]);
    for sub in command.get_subcommands() {
        let usage = sub.clone().bin_name(format!("waybill {}", sub.get_name())).render_usage().to_string();
        roff.text([roman(usage.trim_start_matches("Usage: "))]).control("br", []);
    }
    roff
}

/// A command's flags below its name, under no headings of their own.
fn other_command(command: &Command, page: &mut Vec<u8>) -> io::Result<()> {
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    let name = format!("waybill {}", command.get_name());
    Roff::new().control("SS", [name.as_str()]).text([roman(about)]).to_writer(page)?;
    let mut flags = Vec::new();
    Man::new(command.clone().disable_help_flag(true)).render_options_section(&mut flags)?;
    for line in flags.split_inclusive(|byte| *byte == b'\n').filter(|line| !line.starts_with(b".SH")) {
        page.extend_from_slice(line);
    }
    Ok(())
}

fn sections() -> Roff {
    let mut roff = Roff::new();
    for (section, entries) in SECTIONS {
        roff.control("SH", [section]);
        for (name, text) in entries {
            roff.control("TP", []).text([bold(*name)]).text([roman(*text)]);
        }
    }
    roff
}
