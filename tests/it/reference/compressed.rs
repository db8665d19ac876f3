//! Compressed files, as other programs write them.

use std::io::Write;

use flate2::{Compression, GzBuilder};
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// A gzip member, with a name and a comment in its head as some programs write them.
pub(crate) fn gzip(content: &[u8], level: u32) -> Vec<u8> {
    let head =
        if level.is_multiple_of(2) { GzBuilder::new().filename("export.csv").comment("é") } else { GzBuilder::new() };
    let mut encoder = head.write(Vec::new(), Compression::new(level));
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

/// A zstd frame, with a checksum as the zstd command writes it.
pub(crate) fn zstd(content: &[u8], level: i32) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), level).unwrap();
    encoder.include_checksum(true).unwrap();
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

/// A frame that means nothing (RFC 8878, section 3.1.2).
fn skippable_frame() -> Vec<u8> {
    [&0x184d_2a5a_u32.to_le_bytes()[..], &3_u32.to_le_bytes(), b"abc"].concat()
}

/// How a content becomes a compressed file: cut into pieces, each compressed by itself.
#[derive(Clone, Debug)]
pub(crate) struct Packing {
    is_gzip: bool,
    level: u8,
    cuts: Vec<Index>,
    skippable: bool,
}

pub(crate) fn packing() -> impl Strategy<Value = Packing> {
    let level = select(&[0, 1, 6, 9][..]);
    let cuts = prop::collection::vec(any::<Index>(), 0..4);
    (any::<bool>(), level, cuts, any::<bool>()).prop_map(|(is_gzip, level, cuts, skippable)| Packing {
        is_gzip,
        level,
        cuts,
        skippable,
    })
}

impl Packing {
    pub(crate) fn pack(&self, content: &[u8]) -> Vec<u8> {
        let mut cuts: Vec<usize> = self.cuts.iter().map(|cut| cut.index(content.len() + 1)).collect();
        cuts.extend([0, content.len()]);
        cuts.sort_unstable();
        let pieces = cuts.windows(2).map(|ends| &content[ends[0]..ends[1]]);
        let packed = pieces.flat_map(|piece| {
            if self.is_gzip {
                return gzip(piece, u32::from(self.level));
            }
            let before = if self.skippable { skippable_frame() } else { Vec::new() };
            [before, zstd(piece, i32::from(self.level))].concat()
        });
        packed.collect()
    }

    pub(crate) fn name(&self) -> &'static str {
        if self.is_gzip { "gzip" } else { "zstd" }
    }
}
