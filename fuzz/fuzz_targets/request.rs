//! Any bytes as the target of a request: no panic, and an answer that is whole.
#![no_main]

mod exchange;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    // What ends the request line is hyper's to refuse.
    if data.iter().any(|byte| matches!(byte, b' ' | b'\r' | b'\n')) {
        return;
    }
    let request = [b"GET ", data, b" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"].concat();
    exchange::ask(&request);
});
