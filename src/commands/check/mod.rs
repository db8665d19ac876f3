//! `waybill check`: reports the content of a file, the memory it needs, and its errors. Of a refused file it finds out
//! which settings would make it load.

mod advice;
mod command;
mod header;
mod sample;
mod stages;
mod words;

use std::fmt::Write as _;
use std::sync::Arc;

use serde_json::json;

use crate::cli::{CheckArgs, LogFormat};
use crate::config::load_options;
use crate::load::{self, LoadError, Loaded, Progress};
use crate::memory::Forecast;
use crate::source::Compression;
use crate::stages::{StatusMapError, StatusMapSource};
use advice::Advice;

/// Most carriers that the text report names.
const NAMED_CARRIERS_MAX: usize = 20;

/// Loads the file of `args`. Returns the report, and whether the file can be served; an error if there is no status map to
/// load it with.
pub fn check(args: &CheckArgs, watch: &mut dyn FnMut(&Progress)) -> Result<(String, bool), StatusMapError> {
    let options = load_options(&args.input, &args.tolerance);
    let status_map = args.input.status_map.clone().map(|path| StatusMapSource::from(path).read()).transpose()?;
    let options = load::Options {
        threads: args.threads.unwrap_or(options.threads),
        status_map: status_map.map(Arc::new),
        ..options
    };
    let result = load::load(args.file.clone(), &options, watch);
    let forecast = |loaded: &Loaded| Forecast::new(&loaded.dataset, &loaded.summary);
    let serve = command::waybill(&[], &args.file, &options);
    let advice = match &result {
        Err(error @ LoadError::Refused { .. }) => Advice::find(&args.file, &options, error, watch),
        _ => None,
    };
    let report = match (args.format, &result) {
        (LogFormat::Text, Ok(loaded)) => text(loaded, forecast(loaded), &serve),
        (LogFormat::Json, Ok(loaded)) => json_of(loaded, forecast(loaded), &serve).to_string(),
        (LogFormat::Text, Err(error)) => refusal_text(error, advice.as_ref()),
        (LogFormat::Json, Err(error)) => refusal_json(error, advice.as_ref()).to_string(),
    };
    Ok((report, result.is_ok()))
}

fn text(loaded: &Loaded, forecast: Forecast, serve: &str) -> String {
    let Loaded { dataset, summary } = loaded;
    let carriers = dataset.carriers();
    let mut named = carriers.iter().take(NAMED_CARRIERS_MAX).cloned().collect::<Vec<_>>().join(", ");
    if carriers.len() > NAMED_CARRIERS_MAX {
        named.push_str(", …");
    }
    let mut report = format!(
        "rows       {}\nshipments  {}\narticles   {}\ncarriers   {} ({named})\nbad rows   {}\n\
         memory     {:.0} MiB serving, {:.0} MiB while it is replaced by another like it, \
         {:.0} MiB with --keep-previous\nversion    {}",
        summary.rows,
        dataset.shipment_count(),
        dataset.article_count(),
        carriers.len(),
        summary.bad_rows,
        mebibytes(forecast.serving_bytes),
        mebibytes(forecast.reload_peak_bytes()),
        mebibytes(forecast.reload_peak_with_previous_bytes()),
        summary.version,
    );
    if let Some(compression) = summary.compression {
        let (content, file) = (summary.content_bytes, summary.file_bytes);
        // Writing to a String cannot fail.
        let _ = write!(report, "\ncontent    {content} bytes in {file} bytes of {}", compression.name());
    }
    if let Some(shard) = summary.shard {
        let rows = summary.rows_elsewhere;
        let _ = write!(report, "\nshard      {} of {}; {rows} rows belong to others", shard.index(), shard.count());
    }
    if let Some(unmapped) = &summary.unmapped {
        report.push_str(&stages::text(unmapped));
    }
    for error in &summary.errors {
        let _ = write!(report, "\n  left out: {error}");
    }
    for column in &summary.ignored_columns {
        let _ = write!(report, "\nwarning: column {column:?} is ignored");
    }
    if summary.final_newline_missing {
        report.push_str("\nwarning: the last line has no line break: was the file cut?");
    }
    let _ = write!(report, "\nrun        {serve}");
    report
}

fn json_of(loaded: &Loaded, forecast: Forecast, serve: &str) -> serde_json::Value {
    let Loaded { dataset, summary } = loaded;
    let mut report = json!({
        "result": "ok",
        "rows": summary.rows,
        "shipments": dataset.shipment_count(),
        "articles": dataset.article_count(),
        "carriers": dataset.carriers(),
        "bad_rows": summary.bad_rows,
        "dataset_bytes": dataset.bytes(),
        "memory_bytes": forecast.serving_bytes,
        "load_bytes": forecast.load_bytes,
        "reload_peak_bytes": forecast.reload_peak_bytes(),
        "reload_peak_with_previous_bytes": forecast.reload_peak_with_previous_bytes(),
        "compression": summary.compression.map(Compression::name),
        "shard": summary.shard.map(|shard| shard.to_string()),
        "rows_elsewhere": summary.rows_elsewhere,
        "file_bytes": summary.file_bytes,
        "content_bytes": summary.content_bytes,
        "version": summary.version,
        "load_seconds": summary.seconds,
        "ignored_columns": summary.ignored_columns,
        "final_newline_missing": summary.final_newline_missing,
        "errors": summary.errors,
        "commands": [serve],
    });
    if let Some(unmapped) = &summary.unmapped {
        stages::add_to(&mut report, unmapped);
    }
    report
}

fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

fn refusal_text(error: &LoadError, advice: Option<&Advice>) -> String {
    let advice = advice.map(|advice| format!("\n\n{}", advice.text())).unwrap_or_default();
    format!("refused: {}{advice}", error.text())
}

fn refusal_json(error: &LoadError, advice: Option<&Advice>) -> serde_json::Value {
    json!({
        "result": "refused",
        "code": error.code(),
        "detail": error.to_string(),
        "errors": error.errors(),
        "advice": advice.map(Advice::json),
    })
}
