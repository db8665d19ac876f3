//! `waybill key`: a new API key, and its line for the file of keys.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

use crate::cli::KeyArgs;
use crate::http::access::key::{self, Attributes};

/// Bytes of a key before it is encoded.
const KEY_BYTES: usize = 32;

/// Makes a key of 256 random bits. Returns it, and under it its line for the file of keys. The error is the system's, if
/// it has no random bits.
pub fn key(args: &KeyArgs) -> Result<String, getrandom::Error> {
    let mut bytes = [0; KEY_BYTES];
    getrandom::fill(&mut bytes)?;
    let key = BASE64_URL_SAFE_NO_PAD.encode(bytes);
    let attributes = Attributes { scopes: args.scope, rate: args.rate, expires: args.expires };
    let line = key::line(&args.name, &key, &attributes);
    Ok(format!("{key}\n{line}"))
}
