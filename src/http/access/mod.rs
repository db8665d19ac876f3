//! Who may ask what: tokens of operators, keys and their scopes, callers without a key, and how often each may ask.

mod clients;
pub mod credentials;
pub mod guesses;
pub mod key;
pub mod keys;
mod places;
pub mod public;
pub mod rate;
pub mod scope;
pub mod tokens;

use std::sync::Arc;
use std::time::Instant;

use hyper::HeaderMap;

use crate::http::request::forwarded::Peer;
use crate::http::request::route::RouteId;
use clients::Clients;
use guesses::{Guesses, PostcodeCounts, TooManyGuesses};
use key::Key;
use keys::ApiKeys;
use public::{Anonymous, Public, PublicView};
use rate::TooEarly;
use scope::Scope;

/// Lookups of a batch from a caller without a key, where such callers may only look up.
pub(crate) const ANONYMOUS_LOOKUPS_MAX: usize = 20;

/// Rules for callers, with and without keys.
pub struct Access {
    anonymous: Anonymous,
    /// The postcodes that callers without a key guess at, where they see a limited view.
    guesses: Option<Guesses>,
    /// Callers without a key, if they are limited.
    clients: Option<Clients>,
    /// Start of the clock of all buckets.
    started: Instant,
}

/// A request for data, as far as it matters who sent it.
pub(crate) struct DataRequest<'r> {
    /// Its route.
    pub(crate) route: RouteId,
    /// What the route needs a key to have, if anything.
    pub(crate) scope: Option<Scope>,
    /// Its header fields.
    pub(crate) headers: &'r HeaderMap,
    /// Tells who sent it. Not each request is asked: finding it in what proxies say takes time.
    pub(crate) client: &'r dyn Fn() -> Peer,
}

/// Who was admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Caller {
    /// Somebody without a key.
    Keyless,
    /// Somebody whose key has the name with this number in metrics.
    Key(usize),
}

/// A lookup by path, as far as it matters who sent it.
pub(crate) struct PlainLookup<'r> {
    /// The value of `X-API-Key`.
    pub(crate) api_key: Option<&'r [u8]>,
    /// The value of `Authorization`.
    pub(crate) authorization: Option<&'r [u8]>,
    /// Tells who sent it, unless proxies are to be asked.
    pub(crate) client: &'r dyn Fn() -> Option<Peer>,
    /// When it came.
    pub(crate) at: Instant,
}

impl PlainLookup<'_> {
    /// What it shows as a key.
    fn secret(&self) -> Option<&[u8]> {
        self.api_key.or_else(|| self.authorization.and_then(credentials::bearer_in))
    }
}

/// Whose key a request shows, and whether it may be answered.
pub(crate) struct Admission {
    /// The number of the key's name in metrics.
    pub(crate) key: Option<usize>,
    /// Who pays for its lookups, if it is a batch.
    pub(crate) payer: Result<Option<Payer>, Refusal>,
}

/// Who pays for the lookups of a batch, of which it is not known at first how many there are.
pub(crate) enum Payer {
    /// A caller without a key.
    Client(Peer),
    /// A key.
    Key(Arc<Key>),
}

/// Why a request is not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It needs a valid key.
    Unauthorized(&'static str),
    /// Its key lacks a scope.
    Forbidden(Scope),
    /// It came too early: a client's, or a key's.
    TooEarly {
        /// What the rate is for.
        of: RateOf,
        /// When it would have passed.
        early: TooEarly,
    },
    /// It shows a postcode after too many wrong ones.
    TooManyGuesses(TooManyGuesses),
}

/// What a rate is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RateOf {
    /// A client without a key.
    Client,
    /// A key.
    Key,
}

impl Access {
    /// Rules for callers without a key, and for those with one if there are keys. `None` where nothing is ruled out.
    pub fn new(has_keys: bool, public: &Public) -> Option<Access> {
        let Public { anonymous, view, rate } = *public;
        let is_needed = has_keys || anonymous != Anonymous::All || rate.is_some();
        is_needed.then(|| Access {
            anonymous,
            guesses: (view == PublicView::Limited).then(Guesses::new),
            clients: rate.map(Clients::new),
            started: Instant::now(),
        })
    }

    /// True if callers without a key see a limited view.
    pub(crate) fn limits_view(&self) -> bool {
        self.guesses.is_some()
    }

    /// Admits a postcode that `client` shows for shipments with the hashes `shipments`, unless there were too many wrong ones.
    pub(crate) fn admit_postcode(&self, client: Peer, shipments: &[u64], is_wrong: bool) -> Result<(), Refusal> {
        let Some(guesses) = &self.guesses else { return Ok(()) };
        guesses.admit(client, shipments, is_wrong, self.started.elapsed()).map_err(Refusal::TooManyGuesses)
    }

    /// How many postcodes were shown, where callers without a key see a limited view.
    pub(crate) fn postcode_counts(&self) -> Option<PostcodeCounts> {
        self.guesses.as_ref().map(Guesses::counts)
    }

    /// Decides about a request. A batch is charged later, but not let through where nothing is left at all.
    pub(crate) fn admit(&self, keys: Option<&ApiKeys>, request: &DataRequest<'_>) -> Admission {
        let of_caller = |payer| Admission { key: None, payer };
        let Some(keys) = keys else { return of_caller(self.admit_anonymous(request)) };
        let hash = match keys::shown(request.headers) {
            Ok(None) => return of_caller(self.admit_anonymous(request)),
            Ok(Some(hash)) => hash,
            Err(reason) => return of_caller(Err(self.invalid(request, reason))),
        };
        let table = keys.current();
        match table.find(&hash) {
            None => of_caller(Err(self.invalid(request, "the key is not valid"))),
            Some(key) => Admission { key: Some(key.name_number), payer: self.admit_key(key, request) },
        }
    }

    /// Admits a lookup by path, and charges for it, where nothing speaks against that. Else it is for [`Access::admit`] to
    /// decide, and nothing has been charged.
    #[inline]
    pub(crate) fn admit_lookup(&self, keys: Option<&ApiKeys>, lookup: &PlainLookup<'_>) -> Option<Caller> {
        if let (Some(keys), Some(secret)) = (keys, lookup.secret()) {
            let table = keys.current();
            let key =
                table.find(&credentials::hash(secret)).filter(|key| !key.has_expired() && key.may(Scope::Lookup))?;
            self.charge_key(key, 1, false).ok()?;
            return Some(Caller::Key(key.name_number));
        }
        let may = self.anonymous != Anonymous::None && !self.limits_view();
        if let Some(clients) = self.clients.as_ref().filter(|_| may) {
            let now_ns = lookup.at.saturating_duration_since(self.started).as_nanos() as u64;
            clients.take((lookup.client)()?, 1, now_ns).ok()?;
        }
        may.then_some(Caller::Keyless)
    }

    fn admit_key(&self, key: &Arc<Key>, request: &DataRequest<'_>) -> Result<Option<Payer>, Refusal> {
        if key.has_expired() {
            return Err(self.invalid(request, "the key has expired"));
        }
        if let Some(scope) = request.scope.filter(|scope| !key.may(*scope)) {
            self.charge_key(key, 1, false)?;
            return Err(Refusal::Forbidden(scope));
        }
        let is_batch = request.route == RouteId::BatchLookup;
        self.charge_key(key, 1, is_batch)?;
        Ok(is_batch.then(|| Payer::Key(Arc::clone(key))))
    }

    fn admit_anonymous(&self, request: &DataRequest<'_>) -> Result<Option<Payer>, Refusal> {
        let is_batch = request.route == RouteId::BatchLookup;
        let may = match self.anonymous {
            Anonymous::All => true,
            Anonymous::Lookup => is_batch || matches!(request.scope, None | Some(Scope::Lookup)),
            Anonymous::None => false,
        };
        if !may {
            return Err(Refusal::Unauthorized("a key is needed: Authorization: Bearer KEY, or X-API-Key: KEY"));
        }
        self.charge_client(request.client, 1, is_batch)?;
        Ok(is_batch.then(|| Payer::Client((request.client)())))
    }

    /// What becomes of a request with a key that cannot be used: its client pays for it, so that nobody tries many.
    fn invalid(&self, request: &DataRequest<'_>, reason: &'static str) -> Refusal {
        self.charge_client(request.client, 1, false).err().unwrap_or(Refusal::Unauthorized(reason))
    }

    /// Charges for the lookups of a batch.
    pub(crate) fn charge_batch(&self, payer: &Payer, lookups: usize) -> Result<(), Refusal> {
        let cost = u32::try_from(lookups).unwrap_or(u32::MAX).max(1);
        match payer {
            Payer::Client(client) if self.anonymous == Anonymous::Lookup && lookups > ANONYMOUS_LOOKUPS_MAX => {
                self.charge_client(|| *client, 1, false)?;
                Err(Refusal::Unauthorized("a key is needed for more than 20 lookups in a batch"))
            }
            Payer::Client(client) => self.charge_client(|| *client, cost, false),
            Payer::Key(key) => self.charge_key(key, cost, false),
        }
    }

    fn charge_client(&self, client: impl Fn() -> Peer, cost: u32, only_check: bool) -> Result<(), Refusal> {
        let Some(clients) = &self.clients else { return Ok(()) };
        let charge = if only_check { Clients::check } else { Clients::take };
        let charged = charge(clients, client(), cost, self.now_ns());
        charged.map_err(|early| Refusal::TooEarly { of: RateOf::Client, early })
    }

    fn charge_key(&self, key: &Key, cost: u32, only_check: bool) -> Result<(), Refusal> {
        let charge = if only_check { Key::check } else { Key::take };
        // The clock is looked at only for keys with a rate.
        let charged = if key.has_rate() { charge(key, cost, self.now_ns()) } else { Ok(()) };
        charged.map_err(|early| Refusal::TooEarly { of: RateOf::Key, early })
    }

    fn now_ns(&self) -> u64 {
        self.started.elapsed().as_nanos() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{IpAddr, Ipv4Addr};

    #[test]
    fn a_lookup_that_comes_too_early_is_left_to_be_refused_and_not_charged() {
        let public = Public { rate: Some("1/s,burst=3".parse().unwrap()), ..Public::default() };
        let access = Access::new(false, &public).unwrap();
        let client = &|| Some(Peer::Ip(IpAddr::V4(Ipv4Addr::LOCALHOST)));
        let lookup = PlainLookup { api_key: Some(b"any"), authorization: None, client, at: Instant::now() };
        for _ in 0..3 {
            assert_eq!(access.admit_lookup(None, &lookup), Some(Caller::Keyless));
        }
        for _ in 0..3 {
            assert_eq!(access.admit_lookup(None, &lookup), None);
        }
        let in_time = PlainLookup { at: lookup.at + std::time::Duration::from_secs(1), ..lookup };
        assert_eq!(access.admit_lookup(None, &in_time), Some(Caller::Keyless));
        // Whom proxies speak for is not found here.
        let proxied = PlainLookup { client: &|| None, ..in_time };
        assert_eq!(access.admit_lookup(None, &proxied), None);
    }
}
