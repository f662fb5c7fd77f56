//! What comes out of a line: texts exactly as they stand, or decoded, and where from; by both cursors.

use lakehaul_parse::{
    Chunk, Cursor, DirectCursor, Member, MemberGuess, Reason, Reject, Scratch, TapeCursor, TapeScratch, Text, Token,
};

/// Runs `test` with both cursors over a line.
#[track_caller]
fn both(line: &str, max_depth: u32, test: impl for<'c> Fn(&str, &mut dyn Cursor<'c>)) {
    let chunk = Chunk::copy_of(line.as_bytes());
    let line = chunk.lines().next().expect("a line");
    let mut scratch = Scratch::new();
    test("direct", &mut DirectCursor::new(&line, max_depth, &mut scratch).expect("UTF-8"));
    if cfg!(miri) {
        return;
    }
    let mut scratch = TapeScratch::new();
    test("tape", &mut TapeCursor::new(&line, max_depth, &mut scratch).expect("JSON"));
}

/// The next member's name, guessed or not; `None` at the object's end.
fn member<'c>(cursor: &mut dyn Cursor<'c>, guess: &str) -> Option<String> {
    match cursor.next_member(&MemberGuess::new(guess)).expect("a member or the end") {
        Member::Guessed => Some(guess.to_owned()),
        Member::Named(Text::Borrowed(name) | Text::Unescaped(name)) => Some(name.to_owned()),
        Member::Named(Text::LoneSurrogate { .. }) => unreachable!("such a name is rejected"),
        Member::End => None,
    }
}

#[track_caller]
fn check_text(string: &str, wanted: Text<'_, '_>) {
    both(string, 1, |engine, cursor| {
        assert_eq!(cursor.peek(), Ok(Token::String), "{engine}");
        assert_eq!(cursor.string(), Ok(wanted), "{engine}");
        assert_eq!(cursor.finish(), Ok(()), "{engine}");
    });
}

#[test]
fn strings() {
    check_text(r#""""#, Text::Borrowed(""));
    check_text(r#""Müller""#, Text::Borrowed("Müller"));
    check_text(r#""a\/b""#, Text::Unescaped("a/b"));
    check_text(r#""\u0000""#, Text::Unescaped("\0"));
    check_text(r#""\uD83D\uDE00!""#, Text::Unescaped("\u{1F600}!"));
    check_text(r#""\ud83d\ud83d\ude00""#, Text::LoneSurrogate { raw: r#""\ud83d\ud83d\ude00""# });
    check_text(r#""a\uDE00\n""#, Text::LoneSurrogate { raw: r#""a\uDE00\n""# });
    check_text(r#""\\ud83d""#, Text::Unescaped(r"\ud83d"));
}

#[test]
fn numbers_keep_their_text() {
    for number in ["0", "-0", "-0.0", "1.10", "1E+05", "100000000000000000000000000000.000000001", "1e999999", "9.9463"]
    {
        both(&format!(" {number} "), 1, |engine, cursor| {
            assert_eq!(cursor.number(), Ok(number), "{engine}");
            assert_eq!(cursor.finish(), Ok(()), "{engine}");
        });
    }
}

#[test]
fn raw_values_keep_their_text() {
    for value in ["1.0", r#""a\u0041""#, "{ }", r#"{"a" : [ 1 ,"]}\"" ],"\ud800":"\ud800"}"#, "null", "[[],[ ]]"] {
        both(&format!("[ {value} , {value}]"), 9, |engine, cursor| {
            assert_eq!(cursor.begin_array(), Ok(()), "{engine}");
            for _ in 0..2 {
                assert_eq!(cursor.next_element(), Ok(true), "{engine}");
                assert_eq!(cursor.raw(), Ok(value), "{engine}");
            }
            assert_eq!(cursor.next_element(), Ok(false), "{engine}");
            assert_eq!(cursor.finish(), Ok(()), "{engine}");
        });
    }
}

/// A guess is taken if it is the whole string, and nothing is consumed otherwise.
#[test]
fn guessed_strings() {
    for length in (0..70).step_by(if cfg!(miri) { 9 } else { 1 }) {
        let content: String = ('a'..='z').cycle().take(length).collect();
        both(&format!(r#"["{content}","{content}\n"]"#), 1, |engine, cursor| {
            assert_eq!(cursor.begin_array(), Ok(()));
            assert_eq!(cursor.next_element(), Ok(true));
            assert!(!cursor.guess_string(format!("{content}x").as_bytes()), "{engine} {length}");
            assert!(!cursor.guess_string(&vec![b'-'; 10_000]), "{engine} {length}");
            for changed in 0..length {
                let mut other = content.clone().into_bytes();
                other[changed] ^= 1;
                assert!(!cursor.guess_string(&other), "{engine} {length}");
                assert!(!cursor.guess_string(&content.as_bytes()[..changed]), "{engine} {length}");
            }
            assert!(cursor.guess_string(content.as_bytes()), "{engine} {length}");
            assert_eq!(cursor.next_element(), Ok(true));
            assert!(!cursor.guess_string(content.as_bytes()), "{engine} {length}");
            assert_eq!(cursor.string(), Ok(Text::Unescaped(&format!("{content}\n"))));
            assert_eq!(cursor.next_element(), Ok(false));
        });
    }
}

/// Names come out the same, guessed or not, at every length.
#[test]
fn guessed_names() {
    for length in (0..70).step_by(if cfg!(miri) { 9 } else { 1 }) {
        let name: String = ('a'..='z').cycle().take(length).collect();
        let line = format!(r#"{{"{name}":1,"{name}" :1 , "{name}":1,"{name}\u0021":1,"{name}x":1,"{name}":1}}"#);
        let wanted = ["", "", "", "!", "x", ""].map(|tail| format!("{name}{tail}"));
        for guess in
            [name.clone(), format!("{name}x"), format!("{name}!"), format!("x{name}"), String::new(), "\"".to_owned()]
        {
            both(&line, 1, |engine, cursor| {
                assert_eq!(cursor.begin_object(), Ok(()));
                for wanted in &wanted {
                    assert_eq!(member(cursor, &guess).as_ref(), Some(wanted), "{engine}, guess {guess}");
                    assert_eq!(cursor.number(), Ok("1"));
                }
                assert_eq!(member(cursor, &guess), None, "{engine}");
                assert_eq!(cursor.finish(), Ok(()), "{engine}");
            });
        }
    }
}

/// A hit is a hit: the guess is told as such where it stands without white space behind it.
#[test]
fn a_right_guess_is_told() {
    let chunk = Chunk::copy_of(br#"{"a":1, "b":2}"#);
    let line = chunk.lines().next().expect("a line");
    let mut scratch = Scratch::new();
    let mut cursor = DirectCursor::new(&line, 1, &mut scratch).expect("UTF-8");
    cursor.begin_object().expect("an object");
    for name in ["a", "b"] {
        assert_eq!(cursor.next_member(&MemberGuess::new(name)), Ok(Member::Guessed));
        cursor.number().expect("a number");
    }
    assert_eq!(cursor.next_member(&MemberGuess::NEVER), Ok(Member::End));
}

/// A right guess in the wrong place is no hit.
#[test]
fn a_guess_does_not_excuse_commas() {
    for line in [r#"{,"a":1}"#, r#"{"x":1"a":1}"#, r#"{"x":1,,"a":1}"#, r#"{"x":1 "a":1}"#, r#"{ ,"a":1}"#] {
        let chunk = Chunk::copy_of(line.as_bytes());
        let line = chunk.lines().next().expect("a line");
        let mut scratch = Scratch::new();
        let mut cursor = DirectCursor::new(&line, 1, &mut scratch).expect("UTF-8");
        cursor.begin_object().expect("an object");
        if line.bytes().contains(&b'x') {
            assert_eq!(cursor.next_member(&MemberGuess::new("x")), Ok(Member::Guessed));
            cursor.number().expect("a number");
        }
        let found = cursor.next_member(&MemberGuess::new("a"));
        assert_eq!(found.map_err(|e| e.reason), Err(Reason::NotJson), "{}", line.bytes().escape_ascii());
    }
}

/// Containers closed give their level back; raw values count theirs.
#[test]
fn depth_is_counted_where_it_is() {
    both("[[],[],{},[[1]],2]", 2, |engine, cursor| {
        assert_eq!(cursor.begin_array(), Ok(()));
        for _ in 0..2 {
            assert_eq!(cursor.next_element(), Ok(true));
            assert_eq!(cursor.begin_array(), Ok(()), "{engine}");
            assert_eq!(cursor.next_element(), Ok(false));
        }
        assert_eq!(cursor.next_element(), Ok(true));
        assert_eq!(cursor.raw(), Ok("{}"), "{engine}");
        assert_eq!(cursor.next_element(), Ok(true));
        assert_eq!(cursor.raw().map_err(|e| e.reason), Err(Reason::TooDeep), "{engine}");
    });
    let levels = if cfg!(miri) { 100 } else { 100_000 };
    let line = format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    both(&line, levels as u32 - 1, |engine, cursor| {
        assert_eq!(cursor.raw().map_err(|e| e.reason), Err(Reason::TooDeep), "{engine}");
    });
    both(&line, levels as u32, |engine, cursor| {
        assert_eq!(cursor.raw().map(str::len), Ok(line.len()), "{engine}");
    });
}

/// Raw values remember at every level what they are in.
#[test]
fn raw_values_match_their_brackets() {
    for depth in if cfg!(miri) { vec![65] } else { (1..200).collect() } {
        let pairs = (0..depth).map(|level| if level % 3 == 0 { ("[1,", ']') } else { (r#"{"a":"#, '}') });
        let opening: String = pairs.clone().map(|pair| pair.0).collect();
        let closing: String = pairs.rev().map(|pair| pair.1).collect();
        both(&format!("{opening}null{closing}"), depth, |engine, cursor| {
            assert_eq!(cursor.raw().map(str::len), Ok(opening.len() + 4 + closing.len()), "{engine} {depth}");
        });
        for wrong in 0..closing.len() {
            let mut closing = closing.clone();
            let bracket = if closing.as_bytes()[wrong] == b']' { "}" } else { "]" };
            closing.replace_range(wrong..=wrong, bracket);
            let line = format!("{opening}null{closing}");
            let chunk = Chunk::copy_of(line.as_bytes());
            let line = chunk.lines().next().expect("a line");
            let mut scratch = Scratch::new();
            let mut cursor = DirectCursor::new(&line, depth, &mut scratch).expect("UTF-8");
            let at = (opening.len() + 4 + wrong) as u32;
            assert_eq!(cursor.raw(), Err(Reject { reason: Reason::NotJson, at }), "{depth}, {wrong}");
        }
    }
}

/// A call that does not fit the text is an error, not a step past the line.
#[test]
fn pulling_the_wrong_thing() {
    for line in ["{\"a\":1}", "[1]", "1", "\"a\"", "true", "null", "}", "", " ", "\r"] {
        let chunk = Chunk::copy_of(format!("{line}\n]]]\"\"}}}}").as_bytes());
        let line = chunk.lines().next().expect("a line");
        let mut scratch = Scratch::new();
        for first in 0..9 {
            for second in 0..9 {
                let mut cursor = DirectCursor::new(&line, 3, &mut scratch).expect("UTF-8");
                for call in [first, second, second, first] {
                    let _ = match call {
                        0 => cursor.begin_object(),
                        1 => cursor.begin_array(),
                        2 => cursor.next_member(&MemberGuess::new("a")).map(drop),
                        3 => cursor.next_element().map(drop),
                        4 => cursor.string().map(drop),
                        5 => cursor.number().map(drop),
                        6 => cursor.boolean().map(drop),
                        7 => {
                            cursor.guess_string(b"a");
                            Ok(())
                        }
                        _ => cursor.raw().map(drop),
                    };
                    assert!(cursor.position() as usize <= line.bytes().len(), "{line:?}: {first}, {second}");
                }
            }
        }
    }
}
