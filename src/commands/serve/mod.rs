//! `waybill serve`: listeners, then data, then workers, until a signal ends it.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Semaphore, oneshot, watch};

use crate::config::Settings;
use crate::http::App;
use crate::http::access::{AccessLog, AccessLogSettings, Target, Writing};
use crate::http::cors::Cors;
use crate::http::credentials::{Credentials, CredentialsError};
use crate::http::listen::{Address, Socket, SocketFile};
use crate::http::route::Listener;
use crate::http::server::{self, CLOSING_LINGER, Endpoint, PULSE_INTERVAL, Pulse, Stage};
use crate::http::tls::{Tls, TlsError};
use crate::load::{LoadError, Progress};
use crate::reload::{Outcome, ReloadError, Reloader, Report, Request};
use crate::store::Store;
use crate::systemd;

/// Open files beside connections: listeners, the data, logs, what each thread waits with.
const OTHER_FILES: u64 = 100;

/// Why serving ended otherwise than by a signal.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// An address cannot be listened on.
    #[error("cannot listen on {address}")]
    Bind {
        /// The address.
        address: Address,
        /// What the system said.
        source: std::io::Error,
    },
    /// Connections cannot be secured.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The second socket that systemd handed over can be reached by anybody.
    #[error("the socket for operators, {0}: other hosts reach it, so --admin-token-file is needed")]
    AdminWithoutToken(Address),
    /// Tokens or keys cannot be used.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    /// The access log cannot be written.
    #[error("cannot open the access log: {target}")]
    AccessLog {
        /// Where it was to be.
        target: Target,
        /// What the system said.
        source: std::io::Error,
    },
    /// The first load failed.
    #[error("{0}")]
    Data(String),
    /// The system refused a thread, a runtime or a signal handler.
    #[error("cannot start: {0}")]
    System(#[from] std::io::Error),
}

/// Serves until SIGTERM or SIGINT. `watch` sees the progress of loads.
pub fn serve(settings: &Settings, watch: Box<dyn FnMut(&Progress) + Send>) -> Result<(), ServeError> {
    allow_open_files(settings);
    let tls = settings.tls.as_ref().map(|(certificate, key)| Tls::load(certificate, key)).transpose()?;
    let admin_tokens = settings.admin_token_file.as_deref().map(Credentials::tokens).transpose()?;
    let api_keys = settings.api_keys_file.as_deref().map(Credentials::keys).transpose()?;
    let handed = systemd::sockets()?;
    let (public, public_file) = match handed.public {
        Some(socket) => (socket.share(settings.threads)?, None),
        None => bind(&settings.listen, settings.threads)?,
    };
    let (admin, admin_file) = match (&settings.admin_listen, handed.admin) {
        (None, _) => (Vec::new(), None),
        (Some(_), Some(socket)) => {
            let address = socket.address()?;
            if !address.is_local() && admin_tokens.is_none() {
                return Err(ServeError::AdminWithoutToken(address));
            }
            (socket.share(1)?, None)
        }
        (Some(address), None) => bind(address, 1)?,
    };
    // Dropped last: what was answered until then is written.
    let (access_log, _writing) = settings.access_log.as_ref().map(open_access_log).transpose()?.unzip();
    let address = |sockets: &[Socket]| {
        sockets.first().and_then(|socket| socket.address().ok()).map_or("off".to_owned(), |at| at.to_string())
    };
    // From here on signals are heeded: whoever reads the next line may send one.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let signals = runtime.block_on(async { Signals::new() })?;
    tracing::info!(public = address(&public), admin = address(&admin), "listening");

    let store = Arc::new(Store::default());
    let (reloader, first_load) = Reloader::start(settings.reload.clone(), Arc::clone(&store), watch)?;
    if let Some(log) = access_log.clone() {
        runtime.spawn(log.warn_of_drops(PULSE_INTERVAL));
    }
    let mut app = App::new(store, reloader);
    app.tls = tls.map(Arc::new);
    app.admin_tokens = admin_tokens;
    app.api_keys = api_keys;
    app.cors = Cors::new(&settings.cors_origins);
    app.trusted_proxies.clone_from(&settings.trusted_proxies);
    app.access_log = access_log;
    app.connections_max = settings.limits.connections_max;
    let app = Arc::new(app);
    if let Some(interval) = settings.reload.watch_interval {
        runtime.spawn(watch_secrets(Arc::clone(&app), interval));
    }
    let (pulse, followers) = watch::channel(Pulse::default());
    let endpoints = Endpoints { settings, app: &app, pulse: followers };
    let workers = endpoints.spawn(settings.public, public)?;
    let admin = endpoints.spawn(Listener::Admin, admin)?;
    drop(endpoints);

    runtime.block_on(async {
        tokio::select! {
            never = beat(&pulse) => match never {},
            ended = until_ended(settings, &app, signals, first_load) => ended?,
        }
        drop((public_file, admin_file));
        tokio::select! {
            never = beat(&pulse) => match never {},
            () = close(&pulse, settings.grace_period) => Ok::<(), ServeError>(()),
        }
    })?;
    let cut_off: usize = workers.into_iter().chain(admin).map(|worker| worker.join().unwrap_or_default()).sum();
    if cut_off > 0 {
        tracing::warn!(connections = cut_off, "the grace period is over; connections were cut off");
    }
    tracing::info!("ended");
    Ok(())
}

/// Raises the limit on open files as far as the process may, and warns if the listeners cannot have all connections.
fn allow_open_files(settings: &Settings) {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::debug!(%error, "the limit on open files stays");
    }
    let listeners = 1 + u64::from(settings.admin_listen.is_some());
    let needed = listeners * settings.limits.connections_max as u64 + OTHER_FILES;
    if let Some(limit) = getrlimit(Resource::Nofile).current.filter(|limit| *limit < needed) {
        tracing::warn!(limit, needed, "fewer files may be open than --max-connections allows for on each listener");
    }
}

/// The sockets at `address`, and its file, if it has one.
fn bind(address: &Address, threads: usize) -> Result<(Vec<Socket>, Option<SocketFile>), ServeError> {
    let failed = |source| ServeError::Bind { address: address.clone(), source };
    let sockets = Socket::bind(address, threads).map_err(failed)?;
    Ok((sockets, SocketFile::of(address).map_err(failed)?))
}

fn open_access_log(settings: &AccessLogSettings) -> Result<(AccessLog, Writing), ServeError> {
    AccessLog::start(settings).map_err(|source| ServeError::AccessLog { target: settings.target.clone(), source })
}

/// What all accept loops get.
struct Endpoints<'s> {
    settings: &'s Settings,
    app: &'s Arc<App>,
    pulse: watch::Receiver<Pulse>,
}

impl Endpoints<'_> {
    /// Starts a thread for each of a listener's sockets. A thread's result is the number of connections it cut off.
    fn spawn(&self, listener: Listener, sockets: Vec<Socket>) -> std::io::Result<Vec<std::thread::JoinHandle<usize>>> {
        let permits = Arc::new(Semaphore::new(self.settings.limits.connections_max));
        let name = match listener {
            Listener::Public | Listener::PublicWithoutPages => "worker",
            Listener::Admin => "admin",
        };
        let start = |(number, socket)| {
            let endpoint = Endpoint {
                listener,
                socket,
                app: Arc::clone(self.app),
                permits: Arc::clone(&permits),
                tls: self.app.tls.clone().filter(|_| !matches!(listener, Listener::Admin)),
                limits: self.settings.limits.clone(),
                pulse: self.pulse.clone(),
            };
            std::thread::Builder::new().name(format!("{name}-{number}")).spawn(move || {
                server::run(endpoint).unwrap_or_else(|error| {
                    tracing::error!(%error, "a worker could not run");
                    0
                })
            })
        };
        sockets.into_iter().enumerate().map(start).collect()
    }
}

/// Has secrets read again when their files have changed.
async fn watch_secrets(app: Arc<App>, interval: Duration) {
    let mut seen = app.secret_stamps();
    loop {
        tokio::time::sleep(interval).await;
        let now = app.secret_stamps();
        if seen != now {
            app.read_secrets();
            seen = now;
        }
    }
}

async fn beat(pulse: &watch::Sender<Pulse>) -> Infallible {
    loop {
        tokio::time::sleep(PULSE_INTERVAL).await;
        pulse.send_modify(|pulse| pulse.beat += 1);
    }
}

/// Takes the workers through the stages of the end; returns when all are done, or must be.
async fn close(pulse: &watch::Sender<Pulse>, grace_period: Duration) {
    let enter = |stage| pulse.send_modify(|pulse| pulse.stage = stage);
    let finishing = async {
        tracing::info!("closing");
        enter(Stage::Closing);
        tokio::time::sleep(CLOSING_LINGER).await;
        enter(Stage::Finishing);
        pulse.closed().await;
    };
    // An error is the grace period's end.
    let _ = tokio::time::timeout(grace_period, finishing).await;
    enter(Stage::Ended);
}

/// Follows the first load and the signals until one of them ends the serving, then waits for the drain delay.
async fn until_ended(
    settings: &Settings,
    app: &Arc<App>,
    signals: Signals,
    first_load: oneshot::Receiver<Outcome>,
) -> Result<(), ServeError> {
    let Signals { mut hangup, mut end } = signals;
    let mut first_load = Some(first_load);
    loop {
        tokio::select! {
            Some(()) = hangup.recv() => {
                app.reopen_files();
                let reloader = app.reloader.clone();
                systemd::reloading();
                tokio::spawn(async move {
                    // It is in the log and in /-/dataset, too.
                    let outcome = reloader.reload(Request::default()).await;
                    systemd::ready(if outcome.is_ok() { "serving" } else { "serving; the last reload failed" });
                });
            }
            outcome = async { first_load.as_mut().unwrap_or(&mut oneshot::channel().1).await },
                if first_load.is_some() =>
            {
                first_load = None;
                announce(app, outcome.ok().as_deref())?;
            }
            () = end.asked() => break,
        }
    }
    app.draining.store(true, Ordering::Relaxed);
    systemd::stopping();
    tracing::info!(delay_seconds = settings.drain_delay.as_secs_f64(), "draining");
    tokio::select! {
        () = tokio::time::sleep(settings.drain_delay) => {}
        () = end.asked() => tracing::info!("asked again: not waiting"),
    }
    Ok(())
}

struct Signals {
    hangup: Signal,
    end: End,
}

impl Signals {
    /// Must be called within a runtime.
    fn new() -> std::io::Result<Signals> {
        let end = End { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? };
        Ok(Signals { hangup: signal(SignalKind::hangup())?, end })
    }
}

struct End {
    terminate: Signal,
    interrupt: Signal,
}

impl End {
    async fn asked(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

fn announce(app: &App, outcome: Option<&Result<Report, ReloadError>>) -> Result<(), ServeError> {
    match outcome {
        Some(Ok(_)) => {}
        Some(Err(error)) => return Err(ServeError::Data(explain(error))),
        None => return Err(ServeError::Data(ReloadError::Panicked.to_string())),
    }
    let current = app.store.load();
    let Some(snapshot) = current.as_deref() else { return Ok(()) };
    let summary = &snapshot.summary;
    tracing::info!(
        source = %snapshot.source.display(),
        version = summary.version,
        rows = summary.rows,
        shipments = snapshot.dataset.shipment_count(),
        articles = snapshot.dataset.article_count(),
        bad_rows = summary.bad_rows,
        bytes = snapshot.dataset.bytes(),
        load_seconds = summary.seconds,
        shard = summary.shard.map(tracing::field::display),
        "serving"
    );
    systemd::ready("serving");
    Ok(())
}

/// An error with all its places, one a line.
fn explain(error: &ReloadError) -> String {
    match error {
        ReloadError::Load(LoadError::Refused { errors, .. }) if errors.len() > 1 => {
            let places: Vec<String> = errors.iter().map(ToString::to_string).collect();
            format!("{error}\n  {}", places.join("\n  "))
        }
        _ => error.to_string(),
    }
}
