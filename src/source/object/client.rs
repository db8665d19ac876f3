//! Blocking client of object storage.

use std::error::Error as _;
use std::io::{self, Read};
use std::pin::pin;
use std::sync::{Arc, Once};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::client::{HttpError, HttpErrorKind};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::http::HttpBuilder;
use object_store::path::Path;
use object_store::{
    BackoffConfig, ClientConfigKey, ClientOptions, Error, GetOptions, GetRange, ObjectMeta, ObjectStore, RetryConfig,
};
use tokio::runtime::Runtime;

use super::state::{ObjectError, State};
use super::url::{ObjectUrl, Scheme};
use crate::cancel::{Cancel, Cancelled};

/// Time limit of connecting, including name resolution and the TLS handshake.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Time limit of waiting for the response, and for each further part of it. A large object as a whole has no limit.
const READ_TIMEOUT: Duration = Duration::from_secs(10);
/// Time limit of requesting an object's state, during which the loader cannot do anything else.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// Time between two looks whether a request or transfer is cancelled.
const CANCEL_INTERVAL: Duration = Duration::from_millis(20);
/// Number of retries of a failed request.
const RETRIES_MAX: usize = 3;
/// Time from a request's start after which it is not retried.
const RETRY_TIMEOUT: Duration = Duration::from_secs(10);
/// Number of times that an interrupted transfer is resumed, when retries are over because of the time since its start.
const RESUMES_MAX: usize = 3;
/// Delay of the first retry; it grows.
const BACKOFF_MIN: Duration = Duration::from_millis(100);
/// Longest delay of a retry.
const BACKOFF_MAX: Duration = Duration::from_secs(2);
/// Longest error text of storage that is reported, in characters.
const DETAIL_CHARACTERS_MAX: usize = 400;

/// Paths of requests for credentials, which are made when the environment has none.
const METADATA_PATHS: [&str; 3] = ["/latest/api/token", "/computeMetadata/", "/metadata/identity/"];

/// Error text of the HTTP client for URLs without TLS.
const SCHEME_REFUSED: &str = "URL scheme is not allowed";

pub(super) struct Client {
    /// Has a thread of its own, so that data arrive while others are parsed.
    runtime: Runtime,
    store: Box<dyn ObjectStore>,
    key: Path,
}

impl Client {
    /// Creates a client for the storage that `url` and the environment name.
    pub(super) fn new(url: &ObjectUrl) -> Result<Client, ObjectError> {
        static TLS: Once = Once::new();
        TLS.call_once(|| {
            // An error means that a provider is installed already, which serves as well.
            let _ = rustls::crypto::ring::default_provider().install_default();
        });
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(1).thread_name("objects").enable_all().build();
        let runtime = runtime.map_err(|error| ObjectError(error.to_string()))?;
        let key = Path::from_url_path(&url.key).map_err(|error| ObjectError(error.to_string()))?;
        let store = store(url)
            .map_err(|error| ObjectError(format!("the URL, or the environment, does not say where it is ({error})")))?;
        Ok(Client { runtime, store, key })
    }

    /// Requests the object's state, without a condition: a 304 does not say when the object was written again.
    pub(super) fn head(&self) -> Result<State, ObjectError> {
        let options = GetOptions { head: true, ..GetOptions::default() };
        let response = self.runtime.block_on(async {
            let request = self.store.get_opts(&self.key, options);
            tokio::time::timeout(HEAD_TIMEOUT, request).await
        });
        match response {
            Err(_) => Err(ObjectError(format!("no answer within {HEAD_TIMEOUT:?}"))),
            Ok(Err(error)) => Err(explain(&error)),
            Ok(Ok(response)) => Ok(state(&response.meta)),
        }
    }

    pub(super) fn open(this: &Arc<Client>, cancel: &Cancel) -> Result<(State, Body), ObjectError> {
        let request = this.store.get_opts(&this.key, GetOptions::default());
        let response = this.wait(request, cancel)?.map_err(|error| explain(&error))?;
        let state = state(&response.meta);
        let body = Body {
            stream: response.into_stream(),
            unread: Bytes::new(),
            bytes: state.bytes,
            bytes_received: 0,
            tag: state.tag.clone(),
            resumes: 0,
            cancel: cancel.clone(),
            client: Arc::clone(this),
        };
        Ok((state, body))
    }

    /// Waits for what storage sends, until `cancel` is set.
    fn wait<T>(&self, awaited: impl Future<Output = T>, cancel: &Cancel) -> Result<T, ObjectError> {
        self.runtime.block_on(async {
            let mut awaited = pin!(awaited);
            loop {
                cancel.check().map_err(|Cancelled| ObjectError(Cancelled.to_string()))?;
                if let Ok(received) = tokio::time::timeout(CANCEL_INTERVAL, &mut awaited).await {
                    return Ok(received);
                }
            }
        })
    }
}

fn state(meta: &ObjectMeta) -> State {
    let modified = (meta.last_modified.timestamp(), i64::from(meta.last_modified.timestamp_subsec_nanos()));
    State { bytes: meta.size, tag: meta.e_tag.as_deref().map(Arc::from), modified }
}

/// Bytes of an object, as they arrive. Reading ends with an error unless the object is complete.
pub(in crate::source) struct Body {
    stream: BoxStream<'static, object_store::Result<Bytes>>,
    unread: Bytes,
    /// Announced size.
    bytes: u64,
    bytes_received: u64,
    /// Entity tag of the state that arrives.
    tag: Option<Arc<str>>,
    /// Number of times that the transfer was resumed.
    resumes: usize,
    cancel: Cancel,
    /// Drives the stream, and must be dropped after it.
    client: Arc<Client>,
}

impl Body {
    /// Receives more bytes, resuming the transfer if need be. Returns `false` at the end.
    fn receive(&mut self) -> Result<bool, ObjectError> {
        let (received, bytes) = (self.bytes_received, self.bytes);
        match self.client.wait(self.stream.next(), &self.cancel)? {
            Some(Ok(more)) => {
                self.bytes_received += more.len() as u64;
                self.unread = more;
                if self.bytes_received > bytes {
                    return Err(ObjectError(format!("more came than the {bytes} bytes that were announced")));
                }
                Ok(true)
            }
            Some(Err(_)) if self.resume() => Ok(true),
            Some(Err(error)) => {
                let reason = explain(&error);
                Err(ObjectError(format!("the transfer broke off after {received} of {bytes} bytes: {reason}")))
            }
            None if received < bytes => Err(ObjectError(format!("only {received} of {bytes} bytes came"))),
            None => Ok(false),
        }
    }
}

impl Body {
    /// Resumes the transfer if the object is still the same. Returns whether it did.
    fn resume(&mut self) -> bool {
        let Some(tag) = self.tag.as_deref().filter(|_| self.resumes < RESUMES_MAX) else { return false };
        self.resumes += 1;
        let range = Some(GetRange::Offset(self.bytes_received));
        let options = GetOptions { range, if_match: Some(tag.to_owned()), ..GetOptions::default() };
        let response = self.client.wait(self.client.store.get_opts(&self.client.key, options), &self.cancel);
        let response =
            response.ok().and_then(Result::ok).filter(|response| response.meta.e_tag.as_deref() == Some(tag));
        let is_there = response.is_some();
        if let Some(response) = response {
            self.stream = response.into_stream();
        }
        is_there
    }
}

impl Read for Body {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.unread.is_empty() {
            if !self.receive()? {
                return Ok(0);
            }
        }
        let read = self.unread.len().min(buffer.len());
        buffer[..read].copy_from_slice(&self.unread.split_to(read));
        Ok(read)
    }
}

/// Creates the storage of `url`, configured by the environment.
fn store(url: &ObjectUrl) -> object_store::Result<Box<dyn ObjectStore>> {
    Ok(match url.scheme {
        Scheme::S3 => {
            let builder = AmazonS3Builder::from_env().with_bucket_name(&url.place);
            let allow_http = builder.get_config_value(&AmazonS3ConfigKey::Client(ClientConfigKey::AllowHttp));
            Box::new(builder.with_client_options(options(allow_http)).with_retry(retries()).build()?)
        }
        Scheme::Gs => {
            let builder = GoogleCloudStorageBuilder::from_env().with_bucket_name(&url.place);
            let allow_http = builder.get_config_value(&GoogleConfigKey::Client(ClientConfigKey::AllowHttp));
            Box::new(builder.with_client_options(options(allow_http)).with_retry(retries()).build()?)
        }
        Scheme::Az => {
            let builder = MicrosoftAzureBuilder::from_env().with_container_name(&url.place);
            let allow_http = builder.get_config_value(&AzureConfigKey::Client(ClientConfigKey::AllowHttp));
            Box::new(builder.with_client_options(options(allow_http)).with_retry(retries()).build()?)
        }
        Scheme::Http => Box::new(web(&format!("http://{}", url.place), true)?),
        Scheme::Https => Box::new(web(&format!("https://{}", url.place), false)?),
    })
}

fn web(host: &str, allow_http: bool) -> object_store::Result<impl ObjectStore> {
    let options = options(Some(allow_http.to_string()));
    HttpBuilder::new().with_url(host).with_client_options(options).with_retry(retries()).build()
}

fn options(allow_http: Option<String>) -> ClientOptions {
    ClientOptions::new()
        .with_config(ClientConfigKey::AllowHttp, allow_http.unwrap_or_else(|| false.to_string()))
        .with_connect_timeout(CONNECT_TIMEOUT)
        .with_read_timeout(READ_TIMEOUT)
        .with_timeout_disabled()
}

fn retries() -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig { init_backoff: BACKOFF_MIN, max_backoff: BACKOFF_MAX, ..BackoffConfig::default() },
        max_retries: RETRIES_MAX,
        retry_timeout: RETRY_TIMEOUT,
    }
}

/// Describes the error and adds advice, in one line.
fn explain(error: &Error) -> ObjectError {
    let mut causes: Vec<&dyn std::error::Error> = Vec::new();
    let mut next = error.source();
    while let Some(cause) = next {
        causes.push(cause);
        next = cause.source();
    }
    let kind = causes.iter().find_map(|cause| cause.downcast_ref::<HttpError>()).map(HttpError::kind);
    let mut detail = error.to_string();
    if let Some(root) = causes.last().map(ToString::to_string).filter(|root| !detail.contains(root.as_str())) {
        detail = format!("{detail}: {root}");
    }
    let advice = match error {
        Error::NotFound { .. } => "there is no such object",
        Error::PermissionDenied { .. } => "access is denied: do the credentials fit, and may they read it?",
        Error::Unauthenticated { .. } => "credentials are missing or wrong",
        _ if METADATA_PATHS.iter().any(|path| detail.contains(path)) => {
            "the environment has no credentials, and this machine has none of its own"
        }
        _ if detail.contains(SCHEME_REFUSED) => {
            "the environment names an http:// address: AWS_ALLOW_HTTP=true, or AZURE_ALLOW_HTTP=true, allows that"
        }
        _ => match kind {
            Some(HttpErrorKind::Connect) => "storage cannot be reached: is the address right?",
            Some(HttpErrorKind::Timeout) => "storage does not answer in time",
            _ => "storage did not give it",
        },
    };
    let words: Vec<&str> = detail.split_whitespace().collect();
    let detail: String = words.join(" ").chars().take(DETAIL_CHARACTERS_MAX).collect();
    ObjectError(format!("{advice} ({detail})"))
}
