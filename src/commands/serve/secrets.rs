//! Files of secrets, read before anything is listened on.

use super::error::ServeError;
use crate::config::Settings;
use crate::http::credentials::Credentials;
use crate::http::tls::Tls;

/// Certificates, tokens and keys, those that the settings name.
pub struct Secrets {
    pub(super) tls: Option<Tls>,
    pub(super) admin_tokens: Option<Credentials>,
    pub(super) api_keys: Option<Credentials>,
}

impl Secrets {
    /// Reads the files that the settings name.
    pub fn read(settings: &Settings) -> Result<Secrets, ServeError> {
        let tls = settings.tls.as_ref().map(|(certificate, key)| Tls::load(certificate, key)).transpose()?;
        let admin_tokens = settings.admin_token_file.as_deref().map(Credentials::tokens).transpose()?;
        let api_keys = settings.api_keys_file.as_deref().map(Credentials::keys).transpose()?;
        Ok(Secrets { tls, admin_tokens, api_keys })
    }
}
