//! Files as people have them: `check` leads from each to serving it, by the commands that it prints, or says no.

use std::path::Path;
use std::process::Command;

use crate::support::{Ended, HEADER, SEED, Server, csv, row, run, shipment, waybill};
use serde_json::Value;

/// Steps after which `check` should have led to a server.
const STEPS_MAX: usize = 4;
/// The columns that a row has in [`row`]'s order, as a German shop exports them.
const GERMAN: &str =
    "Sendungsnr.;Frachtführer;Absender;Empfänger;Artikelbezeichnung;Menge;Einzelpreis (EUR);Artikel-Nr.;Status";

/// A command line in `folder`, as a shell runs it.
fn shell(folder: &Path, line: &str) -> Command {
    let binary = Path::new(env!("CARGO_BIN_EXE_waybill")).parent().unwrap();
    let path = format!("{}:{}", binary.display(), std::env::var("PATH").unwrap());
    let mut command = Command::new("sh");
    for (name, _) in waybill(&[]).get_envs() {
        command.env_remove(name);
    }
    command.args(["-c", line]).current_dir(folder).env("PATH", path);
    command
}

fn commands(checked: &Ended) -> Vec<&str> {
    checked.stdout().lines().filter_map(|line| line.strip_prefix("run        ")).collect()
}

fn write(folder: &Path, name: &str, content: &[u8]) {
    std::fs::write(folder.join(name), content).unwrap();
}

/// Follows what `check` prints of a file, until that is served.
fn follow(name: &str, content: &[u8]) -> (Server, Vec<String>) {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), name, content);
    let mut followed = vec![format!("waybill check '{name}'")];
    for _ in 0..STEPS_MAX {
        let line = followed.last().unwrap().clone();
        let checked = run(&mut shell(dir.path(), &line));
        let printed: Vec<String> = commands(&checked).iter().map(ToString::to_string).collect();
        assert!(!printed.is_empty(), "{line}: {}{}", checked.stdout(), checked.stderr);
        for command in printed {
            if command.starts_with("waybill check ") {
                followed.push(command);
            } else if command.starts_with("waybill ") {
                let flags = "--listen 127.0.0.1:0 --admin-listen 127.0.0.1:0 --log-format json";
                let mut serve = shell(dir.path(), &format!("exec {command} {flags}"));
                let data = dir.path().join(name);
                followed.push(command);
                let mut server = Server::spawn(&mut serve, dir, data);
                server.wait_for("serving");
                return (server, followed);
            } else {
                let corrected = run(&mut shell(dir.path(), &command));
                assert_eq!(corrected.code, Some(0), "{command}: {}", corrected.stderr);
                followed.push(command);
            }
        }
    }
    panic!("nothing is served after {followed:?}");
}

/// Files that are served in the end, each with the last command that leads there. They have shipments TN1 and TN2.
fn files() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let rows = |separator: &str, price: &str| {
        let row = |number| row(number, "DHL").replace(",800,", &format!(",{price},")).replace(',', separator);
        let row = |number| row(number).replace("8.00", "8,00");
        format!("{}\n{}\n", row("TN1"), row("TN2"))
    };
    let plain = rows(",", "800");
    let upper = HEADER.to_uppercase();
    vec![
        ("plain.csv", format!("{HEADER}\n{plain}").into(), "waybill plain.csv"),
        ("semicolons.csv", format!("{}\n{}", HEADER.replace(',', ";"), rows(";", "800")).into(), "--delimiter ';'"),
        ("tabs.tsv", format!("{}\n{}", HEADER.replace(',', "\t"), rows("\t", "800")).into(), "--delimiter tab"),
        (
            "excel.csv",
            format!("\u{feff}{GERMAN}\r\n{}", rows(";", "8.00").replace('\n', "\r\n")).into(),
            "Empfänger,article_name=Artikelbezeichnung,article_quantity=Menge,article_price=Einzelpreis (EUR),\
             SKU=Artikel-Nr.,status=Status' --decimal-comma",
        ),
        ("upper.csv", format!("{upper}\n{plain}").into(), "tracking_number=TRACKING_NUMBER,carrier=CARRIER"),
        (
            "short forms.csv",
            format!("Tracking No,Carrier Name,ship-from,Ship To,Item,Qty,Unit Price,Item No.,Delivery Status\n{plain}").into(),
            "'short forms.csv'",
        ),
        (
            "french.csv",
            format!(
                "N° de suivi;Transporteur;Expéditeur;Destinataire;Désignation;Qté;Prix unitaire;Référence;Statut\n{}",
                rows(";", "8.00")
            )
            .into(),
            "--decimal-comma",
        ),
        (
            "spanish.csv",
            format!(
                "Número de seguimiento|Transportista|Remitente|Destinatario|Artículo|Cantidad|Precio|Referencia|Estado\n{}",
                rows("|", "800")
            )
            .into(),
            "--delimiter '|'",
        ),
        (
            "more columns.csv",
            format!(
                "id,{},\"Note, internal\"\n1,{},x\n2,{},y\n",
                HEADER.replace("SKU", "\"Item No, new\\old\"").replace("status", "State"),
                row("TN1", "DHL"),
                row("TN2", "DHL")
            )
            .into(),
            "SKU=Item No",
        ),
        ("title.csv", format!("Export of 2027-01-31\n\n{HEADER}\n{plain}").into(), "waybill title.corrected.csv"),
        ("sep.csv", format!("sep=;\r\n{}\r\n{}", HEADER.replace(',', ";"), rows(";", "800")).into(), "--delimiter ';'"),
        (
            "two headers.csv",
            format!("{HEADER}\nNumber,By,From,To,Name,Pieces,EUR,Code,State\n{plain}").into(),
            "waybill 'two headers.corrected.csv'",
        ),
        (
            "utf-16.csv",
            format!("\u{feff}{}\r\n{}", HEADER.replace(',', "\t"), rows("\t", "800"))
                .encode_utf16()
                .flat_map(u16::to_le_bytes)
                .collect(),
            "--delimiter tab",
        ),
        ("check", format!("{HEADER}\n{plain}").into(), "waybill ./check"),
    ]
}

#[test]
fn check_leads_from_files_as_people_have_them_to_serving_them() {
    for (name, content, last) in files() {
        let (server, followed) = follow(name, &content);
        assert!(followed.last().unwrap().contains(last), "{name}: {followed:#?}");
        for number in ["TN1", "TN2"] {
            let got = server.get(&format!("/v1/shipments/DHL/{number}")).text().to_owned();
            assert_eq!(got.replace("8.00", "800"), shipment(number, "DHL"), "{name}: {followed:#?}");
        }
        let has_comma = followed.last().unwrap().contains("--decimal-comma");
        assert_eq!(server.get("/v1/shipments/DHL/TN1").text().contains("8.00"), has_comma, "{name}");
    }
}

#[test]
fn check_says_no_to_what_no_setting_makes_load() {
    let missing = HEADER.replace("SKU", "weight").replace("status", "note");
    let workbook: &[u8] = b"PK\x03\x04\x14\0\x06\0\x08\0\0\0!\0";
    for (name, content, expected) in [
        (
            "missing.csv",
            format!("{missing}\n{}\n", row("TN1", "DHL")).into_bytes(),
            &["SKU              missing", "status           missing", "not placed \"weight\", \"note\""][..],
        ),
        (
            "no-header.csv",
            format!("{}\n{}\n", row("TN1", "DHL"), row("TN2", "UPS")).into_bytes(),
            &["none of the first lines names the columns"],
        ),
        ("book.csv", workbook.to_owned(), &["a workbook", "CSV UTF-8"]),
        (
            "twice.csv",
            format!("{HEADER},status\n{},x\n", row("TN1", "DHL")).into_bytes(),
            &["the header names status twice"],
        ),
        (
            "bad.csv",
            csv(&[row("TN1", "DHL").replace(",1,", ",one,"), row("TN2", "DHL")]).into_bytes(),
            &["line 2, article_quantity: \"one\""],
        ),
        (
            "currency.csv",
            csv(&[row("TN1", "DHL").replace("800", "8 EUR")]).into_bytes(),
            &["line 2, article_price: \"8 EUR\""],
        ),
        ("empty.csv", Vec::new(), &["the file is empty"]),
    ] {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), name, &content);
        let checked = run(waybill(&["check", name]).current_dir(&dir));
        assert_eq!(checked.code, Some(1), "{name}");
        for part in expected {
            assert_eq!(checked.stdout().matches(part).count(), 1, "{name}: {part}: {}", checked.stdout());
        }
        assert!(commands(&checked).is_empty(), "{name}: {}", checked.stdout());
    }
}

#[test]
fn what_remains_wrong_is_said_with_the_command_to_check_again() {
    let dir = tempfile::tempdir().unwrap();
    let bad = "TN2;DHL;from;to;Laptop;one;8,00;LP1;scanned";
    write(dir.path(), "x.csv", format!("{GERMAN}\n{}\n{bad}\n", row("TN1", "DHL").replace(',', ";")).as_bytes());
    let checked = run(waybill(&["check", "x.csv"]).current_dir(&dir));
    let text = checked.stdout();
    assert!(
        text.contains("so it is still refused: x.csv: 1 bad row, 0 allowed; the first: line 3, article_quantity"),
        "{text}"
    );
    let [command] = commands(&checked)[..] else { panic!("{text}") };
    assert!(command.starts_with("waybill check x.csv --delimiter ';' --columns '"), "{text}");
    let again = run(&mut shell(dir.path(), command));
    assert_eq!(
        again.stdout(),
        "refused: x.csv: 1 bad row, 0 allowed; the first: line 3, article_quantity: \"one\" is not a whole number from 0 to 4294967295\n"
    );
    let tolerant = run(&mut shell(dir.path(), &format!("{command} --max-bad-rows 1")));
    let [serve] = commands(&tolerant)[..] else { panic!("{}", tolerant.stdout()) };
    assert!(tolerant.code == Some(0) && serve.ends_with("--max-bad-rows 1"), "{serve}");
}

#[test]
fn the_advice_is_there_for_programs_too() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "x.csv", format!("{GERMAN}\n{}\n", row("TN1", "DHL").replace(',', ";")).as_bytes());
    let json = |arguments: &[&str]| {
        let checked = run(waybill(&["check", "x.csv", "--format", "json"]).args(arguments).current_dir(&dir));
        serde_json::from_slice::<Value>(&checked.stdout).unwrap()
    };
    let refused = json(&[]);
    let advice = &refused["advice"];
    assert_eq!(
        (&refused["result"], &advice["loads"], &advice["delimiter"]),
        (&"refused".into(), &true.into(), &";".into())
    );
    assert_eq!(advice["columns"]["receiver_address"], "Empfänger");
    assert!(
        advice["commands"][0].as_str().unwrap().starts_with("waybill x.csv --delimiter ';' --columns "),
        "{advice}"
    );
    write(dir.path(), "x.csv", SEED.as_bytes());
    assert_eq!(json(&[])["commands"], serde_json::json!(["waybill x.csv"]));
}
