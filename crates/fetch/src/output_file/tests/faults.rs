//! What becomes of a file when connections break: promise by promise, over real sockets.

use super::*;

/// A server whose connections break at one byte of the file, the first time or each time.
#[derive(Debug, Clone, Copy)]
struct Case {
    framing: Framing,
    ranges: bool,
    fault: Then,
    cut: usize,
    for_ever: bool,
}

impl Case {
    /// How far it gets, and how it ends.
    fn expected(self, file: &[u8]) -> (usize, Result<LengthProof, ErrorKind>) {
        let Case { framing, ranges, fault, cut, for_ever } = self;
        let whole = file.len();
        let nobody_can_tell = framing == Framing::CloseDelimited && !ranges;
        let proof = if nobody_can_tell { LengthProof::Unverified } else { LengthProof::Length };
        let looks_ended = nobody_can_tell && fault == Then::Close;
        if cut == whole && (framing == Framing::Length || ranges) {
            return (whole, Ok(LengthProof::Length));
        }
        match (for_ever, looks_ended) {
            // Asked again, the server says the same: that is all there is to know.
            (true, true) => (cut, Ok(LengthProof::Unverified)),
            (true, false) => (cut, Err(ErrorKind::Transport)),
            (false, true) if cut > 0 && file[cut - 1] == b'\n' => (cut, Ok(LengthProof::Unverified)),
            (false, _) => (whole, Ok(proof)),
        }
    }

    async fn run(self) {
        let served = Served::new(self.framing, self.ranges);
        let file = served.bytes.clone();
        let server = Raw::start(move |request, nth| {
            let cut = (self.for_ever || nth == 0).then_some(self.cut);
            served.answer(request, cut, self.fault)
        })
        .await;
        let tools = server.tools();
        let (bytes, end) = read_all(&mut tools.stream(&format!("{}/f", server.origin))).await;
        let (length, expected) = self.expected(&file);
        assert_eq!(end, expected, "{self:?}: {:?}", tools.notes.all());
        assert!(bytes == file[..length], "{self:?}: {} bytes, not {length}", bytes.len());
        assert!(server.seen().len() <= 6, "{self:?}: {:?}", server.ranges());
        // The rest is asked for, not the whole, where the server can do that. A reset may overtake bytes that were sent.
        if self.ranges && self.cut > 0 {
            let lost = |start: Option<usize>| self.fault == Then::Reset && start.unwrap_or(0) < self.cut;
            let right = |&start: &Option<usize>| start == Some(self.cut) || start == Some(file.len()) || lost(start);
            assert!(server.ranges()[1..].iter().all(right), "{self:?}: {:?}", server.ranges());
        }
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_is_taken_up_or_told() {
    let file = lines(40);
    let line_end = file.iter().position(|&byte| byte == b'\n').unwrap() + 1;
    let mut runs = Vec::new();
    for framing in [Framing::Length, Framing::Chunked, Framing::CloseDelimited] {
        for fault in [Then::Close, Then::Reset, Then::Stall] {
            for cut in [0, 1, file.len() / 2, line_end, file.len() - 1, file.len()] {
                for (ranges, for_ever) in [(true, false), (true, true), (false, false), (false, true)] {
                    runs.push(Case { framing, ranges, fault, cut, for_ever });
                }
            }
        }
    }
    assert_eq!(runs.len(), 216);
    // Not all at once: a machine that is busy with them would be silent for longer than the idle timeout.
    while !runs.is_empty() {
        let batch: Vec<_> = runs.drain(..runs.len().min(24)).map(|case| tokio::spawn(case.run())).collect();
        for run in batch {
            run.await.unwrap();
        }
    }
}

#[tokio::test]
async fn whole_bodies_take_one_request_unless_their_end_is_open() {
    for (framing, requests) in [(Framing::Length, 1), (Framing::Chunked, 1), (Framing::CloseDelimited, 2)] {
        for bytes in [lines(0), lines(1), lines(2000), b"no last newline".to_vec()] {
            let served = Served { bytes: bytes.clone(), ..Served::new(framing, true) };
            let server = Raw::start(move |request, _| served.answer(request, None, Then::Close)).await;
            let tools = server.tools();
            let mut stream = tools.stream(&format!("{}/f", server.origin));
            assert_eq!(read_all(&mut stream).await, (bytes.clone(), Ok(LengthProof::Length)), "{framing:?}");
            // Of an open end the total is asked for; who sends chunks has never stated one.
            let stated = (framing != Framing::Chunked).then_some(bytes.len() as u64);
            assert_eq!(stream.stated_bytes(), stated, "{framing:?}");
            assert_eq!(server.seen().len(), requests, "{framing:?}");
        }
    }
    let server = Raw::start(|_, _| Script::new("204 Nothing", "")).await;
    let tools = server.tools();
    let end = read_all(&mut tools.stream(&format!("{}/f", server.origin))).await;
    assert_eq!(end, (Vec::new(), Ok(LengthProof::Length)));
}

#[tokio::test]
async fn an_open_end_without_a_last_newline_is_read_twice() {
    let bytes = b"{\"a\":1}\n{\"b\":2}".to_vec();
    let served = Served { bytes: bytes.clone(), ..Served::new(Framing::CloseDelimited, false) };
    let server = Raw::start(move |request, _| served.answer(request, None, Then::Close)).await;
    let tools = server.tools();
    let end = read_all(&mut tools.stream(&format!("{}/f", server.origin))).await;
    assert_eq!(end, (bytes, Ok(LengthProof::Unverified)));
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn a_body_that_comes_drop_by_drop_goes_on_and_progress_renews_the_retries() {
    // Each connection breaks after 32 KiB, more often than there are retries.
    let served = Served { bytes: lines(6000), ..Served::new(Framing::Length, true) };
    let file = served.bytes.clone();
    let server = Raw::start(move |request, _| {
        let next = request.range_start().unwrap_or(0) + (32 << 10);
        let cut = (next < served.bytes.len()).then_some(next);
        served.answer(request, cut, Then::Close)
    })
    .await;
    let tools = server.tools();
    let (bytes, end) = read_all(&mut tools.stream(&format!("{}/f", server.origin))).await;
    assert!(bytes == file && end == Ok(LengthProof::Length));
    assert!(server.seen().len() > 2 + PATIENCE.retries as usize, "{:?}", server.ranges());
    let retries = tools.notes.all().into_iter().filter(|note| note.starts_with("Retry")).collect::<Vec<_>>();
    assert_eq!(retries.len(), server.seen().len() - 1);
    assert!(retries.iter().all(|note| note.contains("what: \"output file\", attempt: 1, of: 3")), "{retries:?}");

    // A byte at a time, each within the idle timeout, longer than it altogether.
    let server = Raw::start(|_, _| Script {
        drip: Some(Duration::from_millis(50)),
        ..Script::new("200 OK\r\nContent-Length: 20", &b"{\"a\":1}\n{\"b\":22222}\n"[..])
    })
    .await;
    let tools = server.tools();
    let (bytes, end) = read_all(&mut tools.stream(&format!("{}/f", server.origin))).await;
    assert_eq!((bytes.len(), end, server.seen().len()), (20, Ok(LengthProof::Length), 1));
}

#[tokio::test]
async fn who_does_not_ask_is_not_timed_out_and_who_stops_asking_loses_nothing() {
    let served = Served { bytes: lines(20_000), ..Served::new(Framing::Length, true) };
    let file = served.bytes.clone();
    let server = Raw::start(move |request, _| served.answer(request, None, Then::Close)).await;
    let tools = server.tools();
    let mut stream = tools.stream(&format!("{}/f", server.origin));
    let mut all = stream.next().await.unwrap().unwrap().to_vec();
    tokio::time::sleep(PATIENCE.idle_timeout * 3).await;
    let (rest, end) = read_all(&mut stream).await;
    all.extend_from_slice(&rest);
    assert!(all == file && end == Ok(LengthProof::Length));
    assert_eq!(server.seen().len(), 1);

    let server = Raw::start(|_, _| Script {
        drip: Some(Duration::from_millis(15)),
        ..Script::new("200 OK\r\nContent-Length: 40", vec![b'x'; 40])
    })
    .await;
    let tools = server.tools();
    let mut stream = tools.stream(&format!("{}/f", server.origin));
    let (mut length, mut dropped) = (0, 0);
    loop {
        match tokio::time::timeout(Duration::from_millis(if length == 0 { 200 } else { 10 }), stream.next()).await {
            Ok(Ok(Some(bytes))) => length += bytes.len(),
            Ok(end) => break assert_eq!(end.unwrap(), None),
            Err(_) => dropped += 1,
        }
    }
    assert_eq!((length, server.seen().len()), (40, 1));
    assert!(dropped > 10, "{dropped}");
}

#[tokio::test]
async fn storms_are_ridden_out_no_earlier_than_asked() {
    let served = Served::new(Framing::Length, true);
    let file = served.bytes.clone();
    let server = Raw::start(move |request, nth| match nth {
        0 => Script::new("503 No\r\nRetry-After: 20\r\nContent-Length: 0", ""),
        1 => Script::new("429 No\r\nRetry-After: 1795319406\r\nContent-Length: 0", ""),
        2 => Script::new("500 No\r\nContent-Length: 4", "oops"),
        _ => served.answer(request, None, Then::Close),
    })
    .await;
    let tools = server.tools();
    assert_eq!(read_all(&mut tools.stream(&format!("{}/f", server.origin))).await, (file, Ok(LengthProof::Length)));
    let waits = tools.clock.waits();
    assert!(
        waits.len() == 3 && waits[0].as_secs() >= 20 && waits[1].as_secs() == 300 && waits[2].as_secs() <= 2,
        "{waits:?}"
    );

    let server = Raw::start(|_, _| Script::new("503 No\r\nContent-Length: 0", "")).await;
    let tools = server.tools();
    let mut stream = tools.stream(&format!("{}/f", server.origin));
    for calls in [1, 2] {
        let error = stream.next().await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "the output file was answered with 503 Service Unavailable, also after 3 retries"
        );
        assert_eq!(server.seen().len(), 4 * calls, "each call has all retries");
    }
}

#[tokio::test]
async fn what_is_no_data_is_not_handed_out() {
    let page = "<!DOCTYPE html><title>Sign in</title>";
    let heads = [
        "200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: 37",
        "200 OK\r\nContent-Type: application/fhir+ndjson\r\nContent-Length: 37",
    ];
    for head in heads {
        let server = Raw::start(move |_, _| Script::new(head, page)).await;
        let tools = server.tools();
        let end = read_all(&mut tools.stream(&format!("{}/f", server.origin))).await;
        assert_eq!((end, server.seen().len()), ((Vec::new(), Err(ErrorKind::NotData)), 4));

        let served = Served::new(Framing::Length, true);
        let file = served.bytes.clone();
        let server = Raw::start(move |request, nth| match nth {
            0 | 1 => Script::new(head, page),
            2 => served.answer(request, Some(100), Then::Reset),
            3 => Script::new("200 OK\r\nContent-Type: text/html\r\nContent-Length: 37", page),
            _ => served.answer(request, None, Then::Close),
        })
        .await;
        let tools = server.tools();
        let (bytes, end) = read_all(&mut tools.stream(&format!("{}/f", server.origin))).await;
        // Four failures in a row without progress to speak of are one too many.
        assert_eq!(end, Err(ErrorKind::NotData));
        assert!(bytes == file[..100]);
    }
}

#[tokio::test]
async fn host_limits_are_found_and_kept() {
    // No more than five at a time; more are refused.
    let open = Arc::new(AtomicUsize::new(0));
    let most = Arc::new(AtomicUsize::new(0));
    let refused = Arc::new(AtomicUsize::new(0));
    let (open_now, most_seen, refusals) = (open.clone(), most.clone(), refused.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            let (open, most, refused) = (open_now.clone(), most_seen.clone(), refusals.clone());
            tokio::spawn(async move {
                let _ = socket.read(&mut [0; 4096]).await;
                let now = open.fetch_add(1, SeqCst) + 1;
                most.fetch_max(now, SeqCst);
                let answer = if now > 5 {
                    refused.fetch_add(1, SeqCst);
                    "HTTP/1.1 429 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_owned()
                } else {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    format!("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\nConnection: close\r\n\r\n{}", "x".repeat(1000))
                };
                open.fetch_sub(1, SeqCst);
                let _ = socket.write_all(answer.as_bytes()).await;
            });
        }
    });
    let tools = tools(&origin, 6);
    let streams = (0..300).map(|n| {
        let mut stream = tools.stream(&format!("{origin}/f/{n}"));
        tokio::spawn(async move { read_all(&mut stream).await })
    });
    for stream in streams.collect::<Vec<_>>() {
        let (bytes, end) = stream.await.unwrap();
        assert_eq!((bytes.len(), end), (1000, Ok(LengthProof::Length)));
    }
    server.abort();
    let notes = tools.notes.all();
    let changes: Vec<_> = notes.iter().filter(|note| note.starts_with("Concurrency")).collect();
    assert!(most.load(SeqCst) <= 6, "never above the user's limit: {most:?}");
    assert!(changes.first().is_some_and(|note| note.contains("now: 6")), "it grew: {changes:?}");
    assert!(
        refused.load(SeqCst) > 0 && changes.iter().any(|note| note.contains("now: 3")),
        "and was halved: {changes:?}"
    );
}
