//! `decode` under libFuzzer: `cargo xtask fuzz decode`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| outrider_fuzz::decode(data));
