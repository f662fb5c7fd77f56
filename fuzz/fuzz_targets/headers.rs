#![no_main]
//! Runs [`lakehaul_fuzz::headers::check`].

libfuzzer_sys::fuzz_target!(|data: &[u8]| lakehaul_fuzz::headers::check(data));
