//! Status answers, one row each: running, complete or failed.

use http::HeaderValue;

use super::*;

const MANIFEST: &str = r#"{"transactionTime":"2026-01-01T00:00:00Z","requiresAccessToken":true,
    "output":[{"type":"Patient","url":"/file/1"}],"error":[]}"#;

fn outcome(severity: &str, code: &str, text: &str) -> String {
    format!(
        r#"{{"resourceType":"OperationOutcome","issue":[{{"severity":"{severity}","code":"{code}",
            "details":{{"text":"{text}"}}}}]}}"#
    )
}

/// One word, and the error's kind and text where there is one.
fn reading(status: u16, headers: &[(&'static str, &str)], body: &str) -> String {
    let headers =
        headers.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()));
    let transient = |error: &FetchError| if error.is_transient() { "transient " } else { "" };
    match read(StatusCode::from_u16(status).unwrap(), &headers.collect(), body.as_bytes()) {
        Reading::Running(None) => "running".to_owned(),
        Reading::Running(Some(body)) => format!("running, {:?}", body.batches().map(|batches| batches.running)),
        Reading::Complete(_) => "complete".to_owned(),
        Reading::NotNow(error) => format!("not now: {}{:?}: {error}", transient(&error), error.kind()),
        Reading::Gone(error) => format!("gone: {:?}: {error}", error.kind()),
        Reading::Final(error) => format!("final: {:?}: {error}", error.kind()),
    }
}

#[track_caller]
fn check(status: u16, body: &str, expected: &str) {
    let found = reading(status, &[], body);
    assert!(found.starts_with(expected), "{status} {body}\nfound    {found}\nexpected {expected}");
}

#[test]
fn in_progress() {
    check(202, "", "running");
    check(202, "<html>please wait</html>", "running");
    check(202, "not json", "running");
    check(202, &outcome("information", "informational", "working"), "running");
    check(202, &outcome("error", "processing", "a record was skipped"), "running");
    check(202, MANIFEST, "running, None");
    check(202, r#"{"status":"Successful","output":[]}"#, "running, None");
    check(200, r#"{"batches":{"running":2,"complete":1,"failed":0,"total":3}}"#, "running, Some(2)");
    check(
        200,
        r#"{"status":"Successful","batches":{"running":1,"complete":5,"total":6},"output":[]}"#,
        "running, Some(1)",
    );
    check(
        200,
        r#"{"batches":{"running":0,"complete":1,"failed":1,"total":3},"output":[{"url":"x"}]}"#,
        "running, Some(0)",
    );
    check(200, r#"{"batches":{"running":0,"complete":0,"failed":0,"total":0}}"#, "running, Some(0)");
    for word in ["Running", "PENDING", "queued", "processing", "in-progress", "IN_PROGRESS", "Submitted", "not started"]
    {
        check(200, &format!(r#"{{"status":"{word}"}}"#), "running, None");
        check(200, &format!(r#"{{"status":"{word}","output":[]}}"#), "running, None");
    }
    check(200, &outcome("information", "informational", "Asynchronous export running."), "running");
}

#[test]
fn complete() {
    check(200, MANIFEST, "complete");
    check(200, r#"{"output":[]}"#, "complete");
    check(200, r#"{"transactionTime":"x","deleted":[{"url":"d"}]}"#, "complete");
    for word in ["Successful", "success", "COMPLETED", "Complete", "done", "Finished", "Completed with errors"] {
        check(200, &format!(r#"{{"status":"{word}","output":[]}}"#), "complete");
    }
    check(200, r#"{"status":"anything else","output":[]}"#, "complete");
    check(200, r#"{"status":7,"output":[]}"#, "complete");
    // Batches that failed make it partial, not failed.
    check(
        200,
        r#"{"status":"Successful","batches":{"running":0,"complete":5,"failed":1,"total":6},"output":[]}"#,
        "complete",
    );
    check(200, r#"{"batches":{"running":0,"complete":0,"failed":6,"total":6},"output":[]}"#, "complete");
    check(200, r#"{"status":"Successful","batches":{"complete":0,"total":0}}"#, "complete");
}

#[test]
fn failed() {
    check(
        200,
        r#"{"status":"Failed"}"#,
        "final: ExportFailed: the server says that the export failed: its status is Failed",
    );
    check(
        200,
        r#"{"status":"error","error":"no\u0007 space"}"#,
        "final: ExportFailed: the server says that the export failed: its status is error: no space",
    );
    check(200, r#"{"status":"CANCELLED","output":[{"url":"x"}]}"#, "final: ExportFailed");
    check(
        200,
        r#"{"status":"Unsuccessful","message":"why"}"#,
        "final: ExportFailed: the server says that the export failed: its status is Unsuccessful: why",
    );
    check(
        202,
        r#"{"status":"Failed","batches":{"complete":1,"failed":2,"total":3}}"#,
        "final: ExportFailed: the server says that the export failed: its status is Failed, 2 of 3 batches failed",
    );
    check(
        200,
        &outcome("fatal", "processing", "no such group"),
        "final: ExportFailed: the server says that the export failed: fatal processing: no such group (200)",
    );
    check(
        400,
        &outcome("error", "invalid", "bad job"),
        "final: ExportFailed: the server says that the export failed: error invalid: bad job (400)",
    );
    check(422, "", "final: ExportFailed: the server says that the export failed: 422 Unprocessable");
    check(501, "", "final: ExportFailed");
    // Only if it stays.
    check(
        500,
        &outcome("error", "processing", "disk"),
        "not now: ExportFailed: the server says that the export failed: error processing: disk (500)",
    );
}

#[test]
fn no_word_about_the_export() {
    for status in [408, 429, 500, 502, 503, 504] {
        check(status, "", &format!("not now: transient Transport: the status request was answered with {status}"));
        check(status, "<html>busy</html>", "not now: transient Transport");
        check(status, &outcome("error", "transient", "later"), "not now: transient Transport");
    }
    check(200, &outcome("error", "throttled", "later"), "not now: transient Transport");
    check(400, &outcome("error", "timeout", "later"), "not now: transient Transport");
    let found = reading(200, &[("content-type", "text/html; charset=utf-8")], "<html>sesame</html>");
    assert_eq!(
        found,
        "not now: transient Transport: the status request was answered with 200 and text/html; charset=utf-8 that is neither a \
         status nor a manifest"
    );
    let found = reading(200, &[("content-type", "application/json")], r#"{"foo":"sesame"}"#);
    assert_eq!(
        found,
        "not now: ExportFailed: the status request was answered with 200 and application/json that is neither a status nor a \
         manifest"
    );
    for body in
        ["", "[]", "null", "7", "\"text\"", r#"{"resourceType":"Patient","output":[]}"#, r#"{"output":{}}"#, "{"]
    {
        check(
            200,
            body,
            "not now: ExportFailed: the status request was answered with 200 and something without a content type",
        );
    }
    check(204, "", "not now: ExportFailed");
    check(
        200,
        r#"{"status":"Successful"}"#,
        "not now: ExportFailed: the status request was answered with 200 and an export that is done, without",
    );
    check(200, &outcome("information", "informational", "hello"), "not now: ExportFailed");
    for list in [r#""output":7"#, r#""output":{}"#, r#""output":[{"url":"x"},7]"#, r#""output":[],"deleted":"x""#] {
        let body = format!(r#"{{"status":"Successful","batches":{{"complete":1,"total":1}},{list}}}"#);
        check(200, &body, "not now: ExportFailed: the status request was answered with 200 and a manifest with a list");
    }
    check(200, r#"{"status":"Successful","batches":{"complete":1,"total":1},"output":[],"deleted":null}"#, "complete");
}

#[test]
fn gone_and_refused() {
    check(404, "", "gone: NoSuchExport: the server does not know the export: 404 Not Found");
    check(
        410,
        &outcome("error", "expired", "too late"),
        "gone: NoSuchExport: the server does not know the export: error expired: too late (410)",
    );
    check(401, "", "final: Auth");
    check(
        403,
        &outcome("error", "forbidden", "not yours"),
        "final: Auth: the server refuses the status request: error forbidden: not yours (403)",
    );
}

#[test]
fn no_bytes_panic() {
    let seeds =
        [MANIFEST.to_owned(), outcome("error", "x", "y"), r#"{"status":"Failed","batches":{"total":"1"}}"#.to_owned()];
    let mut rng = fastrand::Rng::with_seed(3);
    for round in 0..20_000 {
        let mut bytes = seeds[round % seeds.len()].clone().into_bytes();
        for _ in 0..rng.usize(..6) {
            let at = rng.usize(..bytes.len());
            bytes[at] = if rng.bool() { rng.u8(..) } else { *rng.choice(b"\"{[:,]}\\ \0<").unwrap() };
        }
        let status = StatusCode::from_u16(rng.u16(100..600)).unwrap();
        read(status, &HeaderMap::new(), &bytes);
    }
}
