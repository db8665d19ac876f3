//! What the users ask, and what they must be answered.

use std::io::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use goose::GooseAttack;
use goose::goose::{GooseRequestBuilder, GooseResponse, TransactionFunction};
use goose::prelude::*;
use memchr::memmem;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use crate::data::{Exports, Key};
use crate::figures::{self, Figures};
use crate::server::Server;

const RELOAD: &str = "reload";
/// Goose logs every failure: a server that is gone would fill the console.
const FAILURE_PAUSE: Duration = Duration::from_millis(250);

/// What a user asks, over and over.
#[derive(Clone, Copy, Debug)]
enum Lookup {
    /// For a tracking number and its carrier.
    Exact,
    /// For a tracking number.
    NumberOnly,
    /// For what is not there.
    Miss,
}

impl Lookup {
    const ALL: [Lookup; 3] = [Lookup::Exact, Lookup::NumberOnly, Lookup::Miss];

    fn name(self) -> &'static str {
        match self {
            Lookup::Exact => "exact lookup",
            Lookup::NumberOnly => "number only",
            Lookup::Miss => "miss",
        }
    }

    fn status(self) -> u16 {
        match self {
            Lookup::Exact | Lookup::NumberOnly => 200,
            Lookup::Miss => 404,
        }
    }

    /// How many of `users` ask this. One is left over, who reloads.
    fn users(self, users: usize) -> usize {
        let (numbers, misses) = ((users / 4).max(1), (users / 8).max(1));
        match self {
            Lookup::Exact => users - numbers - misses - 1,
            Lookup::NumberOnly => numbers,
            Lookup::Miss => misses,
        }
    }

    /// The path to ask, and what the body of a good answer contains.
    fn question(self, Key { tracking_number, carrier }: &Key) -> (String, String) {
        let shipment = || format!(r#"{{"tracking_number":"{tracking_number}","carrier":"{carrier}","#);
        match self {
            Lookup::Exact => {
                let carrier = utf8_percent_encode(carrier, NON_ALPHANUMERIC);
                (format!("/v1/shipments/{carrier}/{tracking_number}"), shipment())
            }
            Lookup::NumberOnly => (format!("/v1/shipments/{tracking_number}"), shipment()),
            // No tracking number of the exports ends with a letter.
            Lookup::Miss => (format!("/v1/shipments/{tracking_number}X"), r#""code":"shipment_not_found""#.to_owned()),
        }
    }
}

/// What all users share.
#[derive(Debug)]
pub(crate) struct Workload {
    exports: Exports,
    reload_url: String,
    lookups: [Figures; Lookup::ALL.len()],
    reloads: Figures,
}

impl Workload {
    pub(crate) fn new(exports: Exports, server: &Server) -> Arc<Workload> {
        let reload_url = format!("http://{}/-/reload", server.admin);
        let lookups = Lookup::ALL.map(|lookup| Figures::new(lookup.name()));
        Arc::new(Workload { exports, reload_url, lookups, reloads: Figures::new(RELOAD) })
    }

    /// Gives goose a scenario for each kind of lookup and, with an interval, one for the reloads.
    pub(crate) fn register(
        self: &Arc<Self>,
        mut attack: GooseAttack,
        users: usize,
        reload_interval: Option<Duration>,
    ) -> Result<GooseAttack> {
        for lookup in Lookup::ALL {
            let workload = Arc::clone(self);
            let function: TransactionFunction = Arc::new(move |user| {
                let workload = Arc::clone(&workload);
                Box::pin(async move { workload.look_up(lookup, user).await })
            });
            let transaction = Transaction::new(function).set_name(lookup.name());
            let scenario = Scenario::new(lookup.name()).set_weight(lookup.users(users))?;
            attack = attack.register_scenario(scenario.register_transaction(transaction));
        }
        if let Some(interval) = reload_interval {
            let workload = Arc::clone(self);
            let function: TransactionFunction = Arc::new(move |user| {
                let workload = Arc::clone(&workload);
                Box::pin(async move { workload.reload(user).await })
            });
            let transaction = Transaction::new(function).set_name(RELOAD);
            let scenario = Scenario::new(RELOAD).set_wait_time(interval, interval)?;
            attack = attack.register_scenario(scenario.register_transaction(transaction));
        }
        Ok(attack)
    }

    /// Prints the table of rates and latencies.
    pub(crate) fn print_figures(&self) -> Result<()> {
        let mut text = Vec::new();
        figures::write_head(&mut text)?;
        for figures in self.lookups.iter().chain([&self.reloads]) {
            figures.write_line(&mut text)?;
        }
        writeln!(text, "\n{:.0} lookups a second", self.lookups_per_second())?;
        std::io::stdout().write_all(&text).context("standard output")
    }

    /// Reloads that brought the data they should.
    pub(crate) fn reloads(&self) -> u64 {
        self.reloads.count()
    }

    /// Good answers a second, all kinds together.
    pub(crate) fn lookups_per_second(&self) -> f64 {
        self.lookups.iter().map(Figures::per_second).sum()
    }

    async fn look_up(&self, lookup: Lookup, user: &mut GooseUser) -> TransactionResult {
        let (path, expected) = lookup.question(&self.exports.any_key());
        let request = GooseRequest::builder().path(path.as_str()).expect_status_code(lookup.status());
        let is_good = |body: &[u8]| memmem::find(body, expected.as_bytes()).is_some();
        ask(user, request, is_good, &self.lookups[lookup as usize]).await
    }

    async fn reload(&self, user: &mut GooseUser) -> TransactionResult {
        let shipments = self.exports.swap().map_err(|error| format!("{error:#}"))?;
        let request = GooseRequest::builder().method(GooseMethod::Post).path(self.reload_url.as_str());
        let is_good = |body: &[u8]| {
            serde_json::from_slice::<Value>(body)
                .is_ok_and(|answer| answer["result"] == "ok" && answer["shipments"] == shipments)
        };
        ask(user, request, is_good, &self.reloads).await
    }
}

/// [`exchange`], with a pause when it fails.
async fn ask(
    user: &mut GooseUser,
    request: GooseRequestBuilder<'_>,
    is_good: impl Fn(&[u8]) -> bool,
    figures: &Figures,
) -> TransactionResult {
    let result = exchange(user, request, is_good, figures).await;
    if result.is_err() {
        tokio::time::sleep(FAILURE_PAUSE).await;
    }
    result
}

/// One request, timed until its body is complete; a failure unless status and body are as expected.
async fn exchange(
    user: &mut GooseUser,
    request: GooseRequestBuilder<'_>,
    is_good: impl Fn(&[u8]) -> bool,
    figures: &Figures,
) -> TransactionResult {
    let request = request.name(figures.name()).error_on_fail().build();
    let asked = Instant::now();
    let GooseResponse { mut request, response } = user.request(request).await?;
    let Ok(body) = response?.bytes().await else {
        return user.set_failure("the body breaks off", &mut request, None, None);
    };
    let answered = Instant::now();
    if !is_good(&body) {
        let text = String::from_utf8_lossy(&body);
        return user.set_failure(&format!("wrong body: {text}"), &mut request, None, None);
    }
    figures.record(asked, answered);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_users_and_one_user_is_left_to_reload() {
        for users in crate::USERS_MIN as usize..1000 {
            let shares = Lookup::ALL.map(|lookup| lookup.users(users));
            assert!(shares.iter().all(|share| *share > 0), "{users}: {shares:?}");
            assert_eq!(shares.iter().sum::<usize>(), users - 1);
        }
    }
}
