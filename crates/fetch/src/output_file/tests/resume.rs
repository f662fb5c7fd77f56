//! A file that is taken up is the file that was begun, with the credentials that its origin may have.

use super::*;

/// A server of `served` whose first connection breaks half-way, and which answers all others by `then`.
async fn broken_half_way(
    served: Served,
    then: impl Fn(&Served, &Request) -> Script + Send + Sync + 'static,
) -> (Raw, (Vec<u8>, Result<LengthProof, ErrorKind>)) {
    let half = served.bytes.len() / 2;
    let server =
        Raw::start(
            move |request, nth| {
                if nth == 0 { served.answer(request, Some(half), Then::Reset) } else { then(&served, request) }
            },
        )
        .await;
    let tools = server.tools();
    let read = read_all(&mut tools.stream(&format!("{}/f", server.origin))).await;
    (server, read)
}

fn served(validators: &'static str, ranges: bool) -> Served {
    // Longer than the tail that is compared.
    Served { bytes: lines(400), validators, ..Served::new(Framing::Length, ranges) }
}

/// Of a server that has ranges: what comes of it is not hashed.
const VOUCHED_FOR: &str = "ETag: \"v1\"\r\nAccept-Ranges: bytes\r\n";

#[tokio::test]
async fn the_same_version_goes_on() {
    for (validators, if_range, again) in [
        (ETAG, Some("\"v1\""), 0),
        (VOUCHED_FOR, Some("\"v1\""), 0),
        ("Last-Modified: Sun, 01 Mar 2026 12:00:00 GMT\r\n", Some("Sun, 01 Mar 2026 12:00:00 GMT"), 0),
        ("ETag: W/\"v1\"\r\n", None, 4096),
        ("", None, 4096),
    ] {
        for ranges in [true, false] {
            let served = served(validators, ranges);
            let (file, half) = (served.bytes.clone(), served.bytes.len() / 2);
            let (server, (bytes, end)) =
                broken_half_way(served, |served, request| served.answer(request, None, Then::Close)).await;
            assert!(bytes == file && end == Ok(LengthProof::Length), "{validators} {ranges}: {end:?}");
            assert_eq!(server.ranges(), [None, Some(half - again)], "{validators}");
            assert_eq!(server.seen()[1].header("if-range"), if_range);
            assert_eq!(server.seen()[0].header("accept-encoding"), Some("gzip"));
            assert_eq!(server.seen()[1].header("accept-encoding"), Some("identity"));
        }
    }
}

#[tokio::test]
async fn another_version_is_never_mixed_in() {
    let changed = |served: &Served| {
        let mut other = served.clone();
        // Same length, one byte of what has been handed out already.
        let at = other.bytes.len() / 2 - 10;
        other.bytes[at] ^= 1;
        other
    };
    let early = |served: &Served| {
        let mut other = served.clone();
        other.bytes[3] ^= 1;
        other
    };
    let longer = |served: &Served| {
        let mut other = served.clone();
        other.bytes.extend_from_slice(b"{}\n");
        other
    };
    let retagged = |served: &Served| Served { validators: "ETag: \"v2\"\r\n", ..served.clone() };
    type Other = fn(&Served) -> Served;
    let untagged = |served: &Served| Served { validators: "", ..served.clone() };
    let cases: [(&str, &'static str, Other, bool); 13] = [
        ("other tag, ranges", ETAG, retagged, true),
        ("other tag, no ranges", ETAG, retagged, false),
        ("other weak tag", "ETag: W/\"v1\"\r\n", retagged, true),
        ("other length, ranges", "", longer, true),
        ("other length, no ranges", "", longer, false),
        ("other bytes, ranges", "", changed, true),
        ("other bytes, no ranges", "", changed, false),
        ("other bytes far back, no ranges", "", early, false),
        ("other bytes, same tag, no ranges", ETAG, early, false),
        ("other tag, ranges announced", VOUCHED_FOR, retagged, true),
        ("other tag, ranges announced and not had", VOUCHED_FOR, retagged, false),
        ("other bytes, ranges announced and not had", VOUCHED_FOR, changed, false),
        ("no tag, ranges announced and not had", VOUCHED_FOR, untagged, false),
    ];
    for (name, validators, other, ranges) in cases {
        let served = served(validators, ranges);
        let (file, half) = (served.bytes.clone(), served.bytes.len() / 2);
        let (_, (bytes, end)) =
            broken_half_way(served, move |served, request| other(served).answer(request, None, Then::Close)).await;
        assert_eq!(end, Err(ErrorKind::FileChanged), "{name}");
        assert!(bytes == file[..half], "{name}");
    }
}

#[tokio::test]
async fn a_wrong_range_is_not_taken_for_the_right_one() {
    type Line = fn(&Served, usize) -> String;
    let cases: [(&str, Line); 4] = [
        ("from the first byte on", |served, _| {
            format!("Content-Range: bytes 0-{}/{}", served.bytes.len() - 1, served.bytes.len())
        }),
        ("a byte too late", |served, start| {
            format!("Content-Range: bytes {}-{}/{}", start + 1, served.bytes.len() - 1, served.bytes.len())
        }),
        ("none", |_, _| "X-Nothing: here".to_owned()),
        ("several", |_, _| "Content-Type: multipart/byteranges; boundary=x".to_owned()),
    ];
    for (name, line) in cases {
        let served = served(ETAG, true);
        let file = served.bytes.clone();
        let (server, (bytes, end)) = broken_half_way(served, move |served, request| match request.range_start() {
            Some(start) => {
                let body = served.bytes[start..].to_vec();
                Script::new(format!("206 Part\r\n{}\r\nContent-Length: {}", line(served, start), body.len()), body)
            }
            None => served.answer(request, None, Then::Close),
        })
        .await;
        assert!(bytes == file && end == Ok(LengthProof::Length), "{name}: {end:?}");
        assert_eq!(server.ranges(), [None, Some(file.len() / 2), None], "{name}: the whole file is skipped through");
    }
    for (name, head) in
        [("other total", "Content-Range: bytes 1-9/10"), ("other tag", "ETag: \"v2\"\r\nContent-Range: bytes 1-9/10")]
    {
        let served = served(ETAG, true);
        let (_, (_, end)) = broken_half_way(served, move |served, request| {
            let (start, total) = (request.range_start().unwrap(), served.bytes.len());
            let total = if head.starts_with("ETag") { total } else { total + 1 };
            let range = format!("Content-Range: bytes {start}-{}/{total}", total - 1);
            let head = head.replace("Content-Range: bytes 1-9/10", &range);
            Script::new(format!("206 Part\r\n{head}\r\nContent-Length: {}", total - start), vec![b'x'; total - start])
        })
        .await;
        assert_eq!(end, Err(ErrorKind::FileChanged), "{name}");
    }
}

#[tokio::test]
async fn a_server_that_chokes_on_ranges_is_asked_for_the_whole() {
    for status in ["400 Bad", "501 No", "416 No"] {
        let served = served(ETAG, true);
        let file = served.bytes.clone();
        let (server, (bytes, end)) = broken_half_way(served, move |served, request| match request.range_start() {
            Some(_) => Script::new(format!("{status}\r\nContent-Length: 0"), ""),
            None => served.answer(request, None, Then::Close),
        })
        .await;
        assert!(bytes == file && end == Ok(LengthProof::Length), "{status}: {end:?}");
        assert_eq!(server.ranges(), [None, Some(file.len() / 2), None]);
    }
}

#[tokio::test]
async fn an_expired_url_is_told_at_once_and_another_one_goes_on() {
    for status in [403, 404, 410] {
        let served = served(ETAG, true);
        let (file, half) = (served.bytes.clone(), served.bytes.len() / 2);
        let server = Raw::start(move |request, nth| match request.path() {
            "/new?sig=2" => served.answer(request, None, Then::Close),
            _ if nth == 0 => served.answer(request, Some(half), Then::Reset),
            _ => Script::new(format!("{status} No\r\nContent-Length: 0"), ""),
        })
        .await;
        let tools = server.tools();
        let mut stream = tools.stream(&format!("{}/old?sig=1", server.origin));
        let (mut bytes, end) = read_all(&mut stream).await;
        assert_eq!((bytes.len(), end), (half, Err(ErrorKind::FileExpired)), "{status}");
        assert_eq!(server.seen().len(), 2, "{status}: one try is enough");
        stream.move_to(&super::file(&format!("{}/new?sig=2", server.origin)));
        let (rest, end) = read_all(&mut stream).await;
        bytes.extend_from_slice(&rest);
        assert!(bytes == file && end == Ok(LengthProof::Length), "{status}: {end:?}");
        assert_eq!(server.ranges(), [None, Some(half), Some(half)]);
    }
}

#[tokio::test]
async fn coded_bytes_are_handed_out_as_they_came() {
    let bytes: Vec<u8> = b"\x1f\x8b\x08".iter().copied().chain((0..9000_u32).map(|n| ((n * n) >> 3) as u8)).collect();
    let served = Served { bytes: bytes.clone(), ..served("ETag: \"v1\"\r\nContent-Encoding: gzip\r\n", true) };
    let (server, (read, end)) =
        broken_half_way(served, |served, request| served.answer(request, None, Then::Close)).await;
    assert!(read == bytes && end == Ok(LengthProof::Length), "{end:?}");
    assert_eq!(server.ranges(), [None, Some(bytes.len() / 2)]);
    assert!(server.seen().iter().all(|seen| seen.header("accept-encoding") == Some("gzip")));
    assert!(server.seen().iter().all(|seen| seen.header("accept") == Some("application/fhir+ndjson")));
}

#[tokio::test]
async fn the_token_goes_where_it_may_and_nowhere_else() {
    let foreign = Listener::start(|seen| {
        assert_eq!(seen.authorization(), "");
        Reply::new(200, "foreign\n")
    })
    .await;
    let there = foreign.url("/x?sig=1").to_string();
    let home = Listener::start(move |seen| match &*seen.path {
        "/moved" => Reply::redirect(302, there.clone()),
        "/open" => Reply::new(200, format!("[{}]\n", seen.authorization())),
        _ if seen.authorization() == "Bearer sesame" => Reply::new(200, "home\n"),
        _ => Reply::new(401, ""),
    })
    .await;
    let check = async |url: Url, requires_access_token, expected: Result<&str, ErrorKind>| {
        let tools = tools(&home.origin, 4);
        let file = OutputFile { requires_access_token, ..file(url.as_str()) };
        let mut stream = FileStream::new(tools.http.clone(), tools.hosts.clone(), &file);
        let (bytes, end) = read_all(&mut stream).await;
        assert_eq!(end.map(|_| String::from_utf8(bytes).unwrap()), expected.map(str::to_owned), "{url}");
    };
    check(home.url("/f"), true, Ok("home\n")).await;
    check(home.url("/open"), false, Ok("[]\n")).await;
    check(home.url("/f"), false, Err(ErrorKind::Auth)).await;
    check(home.url("/moved"), true, Ok("foreign\n")).await;
    check(foreign.url("/x"), false, Ok("foreign\n")).await;
    let asked = foreign.seen().len();
    check(foreign.url("/x"), true, Err(ErrorKind::UntrustedOrigin)).await;
    assert_eq!(foreign.seen().len(), asked);
    let tools = tools(&home.origin, 4);
    let error = tools.stream(foreign.url("/x").as_str()).next().await.unwrap_err();
    assert!(error.hint().unwrap().contains(&format!("--trust-origin {}", foreign.origin)), "{error:?}");
}
