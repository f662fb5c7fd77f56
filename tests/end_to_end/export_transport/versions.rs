//! A file that breaks off and is another one when it is taken up: the lake has one version of it, never a mixture.

use lakehaul_sim::{At, Compressed, Fault, Gzip, Ranges, ServedFile, Validator, When, WrongRange};

use super::check_each;
use crate::payer::{LAKE, Payer, patients};

/// More than the bytes that a client keeps to recognise a file by.
const PATIENTS: usize = 300;

const VALIDATORS: [Validator; 5] =
    [Validator::Strong, Validator::Weak, Validator::LastModified, Validator::None, Validator::Changing];

#[track_caller]
fn rows_are(payer: &Payer, text: &str) {
    let mut expected: Vec<_> = text.lines().collect();
    expected.sort_unstable();
    let rows = payer.place.sorted_rows(LAKE, "Patient");
    let odd = rows.iter().find(|row| expected.binary_search(&row.as_str()).is_err());
    assert_eq!((rows.len(), odd), (expected.len(), None), "rows, and one that is not of this version");
}

#[test]
fn a_file_that_changes_on_the_way_is_begun_anew() {
    // Within a line; where a line of the one version ends and one of the other begins; within a gzip member.
    let line_end = 40 * patients("old", 1).len() as u64;
    let forms =
        [(Compressed::Never, 1500), (Compressed::Never, line_end), (Compressed::Always(Gzip::ManyMembers), 300)];
    // What a server does with a range: as it should, not at all, without a look at `If-Range`.
    let ranges = [
        ("ranges", Ranges::Honoured, Fault::replace_file()),
        ("no ranges", Ranges::Ignored, Fault::replace_file()),
        (
            "ranges of any version",
            Ranges::Honoured,
            Fault::replace_file().and(Fault::wrong_range(WrongRange::DespiteIfRange)),
        ),
    ];
    let mut cases = Vec::new();
    for validator in VALIDATORS {
        for (name, ranges, change) in &ranges {
            for (compressed, at) in forms {
                let name = format!("{validator:?}, {name}, {compressed:?}, {at}");
                cases.push((name, (validator, *ranges, change, compressed, at)));
            }
        }
    }
    check_each(&cases, |&(validator, ranges, change, compressed, at)| {
        // As long as each other, uncompressed: only the ids differ.
        let (old, new) = (patients("old", PATIENTS), patients("new", PATIENTS));
        let payer = Payer::smart(|scenario| {
            let file = ServedFile::new("Patient", old).replaced_by(new.clone()).named("x.ndjson");
            scenario
                .file(file.validator(validator).ranges(ranges).compressed(compressed))
                .fault("x.ndjson", When::Nth(1), Fault::truncate_at(At::File(at)))
                .fault("x.ndjson", When::Nth(2), change.clone())
        });
        let outcome = payer.export(&[]);
        payer.is_whole(&outcome);
        rows_are(&payer, &new);
        outcome.tells("what came of it is forgotten, and it is loaded anew");
    });
}

#[test]
fn a_wrong_part_is_not_used() {
    let hows = [
        WrongRange::LaterStart,
        WrongRange::FromZero,
        WrongRange::OtherTotal,
        WrongRange::NoContentRange,
        WrongRange::Nonsense,
    ];
    let mut cases = Vec::new();
    for how in hows {
        for validator in VALIDATORS {
            cases.push((format!("{how:?}, {validator:?}"), (how, validator)));
        }
    }
    check_each(&cases, |&(how, validator)| {
        let text = patients("x", PATIENTS);
        let payer = Payer::smart(|scenario| {
            scenario
                .file(ServedFile::new("Patient", text.clone()).named("x.ndjson").validator(validator))
                .fault("x.ndjson", When::Nth(1), Fault::truncate_at(At::File(1500)))
                .fault("x.ndjson", When::From(2), Fault::wrong_range(how))
        });
        payer.is_whole(&payer.export(&[]));
        rows_are(&payer, &text);
    });
}

#[test]
fn a_server_without_ranges_is_read_again_from_the_start() {
    let cases = VALIDATORS.map(|validator| (format!("{validator:?}"), validator));
    check_each(&cases, |&validator| {
        let text = patients("x", PATIENTS);
        let payer = Payer::smart(|scenario| {
            scenario
                .file(
                    ServedFile::new("Patient", text.clone())
                        .named("x.ndjson")
                        .validator(validator)
                        .ranges(Ranges::Ignored),
                )
                .fault("x.ndjson", When::Nth(1), Fault::truncate_at(At::File(1500)))
                // Before what has come already, and behind it.
                .fault("x.ndjson", When::Nth(2), Fault::reset_at(At::File(700)))
                .fault("x.ndjson", When::Nth(3), Fault::reset_at(At::File(9000)))
        });
        payer.is_whole(&payer.export(&[]));
        rows_are(&payer, &text);
    });
}
