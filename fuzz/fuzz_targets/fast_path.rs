//! Any bytes as the requests of a connection: the fast path and hyper give the same answers to them. A `~` splits them:
//! what follows comes when all before was dealt with.
#![no_main]

mod exchange;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let parts: Vec<&[u8]> = data.split(|byte| *byte == b'~').collect();
    exchange::compare(&parts);
});
