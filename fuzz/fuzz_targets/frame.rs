#![no_main]
//! Runs [`lakehaul_fuzz::frame::check`].

libfuzzer_sys::fuzz_target!(|data: &[u8]| lakehaul_fuzz::frame::check(data));
