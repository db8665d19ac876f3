//! Any bytes as the body of a batch: no panic, and an answer that is whole.
#![no_main]

mod exchange;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let head = format!(
        "POST /v1/lookup HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n",
        data.len()
    );
    exchange::ask(&[head.as_bytes(), data].concat());
});
