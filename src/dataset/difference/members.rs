//! The members of a shipment on the wire: which of them differ, from another record or from what was noted of one.

use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use crate::dataset::outline::RecordCursor;
use crate::dataset::output::{Size, Text};
use crate::dataset::record::{Article, Parsed, Record};
use crate::stages::Stage;

/// Bytes of articles that are rendered at a time to be hashed.
const PART_BYTES: usize = 64 << 10;

/// Member of a shipment on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Member {
    /// Tracking number: its spelling can differ.
    TrackingNumber,
    /// Carrier: its spelling can differ.
    Carrier,
    /// Status.
    Status,
    /// Stage of the status: it can differ by the map of statuses alone.
    Stage,
    /// Address of the sender.
    SenderAddress,
    /// Address of the receiver.
    ReceiverAddress,
    /// All articles.
    Articles,
}

impl Member {
    /// All members, in wire order.
    pub const ALL: [Member; 7] = [
        Member::TrackingNumber,
        Member::Carrier,
        Member::Status,
        Member::Stage,
        Member::SenderAddress,
        Member::ReceiverAddress,
        Member::Articles,
    ];

    /// Name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Member::TrackingNumber => "tracking_number",
            Member::Carrier => "carrier",
            Member::Status => "status",
            Member::Stage => "stage",
            Member::SenderAddress => "sender_address",
            Member::ReceiverAddress => "receiver_address",
            Member::Articles => "articles",
        }
    }
}

/// Set of members.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Members(u8);

impl Members {
    /// The members for which `is_one` holds.
    fn with(is_one: impl Fn(Member) -> bool) -> Members {
        Members(Member::ALL.into_iter().filter(|member| is_one(*member)).map(|member| 1 << member as u8).sum())
    }

    /// Returns whether there is none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The members, in wire order.
    pub fn iter(self) -> impl Iterator<Item = Member> {
        Member::ALL.into_iter().filter(move |member| self.0 & 1 << *member as u8 != 0)
    }
}

/// Hashes of all members of a shipment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hashes {
    /// Half of the hash of each member.
    members: [u32; Member::ALL.len()],
    /// The other halves together: members that differ are told apart from equal ones by as much as 64 bits.
    rest: u32,
}

impl Hashes {
    /// Hashes the members of `record`. `scratch` is memory to render in.
    pub(super) fn of(record: &Record<'_>, scratch: &mut Vec<u8>) -> Hashes {
        let (parsed, dictionaries) = (record.parse(), record.dictionaries());
        let mut rest = 0_u32;
        let members = Member::ALL.map(|member| {
            let hash = match member {
                Member::TrackingNumber => xxh3_64(parsed.number.bytes()),
                Member::Carrier => xxh3_64(dictionaries.carriers.get(parsed.carrier)),
                Member::Status => xxh3_64(dictionaries.escaped_status(parsed.status)),
                Member::Stage => xxh3_64(dictionaries.stage(parsed.status).map_or("", Stage::name).as_bytes()),
                Member::SenderAddress => xxh3_64(&record.escaped_address(parsed.sender)),
                Member::ReceiverAddress => xxh3_64(&record.escaped_address(parsed.receiver)),
                Member::Articles => hash_of_articles(*record, &parsed, scratch),
            };
            rest = rest.rotate_left(5) ^ (hash >> u32::BITS) as u32;
            hash as u32
        });
        Hashes { members, rest }
    }

    /// The members that differ from those with hashes `other`: all of them where it is not known which.
    pub(super) fn differing(&self, other: &Hashes) -> Members {
        let differs = |member| self.members[member as usize] != other.members[member as usize];
        let members = Members::with(differs);
        if members.is_empty() && self.rest != other.rest { Members::with(|_| true) } else { members }
    }
}

fn hash_of_articles(record: Record<'_>, parsed: &Parsed<'_>, scratch: &mut Vec<u8>) -> u64 {
    let mut head = Size::default();
    record.write_head(parsed, &mut head);
    scratch.clear();
    let mut cursor = RecordCursor::default();
    if cursor.render(record, scratch, PART_BYTES) {
        return xxh3_64(&scratch[head.bytes()..]);
    }
    let mut hasher = Xxh3::new();
    hasher.update(&scratch[head.bytes()..]);
    loop {
        scratch.clear();
        let is_whole = cursor.render(record, scratch, PART_BYTES);
        hasher.update(scratch);
        if is_whole {
            return hasher.digest();
        }
    }
}

impl Record<'_> {
    /// The members that render differently in `other`, which may be of another dataset.
    pub(in crate::dataset) fn differing(&self, other: &Record<'_>) -> Members {
        let (mine, theirs) = (self.dictionaries(), other.dictionaries());
        let (record, old) = (self.parse(), other.parse());
        let same_address = |address: (Text<'_>, u32), old: (Text<'_>, u32)| {
            let is_split_alike =
                address.0.bytes() == old.0.bytes() && mine.tails.get(address.1) == theirs.tails.get(old.1);
            is_split_alike || self.escaped_address(address) == other.escaped_address(old)
        };
        let same_articles = || {
            let (mut cursor, mut old_cursor) = (record.first_article, old.first_article);
            record.articles == old.articles
                && (0..record.articles).all(|_| {
                    let (article, old) = (Article::parse(&mut cursor), Article::parse(&mut old_cursor));
                    article.renders_as(mine, &old, theirs)
                })
        };
        Members::with(|member| match member {
            Member::TrackingNumber => record.number.bytes() != old.number.bytes(),
            Member::Carrier => mine.carriers.get(record.carrier) != theirs.carriers.get(old.carrier),
            Member::Status => mine.escaped_status(record.status) != theirs.escaped_status(old.status),
            Member::Stage => mine.stage(record.status) != theirs.stage(old.status),
            Member::SenderAddress => !same_address(record.sender, old.sender),
            Member::ReceiverAddress => !same_address(record.receiver, old.receiver),
            Member::Articles => !same_articles(),
        })
    }
}

/// Texts of a shipment as the file spells them, JSON-escaped.
impl<'a> Record<'a> {
    /// Tracking number.
    pub(crate) fn escaped_number(&self) -> &'a [u8] {
        self.parse().number.bytes()
    }

    /// Carrier.
    pub(crate) fn escaped_carrier(&self) -> &'a [u8] {
        self.dictionaries().carriers.get(self.parse().carrier)
    }

    /// Status.
    pub(crate) fn escaped_status(&self) -> &'a [u8] {
        self.dictionaries().escaped_status(self.parse().status)
    }
}
