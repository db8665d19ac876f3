//! Guessing at postcodes: how many wrong ones a client may show for a shipment, and in all, and all clients for one
//! shipment, within an hour.
//!
//! The table has a fixed size. Where a set of places is full, the subject with the fewest wrong postcodes gives its place
//! away: nobody is freed of a limit that he has reached by filling it with others who have not.

use std::hash::{BuildHasher, RandomState};
use std::sync::Mutex;
use std::time::Duration;

use super::places;
use crate::http::request::forwarded::Peer;
use crate::mutex;

/// Time after the first wrong postcode in which others count with it, in seconds.
pub(crate) const WINDOW_S: u32 = 3600;
/// Wrong postcodes of a client for one shipment.
const OF_CLIENT_AND_SHIPMENT_MAX: u32 = 5;
/// Wrong postcodes of a client.
const OF_CLIENT_MAX: u32 = 20;
/// Wrong postcodes of all clients for one shipment.
const OF_SHIPMENT_MAX: u32 = 100;
/// Places of a set.
const PLACES: usize = 8;
/// Sets of the table, which then takes 4 MiB.
const SETS: usize = 32768;

/// Whose wrong postcodes are counted together. A shipment is a hash of its number and carrier.
#[derive(Clone, Copy, Hash)]
enum Subject {
    ClientAndShipment(Peer, u64),
    Client(Peer),
    Shipment(u64),
}

impl Subject {
    fn guesses_max(self) -> u32 {
        match self {
            Subject::ClientAndShipment(..) => OF_CLIENT_AND_SHIPMENT_MAX,
            Subject::Client(_) => OF_CLIENT_MAX,
            Subject::Shipment(_) => OF_SHIPMENT_MAX,
        }
    }
}

/// A subject's place: the hash of it stands for it.
#[derive(Clone, Copy, Default)]
struct Place {
    subject: u64,
    /// Second of the first wrong postcode.
    since_s: u32,
    guesses: u32,
}

/// A client, or a shipment, is over a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooManyGuesses {
    /// The limit.
    pub guesses_max: u32,
    /// Time after which it begins anew.
    pub wait: Duration,
}

/// How many postcodes were shown, by what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PostcodeCounts {
    /// Right ones.
    pub(crate) verified: u64,
    /// Wrong ones.
    pub(crate) wrong: u64,
    /// Those that were not compared, after too many wrong ones.
    pub(crate) refused: u64,
}

struct Table {
    sets: Box<[[Place; PLACES]]>,
    counts: PostcodeCounts,
}

/// The wrong postcodes of the last hour.
pub(super) struct Guesses {
    table: Mutex<Table>,
    /// Seeded at random, so that nobody can choose subjects that share a set.
    hasher: RandomState,
}

impl Guesses {
    pub(super) fn new() -> Guesses {
        let sets = vec![[Place::default(); PLACES]; SETS].into_boxed_slice();
        let table = Table { sets, counts: PostcodeCounts::default() };
        Guesses { table: Mutex::new(table), hasher: RandomState::new() }
    }

    /// How many postcodes were shown until now.
    pub(super) fn counts(&self) -> PostcodeCounts {
        mutex::lock(&self.table).counts
    }

    /// Admits a postcode that `client` shows for `shipments` at the time `now`, where neither is over a limit. Counts it if it
    /// `is_wrong`.
    pub(super) fn admit(
        &self,
        client: Peer,
        shipments: &[u64],
        is_wrong: bool,
        now: Duration,
    ) -> Result<(), TooManyGuesses> {
        let now_s = now.as_secs() as u32;
        let of_shipment =
            |shipment: &u64| [Subject::ClientAndShipment(client, *shipment), Subject::Shipment(*shipment)];
        let of_shipments = shipments.iter().flat_map(of_shipment);
        let subjects = std::iter::once(Subject::Client(client)).chain(of_shipments);
        // One lock for all of it: no two requests together guess once more than they may.
        let Table { sets, counts } = &mut *mutex::lock(&self.table);
        for subject in subjects.clone() {
            let hash = self.hasher.hash_one(subject);
            let place = set(sets, hash).iter().find(|place| place.subject == hash && !place.is_over(now_s));
            if let Some(place) = place.filter(|place| place.guesses >= subject.guesses_max()) {
                counts.refused += 1;
                return Err(TooManyGuesses { guesses_max: subject.guesses_max(), wait: place.time_left(now_s) });
            }
        }
        *(if is_wrong { &mut counts.wrong } else { &mut counts.verified }) += 1;
        if is_wrong {
            for subject in subjects {
                let hash = self.hasher.hash_one(subject);
                count(set(sets, hash), hash, now_s);
            }
        }
        Ok(())
    }
}

impl Place {
    /// True if the hour is over, so that it counts no more.
    fn is_over(self, now_s: u32) -> bool {
        now_s.saturating_sub(self.since_s) >= WINDOW_S
    }

    fn time_left(self, now_s: u32) -> Duration {
        Duration::from_secs(u64::from((self.since_s + WINDOW_S).saturating_sub(now_s)))
    }
}

fn set(sets: &mut [[Place; PLACES]], hash: u64) -> &mut [Place; PLACES] {
    &mut sets[hash as usize % SETS]
}

/// Counts a wrong postcode of the subject with this hash.
fn count(places: &mut [Place; PLACES], hash: u64, now_s: u32) {
    let is_own = |place: &Place| place.subject == hash && !place.is_over(now_s);
    let weight = |place: &Place| if place.is_over(now_s) { 0 } else { place.guesses };
    let anew = Place { subject: hash, since_s: now_s, guesses: 0 };
    places::own_or_least(places, is_own, weight, anew).guesses += 1;
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{IpAddr, Ipv4Addr};
    use std::thread;

    const HOUR: Duration = Duration::from_hours(1);

    fn peer(number: u32) -> Peer {
        Peer::Ip(IpAddr::V4(Ipv4Addr::from_bits(number)))
    }

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// How many wrong postcodes pass of a client for each of `shipments` in turn.
    fn passed(guesses: &Guesses, client: Peer, shipments: impl IntoIterator<Item = u64>) -> usize {
        let wrong = |shipment| guesses.admit(client, &[shipment], true, at(10)).is_ok();
        shipments.into_iter().map(wrong).filter(|is_ok| *is_ok).count()
    }

    #[test]
    fn a_client_has_five_for_a_shipment_and_twenty_in_all() {
        let guesses = Guesses::new();
        assert_eq!(passed(&guesses, peer(1), [7; 8]), 5);
        // The right one does not pass then either, and others are as free as before.
        let refused = guesses.admit(peer(1), &[7], false, at(70)).unwrap_err();
        assert_eq!((refused.guesses_max, refused.wait), (5, at(3540)));
        assert!(
            guesses.admit(peer(1), &[8], false, at(70)).is_ok() && guesses.admit(peer(2), &[7], false, at(70)).is_ok()
        );
        assert_eq!(passed(&guesses, peer(1), 100..200), 15);
        let refused = guesses.admit(peer(1), &[999], false, at(70)).unwrap_err();
        assert_eq!(refused.guesses_max, 20);
    }

    #[test]
    fn all_clients_together_have_a_hundred_for_a_shipment() {
        let guesses = Guesses::new();
        assert_eq!((0..200).map(|client| passed(&guesses, peer(client), [7])).sum::<usize>(), 100);
        assert_eq!(guesses.admit(peer(1000), &[7], false, at(10)).unwrap_err().guesses_max, 100);
        assert!(guesses.admit(peer(1000), &[7, 8], false, at(10)).is_err());
        assert!(guesses.admit(peer(1000), &[8], false, at(10)).is_ok());
    }

    #[test]
    fn after_an_hour_it_begins_anew() {
        let guesses = Guesses::new();
        assert_eq!(passed(&guesses, peer(1), [7; 8]), 5);
        assert!(guesses.admit(peer(1), &[7], true, at(9) + HOUR).is_err());
        for _ in 0..5 {
            assert!(guesses.admit(peer(1), &[7], true, at(10) + HOUR).is_ok());
        }
        assert!(guesses.admit(peer(1), &[7], true, at(10) + HOUR).is_err());
    }

    #[test]
    fn a_postcode_for_several_shipments_is_one_of_the_client_and_one_of_each() {
        let guesses = Guesses::new();
        for _ in 0..5 {
            assert!(guesses.admit(peer(1), &[1, 2, 3], true, at(10)).is_ok());
        }
        assert!(guesses.admit(peer(1), &[3], true, at(10)).is_err());
        assert_eq!(passed(&guesses, peer(1), 100..200), 15);
    }

    #[test]
    fn right_postcodes_cost_nothing() {
        let guesses = Guesses::new();
        for _ in 0..1000 {
            assert!(guesses.admit(peer(1), &[1], false, at(10)).is_ok());
        }
    }

    #[test]
    fn a_flood_of_other_subjects_frees_none_that_is_over_its_limit() {
        let guesses = Guesses::new();
        assert_eq!(passed(&guesses, peer(1), [7; 8]), 5);
        for client in 1000..1000 + (SETS * PLACES) as u32 {
            assert!(guesses.admit(peer(client), &[u64::from(client)], true, at(11)).is_ok());
        }
        assert!(guesses.admit(peer(1), &[7], false, at(12)).is_err());
    }

    #[test]
    fn threads_together_guess_no_more_than_one() {
        let guesses = Guesses::new();
        let together: usize = thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| passed(&guesses, peer(1), [7; 50]))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(together, 5);
    }
}
