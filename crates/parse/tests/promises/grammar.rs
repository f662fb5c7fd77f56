//! The grammar: what is JSON, what is not, and which reject it is; by both cursors and `serde_json`.

use lakehaul_parse::{Chunk, DirectCursor, Reason, Scratch};

use crate::parse_body::{MAX_DEPTH, check, walk};
use Reason::{
    BadEscape, BadNumber, ControlCharacter, InvalidUtf8, LoneSurrogateName, NotJson, TooDeep, TwoValues, UnexpectedEnd,
};

/// Values that are legal.
const LEGAL: &[&str] = &[
    "null",
    "true",
    "false",
    "0",
    "-0",
    "-0.0",
    "1",
    "-1",
    "10",
    "1234567",
    "12345678",
    "123456789",
    "12345678901234567890",
    "0.5",
    "1.50",
    "-12.0003",
    "1e5",
    "1E+5",
    "1e-05",
    "0e0",
    "0E+00",
    "1.5e300",
    "1e400",
    "-1e-400",
    "18446744073709551616",
    "-9223372036854775809",
    "0.1234567890123456789012345678901234567890",
    r#""""#,
    r#""a""#,
    r#"" ""#,
    r#""a b c""#,
    r#""'""#,
    r#""/""#,
    r#""{\"a\":[1,2]}""#,
    r#""\"\\\/\b\f\n\r\t""#,
    r#""\u0041\u00e9\u20AC\uD83D\uDE00""#,
    r#""\u0000""#,
    "\"\u{7f}\"",
    "\"\u{80}\u{7ff}\u{800}\u{ffff}\u{10000}\u{10ffff}\"",
    "\"\u{2028}\u{feff}\"",
    r#""\\""#,
    r#""\\\\\\\"""#,
    r#""\ud800""#,
    r#""\uDFFF""#,
    r#""\ud800\ud800\udc00""#,
    r#""\ud800x""#,
    r#""\ud800\n""#,
    r#""\udc00\ud800""#,
    r#""\ud800\u0041""#,
    r#""a\uD83Db\uDE00""#,
    "[]",
    "[ ]",
    "[\t\r ]",
    "{}",
    "{ }",
    "[1]",
    "[ 1 ]",
    "[1,2]",
    "[ 1 , 2 ]",
    "[[]]",
    "[[],[[]],{}]",
    r#"{"a":1}"#,
    r#"{ "a" : 1 }"#,
    r#"{"a":1,"b":2}"#,
    r#"{"a" :1 , "b":2 }"#,
    r#"{"":0}"#,
    r#"{"a":{"b":{"c":[]}}}"#,
    r#"{"a":1,"a":2}"#,
    r#"{"\u0061":1}"#,
    r#"{"a\nb":"\""}"#,
    r#"{"ü":"ü"}"#,
    r#"[null,true,false,0,"",[],{}]"#,
    "\t[1]\r",
    r#"{"a\"b":1}"#,
    "[\"\",\"\"]",
    r#"{"a name that is longer than any guess may be, by far":1,"b":2}"#,
    r#"["a string that is longer than one register, and than two"]"#,
];

/// Values that are not, and why; where a second reason stands, the value ends the line.
const ILLEGAL: &[(&str, Reason)] = &[
    ("nul", NotJson),
    ("nulL", NotJson),
    ("nulll", NotJson),
    ("True", NotJson),
    ("tru", NotJson),
    ("truefalse", NotJson),
    ("fals", NotJson),
    ("falze", NotJson),
    ("undefined", NotJson),
    ("NaN", NotJson),
    ("Infinity", NotJson),
    ("-Infinity", BadNumber),
    ("-", BadNumber),
    ("--1", BadNumber),
    ("+1", NotJson),
    (".5", NotJson),
    ("-.5", BadNumber),
    ("1.", BadNumber),
    ("1.e5", BadNumber),
    ("01", BadNumber),
    ("-01", BadNumber),
    ("00", BadNumber),
    ("1e", BadNumber),
    ("1e+", BadNumber),
    ("1E-x", BadNumber),
    ("1.5.5", NotJson),
    ("1e5.5", NotJson),
    ("0x10", NotJson),
    ("1_000", NotJson),
    ("1a", NotJson),
    ("1 2", NotJson),
    ("1-2", NotJson),
    ("１", NotJson),
    ("'a'", NotJson),
    ("a", NotJson),
    ("\"\t\"", ControlCharacter),
    ("\"\0\"", ControlCharacter),
    ("\"a\rb\"", ControlCharacter),
    ("\"\u{1f}\"", ControlCharacter),
    (r#""\a""#, BadEscape),
    (r#""\'""#, BadEscape),
    (r#""\U0041""#, BadEscape),
    (r#""\u""#, BadEscape),
    (r#""\u004""#, BadEscape),
    (r#""\u004g""#, BadEscape),
    (r#""\u+041""#, BadEscape),
    (r#""\uD800\u""#, BadEscape),
    (r#""\ud800\udc0""#, BadEscape),
    (r#""\x41""#, BadEscape),
    ("\"\\\u{1}\"", BadEscape),
    ("\"\\ü\"", BadEscape),
    ("[,]", NotJson),
    ("[1,]", NotJson),
    ("[,1]", NotJson),
    ("[1,,2]", NotJson),
    ("[1 2]", NotJson),
    ("[1:2]", NotJson),
    ("[1}", NotJson),
    ("]", NotJson),
    ("{,}", NotJson),
    (r#"{"a"}"#, NotJson),
    (r#"{"a":}"#, NotJson),
    (r#"{"a":1,}"#, NotJson),
    (r#"{,"a":1}"#, NotJson),
    (r#"{"a":1,,"b":2}"#, NotJson),
    (r#"{"a":1 "b":2}"#, NotJson),
    (r#"{"a" 1}"#, NotJson),
    (r#"{"a"::1}"#, NotJson),
    (r#"{"a",1}"#, NotJson),
    (r#"{"a":1]"#, NotJson),
    ("{a:1}", NotJson),
    ("{1:1}", NotJson),
    ("{null:1}", NotJson),
    ("{[]:1}", NotJson),
    (r#"{"a":1 : 2}"#, NotJson),
    ("{'a':1}", NotJson),
    ("/* c */ 1", NotJson),
    ("1 // c", NotJson),
    ("#", NotJson),
    ("\u{b}1", NotJson),
    ("\u{c}1", NotJson),
    ("\u{a0}1", NotJson),
    ("\u{feff}1", NotJson),
    ("\u{2028}1", NotJson),
    ("\0", NotJson),
    ("", NotJson),
    (r#"{"\ud800":1}"#, LoneSurrogateName),
    (r#"{"a":1,"\udc00x":1}"#, LoneSurrogateName),
    (r#"{"a\":1}"#, UnexpectedEnd),
    (r#"\"a""#, NotJson),
    (r#"{"\u006g":1}"#, BadEscape),
    ("{\"a\n\":1}", UnexpectedEnd),
    ("[\n]", UnexpectedEnd),
    ("\"a\\\n\"", UnexpectedEnd),
];

/// The reject of `line` by the direct cursor that enters everything.
fn reject_of(line: &[u8]) -> Option<Reason> {
    let chunk = Chunk::copy_of(line);
    let line = chunk.lines().next().expect("a line");
    let mut scratch = Scratch::new();
    let events = DirectCursor::new(&line, MAX_DEPTH, &mut scratch).and_then(|cursor| walk(cursor, &[]));
    events.err().map(|reject| reject.reason)
}

/// The line alone, and among neighbours that would make it whole if a scan went too far.
fn check_among_neighbours(line: &str) {
    check(line.as_bytes());
    for end in if cfg!(miri) { &["\n"][..] } else { &["\n", "\r\n"] } {
        check(format!("]}}\"]{end}{line}{end}\":1}}]{end}{line}").as_bytes());
    }
}

#[test]
fn legal_values() {
    for value in LEGAL {
        check_among_neighbours(value);
        for line in [format!(r#"{{"a":{value}}}"#), format!(r#" {{"a" : {value} , "b":[{value},{value}]}} "#)] {
            assert_eq!(reject_of(line.as_bytes()), None, "{line}");
            check_among_neighbours(&line);
        }
    }
}

#[test]
fn illegal_values() {
    for &(value, reason) in ILLEGAL {
        check_among_neighbours(value);
        // Not as element 5: a walk skips that one, and a skipped name may have half a surrogate pair.
        let line = format!(r#"{{"a":[0,{value}]}}"#);
        let found = reject_of(line.as_bytes());
        assert_eq!(found, Some(reason), "{line}");
        check_among_neighbours(&line);
        check_among_neighbours(&format!(r#"{{"a":1,"b":2,"skipped":{value}}}"#));
    }
}

/// Each value at each distance from a block of 64 bytes, with what pads it inside the value or before it.
#[test]
fn at_every_distance_from_a_block() {
    let distances = if cfg!(miri) { 1 } else { 70 };
    for pad in 0..distances {
        for value in LEGAL.iter().chain(ILLEGAL.iter().map(|(value, _)| value)) {
            check(format!("{{\"{}\":{value}}}\n", "p".repeat(pad)).as_bytes());
            check(format!("{}{{\"a\":[{value},{value}]}}", " ".repeat(pad)).as_bytes());
        }
    }
}

/// Strings and names of every length, with something special at every place of them.
#[test]
fn strings_of_every_length() {
    let (lengths, step) = if cfg!(miri) { (35, 33) } else { (140, 1) };
    for length in (0..lengths).step_by(step) {
        let plain = "s".repeat(length);
        check(format!(r#"{{"{plain}":"{plain}","{plain}":["{plain}","{plain}"]}}"#).as_bytes());
        for at in (0..=length).step_by(step) {
            for special in ["\\n", "\\\"", "\\ud83d\\ude00", "\\udc00", "ü", "\u{1}", "\"", "\\", "\n"] {
                let (head, tail) = plain.split_at(at);
                check(format!(r#"["{head}{special}{tail}"]"#).as_bytes());
                if length % 7 == 0 {
                    check(format!(r#"{{"{head}{special}{tail}":1}}"#).as_bytes());
                }
            }
        }
    }
}

/// Every legal line cut off anywhere is refused, and says that it ends too early.
#[test]
fn cut_off_anywhere() {
    let line = r#"{"resourceType":"Patient","a":[1.5,-2e7,true,null,"x\u00e9\\y"],"b":{"c":{}},"d":false}"#;
    check(line.as_bytes());
    for end in (1..line.len()).step_by(if cfg!(miri) { 11 } else { 1 }) {
        let cut = &line[..end];
        check_among_neighbours(cut);
        assert_eq!(reject_of(cut.as_bytes()), Some(UnexpectedEnd), "{cut}");
    }
}

#[test]
fn one_value_a_line() {
    for rest in ["{}", "x", ",", "}", "]", "0", "\"", "\u{0}", ":", "\u{c}"] {
        for white in ["", " ", "\t\r"] {
            let line = format!("{{}}{white}{rest}");
            assert_eq!(reject_of(line.as_bytes()), Some(TwoValues), "{line}");
            check_among_neighbours(&line);
        }
    }
}

#[test]
fn utf8_is_checked_line_by_line() {
    for bad in [&b"\xFF"[..], b"\xC0\xAF", b"\xED\xA0\x80", b"\xF4\x90\x80\x80", b"\xE2\x82", b"\x80"] {
        let mut line = b"{\"a\":\"\xC3\xBC".to_vec();
        line.extend_from_slice(bad);
        line.extend_from_slice(b"\"}");
        assert_eq!(reject_of(&line), Some(InvalidUtf8), "{}", line.escape_ascii());
        let file = [&b"{\"a\":1}\n"[..], &line, b"\r\n{\"a\":\"\xC3\xBC\"}\n"].concat();
        check(&file);
        let chunk = Chunk::copy_of(&file);
        let mut scratch = Scratch::new();
        let found: Vec<_> = chunk
            .lines()
            .map(|line| DirectCursor::new(&line, 1, &mut scratch).err().map(|e| (e.reason, e.at)))
            .collect();
        assert_eq!(found, [None, Some((InvalidUtf8, 8)), None]);
    }
}

/// Nesting is refused at the limit, however deep it goes, and without using the stack.
#[test]
fn depth() {
    let limit = MAX_DEPTH as usize;
    let depths = [limit, limit + 1, limit - 1, 63, 64, 65, 128, 129, 1000];
    for &depth in if cfg!(miri) { &depths[..2] } else { &depths[..] } {
        for (open, close) in [("[", "]"), (r#"{"a":"#, "}"), (r#"[{"a":"#, "}]")] {
            let line = format!("{}1{}", open.repeat(depth), close.repeat(depth));
            let levels = depth * open.matches(['[', '{']).count();
            check(line.as_bytes());
            assert_eq!(reject_of(line.as_bytes()), (levels > limit).then_some(TooDeep), "{levels}");
        }
    }
}
