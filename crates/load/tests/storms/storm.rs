//! Storms: a seed is a payer, what its files hold, and all that befalls the server, the way, the disk and the process
//! while they are hauled. Every storm ends with a quiet run, and with the lake of the same files without a storm.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::channel;
use std::time::Duration;

use fastrand::Rng;
use lakehaul_load::{Event, ExportRequest, Interrupt, LoadOptions, Observer, RawFiles};
use lakehaul_sim::members::{
    BadKind, BadLines, ByteOrderMark, FinalNewline, LateColumns, LineEnding, Members, MembersOptions, ResourceType,
    Split,
};
use lakehaul_sim::{
    At, Compressed, Count, Endpoint, Fault, Gzip, Hangup, Personality, Ranges, Rule, Scenario, ServedFile, Sim, Target,
    Validator, When, WrongRange,
};

use crate::faulty_store::{Desk, EIO, EMFILE, ENOSPC, Trouble};
use crate::same_lake::{Contents, all_that_is_visible_is_whole};
use crate::scene::{Repeat, asked_for, claim, haul, lines, nobody, patient, request};

/// Seeds that have found something, each with what it was. They are always run, and first.
const REGRESSIONS: &[u64] = &[];

/// How many seeds CI runs.
const SEEDS: u64 = 300;

/// How often a storm blows; after that it is quiet.
const ATTEMPTS: usize = 6;

/// The file that becomes another one.
const CHANGING: &str = "changing.ndjson";

/// What a seed serves, whatever befalls it.
struct Payer {
    personality: Personality,
    members: Members,
    /// How each file is served.
    serving: Vec<(Compressed, Ranges, Validator)>,
    /// At this request for it another file takes a file's place.
    changes_at: Option<u32>,
    raw: RawFiles,
}

impl Payer {
    fn of(chance: &mut Rng) -> Payer {
        let mut types = ResourceType::ALL.to_vec();
        chance.shuffle(&mut types);
        types.truncate(chance.usize(1..4));
        let members = Members::new(MembersOptions {
            seed: chance.u64(..),
            members: chance.u64(1..4),
            types,
            split: Split::Files(chance.u64(1..4)),
            bad_lines: if chance.bool() { BadLines::Exactly(chance.u64(0..8)) } else { BadLines::None },
            // A file whose first line is a proxy's page is refused as a whole, and that is another test's.
            bad_kinds: BadKind::ALL.into_iter().filter(|kind| *kind != BadKind::BareText).collect(),
            late_columns: if chance.bool() { LateColumns::LastPerMille(100) } else { LateColumns::Absent },
            blank_per_mille: if chance.bool() { 50 } else { 0 },
            line_ending: if chance.bool() { LineEnding::Lf } else { LineEnding::Mixed },
            byte_order_mark: if chance.bool() { ByteOrderMark::Absent } else { ByteOrderMark::Present },
            final_newline: if chance.bool() { FinalNewline::Present } else { FinalNewline::Missing },
            deletions: chance.u64(..2) * chance.u64(1..20),
            outcomes: chance.u64(..2) * chance.u64(1..5),
            ..MembersOptions::default()
        });
        let serving = (0..=members.files().len()).map(|_| serving(chance)).collect();
        Payer {
            personality: Personality::ALL[chance.usize(..4)],
            members,
            serving,
            changes_at: chance.bool().then(|| chance.u32(1..5)),
            raw: if chance.u8(..4) == 0 { RawFiles::Kept } else { RawFiles::Streamed },
        }
    }

    /// The payer's server; with a file that is what it was, or what it became.
    fn scenario(&self, changing: ServedFile) -> Scenario {
        let mut serving = self.serving.iter();
        let scenario = Scenario::new(self.personality).running(1).retry_after(0).members(&self.members);
        let scenario = scenario.file(changing.named(CHANGING).count(Count::Missing)).resource_count(Count::Missing);
        scenario.each_file(|file| {
            let &(compressed, ranges, validator) = serving.next().expect("one for each file");
            file.compressed(compressed).ranges(ranges).validator(validator)
        })
    }

    fn request(&self, sim: &Sim, lake: &Path, options: LoadOptions) -> ExportRequest {
        let mut request = request(sim, self.personality, lake, options);
        request.raw = self.raw;
        request
    }

    /// The lake without a storm.
    fn undisturbed(&self, text: &[u8]) -> Contents {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let lake = folder.path().join("lake");
        let sim =
            Sim::start(self.scenario(ServedFile::new("Patient", text.to_vec()))).expect("a payer can be simulated");
        let options = LoadOptions { threads: 1, ..LoadOptions::default() };
        haul(&self.request(&sim, &lake, options), &nobody()).expect("an undisturbed run comes through");
        Contents::of(&lake)
    }
}

fn serving(chance: &mut Rng) -> (Compressed, Ranges, Validator) {
    let gzip = if chance.bool() { Gzip::OneMember } else { Gzip::ManyMembers };
    let compressed = [Compressed::Never, Compressed::Never, Compressed::Always(gzip), Compressed::IfAccepted(gzip)];
    let validators = [Validator::Strong, Validator::Strong, Validator::Weak, Validator::LastModified, Validator::None];
    let ranges = if chance.u8(..4) == 0 { Ranges::Ignored } else { Ranges::Honoured };
    (compressed[chance.usize(..4)], ranges, validators[chance.usize(..5)])
}

/// What befalls the server and the way to it.
fn weather(payer: &Payer, chance: &mut Rng) -> Vec<Rule> {
    let mut rules = Vec::new();
    if let Some(nth) = payer.changes_at {
        rules.push(Rule::new(CHANGING, When::Nth(nth), Fault::replace_file()));
    }
    for _ in 0..chance.usize(0..6) {
        let at = if chance.bool() { At::Body(chance.u64(..60_000)) } else { At::File(chance.u64(..200_000)) };
        let wrong = [
            WrongRange::LaterStart,
            WrongRange::FromZero,
            WrongRange::OtherTotal,
            WrongRange::NoContentRange,
            WrongRange::Nonsense,
            WrongRange::DespiteIfRange,
        ];
        let fault = match chance.u8(..10) {
            0 | 1 => Fault::reset_at(at),
            2 | 3 => Fault::truncate_at(at),
            4 => Fault::status([429, 500, 502, 503][chance.usize(..4)]).retry_after(0),
            5 => Fault::no_answer(if chance.bool() { Hangup::Reset } else { Hangup::Close }),
            6 => Fault::truncate_at(at).and(Fault::wrong_range(wrong[chance.usize(..6)])),
            7 => Fault::revoke_tokens(),
            8 => Fault::drip(chance.usize(500..4_000), Duration::from_micros(200)),
            _ => Fault::stall_at(at, Duration::from_millis(chance.u64(1..20))),
        };
        let when = match chance.u8(..3) {
            0 => When::Nth(chance.u32(1..6)),
            1 => When::First(chance.u32(1..12)),
            _ => When::Chance(0.3),
        };
        let target = match chance.u8(..6) {
            0 => Target::One(Endpoint::Status),
            1 => Target::AnyFile,
            2 => CHANGING.into(),
            _ => Target::EachFile,
        };
        rules.push(Rule::new(target, when, fault));
    }
    rules
}

/// Asks the run to leave at the nth thing that it tells.
struct LeavesAt {
    events: AtomicUsize,
    at: usize,
    interrupt: Interrupt,
}

impl Observer for LeavesAt {
    fn event(&self, _: Event<'_>) {
        if self.events.fetch_add(1, Relaxed) == self.at {
            self.interrupt.set();
        }
    }
}

/// What befalls one run. Whether it came through.
fn attempt(payer: &Payer, sim: &Sim, lake: &Path, calls: u64, chance: &mut Rng, told: &mut String) -> bool {
    let interrupt = Interrupt::default();
    let at = chance.u64(1..=calls);
    let code = [ENOSPC, EIO, EMFILE][chance.usize(..3)];
    let trouble = match chance.u8(..8) {
        0 => Some(Trouble::Once(code)),
        1 => Some(Trouble::ForEver(code)),
        2 => Some(Trouble::Death),
        3 => Some(Trouble::TornDeath),
        4 => Some(Trouble::PowerCut(chance.u64(..))),
        _ => None,
    };
    let desk = trouble.map_or_else(Desk::calm, |trouble| Desk::troubled(at, trouble, || {}));
    let options = LoadOptions {
        threads: chance.usize(1..5),
        checkpoint: if chance.u8(..4) == 0 { LoadOptions::CHECKPOINT } else { Duration::ZERO },
        chunk_bytes: chance.usize(500..40_000),
        interrupt: interrupt.clone(),
        store_layer: Some(desk.layer()),
        ..LoadOptions::default()
    };
    let mut request = payer.request(sim, lake, options);
    request.client.patience.retries = chance.u32(..4);
    request.client.concurrency = chance.usize(1..5);
    let (leaves_at, leaves_after) = match chance.u8(..4) {
        0 => (chance.usize(..60), None),
        1 => (usize::MAX, Some(Duration::from_micros(chance.u64(..40_000)))),
        _ => (usize::MAX, None),
    };
    let observer: Arc<dyn Observer> =
        Arc::new(LeavesAt { events: AtomicUsize::new(0), at: leaves_at, interrupt: interrupt.clone() });
    let (done, over) = channel::<()>();
    let result = std::thread::scope(|scope| {
        scope.spawn(move || {
            if let Some(after) = leaves_after
                && over.recv_timeout(after).is_err()
            {
                interrupt.set();
            }
        });
        let result = haul(&request, &observer);
        drop(done);
        result
    });
    let end = match &result {
        Ok(summary) => format!("{:?}", summary.status),
        Err(error) => error.to_string(),
    };
    told.push_str(&format!("\n  {trouble:?} at call {at} ({:?}), left at event {leaves_at}: {end}", desk.struck()));
    all_that_is_visible_is_whole(lake);
    result.is_ok()
}

/// One storm.
fn storm(seed: u64) {
    let _repeat = Repeat(format!("LAKEHAUL_STORM_SEED={seed} cargo test -p lakehaul-load --test storms storm::"));
    let mut chance = Rng::with_seed(seed);
    let payer = Payer::of(&mut chance);
    let resource = |id: u32| if id.is_multiple_of(7) { claim(id) } else { patient(id) };
    let old = lines((0..chance.u32(1..400)).map(resource), "\n");
    let new = lines((1_000..1_000 + chance.u32(1..400)).map(resource), "\n");
    let served = ServedFile::new("Patient", old.clone()).replaced_by(new.clone());
    let sim = Sim::start(payer.scenario(served)).expect("a payer can be simulated");
    sim.set_faults(weather(&payer, &mut chance));
    let folder = tempfile::tempdir().expect("a folder can be made");
    let lake = folder.path().join("lake");
    let mut told = format!("seed {seed}: {:?}, changes at {:?}, {:?}", payer.personality, payer.changes_at, payer.raw);
    let calls = 30 + chance.u64(..400);
    let came_through = (0..ATTEMPTS).any(|_| attempt(&payer, &sim, &lake, calls, &mut chance, &mut told));
    let became_another = payer.changes_at.is_some_and(|nth| sim.seen(CHANGING).len() >= nth as usize);
    if !came_through {
        sim.set_faults(Vec::new());
        let options = LoadOptions { threads: 2, ..LoadOptions::default() };
        let quiet = haul(&payer.request(&sim, &lake, options), &nobody());
        quiet.unwrap_or_else(|error| panic!("{told}\n  in the end: {error}"));
    }
    let expected = payer.undisturbed(if became_another { &new } else { &old });
    let _told = Repeat(&told);
    Contents::of(&lake).is_the_same_as(&expected, &told);
    is_the_models(&payer, &lake, &told);
    assert_eq!(sim.unscripted().len(), 0, "{told}\n{:?}", sim.unscripted());
    assert_eq!(sim.tokens_seen_at_other_origin().len(), 0, "{told}");
}

/// The ledger counts what the payer's model counts.
#[track_caller]
fn is_the_models(payer: &Payer, lake: &Path, told: &str) {
    let records = lakehaul_load::runs(lake.to_str().expect("a path is text")).expect("there is a run record");
    assert_eq!(records.len(), 1, "{told}");
    for file in payer.members.model().files {
        let found =
            records[0].output_files.iter().find(|found| found.name == file.name).expect("every file has an account");
        assert_eq!(
            (found.lines, found.blank, found.rejected),
            (file.lines, file.blank, file.bad.len() as u64),
            "{told}"
        );
        assert_eq!(found.content_bytes, file.bytes, "{told}");
        assert_eq!(found.resources + found.outcomes + found.deletions, file.resources, "{told}");
    }
}

#[test]
fn every_storm_ends_in_the_same_lake() {
    let number = |name| asked_for(name).map(|text| text.parse::<u64>().expect("a seed is a number"));
    let seeds: Vec<u64> = match number("LAKEHAUL_STORM_SEED") {
        Some(seed) => vec![seed],
        None => REGRESSIONS.iter().copied().chain(0..number("LAKEHAUL_STORM_SEEDS").unwrap_or(SEEDS)).collect(),
    };
    let (next, failed) = (AtomicUsize::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while let Some(&seed) = seeds.get(next.fetch_add(1, Relaxed)) {
                    if std::panic::catch_unwind(|| storm(seed)).is_err() && failed.fetch_add(1, Relaxed) > 10 {
                        return;
                    }
                }
            });
        }
    });
    assert_eq!(failed.into_inner(), 0, "so many of {} storms failed, or more", seeds.len());
}
