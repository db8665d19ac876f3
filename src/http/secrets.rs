//! Certificates, admin tokens and API keys: one list of what comes from files of secrets and is read again together.

use std::path::Path;
use std::sync::{Arc, Mutex};

use crate::http::access::credentials::CredentialsError;
use crate::http::access::keys::ApiKeys;
use crate::http::access::tokens::AdminTokens;
use crate::http::tls::{Tls, TlsError};
use crate::mutex;
use crate::source::Stamp;

/// The secrets of a server, as their files had them when they were last read. None of them need be there.
#[derive(Default)]
pub struct Secrets {
    /// Certificates and key of the public listener, where TLS is enabled.
    pub certificates: Option<Arc<Tls>>,
    /// Tokens that POST requests to the admin listener need.
    pub admin_tokens: Option<AdminTokens>,
    /// Keys of callers.
    pub api_keys: Option<ApiKeys>,
    /// The names of those that could not be read again.
    unread: Mutex<Vec<&'static str>>,
}

/// Why secrets cannot be used.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub enum SecretsError {
    /// Certificates or their key.
    Tls(#[from] TlsError),
    /// Tokens or keys.
    Credentials(#[from] CredentialsError),
}

impl Secrets {
    /// Reads what is named: certificates and their key, tokens, keys.
    pub fn load(
        certificates: Option<(&Path, &Path)>,
        admin_tokens: Option<&Path>,
        api_keys: Option<&Path>,
    ) -> Result<Secrets, SecretsError> {
        Ok(Secrets {
            certificates: certificates.map(|(chain, key)| Tls::load(chain, key).map(Arc::new)).transpose()?,
            admin_tokens: admin_tokens.map(AdminTokens::load).transpose()?,
            api_keys: api_keys.map(ApiKeys::load).transpose()?,
            unread: Mutex::default(),
        })
    }

    /// Reads all files again. Those that cannot be used are logged, and the secrets read before stay valid.
    pub fn reload(&self) {
        let results: Vec<_> = self.files().map(|files| (files.name, (files.reload)())).collect();
        let unread = results.iter().filter(|(_, result)| result.is_err()).map(|(name, _)| *name).collect();
        // Before the log says so: a reader of the log finds it in the metrics.
        *mutex::lock(&self.unread) = unread;
        for (name, result) in results {
            match result {
                Ok(()) => tracing::info!("{name} read again"),
                Err(error) => {
                    let error = format!("{:#}", anyhow::Error::from(error));
                    tracing::error!(error, "{name} not read again; those from before still hold");
                }
            }
        }
    }

    /// The states of all files, which change when one of them does.
    pub fn stamps(&self) -> Vec<Option<Stamp>> {
        self.files().flat_map(|files| files.paths).map(|path| Stamp::at(path).ok()).collect()
    }

    /// The kinds of secrets that could not be read again when that was last tried.
    pub(crate) fn unread(&self) -> Vec<&'static str> {
        mutex::lock(&self.unread).clone()
    }

    /// The kinds of secrets that there are, and whether each could be read when that was last tried.
    pub(crate) fn last_read(&self) -> Vec<(&'static str, bool)> {
        let unread = mutex::lock(&self.unread);
        self.files().map(|files| (files.name, !unread.contains(&files.name))).collect()
    }

    fn files(&self) -> impl Iterator<Item = Files<'_>> {
        let certificates = self.certificates.as_deref().map(Files::of_tls);
        let tokens = self.admin_tokens.as_ref().map(Files::of_tokens);
        let keys = self.api_keys.as_ref().map(Files::of_keys);
        [certificates, tokens, keys].into_iter().flatten()
    }
}

/// Files of secrets.
struct Files<'s> {
    /// Their name in metrics and the log.
    name: &'static str,
    paths: Vec<&'s Path>,
    reload: Box<dyn Fn() -> Result<(), SecretsError> + 's>,
}

impl<'s> Files<'s> {
    fn of_tls(tls: &'s Tls) -> Files<'s> {
        Files { name: "certificates", paths: tls.paths().to_vec(), reload: Box::new(|| Ok(tls.reload()?)) }
    }

    fn of_tokens(tokens: &'s AdminTokens) -> Files<'s> {
        Files { name: "tokens", paths: vec![tokens.path()], reload: Box::new(|| Ok(tokens.reload()?)) }
    }

    fn of_keys(keys: &'s ApiKeys) -> Files<'s> {
        Files { name: "keys", paths: vec![keys.path()], reload: Box::new(|| Ok(keys.reload()?)) }
    }
}
