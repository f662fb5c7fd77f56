#![no_main]
//! Runs [`lakehaul_fuzz::round_trip`].

libfuzzer_sys::fuzz_target!(|data: &[u8]| lakehaul_fuzz::round_trip(data));
