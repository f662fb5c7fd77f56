#![no_main]
//! Runs [`lakehaul_fuzz::manifest::check`].

libfuzzer_sys::fuzz_target!(|data: &[u8]| lakehaul_fuzz::manifest::check(data));
