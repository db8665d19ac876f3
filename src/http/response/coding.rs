//! Content codings: which one a client prefers, and encoding (RFC 9110, section 8.4.1).

use std::io::{self, Write};

use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::HeaderMap;
use hyper::header::{ACCEPT_ENCODING, CONTENT_ENCODING, HeaderValue};
use zstd::stream::write::Encoder as ZstdEncoder;
use zstd::zstd_safe::CParameter;

use super::Field;
use crate::http::request::accept::Weights;

/// Bytes of a response that is compressed: shorter ones would hardly become shorter.
pub(crate) const BYTES_MIN: usize = 1 << 10;
/// What responses depend on that may be compressed.
pub(crate) const BY_ENCODING: HeaderValue = HeaderValue::from_static("accept-encoding");

/// A content coding that responses can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coding {
    /// The one that costs the server less, and the client too.
    Zstd,
    /// The one that all clients take.
    Gzip,
}

/// What a client takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Accepted {
    /// The coding that it prefers.
    pub(crate) coding: Coding,
    /// True if it does not take responses as they are.
    pub(crate) always: bool,
}

/// Bytes that an encoder takes at most while a response is made in parts.
pub(crate) const ENCODER_BYTES: usize = 640 << 10;

/// Level of gzip: higher ones take much more time for a few percent.
const GZIP_LEVEL: u32 = 3;
/// Level of zstd: the data being what they are, higher ones take more time and memory and gain nothing.
const ZSTD_LEVEL: i32 = 1;
/// Level of zstd for what is encoded once: browsers take no larger windows than up to this one (RFC 8878, section 3.1.1.1.2).
const ZSTD_LEVEL_BEST: i32 = 19;
/// Power of two of the bytes that zstd looks back: what the encoder needs of memory grows with it.
const ZSTD_WINDOW_LOG: u32 = 16;

impl Coding {
    /// All of them.
    pub(crate) const ALL: [Coding; 2] = [Coding::Zstd, Coding::Gzip];

    fn name(self) -> &'static str {
        match self {
            Coding::Zstd => "zstd",
            Coding::Gzip => "gzip",
        }
    }

    /// The field that says so.
    pub(crate) fn field(self) -> Field {
        (CONTENT_ENCODING, HeaderValue::from_static(self.name()))
    }

    /// True if the client takes it.
    pub(crate) fn is_taken_by(self, headers: &HeaderMap) -> bool {
        weight(&Weights::of(headers, &ACCEPT_ENCODING), self.name()).is_some_and(|weight| weight > 0.0)
    }

    /// What entity tags of coded responses have behind the others.
    pub(crate) fn suffix(self) -> &'static str {
        match self {
            Coding::Zstd => "-zstd",
            Coding::Gzip => "-gzip",
        }
    }

    /// All of `bytes`, encoded. Writing to memory cannot fail.
    pub(crate) fn encode(self, bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut encoder = Encoder::new(self)?;
        encoder.write(bytes)?;
        encoder.finish()
    }

    /// The same, shorter and much slower: for what is encoded once.
    pub(crate) fn encode_best(self, bytes: &[u8]) -> io::Result<Vec<u8>> {
        match self {
            Coding::Zstd => zstd::bulk::compress(bytes, ZSTD_LEVEL_BEST),
            Coding::Gzip => {
                let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
                encoder.write_all(bytes)?;
                encoder.finish()
            }
        }
    }
}

/// An encoder of a response that is made in parts.
pub(crate) enum Encoder {
    Zstd(ZstdEncoder<'static, Vec<u8>>),
    Gzip(GzEncoder<Vec<u8>>),
}

impl Encoder {
    pub(crate) fn new(coding: Coding) -> io::Result<Encoder> {
        Ok(match coding {
            Coding::Zstd => {
                let mut encoder = ZstdEncoder::new(Vec::new(), ZSTD_LEVEL)?;
                encoder.set_parameter(CParameter::WindowLog(ZSTD_WINDOW_LOG))?;
                Encoder::Zstd(encoder)
            }
            Coding::Gzip => Encoder::Gzip(GzEncoder::new(Vec::new(), Compression::new(GZIP_LEVEL))),
        })
    }

    /// Takes `bytes` in.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Encoder::Zstd(encoder) => encoder.write_all(bytes),
            Encoder::Gzip(encoder) => encoder.write_all(bytes),
        }
    }

    /// What has come out since it was last taken: perhaps nothing.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        std::mem::take(match self {
            Encoder::Zstd(encoder) => encoder.get_mut(),
            Encoder::Gzip(encoder) => encoder.get_mut(),
        })
    }

    /// What comes out at the end.
    pub(crate) fn finish(self) -> io::Result<Vec<u8>> {
        match self {
            Encoder::Zstd(encoder) => encoder.finish(),
            Encoder::Gzip(encoder) => encoder.finish(),
        }
    }
}

/// The weight of a coding, by its name or by `*` (RFC 9110, section 12.5.3).
fn weight(weights: &Weights<'_>, name: &str) -> Option<f32> {
    weights.named(name).or_else(|| weights.named("*"))
}

impl Accepted {
    /// What `Accept-Encoding` says. `None` where responses are best left as they are.
    pub(crate) fn by(headers: &HeaderMap) -> Option<Accepted> {
        if !headers.contains_key(ACCEPT_ENCODING) {
            return None;
        }
        let weights = Weights::of(headers, &ACCEPT_ENCODING);
        let candidates = Coding::ALL.map(|coding| (coding, weight(&weights, coding.name()).unwrap_or(0.0)));
        // Of equal ones the first.
        let (coding, best) = candidates.into_iter().reduce(|best, next| if next.1 > best.1 { next } else { best })?;
        let prefers_identity = weights.named("identity").is_some_and(|weight| weight > best);
        let always = weight(&weights, "identity") == Some(0.0);
        (best > 0.0 && !prefers_identity).then_some(Accepted { coding, always })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use std::io::Read;

    fn accepted(field: &'static str) -> Option<Accepted> {
        Accepted::by(&HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static(field))]))
    }

    #[test]
    fn the_coding_with_the_highest_weight_is_chosen_and_zstd_of_equal_ones() {
        let some = |coding| Some(Accepted { coding, always: false });
        for (field, expected) in [
            ("gzip, deflate, br, zstd", some(Coding::Zstd)),
            ("gzip", some(Coding::Gzip)),
            ("GZIP ; q=0.5, br", some(Coding::Gzip)),
            ("gzip;q=0.9, zstd;q=0.8", some(Coding::Gzip)),
            ("*", some(Coding::Zstd)),
            ("zstd;q=0, *", some(Coding::Gzip)),
            ("gzip;q=0.5, identity;q=0.5", some(Coding::Gzip)),
            ("gzip;q=0.5, identity", None),
            ("gzip;q=0", None),
            ("gzip; Q=0.000, zstd;q=0, *", None),
            ("*;q=0", None),
            ("", None),
            ("br, deflate", None),
            ("gzippy", None),
            ("gzip;q=2", None),
        ] {
            assert_eq!(accepted(field), expected, "{field}");
        }
        assert_eq!(Accepted::by(&HeaderMap::new()), None);
        for field in ["gzip, identity;q=0", "gzip, *;q=0", "zstd;q=0, gzip, *;q=0"] {
            assert_eq!(accepted(field), Some(Accepted { coding: Coding::Gzip, always: true }), "{field}");
        }
    }

    proptest! {
        #[test]
        fn what_is_encoded_at_once_or_in_parts_is_decoded_to_the_same(
            text in vec(vec(any::<u8>(), 0..9), 0..400),
            times in 1_usize..100,
            part_bytes in 1_usize..200_000,
        ) {
            let text = text.concat().repeat(times);
            for coding in Coding::ALL {
                let (whole, best) = (coding.encode(&text).unwrap(), coding.encode_best(&text).unwrap());
                let mut encoder = Encoder::new(coding).unwrap();
                let mut parts = Vec::new();
                for part in text.chunks(part_bytes) {
                    encoder.write(part).unwrap();
                    parts.extend(encoder.take());
                }
                parts.extend(encoder.finish().unwrap());
                for coded in [whole, best, parts] {
                    let mut plain = Vec::new();
                    match coding {
                        Coding::Gzip => flate2::read::GzDecoder::new(&*coded).read_to_end(&mut plain).unwrap(),
                        Coding::Zstd => zstd::stream::read::Decoder::new(&*coded).unwrap().read_to_end(&mut plain).unwrap(),
                    };
                    prop_assert!(plain == text);
                }
            }
        }
    }
}
