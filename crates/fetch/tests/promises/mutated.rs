//! Mutations of the kept corpus, the same ones each time: what the fuzzer would try first, where there is no fuzzer.

use fastrand::Rng;

use crate::corpus::{files, run};
use crate::{headers, manifest};

/// Takes a second or two for both targets; fifty times as many have been run once.
const SEEDS: u64 = 8000;

/// What means something to one of the readers.
const WORDS: [&str; 40] = [
    "\"",
    "\\",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "null",
    "true",
    "false",
    "-1",
    "1e9",
    "18446744073709551616",
    "\\u0000",
    "\\ud800",
    "\n",
    "\r",
    "\t",
    " ",
    "?",
    "#",
    "@",
    "/",
    "//",
    "..",
    "%2e%2e%2f",
    "https://",
    "http://",
    "file:///",
    "//evil.example/",
    "user:sesame-sesame@",
    "?sig=sesame-sesame",
    "[::1]",
    "127.0.0.1",
    "\u{202e}",
    "\u{1b}[31m",
    "url",
    "output",
    "next",
];

fn mutated(files: &[(String, Vec<u8>)], rng: &mut Rng) -> Vec<u8> {
    let mut data = rng.choice(files).expect("a corpus").1.clone();
    for _ in 0..rng.usize(1..6) {
        let at = rng.usize(..=data.len());
        let end = rng.usize(at..=data.len().min(at + 40));
        match rng.u8(..7) {
            0 => drop(data.drain(at..end)),
            1 => data.truncate(at),
            2 => drop(data.splice(at..at, [rng.u8(..)])),
            3 => drop(data.splice(at..at, rng.choice(WORDS).expect("some").bytes())),
            4 => drop(data.splice(at..end, rng.choice(WORDS).expect("some").bytes())),
            // Twice the same, such as a member or a line.
            5 => drop(data.splice(at..at, data[at..end].to_vec())),
            _ => {
                let other = &rng.choice(files).expect("a corpus").1;
                let from = rng.usize(..=other.len());
                let to = rng.usize(from..=other.len().min(from + 80));
                drop(data.splice(at..end, other[from..to].iter().copied()));
            }
        }
    }
    data
}

#[track_caller]
fn each(target: &str, check: fn(&[u8])) {
    let files = files(target);
    for seed in 0..SEEDS {
        run(check, &mutated(&files, &mut Rng::with_seed(seed)), &format!("seed {seed}"));
    }
}

#[test]
fn manifest() {
    each("manifest", manifest::check);
}

#[test]
fn headers() {
    each("headers", headers::check);
}
