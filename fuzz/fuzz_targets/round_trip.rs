#![no_main]
//! Runs [`lakehaul_fuzz::there_and_back::check`].

libfuzzer_sys::fuzz_target!(|data: &[u8]| lakehaul_fuzz::there_and_back::check(data));
