//! A client of the storage that an object is in, for threads that may wait.

use std::error::Error as _;
use std::io::{self, Read};
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

/// Time to connect, names looked up and TLS agreed on.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Time in which storage must answer, and then send some more. A large object as a whole may take as long as it takes.
const READ_TIMEOUT: Duration = Duration::from_secs(10);
/// Time for a look, all in all: what is asked of the loader meanwhile has to wait.
const LOOK_TIMEOUT: Duration = Duration::from_secs(5);
/// How often a request that failed is made again, or a transfer that broke off is gone on with.
const RETRIES_MAX: usize = 3;
/// No more of that when so much time has passed.
const RETRY_TIMEOUT: Duration = Duration::from_secs(10);
/// How often a transfer is gone on with that this does not help: the time above counts from its start.
const RESUMES_MAX: usize = 3;
/// Time before the first of that; it grows.
const BACKOFF_MIN: Duration = Duration::from_millis(100);
/// Time before the last of that, at most.
const BACKOFF_MAX: Duration = Duration::from_secs(2);
/// Characters that are reported of what storage says of an error.
const DETAIL_CHARACTERS_MAX: usize = 400;

/// Where credentials are asked for that the environment has not: in requests to these.
const METADATA_PATHS: [&str; 3] = ["/latest/api/token", "/computeMetadata/", "/metadata/identity/"];

/// What the HTTP client says of addresses that are not secured.
const SCHEME_REFUSED: &str = "URL scheme is not allowed";

pub(super) struct Client {
    /// With a thread of its own, on which more arrives while what came is parsed.
    runtime: Runtime,
    store: Box<dyn ObjectStore>,
    key: Path,
}

impl Client {
    /// Of the storage that `url` and the environment name.
    pub(super) fn new(url: &ObjectUrl) -> Result<Client, ObjectError> {
        static TLS: Once = Once::new();
        TLS.call_once(|| {
            // Another one may have been installed before; it is as good.
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

    pub(super) fn look(&self, known: Option<&State>) -> Result<State, ObjectError> {
        let tag = known.and_then(|known| known.tag.as_deref().map(str::to_owned));
        let options = GetOptions { head: true, if_none_match: tag, ..GetOptions::default() };
        let answer = self.runtime.block_on(async {
            let request = self.store.get_opts(&self.key, options);
            tokio::time::timeout(LOOK_TIMEOUT, request).await
        });
        match (answer, known) {
            (Err(_), _) => Err(ObjectError(format!("no answer within {LOOK_TIMEOUT:?}"))),
            (Ok(Err(Error::NotModified { .. })), Some(known)) => Ok(known.clone()),
            (Ok(Err(error)), _) => Err(explain(&error)),
            (Ok(Ok(answer)), _) => Ok(state(&answer.meta)),
        }
    }

    pub(super) fn open(this: &Arc<Client>) -> Result<(State, Body), ObjectError> {
        let answer = this.runtime.block_on(this.store.get_opts(&this.key, GetOptions::default()));
        let answer = answer.map_err(|error| explain(&error))?;
        let state = state(&answer.meta);
        let body = Body {
            stream: answer.into_stream(),
            unread: Bytes::new(),
            bytes: state.bytes,
            bytes_received: 0,
            tag: state.tag.clone(),
            resumes: 0,
            client: Arc::clone(this),
        };
        Ok((state, body))
    }
}

fn state(meta: &ObjectMeta) -> State {
    let modified = (meta.last_modified.timestamp(), i64::from(meta.last_modified.timestamp_subsec_nanos()));
    State { bytes: meta.size, tag: meta.e_tag.as_deref().map(Arc::from), modified }
}

/// What an object holds, as it arrives. It is a whole one, or reading it ends with an error.
pub(in crate::source) struct Body {
    stream: BoxStream<'static, object_store::Result<Bytes>>,
    unread: Bytes,
    /// As announced.
    bytes: u64,
    bytes_received: u64,
    /// Of the state that arrives.
    tag: Option<Arc<str>>,
    /// How often it was gone on with.
    resumes: usize,
    /// What drives the stream; dropped after it.
    client: Arc<Client>,
}

impl Body {
    /// Waits for more, or for it to be gone on with; `false` at the end.
    fn receive(&mut self) -> Result<bool, ObjectError> {
        let (received, bytes) = (self.bytes_received, self.bytes);
        match self.client.runtime.block_on(self.stream.next()) {
            Some(Ok(more)) => {
                self.bytes_received += more.len() as u64;
                self.unread = more;
                if self.bytes_received > bytes {
                    return Err(ObjectError(format!("more came than the {bytes} bytes that were announced")));
                }
                Ok(true)
            }
            Some(Err(_)) if self.is_resumed() => Ok(true),
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
    /// Goes on where a transfer broke off, if the object is the same still; whether it does.
    fn is_resumed(&mut self) -> bool {
        let Some(tag) = self.tag.as_deref().filter(|_| self.resumes < RESUMES_MAX) else { return false };
        self.resumes += 1;
        let range = Some(GetRange::Offset(self.bytes_received));
        let options = GetOptions { range, if_match: Some(tag.to_owned()), ..GetOptions::default() };
        let answer = self.client.runtime.block_on(self.client.store.get_opts(&self.client.key, options));
        let answer = answer.ok().filter(|answer| answer.meta.e_tag.as_deref() == Some(tag));
        let is_there = answer.is_some();
        if let Some(answer) = answer {
            self.stream = answer.into_stream();
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

/// The storage of `url`, with what the environment says of its kind.
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

/// What failed, and what may help, in one line.
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
