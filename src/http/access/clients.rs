//! The buckets of clients without a key, in a table of a fixed size.
//!
//! Each client has its place in one set of a few; where a set is full, the client that has used least of its rate gives
//! its place away, and begins anew when it comes back. Libraries for rate limits keep an entry for each client that ever
//! came until they are told to look for old ones, which a client with many addresses can make grow between two looks.

use std::hash::BuildHasher;
use std::sync::Mutex;

use foldhash::quality::RandomState;

use crate::http::access::places;
use crate::http::access::rate::{Bucket, Rate, TooEarly};
use crate::http::request::forwarded::Peer;
use crate::mutex;

/// Clients that share one lock, and one pair of cache lines.
const PLACES: usize = 7;
/// Sets of the table, which then takes 1 MiB.
const SETS: usize = 8192;

/// A client's place. The hash of its address stands for it.
#[derive(Clone, Copy, Default)]
struct Place {
    client: u64,
    bucket: Bucket,
}

#[derive(Default)]
#[repr(align(128))]
struct Set(Mutex<[Place; PLACES]>);

/// The buckets of clients.
pub(super) struct Clients {
    rate: Rate,
    sets: Box<[Set]>,
    /// Seeded at random, so that nobody can choose addresses that share a set.
    hasher: RandomState,
}

impl Clients {
    /// A table of clients that may send at `rate`.
    pub(super) fn new(rate: Rate) -> Clients {
        let sets = std::iter::repeat_with(Set::default).take(SETS).collect();
        Clients { rate, sets, hasher: RandomState::default() }
    }

    /// Takes `cost` from the bucket of `client`.
    pub(super) fn take(&self, client: Peer, cost: u32, now_ns: u64) -> Result<(), TooEarly> {
        self.with_bucket(client, |bucket| bucket.take(self.rate, cost, now_ns))
    }

    /// Whether `cost` could be taken.
    pub(super) fn check(&self, client: Peer, cost: u32, now_ns: u64) -> Result<(), TooEarly> {
        self.with_bucket(client, |bucket| bucket.check(self.rate, cost, now_ns))
    }

    #[inline]
    fn with_bucket<T>(&self, client: Peer, act: impl FnOnce(&mut Bucket) -> T) -> T {
        let client = self.hasher.hash_one(client.network_bits());
        let mut places = mutex::lock(&self.sets[client as usize % SETS].0);
        let anew = Place { client, bucket: Bucket::default() };
        let place = places::own_or_least(&mut *places, |place| place.client == client, |place| place.bucket, anew);
        act(&mut place.bucket)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{IpAddr, Ipv4Addr};
    use std::thread;

    fn peer(number: u32) -> Peer {
        Peer::Ip(IpAddr::V4(Ipv4Addr::from_bits(number)))
    }

    fn clients(rate: &str) -> Clients {
        Clients::new(rate.parse().unwrap())
    }

    #[test]
    fn each_client_has_a_bucket_of_its_own() {
        let clients = clients("1/s,burst=2");
        for client in [peer(1), peer(2), Peer::Unix] {
            assert!(clients.take(client, 1, 10).is_ok() && clients.check(client, 1, 10).is_ok());
            assert!(clients.take(client, 1, 10).is_ok() && clients.check(client, 1, 10).is_err());
            assert!(clients.take(client, 1, 10).is_err());
        }
    }

    #[test]
    fn more_clients_than_places_forget_no_one_who_is_in_debt_and_take_no_memory() {
        let clients = clients("1/s,burst=100");
        let greedy = peer(7);
        assert!(clients.take(greedy, 100, 10).is_ok());
        for other in 1000..1000 + (SETS * PLACES * 3) as u32 {
            assert!(clients.take(peer(other), 1, 10).is_ok());
        }
        assert!(clients.take(greedy, 1, 10).is_err());
    }

    #[test]
    fn threads_together_pass_no_more_than_one_would() {
        let clients = clients("1/s,burst=1000");
        let passed: usize = thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| (0..1000).filter(|_| clients.take(peer(1), 1, 10).is_ok()).count()))
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(passed, 1000);
    }
}
