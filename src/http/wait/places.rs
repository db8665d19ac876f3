//! Places of those who wait: so many in all, and so many for each client without a key.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use crate::http::request::forwarded::Peer;
use crate::mutex;

/// Requests that may wait, over all threads.
const WAITS_MAX: usize = 10_000;
/// Those of one client without a key.
const WAITS_PER_CLIENT_MAX: usize = 20;

/// The places of all threads.
#[derive(Default)]
pub(crate) struct WaitPlaces(Mutex<Taken>);

#[derive(Default)]
struct Taken {
    all: usize,
    by_client: HashMap<u128, usize>,
}

/// A place that is taken, until it is dropped.
pub(crate) struct WaitPlace {
    places: Arc<WaitPlaces>,
    client: Option<u128>,
}

impl WaitPlaces {
    /// Takes a place, for a client if it has no key; `None` if there is none left.
    pub(crate) fn take(self: &Arc<WaitPlaces>, client: Option<Peer>) -> Option<WaitPlace> {
        let client = client.map(Peer::network_bits);
        let mut taken = mutex::lock(&self.0);
        if taken.all >= WAITS_MAX {
            return None;
        }
        if let Some(client) = client {
            let of_client = taken.by_client.entry(client).or_default();
            if *of_client >= WAITS_PER_CLIENT_MAX {
                return None;
            }
            *of_client += 1;
        }
        taken.all += 1;
        Some(WaitPlace { places: Arc::clone(self), client })
    }

    /// Number of places that are taken.
    pub(crate) fn taken(&self) -> usize {
        mutex::lock(&self.0).all
    }
}

impl Drop for WaitPlace {
    fn drop(&mut self) {
        let mut taken = mutex::lock(&self.places.0);
        taken.all -= 1;
        let Some(client) = self.client else { return };
        if let Some(of_client) = taken.by_client.get_mut(&client) {
            *of_client -= 1;
            if *of_client == 0 {
                taken.by_client.remove(&client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{IpAddr, Ipv6Addr};

    #[test]
    fn a_client_has_twenty_places_and_all_have_ten_thousand() {
        let places = Arc::new(WaitPlaces::default());
        let client = |network: u16, host: u16| {
            Some(Peer::Ip(IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, network, 0, 0, 0, host))))
        };
        let mut of_one: Vec<WaitPlace> = (0..20).map(|host| places.take(client(1, host)).unwrap()).collect();
        assert!(places.take(client(1, 99)).is_none());
        let others: Vec<WaitPlace> = (20..10_000).map(|_| places.take(None).unwrap()).collect();
        assert!(places.take(None).is_none() && places.take(client(2, 0)).is_none());
        assert_eq!(places.taken(), 10_000);
        of_one.pop();
        assert!(places.take(client(1, 99)).is_some());
        drop((of_one, others));
        assert_eq!((places.taken(), mutex::lock(&places.0).by_client.len()), (0, 0));
    }
}
