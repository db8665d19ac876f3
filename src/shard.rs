//! Sharding: a part of the shipments, where several processes share them.
//!
//! The shard of a shipment follows from the hash of its tracking number alone, so that a proxy or a client can compute
//! it too: XXH32 with seed 0 over the folded number's UTF-8, modulo the number of shards.

use std::fmt;
use std::str::FromStr;

use xxhash_rust::xxh32::xxh32;

use crate::shipment::FoldedKey;
use crate::truncate::truncate;

/// Characters of a tracking number that an error repeats.
const SHOWN_CHARS_MAX: usize = 100;

/// One of several shards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    index: u32,
    count: u32,
}

impl Shard {
    /// Creates shard `index`, from 0, of `count`. `None` unless `index` is below `count` and there are at least two.
    pub fn new(index: u32, count: u32) -> Option<Shard> {
        (count >= 2 && index < count).then_some(Shard { index, count })
    }

    /// Number of shards.
    pub fn count(self) -> u32 {
        self.count
    }

    /// Index of this shard, from 0.
    pub fn index(self) -> u32 {
        self.index
    }

    /// Returns whether the shipments with this number belong to this shard.
    pub fn has(self, number: &FoldedKey) -> bool {
        self.index_of(number) == self.index
    }

    fn index_of(self, number: &FoldedKey) -> u32 {
        xxh32(number.as_bytes(), 0) % self.count
    }

    /// Checks that the shipments with this number, spelled `spelled` by the client, belong to this shard.
    pub fn check(self, number: &FoldedKey, spelled: &str) -> Result<(), WrongShard> {
        if self.has(number) {
            return Ok(());
        }
        let (start, ellipsis) = truncate(spelled, SHOWN_CHARS_MAX);
        Err(WrongShard { number: format!("{start}{ellipsis}"), index: self.index_of(number), asked: self })
    }
}

/// Formats as on the command line: `0/4`.
impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Shard, String> {
        let number = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?;
        let (index, count) = text.split_once('/').ok_or("expected I/N, such as 0/4")?;
        let (Some(index), Some(count)) = (number(index), number(count)) else {
            return Err("expected two whole numbers, I/N, such as 0/4".to_owned());
        };
        Shard::new(index, count).ok_or_else(|| {
            if count < 2 {
                "there have to be 2 shards or more".to_owned()
            } else {
                format!("of {count} shards the last is {}: they are numbered from 0", count - 1)
            }
        })
    }
}

/// A tracking number belongs to another shard than the one that was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("tracking number {number} is on shard {index} of {}, this is shard {}", asked.count, asked.index)]
pub struct WrongShard {
    /// As the client spells it.
    number: String,
    /// Index of the shard that the number belongs to.
    index: u32,
    asked: Shard,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shard_is_one_of_two_or_more() {
        for good in ["0/2", "1/2", "3/4", "0/4294967295"] {
            assert_eq!(good.parse::<Shard>().map(|shard| shard.to_string()), Ok(good.to_owned()));
        }
        for wrong in
            ["", "0", "/", "0/", "/2", "0/0", "0/1", "1/1", "2/2", "-1/2", "+1/2", "0/+2", "a/2", "0/2/3", "0 / 2"]
        {
            assert!(wrong.parse::<Shard>().is_err(), "{wrong}");
        }
        assert_eq!("4/4".parse::<Shard>(), Err("of 4 shards the last is 3: they are numbered from 0".to_owned()));
    }

    /// The hashes are those of the reference implementation, `xxhsum -H32`.
    #[test]
    fn the_hash_of_the_folded_number_decides() {
        for (number, hash) in [("a", 0x550d_7456_u32), ("abc", 0x32d1_53ff)] {
            let shard = |count| Shard::new(hash % count, count).unwrap();
            for count in 2..9 {
                assert!(
                    shard(count).has(&FoldedKey::new(number))
                        && shard(count).has(&FoldedKey::new(&number.to_uppercase()))
                );
                let other = Shard::new((hash + 1) % count, count).unwrap();
                let error = other.check(&FoldedKey::new(number), " A").unwrap_err().to_string();
                let expected = format!(
                    "tracking number  A is on shard {} of {count}, this is shard {}",
                    hash % count,
                    other.index
                );
                assert_eq!(error, expected);
            }
        }
    }

    #[test]
    fn an_error_repeats_no_more_of_a_number_than_fits() {
        let number = "é".repeat(5000);
        let folded = FoldedKey::new(&number);
        let mut shards = (0..2).filter_map(|index| Shard::new(index, 2)?.check(&folded, &number).err());
        let error = shards.next().unwrap().to_string();
        assert!(error.contains(&format!(" {}… ", "é".repeat(SHOWN_CHARS_MAX))), "{error}");
    }
}
