//! The manual page, made from the definitions of the command line.

use std::io;

use clap::{Command, CommandFactory};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use crate::cli::Cli;

/// Sections that the definitions of the command line do not contain: entries with a name and a text.
const SECTIONS: [(&str, &[(&str, &str)]); 4] = [
    (
        "FILES",
        &[
            ("seed_data.csv", "The default of --data: a CSV file with a header row, in the working directory."),
            (
                "configuration file",
                "A TOML file, named by --config. Each line sets one long flag without its dashes, as in \
                 max-connections = 100. Times are strings such as \"10s\", or seconds as a number; switches are true or \
                 false; a flag that may be repeated takes an array. Relative paths in it start at the working \
                 directory, as those of flags do. An unknown key is an error. waybill serve --print-config prints such a file.",
            ),
        ],
    ),
    (
        "ENVIRONMENT",
        &[
            (
                "WAYBILL_...",
                "Every setting of serve has an environment variable, which is listed with its flag. Flags take \
                 precedence over environment variables, and these over the configuration file.",
            ),
            ("RUST_LOG", "The events that are logged: a level, or levels by target. The default is info."),
        ],
    ),
    (
        "EXIT STATUS",
        &[
            ("0", "Success; of serve: shut down by a signal."),
            ("1", "The data is refused or unreadable, or a check failed."),
            ("2", "The command line or a setting is unusable, or an address cannot be bound."),
        ],
    ),
    (
        "SIGNALS",
        &[
            (
                "SIGTERM, SIGINT",
                "Shut down gracefully: /readyz is 503, the listeners close after --drain-delay, and the process exits \
                 after --grace-period at the latest. A second signal skips the delay.",
            ),
            (
                "SIGHUP",
                "Reload the data, as POST /-/reload does, and log the result. The file of --access-log is opened again \
                 too.",
            ),
            ("SIGUSR1", "Open the file of --access-log again, for log rotation by renaming. Nothing else is done."),
        ],
    ),
];

/// Renders the page in the format of man(7).
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

/// Renders the usage of each command.
fn synopsis(command: &Command) -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", ["SYNOPSIS"]);
    for sub in command.get_subcommands() {
        let usage = sub.clone().bin_name(format!("waybill {}", sub.get_name())).render_usage().to_string();
        roff.text([roman(usage.trim_start_matches("Usage: "))]).control("br", []);
    }
    roff
}

/// Renders a command's flags below its name, without headings.
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
