#![no_main]
//! Runs [`lakehaul_fuzz::parse::check`].

libfuzzer_sys::fuzz_target!(|data: &[u8]| lakehaul_fuzz::parse::check(data));
