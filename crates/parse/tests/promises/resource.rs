//! What a line says it is.

use lakehaul_parse::{
    Chunk, DirectCursor, Reason, Scratch, TapeCursor, TapeScratch, begin_resource, leading_resource_type, resource_type,
};

#[track_caller]
fn check(line: &str, leading: Option<&str>, wanted: Result<&str, Reason>) {
    let chunk = Chunk::copy_of(line.as_bytes());
    let line = chunk.lines().next().expect("a line");
    assert_eq!(leading_resource_type(&line), leading, "leading");
    let mut scratch = Scratch::new();
    let mut cursor = DirectCursor::new(&line, 9, &mut scratch).expect("UTF-8");
    assert_eq!(resource_type(&mut cursor).map_err(|e| e.reason), wanted, "direct");
    if cfg!(miri) {
        return;
    }
    let mut scratch = TapeScratch::new();
    let found =
        TapeCursor::new(&line, 9, &mut scratch).and_then(|mut cursor| resource_type(&mut cursor).map(str::to_owned));
    // The tape cursor refuses what is not JSON at once, and knows fewer reasons for it.
    if found.is_ok() || wanted.is_ok() {
        assert_eq!(found.as_deref().map_err(|e| e.reason), wanted, "tape");
    }
}

#[test]
fn resource_types() {
    let patient = Ok("Patient");
    check(r#"{"resourceType":"Patient"}"#, Some("Patient"), patient);
    check(r#"{"resourceType":"Patient","a":1}"#, Some("Patient"), patient);
    check(r#"{"resourceType":""}"#, Some(""), Ok(""));
    check(r#"{ "resourceType" : "Patient" }"#, None, patient);
    check(r#"{"id":"1","contained":[{"resourceType":"Group"}],"resourceType":"Patient"}"#, None, patient);
    check(r#"{"resource\u0054ype":"\u0050atient"}"#, None, patient);
    check(r#"{"resourceType":"Patient","resourceType":"Group"}"#, Some("Patient"), patient);
    check(r#"{"resourceType":"\ud800"}"#, None, Err(Reason::UnknownResourceType));
    check(r#"{"resourceType":"Pa tient"}"#, None, Ok("Pa tient"));
    for none in [
        r#"{}"#,
        r#"{"id":"1"}"#,
        r#"{"resourceType":null}"#,
        r#"{"resourceType":["Patient"],"a":1}"#,
        r#"{"resourcetype":"Patient"}"#,
    ] {
        check(none, None, Err(Reason::MissingResourceType));
    }
}

#[test]
fn lines_that_are_no_resource() {
    for value in ["[]", "1", "\"a\"", "true", "null", " [1] ", r#"["resourceType"]"#] {
        check(value, None, Err(Reason::NotAnObject));
    }
    check("x", None, Err(Reason::NotJson));
    check("[1", None, Err(Reason::UnexpectedEnd));
    check("1 1", None, Err(Reason::TwoValues));
    check("[01]", None, Err(Reason::BadNumber));
    check(" \r", None, Err(Reason::UnexpectedEnd));
    check(r#"{"resourceType":"Patient"#, None, Err(Reason::UnexpectedEnd));
    check(r#"{"a":1} x"#, None, Err(Reason::TwoValues));
    check(r#"{"resourceType":1,"a":tru}"#, None, Err(Reason::NotJson));
    check(r#"{"a":[[[[[[[[[1]]]]]]]]]}"#, None, Err(Reason::TooDeep));
}

#[test]
fn begin_resource_enters_the_object() {
    use lakehaul_parse::{Cursor, Member, MemberGuess};
    let chunk = Chunk::copy_of(b" {\"a\":1}");
    let line = chunk.lines().next().expect("a line");
    let mut scratch = Scratch::new();
    let mut cursor = DirectCursor::new(&line, 1, &mut scratch).expect("UTF-8");
    assert_eq!(begin_resource(&mut cursor), Ok(()));
    assert_eq!(cursor.next_member(&MemberGuess::new("a")), Ok(Member::Guessed));
}
