//! `step` under libFuzzer: `cargo xtask fuzz step`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| outrider_fuzz::step(data));
