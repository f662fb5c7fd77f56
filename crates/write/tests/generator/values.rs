//! Primitive values of each kind, in and out of their column's domain; and JSON values of no kind at all.

use lakehaul_schema::Primitive;

use super::Choices;
use super::json::{Json, Text, text};

/// Inside and outside of 32 bits, and texts that are no integer's.
const INTEGERS: [&str; 14] = [
    "0",
    "1",
    "-1",
    "42",
    "2147483647",
    "2147483648",
    "-2147483648",
    "-2147483649",
    "-0",
    "1.0",
    "1e2",
    "0E0",
    "9007199254740993",
    "123456789012345678901234567890",
];

const DECIMALS: [&str; 18] = [
    "0",
    "1.50",
    "0.00",
    "-0",
    "-0.0",
    "100",
    "9.9463",
    "1e400",
    "-1E+400",
    "1e-400",
    "1.0e0",
    "0.0000005",
    "0.0000015",
    "99999999999999999999999999999999.999999",
    "99999999999999999999999999999999.9999995",
    "1234567890123456789012345678901234567890",
    "0.1234567890123456789012345678901234567890",
    "12E-2",
];

const DATES: [&str; 18] = [
    "2024",
    "2024-02",
    "2024-02-29",
    "2023-02-29",
    "2024-02-29T12:30:00Z",
    "2024-02-29T12:30:00.123456789+14:00",
    "2024-12-31T23:59:60Z",
    "2024-02-29T24:00:00Z",
    "2024-02-29T12:30Z",
    "2024-02-29T12:30:00",
    "0000",
    "0001-01-01",
    "9999-12-31T23:59:59.999-12:00",
    "-2024",
    "2024-2-9",
    "02/29/2024",
    "",
    "2024-02-29T12:30:00-00:00 ",
];

/// The first half is canonical.
const BASE64: [&str; 14] = [
    "",
    "AA==",
    "AP8Q",
    "SGVsbG8=",
    "/+8=",
    "AAAA",
    "TWFueSBoYW5kcw==",
    "AA=",
    "AB==",
    "QUJ",
    "SGVs\nbG8=",
    "_-8=",
    "=",
    " AAAA",
];

const TEXTS: [&str; 16] = [
    "",
    "a",
    "final",
    "http://loinc.org",
    "Patient/1",
    "Abelló",
    "漢字",
    "🜚",
    "line\nbreak",
    "\"quoted\"",
    "back\\slash",
    "\u{0}",
    "\u{1f}\u{7f}\u{80}",
    "\u{2028}",
    "https://x.org/a~b/c",
    "null",
];

const NAMES: [&str; 22] = [
    "",
    "/",
    "~",
    "~0",
    "~1",
    "~01",
    "a/b~c",
    "é",
    "🜚",
    "\"",
    "\\",
    "\u{0}",
    "0",
    "-1",
    "__run",
    "__extra",
    "__value_numeric",
    "resourceType",
    "key.with.dots",
    "element",
    "aRatherLongNameThatNoGuessCanHoldBecauseItIsTooLongForIt",
    "x",
];

/// A value that an element of this kind may have, or one of its JSON type that its column cannot take.
pub(crate) fn primitive(choices: &mut Choices<'_>, kind: Primitive) -> Json {
    match kind {
        Primitive::Boolean => Json::Boolean(choices.one_in(2)),
        Primitive::Integer => Json::Number(choices.pick(&INTEGERS).to_owned()),
        Primitive::Decimal => Json::Number(decimal(choices)),
        Primitive::DateTime => Json::Text(text(choices.pick(&DATES))),
        Primitive::Base64Binary => Json::Text(text(choices.pick(&BASE64))),
        Primitive::Xhtml | Primitive::String => Json::Text(string(choices)),
    }
}

/// A value of any type, at most `depth` deep. `repeat_names`: objects may have a name twice, as only text that is kept
/// raw may.
pub(crate) fn anything(choices: &mut Choices<'_>, depth: usize, repeat_names: bool) -> Json {
    match choices.below(if depth > 0 { 9 } else { 6 }) {
        0 => Json::Null,
        1 => Json::Boolean(choices.one_in(2)),
        2 => Json::Number(decimal(choices)),
        3 => Json::Text(string(choices)),
        4 => Json::Object(Vec::new()),
        5 => Json::Array(Vec::new()),
        6 => Json::Array((0..choices.below(4)).map(|_| anything(choices, depth - 1, repeat_names)).collect()),
        7 => object(choices, depth, repeat_names),
        // Deeper than any column, far from the default limit of nesting.
        _ => (0..choices.below(40)).fold(Json::Null, |inner, _| Json::Array(vec![inner])),
    }
}

/// A member name that no element has, if `is_taken` knows all names that are out of the question.
pub(crate) fn unknown_name(choices: &mut Choices<'_>, is_taken: impl Fn(&Text) -> bool) -> Option<Text> {
    let name = text(choices.pick(&NAMES));
    (!is_taken(&name)).then_some(name)
}

fn object(choices: &mut Choices<'_>, depth: usize, repeat_names: bool) -> Json {
    let mut members: Vec<(Text, Json)> = Vec::new();
    for _ in 0..choices.below(4) {
        let name = text(choices.pick(&["id", "resourceType", "", "a/b", "extension", "value"]));
        if repeat_names || members.iter().all(|(taken, _)| *taken != name) {
            members.push((name, anything(choices, depth - 1, repeat_names)));
        }
    }
    Json::Object(members)
}

fn decimal(choices: &mut Choices<'_>) -> String {
    if choices.one_in(3) {
        let digits = |choices: &mut Choices<'_>, most| -> String {
            (0..choices.below(most)).map(|_| choices.pick(&['0', '1', '5', '9', '4'])).collect()
        };
        let sign = choices.pick(&["", "-"]);
        let (whole, part) = (digits(choices, 45), digits(choices, 45));
        let exponent = choices.pick(&["", "", "e5", "E-7", "e+0", "e00"]);
        return format!("{sign}{}{whole}.0{part}{exponent}", choices.pick(&["1", "7"]));
    }
    choices.pick(&DECIMALS).to_owned()
}

fn string(choices: &mut Choices<'_>) -> Text {
    let mut codes = text(choices.pick(&TEXTS));
    match choices.below(32) {
        0..28 => {}
        28 => codes.push(choices.pick(&[0xd800, 0xdbff, 0xdc00, 0xdfff])),
        29 => codes.extend([0xdc00, 0xd800, 0x61]),
        30 => codes.extend((0..choices.below(200)).map(|_| choices.pick(&[0x61, 0x22, 0x5c, 0xe9, 0x1f71a, 9]))),
        _ => codes.extend(std::iter::repeat_n(0x7a, choices.below(70_000))),
    }
    codes
}
