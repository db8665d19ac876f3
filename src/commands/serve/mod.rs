//! `waybill serve`: binds the listeners, loads the data, starts the workers, and shuts down on a signal.

mod age;
mod control;
mod data;
mod error;
mod listeners;

pub use control::Control;
pub use data::{Data, check_source};
pub use error::ServeError;
pub use listeners::Listeners;

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::{oneshot, watch};

use crate::cli::LogFormat;
use crate::config::Settings;
use crate::http::access::Access;
use crate::http::app::App;
use crate::http::budget::Budget;
use crate::http::connection::places::Places;
use crate::http::handlers::reload::{NotRead, outcome_response};
use crate::http::listener::{Address, Held, SocketFile};
use crate::http::pages::{PageSettings, ServedPages};
use crate::http::request::cors::Cors;
use crate::http::request::route::{Listener, Offered, RouteId};
use crate::http::response;
use crate::http::secrets::Secrets;
use crate::http::server::{self, Endpoint, STOP_ACCEPTING_TIME, Stage, TICK_INTERVAL, Tick};
use crate::http::telemetry::access_log::settings::AccessLogSettings;
use crate::http::telemetry::access_log::{AccessLog, Writing};
use crate::http::telemetry::audit::Entry;
use crate::http::timers::Timers;
use crate::reload::{Outcome, ReloadError, Request};
use crate::systemd;
use control::Signals;
use listeners::{ConnectionsMax, ListenerSockets};

/// Reads the files of secrets.
pub fn read_secrets(settings: &Settings) -> Result<Secrets, ServeError> {
    let certificates = settings.tls.as_ref().map(|(certificate, key)| (&**certificate, &**key));
    Ok(Secrets::load(certificates, settings.admin_token_file.as_deref(), settings.api_keys_file.as_deref())?)
}

/// Makes the pages, with the brand of its file.
pub fn read_pages(settings: &Settings) -> Result<ServedPages, ServeError> {
    let of_pages = PageSettings { data_age_max: settings.data_age_max, public: settings.public };
    Ok(ServedPages::read(of_pages, settings.brand_file.as_deref())?)
}

/// Opens the access log.
pub fn open_access_log(settings: &AccessLogSettings) -> Result<(AccessLog, Writing), ServeError> {
    AccessLog::start(settings).map_err(|source| ServeError::AccessLog { target: settings.target.clone(), source })
}

/// A running server: its workers, and their control.
pub struct Server<'s> {
    settings: &'s Settings,
    control: Control,
    app: Arc<App>,
    tick: watch::Sender<Tick>,
    /// Threads that return the number of connections they cut off.
    workers: Vec<JoinHandle<usize>>,
    first_load: oneshot::Receiver<Outcome>,
    /// Location of the public listener for clients on this host.
    location: String,
    held: Vec<(Address, Held)>,
    socket_files: Vec<SocketFile>,
}

impl<'s> Server<'s> {
    /// Starts a worker for each socket of `listeners`.
    pub fn start(
        settings: &'s Settings,
        control: Control,
        secrets: Secrets,
        pages: ServedPages,
        access_log: Option<AccessLog>,
        listeners: Listeners,
        data: Data,
    ) -> Result<Server<'s>, ServeError> {
        if let Some(log) = access_log.clone() {
            control.runtime.spawn(log.warn_of_drops(TICK_INTERVAL));
        }
        let mut app = App::new(data.store, data.reloader);
        app.access = Access::new(secrets.api_keys.is_some(), &settings.public);
        app.secrets = secrets;
        app.budget = Budget::new(settings.buffered_bytes_max);
        app.data_age_max = settings.data_age_max;
        app.with_stages = settings.reload.status_map.is_some();
        app.offered = Offered { pages: settings.with_pages, changes: settings.reload.changes.is_some() };
        app.with_compression = settings.with_compression;
        app.pages = pages;
        app.cors = Cors::new(&settings.cors_origins);
        app.transport_security = settings.hsts.map(response::transport_security);
        app.trusted_proxies.clone_from(&settings.trusted_proxies);
        app.access_log = access_log;
        app.timers = Timers::of(control.runtime.handle());
        app.connections_max = listeners.connections_max.public;
        app.listening = AtomicBool::new(!listeners.public_awaits_data);
        let app = Arc::new(app);
        if let Some(interval) = settings.reload.watch_interval {
            control.runtime.spawn(watch_secrets(Arc::clone(&app), interval));
        }
        control.runtime.spawn(age::tell(Arc::clone(&app), TICK_INTERVAL));
        let location = listeners.public_location(settings);
        let (tick, followers) = watch::channel(Tick::default());
        let endpoints = Endpoints { settings, connections_max: listeners.connections_max, app: &app, tick: followers };
        let mut workers = endpoints.spawn(Listener::Public, listeners.public, listeners.public_awaits_data)?;
        if let Some(admin) = listeners.admin {
            workers.extend(endpoints.spawn(Listener::Admin, admin, false)?);
        }
        drop(endpoints);
        let (first_load, held, socket_files) = (data.first_load, listeners.held, listeners.files);
        Ok(Server { settings, control, app, tick, workers, first_load, location, held, socket_files })
    }

    /// Serves until SIGTERM or SIGINT, or until the first load fails. SIGHUP reloads, SIGUSR1 opens the access log
    /// again.
    pub fn serve(&mut self) -> Result<(), ServeError> {
        let Server { settings, control, app, tick, first_load, location, held, socket_files, .. } = self;
        let Control { runtime, signals } = control;
        let first_loaded = async {
            data::check(first_load.await.ok().as_deref())?;
            listeners::release(held, socket_files)?;
            // Before anybody can ask whether it is.
            app.listening.store(true, Ordering::Relaxed);
            tick.send_modify(|tick| tick.stage = Stage::Open);
            data::announce(&app.store);
            log_ready(settings, location);
            std::future::pending().await
        };
        runtime.block_on(async {
            tokio::select! {
                never = run_ticks(tick) => match never {},
                failed = first_loaded => failed,
                () = until_shutdown(app, signals) => Ok(()),
            }
        })
    }

    /// Shuts down gracefully: `/readyz` is 503 at once, the listeners close after the drain delay, and connections then
    /// have the grace period to finish.
    pub fn drain(self) {
        let Server { settings, control: Control { runtime, mut signals }, app, tick, workers, socket_files, .. } = self;
        app.draining.store(true, Ordering::Relaxed);
        app.reloader.shut_down();
        tick.send_modify(|tick| tick.stage = Stage::Retiring);
        systemd::stopping();
        tracing::info!(delay_seconds = settings.drain_delay.as_secs_f64(), "draining");
        runtime.block_on(async {
            let ending = async {
                tokio::select! {
                    () = tokio::time::sleep(settings.drain_delay) => {}
                    () = signals.shutdown.recv() => tracing::info!("second signal: skipping the drain delay"),
                }
                drop(socket_files);
                close(&tick, settings.grace_period).await;
            };
            tokio::select! {
                never = run_ticks(&tick) => match never {},
                () = ending => {}
            }
        });
        let cut_off: usize = workers.into_iter().map(|worker| worker.join().unwrap_or_default()).sum();
        if cut_off > 0 {
            tracing::warn!(connections = cut_off, "the grace period is over; open connections were cut off");
        }
        tracing::info!("ended");
    }
}

/// Parameters that all workers share.
struct Endpoints<'s> {
    settings: &'s Settings,
    connections_max: ConnectionsMax,
    app: &'s Arc<App>,
    tick: watch::Receiver<Tick>,
}

impl Endpoints<'_> {
    /// Starts a worker for each socket of a listener, which may await data before it takes connections.
    fn spawn(
        &self,
        listener: Listener,
        ListenerSockets { sockets, is_inherited, .. }: ListenerSockets,
        awaits_data: bool,
    ) -> std::io::Result<Vec<JoinHandle<usize>>> {
        let (name, connections_max) = match listener {
            Listener::Public => ("worker", self.connections_max.public),
            Listener::Admin => ("admin", self.connections_max.admin),
        };
        let places = Places::new(connections_max, sockets.len());
        let start = |(number, socket)| {
            let endpoint = Endpoint {
                listener,
                socket,
                awaits_data,
                leaves_queue: is_inherited,
                app: Arc::clone(self.app),
                places: Arc::clone(&places),
                thread: number,
                tls: self.app.secrets.certificates.clone().filter(|_| listener == Listener::Public),
                limits: self.settings.limits.clone(),
                tick: self.tick.clone(),
            };
            std::thread::Builder::new().name(format!("{name}-{number}")).spawn(move || {
                server::run(endpoint).unwrap_or_else(|error| {
                    tracing::error!(%error, "a worker failed");
                    0
                })
            })
        };
        sockets.into_iter().enumerate().map(start).collect()
    }
}

/// Reads secrets again when their files change.
async fn watch_secrets(app: Arc<App>, interval: Duration) {
    let mut seen = app.secrets.stamps();
    loop {
        tokio::time::sleep(interval).await;
        let now = app.secrets.stamps();
        if seen != now {
            app.secrets.reload();
            seen = now;
        }
    }
}

async fn run_ticks(tick: &watch::Sender<Tick>) -> Infallible {
    loop {
        tokio::time::sleep(TICK_INTERVAL).await;
        tick.send_modify(|tick| tick.count += 1);
    }
}

/// Handles signals until one of them requests a shutdown.
async fn until_shutdown(app: &App, signals: &mut Signals) {
    loop {
        tokio::select! {
            Some(()) = signals.hangup.recv() => {
                app.reopen_files();
                let (reloader, audited) = (app.reloader.clone(), Entry::of_hangup());
                systemd::reloading();
                tokio::spawn(async move {
                    // Details are in the log and in /-/dataset.
                    let outcome = reloader.reload(Request::default()).await;
                    audited.end(Some(RouteId::Reload), &outcome_response(&outcome, NotRead::default()));
                    if matches!(outcome.as_ref(), Err(ReloadError::ShuttingDown)) {
                        return;
                    }
                    systemd::ready(if outcome.is_ok() { "serving" } else { "serving; the last reload failed" });
                });
            }
            Some(()) = signals.user.recv() => app.reopen_access_log(),
            () = signals.shutdown.recv() => return,
        }
    }
}

/// Logs the location of the server, for people as a URL to open.
fn log_ready(settings: &Settings, location: &str) {
    let has_pages = settings.with_pages && matches!(settings.listen, Address::Ip(_));
    match settings.log_format {
        LogFormat::Json => tracing::info!(location, "ready"),
        LogFormat::Text if has_pages => tracing::info!("ready: open {location}"),
        LogFormat::Text => tracing::info!("ready: listening on {location}"),
    }
}

/// Guides the workers through the stages of the shutdown. Returns when all are done, or the grace period is over.
async fn close(tick: &watch::Sender<Tick>, grace_period: Duration) {
    let enter = |stage| tick.send_modify(|tick| tick.stage = stage);
    let draining = async {
        tracing::info!("closing");
        enter(Stage::StopAccepting);
        tokio::time::sleep(STOP_ACCEPTING_TIME).await;
        enter(Stage::Draining);
        tick.closed().await;
    };
    // An error means that the grace period is over.
    let _ = tokio::time::timeout(grace_period, draining).await;
    enter(Stage::Ended);
}
