//! Makes lines of NDJSON out of bytes: FHIR resources as the element table has them, and as it does not.
//!
//! In come bytes (a fuzzer's, or proptest's, which then shrinks by shrinking them); out come lines that say of
//! themselves whether a load must keep them. Every choice is a byte; when the bytes are spent every choice is the
//! simplest one, so any bytes make some lines. What is made: every element of every type, extensions, siblings of
//! primitives with and without them, null slots, contained resources, wrong types and cardinalities, unknown members,
//! explicit nulls, empty objects and arrays, nesting beyond the caps, numbers that no machine type holds, strings that
//! are no Unicode; spelled with any white space, escapes and member order.
//!
//! Knows the schema crate, not the loader: it is shared by the round-trip test and the fuzz target of that name.

mod choices;
mod json;
mod values;
mod resource;

use lakehaul_schema::ElementTable;

pub(crate) use choices::Choices;

/// One line of an output file.
pub(crate) struct Line {
    pub(crate) resource_type: String,
    pub(crate) text: Vec<u8>,
    /// Whether it is a resource that must come back; if not, it must be refused.
    pub(crate) sound: bool,
}

/// Up to `limit` lines of at most three types.
pub(crate) fn lines(choices: &mut Choices<'_>, limit: u32) -> Vec<Line> {
    let all: Vec<&str> = ElementTable::r4().resource_types().collect();
    let types: Vec<&str> = (0..3).map(|_| all[choices.below(all.len())]).collect();
    let mut lines = Vec::new();
    for _ in 0..limit {
        if choices.spent() {
            break;
        }
        lines.push(line(choices, choices_type(&types, lines.len())));
    }
    lines
}

/// A line of this type; one in twelve is broken.
pub(crate) fn line(choices: &mut Choices<'_>, resource_type: &str) -> Line {
    let sound = !choices.one_in(12);
    let mut text = Vec::new();
    resource::resource(choices, resource_type).spell(choices, &mut text);
    if !sound {
        text = broken(choices, text);
    }
    Line { resource_type: resource_type.to_owned(), text, sound }
}

/// Mostly the first type, so that a table gets several rows.
fn choices_type<'t>(types: &[&'t str], number: usize) -> &'t str {
    types[[0, 0, 1, 0, 2][number % 5]]
}

/// The text spoilt, most often near its end, when most of it is in the columns already.
fn broken(choices: &mut Choices<'_>, mut text: Vec<u8>) -> Vec<u8> {
    const TAILS: [&[u8]; 9] = [
        b",\"zz\":01}",
        b",\"zz\":\"\x01\"}",
        b",\"zz\":\"\\ud8zz\"}",
        b",\"zz\":nul}",
        b",\"zz\":\"\xff\"}",
        b",\"\\ud800\":1}",
        b",\"zz\":1,\"zz\":2}",
        b",}",
        b"} {}",
    ];
    let end = text.iter().rposition(|&byte| byte == b'}').expect("a resource is an object");
    match choices.below(TAILS.len() + 1) {
        0 => text.truncate(end - choices.below(end)),
        tail => {
            text.truncate(end);
            text.extend_from_slice(TAILS[tail - 1]);
        }
    }
    text
}
