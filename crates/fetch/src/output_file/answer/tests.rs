//! Answers to requests for a file, one row each: what each means for what has come so far.

use http::{HeaderName, HeaderValue};

use super::*;

fn headers(lines: &str) -> HeaderMap {
    let pair = |line: &str| {
        let (name, value) = line.split_once(": ").unwrap();
        (HeaderName::try_from(name).unwrap(), HeaderValue::from_str(value).unwrap())
    };
    lines.lines().map(str::trim).filter(|line| !line.is_empty()).map(pair).collect()
}

/// The bytes from `start` to `position` of a file of `total` are there, begun with the headers `known`.
struct Case {
    ask: Ask,
    start: u64,
    position: u64,
    total: Option<u64>,
    known: Option<&'static str>,
    at_an_end: bool,
    hashed: bool,
}

const FIRST: Case =
    Case { ask: Ask::Whole, start: 0, position: 0, total: None, known: None, at_an_end: false, hashed: true };
const HALF: Case = Case { ask: Ask::From(50), position: 50, total: Some(100), known: Some("etag: \"a\""), ..FIRST };
/// A body without an end of its own ended here.
const ENDED: Case = Case { total: None, at_an_end: true, ..HALF };
/// An earlier process has the bytes up to here.
const BEFORE: Case = Case { start: 50, ..HALF };
/// It had the bytes up to 20.
const MIDDLE: Case = Case { start: 20, ..HALF };

#[track_caller]
fn check(case: &Case, status: u16, lines: &str, expected: &str) {
    let begun = case.known.map(|known| FileVersion::of(StatusCode::OK, &headers(known)).with_total(case.total));
    let asked = Asked {
        ask: case.ask,
        position: case.position,
        start: case.start,
        hashed: case.hashed,
        begun: begun.as_ref(),
        at_an_end: case.at_an_end,
        with_token: true,
    };
    let found = match judge(&asked, StatusCode::from_u16(status).unwrap(), &headers(lines)) {
        Verdict::Body { start, version, has_ranges, end } => {
            let ranges = if has_ranges { ", ranges" } else { "" };
            format!("body from {start} of {:?}, {end:?}{ranges}.", version.total_bytes())
        }
        Verdict::Complete { total_bytes } => format!("complete: {total_bytes:?}"),
        Verdict::RangesUseless => "whole, please".to_owned(),
        Verdict::NotNow(error) => format!("not now: {:?}: {error}", error.kind()),
        Verdict::Final(error) => format!("final: {:?}: {error}", error.kind()),
    };
    assert!(found.starts_with(expected), "{status} {lines}\nfound    {found}\nexpected {expected}");
}

#[test]
fn a_file_is_begun() {
    check(&FIRST, 200, "content-length: 100", "body from 0 of Some(100), Told");
    check(&FIRST, 200, "transfer-encoding: chunked", "body from 0 of None, Told");
    check(&FIRST, 200, "transfer-encoding: chunked\ncontent-length: 5", "body from 0 of None, Told");
    check(&FIRST, 200, "etag: x", "body from 0 of None, Open");
    check(&FIRST, 200, "content-length: many", "body from 0 of None, Open");
    check(&FIRST, 204, "", "complete");
    check(&FIRST, 200, "content-type: text/html", "not now: NotData: ");
    check(&FIRST, 200, "content-type: Text/HTML; charset=utf-8", "not now: NotData: ");
    check(&FIRST, 200, "content-type: application/json\ncontent-length: 1", "body from 0");
    check(&FIRST, 206, "content-range: bytes 0-9/10", "not now: Transport");
    check(&FIRST, 416, "", "final: Transport");
    // Nothing was handed out, so whatever comes is the file.
    check(&FIRST, 200, "etag: \"b\"\ncontent-length: 7", "body from 0 of Some(7), Told");
    // Unless an earlier process has begun it.
    let known = Case { known: Some("etag: \"a\""), total: Some(9), ..FIRST };
    check(&known, 200, "etag: \"a\"\ncontent-length: 9", "body from 0 of Some(9), Told");
    check(&known, 200, "content-length: 9", "body from 0 of Some(9), Told");
    check(&known, 200, "etag: \"b\"\ncontent-length: 9", "final: FileChanged: ");
    check(&known, 200, "etag: \"a\"\ncontent-length: 7", "final: FileChanged: ");
    check(&known, 200, "etag: \"a\"\ncontent-encoding: gzip", "final: FileChanged: ");
    check(&known, 204, "", "final: FileChanged: ");
    check(&Case { total: None, ..known }, 204, "", "complete: None");
    check(&Case { total: Some(0), ..known }, 204, "", "complete: None");
}

#[test]
fn whether_there_are_ranges() {
    for ranges in ["accept-ranges: bytes", "accept-ranges: Bytes\netag: \"a\""] {
        check(&FIRST, 200, ranges, "body from 0 of None, Open, ranges.");
    }
    for none in ["", "etag: \"a\"", "accept-ranges: none", "accept-ranges: lines"] {
        check(&FIRST, 200, none, "body from 0 of None, Open.");
    }
    check(&HALF, 206, "content-range: bytes 50-99/100\netag: \"a\"", "body from 50 of Some(100), Open, ranges.");
}

#[test]
fn what_is_not_hashed_comes_again_with_the_same_tag_or_has_changed() {
    for hashed in [false, true] {
        let half = Case { hashed, ..HALF };
        check(&half, 200, "etag: \"a\"\ncontent-length: 100", "body from 0 of Some(100), Told.");
        let untagged = if hashed { "body from 0 of Some(100), Told." } else { "final: FileChanged: " };
        check(&half, 200, "content-length: 100", untagged);
        check(&half, 206, "content-range: bytes 50-99/100", "body from 50 of Some(100), Open, ranges.");
    }
}

#[test]
fn statuses() {
    for status in [403, 404, 410] {
        check(&HALF, status, "", "final: FileExpired");
        check(&ENDED, status, "", "final: FileExpired");
    }
    for status in [408, 429, 500, 502, 503, 504] {
        check(&HALF, status, "", &format!("not now: Transport: the output file was answered with {status}"));
    }
    check(&HALF, 401, "", "final: Auth");
    check(&HALF, 400, "", "whole, please");
    check(&HALF, 501, "", "whole, please");
    check(&Case { ask: Ask::Whole, ..HALF }, 501, "", "final: Transport");
    check(&Case { ask: Ask::Whole, ..HALF }, 400, "", "final: Transport");
    check(&HALF, 204, "", "final: FileChanged");
    let presigned = Asked {
        ask: Ask::Whole,
        position: 0,
        start: 0,
        hashed: false,
        begun: None,
        at_an_end: false,
        with_token: false,
    };
    for (status, kind) in [(400, ErrorKind::FileExpired), (401, ErrorKind::Auth)] {
        let Verdict::Final(error) = judge(&presigned, StatusCode::from_u16(status).unwrap(), &HeaderMap::new()) else {
            panic!("{status}")
        };
        assert_eq!(error.kind(), kind);
    }
}

#[test]
fn a_part() {
    check(
        &HALF,
        206,
        "content-range: bytes 50-99/100\ncontent-length: 50\netag: \"a\"",
        "body from 50 of Some(100), Told",
    );
    check(&HALF, 206, "content-range: bytes 50-69/100\ncontent-length: 20", "body from 50 of Some(100), Told");
    check(&HALF, 206, "content-range: bytes 50-99/*\ncontent-length: 50", "body from 50 of None, Open");
    check(&HALF, 206, "content-range: Bytes  50-99/100", "body from 50 of Some(100), Open");
    check(&ENDED, 206, "content-range: bytes 50-99/100", "body from 50 of Some(100), Open");
    for wrong in [
        "content-range: bytes 0-99/100",
        "content-range: bytes 51-99/100",
        "content-range: bytes 49-99/100",
        "content-range: bytes */100",
        "content-range: bytes 50-49/100",
        "content-range: bytes 50-100/100",
        "content-range: bytes 50-99",
        "content-range: bytes +50-99/100",
        "content-range: items 50-99/100",
        "content-range: 50-99/100",
        "content-type: multipart/byteranges; boundary=x",
        "",
    ] {
        check(&HALF, 206, wrong, "whole, please");
    }
    check(&HALF, 206, "content-range: bytes 50-100/101", "final: FileChanged: ");
    check(&HALF, 206, "content-range: bytes 50-98/99", "final: FileChanged: ");
    check(&HALF, 206, "content-range: bytes 50-99/100\netag: \"b\"", "final: FileChanged: ");
    check(&HALF, 206, "content-range: bytes 50-99/100\netag: W/\"a\"", "body from 50");
    check(&HALF, 206, "content-range: bytes 50-99/100\ncontent-type: text/html", "not now: NotData");
    let tail = Case { ask: Ask::From(40), known: Some(""), ..HALF };
    check(&tail, 206, "content-range: bytes 40-99/100", "body from 40 of Some(100)");
    check(&tail, 206, "content-range: bytes 50-99/100", "whole, please");
    let unknown = Case { ask: Ask::From(40), total: None, ..HALF };
    check(&unknown, 206, "content-range: bytes 40-44/45", "final: FileChanged: ");
}

#[test]
fn a_part_of_a_coded_file() {
    let coded = |known| Case { known: Some(known), ..HALF };
    let strong = coded("etag: \"a\"\ncontent-encoding: gzip");
    let range = "content-range: bytes 50-99/100";
    check(&strong, 206, &format!("{range}\netag: \"a\"\ncontent-encoding: gzip"), "body from 50");
    check(&strong, 206, &format!("{range}\netag: \"a\""), "body from 50");
    check(&strong, 206, range, "whole, please");
    check(&coded("content-encoding: gzip"), 206, range, "whole, please");
    check(&coded(""), 206, &format!("{range}\ncontent-encoding: gzip"), "whole, please");
    check(&coded("content-encoding: identity"), 206, range, "body from 50");
    check(
        &strong,
        200,
        "etag: \"a\"\ncontent-length: 100",
        "final: FileChanged: the output file has changed on the server since it was begun: its content coding",
    );
}

#[test]
fn the_whole_file_again() {
    check(&HALF, 200, "content-length: 100\netag: \"a\"", "body from 0 of Some(100), Told");
    check(&HALF, 200, "content-length: 100", "body from 0 of Some(100), Told");
    check(&HALF, 200, "transfer-encoding: chunked", "body from 0 of None, Told");
    check(&HALF, 200, "content-length: 100\netag: \"b\"", "final: FileChanged: ");
    check(&HALF, 200, "content-length: 99", "final: FileChanged: ");
    check(&HALF, 200, "content-length: 101", "final: FileChanged: ");
    check(&HALF, 200, "content-type: text/html\ncontent-length: 7", "not now: NotData");
    check(&ENDED, 200, "content-length: 50", "body from 0 of Some(50)");
    check(&ENDED, 200, "content-length: 70", "body from 0 of Some(70)");
    check(&ENDED, 200, "content-length: 49", "final: FileChanged: ");
    let dated = Case { known: Some("last-modified: Sun, 01 Mar 2026 12:00:00 GMT"), ..HALF };
    check(&dated, 200, "last-modified: Sun, 01 Mar 2026 12:00:00 GMT", "body from 0");
    check(&dated, 200, "last-modified: Sun, 01 Mar 2026 12:00:01 GMT", "final: FileChanged: ");
    check(&dated, 200, "", "body from 0");
    let both = Case { known: Some("etag: \"a\"\nlast-modified: Sun, 01 Mar 2026 12:00:00 GMT"), ..HALF };
    check(&both, 200, "etag: \"a\"\nlast-modified: Sun, 01 Mar 2026 12:00:09 GMT", "body from 0");
    check(&both, 200, "last-modified: Sun, 01 Mar 2026 12:00:09 GMT", "final: FileChanged: ");
    let weak = Case { known: Some("etag: W/\"a\""), ..HALF };
    check(&weak, 200, "etag: W/\"a\"", "body from 0");
    check(&weak, 200, "etag: W/\"b\"", "final: FileChanged: ");
}

#[test]
fn nothing_follows() {
    check(&HALF, 416, "content-range: bytes */50", "whole, please");
    check(&HALF, 416, "content-range: bytes */100", "whole, please");
    check(&HALF, 416, "content-range: bytes */40", "final: FileChanged");
    check(&HALF, 416, "", "whole, please");
    check(&HALF, 416, "content-range: bytes */50\netag: \"b\"", "final: FileChanged");
    check(&ENDED, 416, "content-range: bytes */50", "complete: Some(50)");
    check(&ENDED, 416, "", "complete: None");
    check(&ENDED, 416, "content-range: bytes */60", "whole, please");
    check(&ENDED, 416, "content-range: bytes */40", "final: FileChanged");
    check(&ENDED, 416, "content-range: bytes */*", "complete: None");
    let chunked = Case { total: None, ..HALF };
    check(&chunked, 416, "content-range: bytes */50", "complete");
    check(&chunked, 416, "", "whole, please");
    // The last bytes were asked for again, and are not there.
    let tail = Case { ask: Ask::From(40), known: Some(""), ..ENDED };
    check(&tail, 416, "", "whole, please");
    check(&tail, 416, "content-range: bytes */40", "final: FileChanged");
}

#[test]
fn which_validator_guards_a_range() {
    #[track_caller]
    fn check(lines: &str, expected: Option<&str>) {
        let version = FileVersion::of(StatusCode::OK, &headers(lines));
        assert_eq!(version.if_range().map(|value| value.to_str().unwrap()), expected);
    }
    check("etag: \"a\"\nlast-modified: x", Some("\"a\""));
    check("etag: W/\"a\"\nlast-modified: x", Some("x"));
    check("etag: W/\"a\"", None);
    check("last-modified: x", Some("x"));
    check("", None);
}

#[test]
fn a_file_that_an_earlier_process_has_begun() {
    let range = "content-range: bytes 50-99/100";
    check(&BEFORE, 206, range, "body from 50 of Some(100)");
    check(&BEFORE, 206, &format!("{range}\netag: \"b\""), "final: FileChanged: ");
    check(&BEFORE, 206, "content-range: bytes 0-99/100", "whole, please");
    check(&BEFORE, 416, "content-range: bytes */40", "final: FileChanged: ");
    check(
        &Case { position: 100, start: 100, ask: Ask::From(100), ..BEFORE },
        416,
        "content-range: bytes */100",
        "complete",
    );
    check(&Case { position: 100, start: 100, ask: Ask::From(100), ..BEFORE }, 416, "", "whole, please");
    for same in ["", "etag: \"a\"", "etag: \"a\"\ncontent-length: 100", "content-length: 100"] {
        check(&BEFORE, 200, same, "body from 0");
    }
    // Once bytes of it are out, only a strong tag tells that the ones before them are the same.
    check(&MIDDLE, 206, range, "body from 50");
    check(&MIDDLE, 200, "etag: \"a\"", "body from 0");
    for unsure in ["", "etag: W/\"a\"", "content-length: 100", "last-modified: Sun, 01 Mar 2026 12:00:00 GMT"] {
        check(&MIDDLE, 200, unsure, "final: FileChanged: ");
    }
    let dated = Case { known: Some("last-modified: Sun, 01 Mar 2026 12:00:00 GMT"), ..MIDDLE };
    check(&dated, 200, "last-modified: Sun, 01 Mar 2026 12:00:00 GMT", "final: FileChanged: ");
}
