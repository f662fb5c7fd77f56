//! A file that an earlier process has begun goes on from where it was, or comes again from its first byte, or has changed:
//! whatever the server does, nothing else.

use super::*;

const DATED: &str = "Last-Modified: Sun, 01 Mar 2026 12:00:00 GMT\r\n";
const WEAK: &str = "ETag: W/\"v1\"\r\n";
const CODED: &str = "ETag: \"v1\"\r\nContent-Encoding: gzip\r\n";

/// What a stream must come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expected {
    /// All from the position on.
    Rest,
    /// All from the first byte on.
    Whole,
    /// `FileChanged`, after nothing or what belongs there.
    Changed,
}
use Expected::{Changed, Rest, Whole};

/// What a server does with the `nth` request of a stream that was to go on from a position.
type Answer = fn(&Served, &Request, nth: usize, position: usize) -> Script;

struct Case {
    name: &'static str,
    /// What the earlier process was told.
    known: &'static str,
    /// What the server is like now.
    now: Served,
    answer: Answer,
    /// From the first byte, from one in between, from the end: there a 416 says that the length is right, and often no more.
    expected: [Expected; 3],
}

fn served(validators: &'static str, ranges: bool) -> Served {
    // Longer than the tail that is compared.
    Served { bytes: lines(400), validators, ..Served::new(Framing::Length, ranges) }
}

fn version(validators: &str, total: Option<usize>) -> FileVersion {
    let total = total.map(|total| format!("Content-Length: {total}\r\n")).unwrap_or_default();
    let pair = |line: &str| {
        let (name, value) = line.split_once(": ")?;
        Some((name.parse::<http::HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap()))
    };
    FileVersion::of(StatusCode::OK, &validators.lines().chain(total.lines()).filter_map(pair).collect())
}

fn right(served: &Served, request: &Request, _: usize, _: usize) -> Script {
    served.answer(request, None, Then::Close)
}

/// The first connection breaks ten bytes after the position.
fn cut(served: &Served, request: &Request, nth: usize, position: usize) -> Script {
    let cut = Some(position + 10).filter(|&cut| nth == 0 && cut < served.bytes.len());
    served.answer(request, cut, Then::Close)
}

/// The same, and after it there are no ranges.
fn cut_then_whole(served: &Served, request: &Request, nth: usize, position: usize) -> Script {
    cut(&Served { ranges: nth == 0, ..served.clone() }, request, nth, position)
}

/// A part as `range` says, of `start` and the file's length; anything else as it should be.
fn ranged(served: &Served, request: &Request, range: fn(usize, usize) -> String) -> Script {
    let Some(start) = request.range_start() else { return served.answer(request, None, Then::Close) };
    let body = served.bytes[start.min(served.bytes.len())..].to_vec();
    let (range, validators) = (range(start, served.bytes.len()), served.validators);
    Script::new(format!("{range}\r\n{validators}Content-Length: {}\r\n", body.len()), body)
}

fn cases() -> Vec<Case> {
    let case = |name, known, now, answer, expected| Case { name, known, now, answer, expected };
    let longer = |validators, ranges| {
        let mut longer = served(validators, ranges);
        longer.bytes.extend_from_slice(b"{}\n");
        longer
    };
    let shorter = |validators, ranges| {
        let mut shorter = served(validators, ranges);
        shorter.bytes.truncate(10);
        shorter
    };
    let framed = |framing, ranges| Served { framing, ..served(ETAG, ranges) };
    let goes_on = [Rest; 3];
    vec![
        case("ranges", ETAG, served(ETAG, true), right, goes_on),
        case("ranges, chunked", ETAG, framed(Framing::Chunked, true), right, goes_on),
        case("ranges, with open ends", ETAG, framed(Framing::CloseDelimited, true), right, goes_on),
        case("ranges by date", DATED, served(DATED, true), right, goes_on),
        case("ranges of a coded file", CODED, served(CODED, true), right, goes_on),
        case("ranges without validators", ETAG, served("", true), right, goes_on),
        case("ranges, but a weak tag", WEAK, served(WEAK, true), right, [Whole; 3]),
        case("ranges, but no validator then", "", served(ETAG, true), right, [Whole; 3]),
        case("ranges, but no validator ever", "", served("", true), right, [Whole; 3]),
        case("whole, same tag", ETAG, served(ETAG, false), right, [Whole; 3]),
        case("whole, same tag, chunked", ETAG, framed(Framing::Chunked, false), right, [Whole; 3]),
        case("whole, same date", DATED, served(DATED, false), right, [Whole; 3]),
        case("whole, no validators", ETAG, served("", false), right, [Whole; 3]),
        case("whole, other tag", ETAG, served("ETag: \"v2\"\r\n", false), right, [Changed; 3]),
        case("whole, other weak tag", WEAK, served("ETag: W/\"v2\"\r\n", true), right, [Changed; 3]),
        case("whole, other date", DATED, served("Last-Modified: x\r\n", false), right, [Changed; 3]),
        case("whole, longer", "", longer("", false), right, [Changed; 3]),
        case("whole, shorter", ETAG, shorter(ETAG, false), right, [Changed; 3]),
        case("whole, not coded any more", CODED, served(ETAG, false), right, [Changed; 3]),
        case("whole, coded now", ETAG, served(CODED, false), right, [Changed; 3]),
        case("part, other tag", ETAG, served("ETag: \"v2\"\r\n", true), right, [Changed, Changed, Rest]),
        case("part, other total", ETAG, longer(ETAG, true), right, [Changed; 3]),
        case("part, not coded any more", CODED, served(DATED, true), right, [Changed, Changed, Rest]),
        case("nothing there any more", ETAG, shorter(ETAG, true), right, [Changed; 3]),
        case(
            "part of an unknown total",
            ETAG,
            served(ETAG, true),
            |served, request, _, _| {
                if request.range_start() == Some(served.bytes.len()) {
                    return served.answer(request, None, Then::Close);
                }
                ranged(served, request, |start, total| format!("206 P\r\nContent-Range: bytes {start}-{}/*", total - 1))
            },
            goes_on,
        ),
        case(
            "a part that starts elsewhere",
            ETAG,
            served(ETAG, true),
            |served, request, _, _| {
                ranged(served, request, |_, total| format!("206 P\r\nContent-Range: bytes 0-{}/{total}", total - 1))
            },
            [Whole; 3],
        ),
        case(
            "a part that says nothing",
            ETAG,
            served(ETAG, true),
            |served, request, _, _| ranged(served, request, |_, _| "206 P".to_owned()),
            [Whole; 3],
        ),
        case(
            "not there, without a total",
            ETAG,
            served(ETAG, true),
            |served, request, _, _| ranged(served, request, |_, _| "416 No".to_owned()),
            [Whole; 3],
        ),
        case(
            "not there, and shorter",
            ETAG,
            served(ETAG, true),
            |served, request, _, _| {
                ranged(served, request, |start, _| format!("416 No\r\nContent-Range: bytes */{}", start - 1))
            },
            [Rest, Changed, Changed],
        ),
        case(
            "not there, and another tag",
            ETAG,
            served(ETAG, true),
            |served, request, _, _| {
                let other = Served { validators: "ETag: \"v2\"\r\n", ..served.clone() };
                ranged(&other, request, |_, total| format!("416 No\r\nContent-Range: bytes */{total}"))
            },
            [Changed; 3],
        ),
        case(
            "choked",
            ETAG,
            served(ETAG, true),
            |served, request, _, _| ranged(served, request, |_, _| "501 No".to_owned()),
            [Whole; 3],
        ),
        case("cut, then ranges", ETAG, served(ETAG, true), cut, goes_on),
        case("cut, then ranges by date", DATED, served(DATED, true), cut, goes_on),
        case("cut, never ranges", ETAG, served(ETAG, false), cut, [Whole; 3]),
        case("cut, never validators", "", served("", true), cut, [Whole; 3]),
        case("cut, then no ranges", ETAG, served(ETAG, true), cut_then_whole, goes_on),
        case("cut, then no ranges of a dated file", DATED, served(DATED, true), cut_then_whole, [Rest, Changed, Rest]),
        case(
            "cut, then other bytes under the same tag",
            ETAG,
            served(ETAG, true),
            |served, request, nth, position| {
                let mut other = served.clone();
                if nth > 0 {
                    other.bytes[position + 3] ^= 1;
                }
                cut_then_whole(&other, request, nth, position)
            },
            [Changed, Changed, Rest],
        ),
    ]
}

async fn check(case: &Case, position: usize, expected: Expected) {
    let name = format!("{} from {position}", case.name);
    let (file, now, answer) = (lines(400), case.now.clone(), case.answer);
    let server = Raw::start(move |request, nth| answer(&now, request, nth, position)).await;
    let tools = server.tools();
    let known = version(case.known, Some(file.len()));
    let mut stream = tools.continuing(&format!("{}/f", server.origin), &known, position);
    assert_eq!((stream.start(), stream.version()), (position as u64, Some(known.clone())));
    let (bytes, end) = read_all(&mut stream).await;
    let start = usize::try_from(stream.start()).unwrap();
    let seen = format!("{name}: {end:?}, {} bytes from {start}, {:?}", bytes.len(), server.seen());
    assert!(file[start..].starts_with(&bytes), "{seen}");
    match expected {
        Changed => assert_eq!(end, Err(ErrorKind::FileChanged), "{seen}"),
        Rest | Whole => {
            assert_eq!(end, Ok(LengthProof::Length), "{seen}");
            assert_eq!(start, if expected == Rest { position } else { 0 }, "{seen}");
            assert_eq!(start + bytes.len(), file.len(), "{seen}");
            assert_eq!(stream.stated_bytes(), Some(file.len() as u64), "{seen}");
        }
    }
    let first = &server.seen()[0];
    let guard = known.if_range().filter(|_| position > 0);
    assert_eq!(first.range_start(), guard.map(|_| position), "{seen}");
    assert_eq!(first.header("if-range"), guard.map(|guard| guard.to_str().unwrap()), "{seen}");
    let coding = if known.is_plain() { "identity" } else { "gzip" };
    assert_eq!(first.header("accept-encoding"), Some(coding), "{seen}");
}

#[tokio::test]
async fn it_goes_on_or_comes_again_or_has_changed() {
    let end = lines(400).len();
    for case in cases() {
        let [first, between, last] = case.expected;
        check(&case, 0, first).await;
        check(&case, 1, between).await;
        check(&case, end / 2, between).await;
        // A cut ten bytes later is none.
        let uncut = case.name.starts_with("cut, then");
        check(&case, end - 1, if uncut { last } else { between }).await;
        check(&case, end, last).await;
    }
}

#[tokio::test]
async fn what_one_process_was_told_another_goes_on_with() {
    for framing in [Framing::Length, Framing::Chunked, Framing::CloseDelimited] {
        for (validators, ranges) in
            [(ETAG, true), (ETAG, false), (DATED, true), (WEAK, true), ("", true), (CODED, true)]
        {
            let served = Served { framing, ..served(validators, ranges) };
            let (file, half) = (served.bytes.clone(), served.bytes.len() / 2);
            let server =
                Raw::start(move |request, nth| served.answer(request, Some(half).filter(|_| nth == 0), Then::Stall))
                    .await;
            let url = format!("{}/f", server.origin);
            let (mut bytes, stored) = {
                let tools = server.tools();
                let mut stream = tools.stream(&url);
                assert_eq!((stream.start(), stream.version(), stream.stated_bytes()), (0, None, None));
                let mut bytes = Vec::new();
                while bytes.len() < half {
                    bytes.extend_from_slice(&stream.next().await.unwrap().unwrap());
                }
                (bytes, serde_json::to_string(&stream.version()).unwrap())
            };
            let known: FileVersion = serde_json::from_str(&stored).unwrap();
            let tools = server.tools();
            let mut stream = tools.continuing(&url, &known, half);
            let (rest, end) = read_all(&mut stream).await;
            let nobody_can_tell = framing == Framing::CloseDelimited && !ranges;
            let proof = if nobody_can_tell { LengthProof::Unverified } else { LengthProof::Length };
            assert_eq!(end, Ok(proof), "{framing:?} {validators} {ranges}");
            let start = usize::try_from(stream.start()).unwrap();
            assert_eq!(start, if ranges && known.if_range().is_some() { half } else { 0 }, "{framing:?} {validators}");
            bytes.truncate(start);
            bytes.extend_from_slice(&rest);
            assert!(bytes == file, "{framing:?} {validators}");
        }
    }
}

#[tokio::test]
async fn markup_in_the_middle_of_a_file_is_data_and_at_its_beginning_none() {
    let text = b"{\"div\":\"<div>a</div>\"}\n";
    let at = text.iter().position(|&byte| byte == b'<').unwrap();
    for (ranges, body, expected) in [
        (true, &text[..], Ok(LengthProof::Length)),
        (false, &text[..], Ok(LengthProof::Length)),
        (false, &b"<html>a login page</ht>"[..], Err(ErrorKind::NotData)),
    ] {
        let served = Served { bytes: body.to_vec(), ..served(ETAG, ranges) };
        let server = Raw::start(move |request, _| served.answer(request, None, Then::Close)).await;
        let known = version(ETAG, Some(text.len()));
        let tools = server.tools();
        let mut stream = tools.continuing(&format!("{}/f", server.origin), &known, at);
        let (bytes, end) = read_all(&mut stream).await;
        assert_eq!(end, expected);
        let from = if ranges { at } else { 0 };
        assert_eq!(bytes, if end.is_ok() { &body[from..] } else { b"" });
    }
}

#[tokio::test]
async fn an_expired_url_is_followed_by_another_one() {
    let served = served(ETAG, true);
    let (file, half) = (served.bytes.clone(), served.bytes.len() / 2);
    let server = Raw::start(move |request, _| match request.path() {
        "/new?sig=2" => served.answer(request, None, Then::Close),
        _ => Script::new("403 No\r\nContent-Length: 0", ""),
    })
    .await;
    let tools = server.tools();
    let mut stream = tools.continuing(&format!("{}/old?sig=1", server.origin), &version(ETAG, Some(file.len())), half);
    assert_eq!(read_all(&mut stream).await, (Vec::new(), Err(ErrorKind::FileExpired)));
    stream.move_to(&super::file(&format!("{}/new?sig=2", server.origin)));
    let (rest, end) = read_all(&mut stream).await;
    assert!(rest == file[half..] && end == Ok(LengthProof::Length), "{end:?}");
    assert_eq!((stream.start(), server.ranges()), (half as u64, vec![Some(half), Some(half)]));
}

/// A server behind whose name two versions live, and which does what it likes within the rules: no stream may ever hand out
/// bytes of both.
#[tokio::test]
async fn two_versions_are_never_mixed() {
    let bytes =
        |version: u32| -> Vec<u8> { (0..300).flat_map(|n| format!("{{\"{version}\":{n}}}\n").into_bytes()).collect() };
    let files = [bytes(1), bytes(2)];
    let validators = [
        ["ETag: \"v1\"\r\nLast-Modified: Sun 1\r\n", "ETag: \"v1\"\r\n", "Last-Modified: Sun 1\r\n", WEAK, ""],
        [
            "ETag: \"v2\"\r\nLast-Modified: Sun 2\r\n",
            "ETag: \"v2\"\r\n",
            "Last-Modified: Sun 2\r\n",
            "ETag: W/\"v2\"\r\n",
            "",
        ],
    ];
    let (mut rests, mut wholes, mut refused) = (0, 0, 0);
    for seed in 0..400 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let position = rng.usize(..=files[0].len());
        let known = version(rng.choice(validators[0]).unwrap(), rng.bool().then_some(files[0].len()));
        let changes = rng.u32(..4);
        let (rng, files_now) = (Mutex::new(rng), files.clone());
        let server = Raw::start(move |request, _| {
            let mut rng = rng.lock().unwrap();
            let version = usize::from(changes > 0 && rng.u32(..10) < changes);
            let served = Served {
                bytes: files_now[version].clone(),
                framing: rng.choice([Framing::Length, Framing::Chunked, Framing::CloseDelimited]).unwrap(),
                // A guarded range is only of the version that the guard names.
                ranges: rng.u8(..4) > 0
                    && request.header("if-range").is_none_or(|guard| validators[version][0].contains(guard)),
                validators: rng.choice(validators[version]).unwrap(),
            };
            let cut = (rng.u8(..3) > 0).then(|| rng.usize(..=served.bytes.len()));
            served.answer(request, cut, Then::Close)
        })
        .await;
        let tools = server.tools();
        let mut stream = tools.continuing(&format!("{}/f", server.origin), &known, position);
        let (bytes, end) = read_all(&mut stream).await;
        let start = usize::try_from(stream.start()).unwrap();
        let story = format!("seed {seed}: {end:?}, {} bytes from {start} of {position}", bytes.len());
        assert!(start == 0 || start == position, "{story}");
        // From the first byte on it may be the other version as a whole: the caller knows the first one's bytes.
        let of = files.iter().position(|file| file[start..].starts_with(&bytes));
        let of = of.unwrap_or_else(|| panic!("{story}: of both versions"));
        assert!(start == 0 || of == 0, "{story}");
        match end {
            Ok(LengthProof::Length) => assert_eq!(start + bytes.len(), files[of].len(), "{story}"),
            Ok(LengthProof::Unverified) => {}
            Err(kind) => assert!(matches!(kind, ErrorKind::FileChanged | ErrorKind::Transport), "{story}"),
        }
        match end {
            Err(_) => refused += 1,
            Ok(_) if start == 0 => wholes += 1,
            Ok(_) => rests += 1,
        }
    }
    assert!(rests > 40 && wholes > 40 && refused > 40, "{rests}, {wholes}, {refused}");
}
