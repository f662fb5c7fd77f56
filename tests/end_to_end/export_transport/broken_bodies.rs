//! Bodies that break off, by every way in which HTTP tells a body's end: none is ever taken for a whole one.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use lakehaul_sim::{
    At, Compressed, Count, Door, Fault, Framing, Gzip, Personality, Ranges, Rule, Scenario, ServedFile, Sim, When,
};

use super::check_each;
use crate::payer::{LAKE, Payer, patient_file, patients};

const PATIENTS: usize = 40;

/// How a body's end is told, and how it is coded.
#[derive(Clone, Copy)]
struct Manner {
    name: &'static str,
    framing: Framing,
    gzip: Option<Gzip>,
}

const MANNERS: [Manner; 6] = [
    Manner { name: "length", framing: Framing::Length, gzip: None },
    Manner { name: "chunked", framing: Framing::Chunked, gzip: None },
    Manner { name: "close-delimited", framing: Framing::UntilClose, gzip: None },
    Manner { name: "gzip", framing: Framing::Length, gzip: Some(Gzip::OneMember) },
    Manner { name: "gzip-members-chunked", framing: Framing::Chunked, gzip: Some(Gzip::ManyMembers) },
    Manner { name: "gzip-members-close-delimited", framing: Framing::UntilClose, gzip: Some(Gzip::ManyMembers) },
];

type Break = fn(At) -> Fault;

/// How it breaks off.
const BREAKS: [(&str, Break); 3] = [
    ("reset", |at| Fault::reset_at(at)),
    ("truncated", |at| Fault::truncate_at(at)),
    ("stalled", |at| Fault::stall_at(at, Duration::from_secs(60))),
];

/// Where it breaks off: before a byte of it has come, in its middle, where a reader of the content alone sees nothing wrong,
/// and before its last byte.
const PLACES: [&str; 4] = ["first-byte", "mid-line", "line-end", "last-byte"];

impl Manner {
    fn serve(self, name: &str) -> ServedFile {
        let file = patient_file(name, PATIENTS).framing(self.framing);
        match self.gzip {
            Some(gzip) => file.compressed(Compressed::Always(gzip)),
            None => file,
        }
    }

    /// [`PLACES`] of this file, in bytes of its body as it is sent.
    fn places(self, name: &str) -> [u64; 4] {
        let body = sent(self.serve(name));
        let find = |wanted: &[u8], from: usize| {
            let at = body[from..].windows(wanted.len()).position(|window| window == wanted);
            from + at.expect("a body of this manner has such a place")
        };
        let middle = body.len() / 2;
        let innocent = match self.gzip {
            None => find(b"\n", middle) + 1,
            Some(Gzip::ManyMembers) => find(&[0x1f, 0x8b, 8], 1),
            // Before the trailer.
            Some(Gzip::OneMember) => body.len() - 8,
        };
        [0, middle + 7, innocent, body.len() - 1].map(|at| at as u64)
    }
}

/// The body of a file as it goes over the wire, without its framing.
fn sent(file: ServedFile) -> Vec<u8> {
    let path = "/bucket/x";
    let file = file.framing(Framing::UntilClose).named("x");
    let sim = Sim::start(Scenario::new(Personality::Smart).door(Door::Open).file(file)).expect("a payer starts");
    let address = sim.other_origin().trim_start_matches("http://").to_owned();
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream
        .write_all(format!("GET {path} HTTP/1.1\r\nHost: sim\r\nConnection: close\r\n\r\n").as_bytes())
        .expect("sends");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("it answers");
    let head = answer.windows(4).position(|window| window == b"\r\n\r\n").expect("a head") + 4;
    assert!(answer.starts_with(b"HTTP/1.0 200"), "{}", String::from_utf8_lossy(&answer[..head]));
    answer.split_off(head)
}

/// Every line of these files is a row as it was sent, and there is no other row.
#[track_caller]
fn rows_are_those_of(payer: &Payer, names: &[String]) {
    let mut expected: Vec<String> =
        names.iter().flat_map(|name| patients(name, PATIENTS).lines().map(str::to_owned).collect::<Vec<_>>()).collect();
    expected.sort();
    assert!(payer.place.sorted_rows(LAKE, "Patient") == expected, "the rows are not the lines that were sent");
}

#[test]
fn a_body_that_breaks_off_once_is_taken_up() {
    let cases = MANNERS.map(|manner| (manner.name.to_owned(), manner));
    check_each(&cases, |manner| {
        let mut names = Vec::new();
        let payer = Payer::smart(|mut scenario| {
            for (break_name, fault) in BREAKS {
                for (n, place) in PLACES.iter().enumerate() {
                    let name = format!("{}-{break_name}-{place}", manner.name);
                    let at = manner.places(&name)[n];
                    scenario = scenario.file(manner.serve(&name)).fault(
                        &*format!("{name}.ndjson"),
                        When::Nth(1),
                        fault(At::File(at)),
                    );
                    names.push(name);
                }
            }
            scenario
        });
        let outcome = payer.export(&["--idle-timeout", "1s"]);
        payer.is_whole(&outcome);
        rows_are_those_of(&payer, &names);
        for name in &names {
            let name = format!("{name}.ndjson");
            assert!(payer.sim.seen(&*name).len() > 1, "{name} was to break off, and was asked for once");
            assert_eq!(payer.file(&name)["unverified_length"], serde_json::Value::Null, "{name}");
        }
    });
}

#[test]
fn a_body_that_breaks_off_for_ever_publishes_nothing_until_it_does_not() {
    let mut cases = Vec::new();
    for manner in MANNERS {
        let places = manner.places("x");
        for (break_name, fault) in BREAKS {
            for (place, at) in PLACES.iter().zip(places) {
                cases.push((format!("{}-{break_name}-{place}", manner.name), (manner, fault(At::File(at)))));
            }
        }
    }
    check_each(&cases, |(manner, fault)| {
        let payer = Payer::smart(|scenario| {
            let file = manner.serve("x");
            scenario.file(patient_file("other", 5)).file(file).fault("x.ndjson", When::Always, fault.clone())
        });
        let outcome = payer.export(&["--retries", "2", "--idle-timeout", "300ms"]);
        outcome.exits_with(5).tells("output file").tells("also after 2 retries").tells("run the same command again");
        payer.nothing_is_published();
        payer.sim.set_faults(Vec::new());
        payer.is_whole(&payer.export(&[]));
    });
}

/// A server that closes the connection at the end of a body, knows no ranges and tells no count: what is missing behind a
/// line's end cannot be noticed, and anything else can.
#[test]
fn what_no_one_can_tell_is_marked() {
    struct Case {
        personality: Personality,
        gzip: Option<Gzip>,
        count: Count,
        /// Which of [`PLACES`].
        place: &'static str,
        when: When,
        code: i32,
        problems: &'static [&'static str],
        marked: bool,
        lines: fn(u64) -> bool,
    }
    const ALL: u64 = PATIENTS as u64;
    let all = |lines| lines == ALL;
    let fewer = |lines| 0 < lines && lines < ALL;
    let base = Case {
        personality: Personality::Smart,
        gzip: None,
        count: Count::Missing,
        place: "line-end",
        when: When::Always,
        code: 0,
        problems: &[],
        marked: true,
        lines: fewer,
    };
    let cases = [
        ("a line's end, for ever", Case { ..base }),
        ("a line's end, once", Case { when: When::Nth(1), ..base }),
        (
            "a line's end, counted",
            Case { count: Count::True, code: 6, problems: &["fewer_than_declared"], marked: false, ..base },
        ),
        (
            "a line's end, counted in all",
            Case { personality: Personality::OneupProvider, code: 6, problems: &["fewer_than_exported"], ..base },
        ),
        ("within a line, for ever", Case { place: "mid-line", code: 7, problems: &["rejected"], ..base }),
        ("within a line, once", Case { place: "mid-line", when: When::Nth(1), lines: all, ..base }),
        ("the last byte, for ever", Case { place: "last-byte", lines: all, ..base }),
        ("before the first byte, once", Case { place: "first-byte", when: When::Nth(1), lines: all, ..base }),
        ("before the first byte, for ever", Case { place: "first-byte", lines: |lines| lines == 0, ..base }),
        ("whole, uncounted", Case { when: When::Nth(9), lines: all, ..base }),
        ("whole, counted", Case { when: When::Nth(9), count: Count::True, marked: false, lines: all, ..base }),
        (
            "within a gzip member, for ever",
            Case {
                gzip: Some(Gzip::ManyMembers),
                place: "mid-line",
                code: 11,
                problems: &["unreadable", "rejected"],
                ..base
            },
        ),
        ("a gzip member's end, for ever", Case { gzip: Some(Gzip::ManyMembers), ..base }),
        (
            "before a gzip trailer, for ever",
            Case { gzip: Some(Gzip::OneMember), code: 11, problems: &["unreadable"], lines: |lines| lines > 0, ..base },
        ),
    ];
    let cases = cases.map(|(name, case)| (name.to_owned(), case));
    check_each(&cases, |case| {
        let manner = Manner { name: "close-delimited", framing: Framing::UntilClose, gzip: case.gzip };
        let place = PLACES.iter().position(|place| *place == case.place).expect("it is one of them");
        let at = manner.places("x")[place];
        let payer = Payer::new(case.personality, |scenario| {
            let file = manner.serve("x").ranges(Ranges::Ignored).count(case.count);
            scenario.file(file).fault("x.ndjson", case.when, Fault::truncate_at(At::File(at)))
        });
        let outcome = payer.export(&[]);
        outcome.exits_with(case.code);
        let file = payer.file("x.ndjson");
        assert_eq!(file["unverified_length"].as_bool().unwrap_or_default(), case.marked, "{file}\n{outcome}");
        assert_eq!(payer.problems(), case.problems, "{outcome}");
        assert!((case.lines)(file["lines"].as_u64().expect("a number")), "{file}\n{outcome}");
        assert_eq!(outcome.stderr.contains("its end could not be verified"), case.marked, "{outcome}");
        payer.place.run(&["verify", LAKE]).exits_with(0);
        payer.is_well_behaved();
    });
}

/// What a truncated body leaves to say is not said of a file that is whole; nor does a count that is met hide a body that
/// is known to be short.
#[test]
fn a_count_that_is_met_does_not_make_a_short_body_whole() {
    let payer = Payer::smart(|scenario| {
        let file = patient_file("x", PATIENTS).count(Count::Off(-20));
        scenario.file(file).fault("x.ndjson", When::Always, Fault::truncate_at(At::File(2000)))
    });
    payer.export(&["--retries", "1"]).exits_with(5).tells("output file").tells("also after a retry");
    payer.nothing_is_published();
    payer.sim.set_faults(vec![Rule::new("x.ndjson", When::Nth(1), Fault::truncate_at(At::File(2000)))]);
    payer.export(&[]).exits_with(0).tells("the manifest counts 20");
    assert_eq!(payer.file("x.ndjson")["lines"], PATIENTS);
}
