//! Which lines differ, and in what: only called for where sums did.
//!
//! What is told has no content: element names that FHIR has, and positions in arrays.

use std::collections::{BTreeMap, BTreeSet};

use lakehaul_parse::{Chunk, Cursor, Member, MemberGuess, Reject, TapeCursor, TapeScratch, Text, Token};
use lakehaul_schema::{ElementTable, MemberKind, TypeId};

use crate::LoadError;

use super::rows::collect_rows;
use super::sums::{Block, Collect, LineId, Prints, Texts};
use super::{Compared, Difference, EXAMPLES, RoundtripReport};

/// Blocks that are looked at in one reading of source and rows.
const BLOCKS_AT_ONCE: usize = 256;

/// Counts the differing lines of these blocks and describes the first.
pub(super) fn examine(
    compared: &Compared<'_>,
    blocks: &BTreeSet<Block>,
    report: &mut RoundtripReport,
) -> Result<(), LoadError> {
    let blocks: Vec<Block> = blocks.iter().copied().collect();
    let mut to_describe = BTreeSet::new();
    for wanted in blocks.chunks(BLOCKS_AT_ONCE) {
        let wanted: BTreeSet<Block> = wanted.iter().copied().collect();
        let files: BTreeSet<usize> = wanted.iter().map(|(file, _)| *file).collect();
        let none = Prints { wanted: &wanted, prints: Vec::new() };
        let (source, rows) = both_sides(compared, &files, &none)?;
        for (line, what) in differing_lines(source.prints, rows.prints) {
            report.differences += 1;
            if report.examples.len() < EXAMPLES {
                let output_file = compared.files[line.0].planned.name.clone();
                report.examples.push(Difference { output_file, line: line.1, what: what.to_owned() });
                if what == OTHER_ROW {
                    to_describe.insert(line);
                }
            }
        }
    }
    describe(compared, &to_describe, report)
}

fn both_sides<C: Collect>(compared: &Compared<'_>, files: &BTreeSet<usize>, kind: &C) -> Result<(C, C), LoadError> {
    let mut source = kind.empty();
    for &file in files {
        // That a file can be read was seen the first time.
        let _ = compared.files[file].collect(file, compared.reading, &mut source);
    }
    let rows = collect_rows(compared.lake, &compared.parts, &compared.numbers, compared.reading.max_depth, kind)?;
    Ok((source, rows))
}

const NO_ROW: &str = "it has no row";
const OTHER_ROW: &str = "its row is another resource";
const SEVERAL_ROWS: &str = "it has several rows";
const NO_LINE: &str = "a row says that it came from here, but no resource is on this line";

/// The lines whose fingerprints are not the same on both sides, and how.
fn differing_lines(source: Vec<(LineId, u128)>, rows: Vec<(LineId, u128)>) -> BTreeMap<LineId, &'static str> {
    let mut lines: BTreeMap<LineId, (Option<u128>, Vec<u128>)> = BTreeMap::new();
    for (line, print) in source {
        lines.entry(line).or_default().0 = Some(print);
    }
    for (line, print) in rows {
        lines.entry(line).or_default().1.push(print);
    }
    let differing = lines.into_iter().filter_map(|(line, (source, rows))| {
        let what = match (source, rows.as_slice()) {
            (Some(source), [row]) if source == *row => return None,
            (Some(_), [_]) => OTHER_ROW,
            (Some(_), []) => NO_ROW,
            (Some(_), _) => SEVERAL_ROWS,
            (None, _) => NO_LINE,
        };
        Some((line, what))
    });
    differing.collect()
}

/// Says for each of the lines which element differs.
fn describe(compared: &Compared<'_>, lines: &BTreeSet<LineId>, report: &mut RoundtripReport) -> Result<(), LoadError> {
    if lines.is_empty() {
        return Ok(());
    }
    let files: BTreeSet<usize> = lines.iter().map(|(file, _)| *file).collect();
    let none = Texts { wanted: lines, texts: Default::default() };
    let (source, rows) = both_sides(compared, &files, &none)?;
    for &line in lines {
        let Some((source, row)) = source.texts.get(&line).zip(rows.texts.get(&line)) else { continue };
        let name = &compared.files[line.0].planned.name;
        let told = report.examples.iter_mut().find(|example| example.output_file == *name && example.line == line.1);
        if let Some((told, path)) = told.zip(differing_path(source, row, compared.reading.max_depth)) {
            told.what = format!("its row differs in {path}");
        }
    }
    Ok(())
}

/// A value as it is compared.
#[derive(Debug, PartialEq)]
enum Tree {
    Object(BTreeMap<String, Tree>),
    Array(Vec<Tree>),
    /// Kind and text.
    Scalar(u8, String),
}

/// The first element in which two resources differ.
fn differing_path(source: &[u8], row: &[u8], max_depth: u32) -> Option<String> {
    let (source, row) = (tree(source, max_depth).ok()?, tree(row, max_depth).ok()?);
    let Tree::Object(members) = &source else { return None };
    let Some(Tree::Scalar(_, resource_type)) = members.get("resourceType") else { return None };
    let mut path = resource_type.clone();
    let type_id = ElementTable::r4().resource(resource_type)?;
    descend(&source, &row, Some(type_id), &mut path);
    Some(path)
}

/// Appends to `path` where the values, which are not equal, differ.
fn descend(source: &Tree, row: &Tree, type_id: Option<TypeId>, path: &mut String) {
    match (source, row) {
        (Tree::Object(source), Tree::Object(row)) => {
            let names: BTreeSet<&String> = source.keys().chain(row.keys()).collect();
            let Some(name) = names.into_iter().find(|name| source.get(*name) != row.get(*name)) else { return };
            let object = type_id.map(|id| ElementTable::r4().object(id));
            let member = object.and_then(|object| object.members.iter().find(|member| member.name == *name));
            path.push('.');
            // A name that FHIR does not have may be anybody's.
            path.push_str(if member.is_some() || name == "resourceType" { name } else { "(unknown)" });
            let below = member.and_then(|member| match member.kind {
                MemberKind::Object(id) => Some(id),
                MemberKind::Primitive(_) | MemberKind::Resource => None,
            });
            if let Some((source, row)) = source.get(name).zip(row.get(name)) {
                descend(source, row, below, path);
            }
        }
        (Tree::Array(source), Tree::Array(row)) => {
            let at = source.iter().zip(row).position(|(source, row)| source != row);
            let at = at.unwrap_or(source.len().min(row.len()));
            path.push_str(&format!("[{at}]"));
            if let Some((source, row)) = source.get(at).zip(row.get(at)) {
                descend(source, row, type_id, path);
            }
        }
        _ => {}
    }
}

fn tree(text: &[u8], max_depth: u32) -> Result<Tree, Reject> {
    let chunk = Chunk::copy_of(text);
    let mut scratch = TapeScratch::new();
    let Some(line) = chunk.lines().next() else { return Ok(Tree::Array(Vec::new())) };
    value(&mut TapeCursor::new(&line, max_depth, &mut scratch)?)
}

fn value<'c, C: Cursor<'c>>(cursor: &mut C) -> Result<Tree, Reject> {
    Ok(match cursor.peek()? {
        Token::Object => {
            cursor.begin_object()?;
            let mut members = BTreeMap::new();
            loop {
                let name = match cursor.next_member(&MemberGuess::NEVER)? {
                    Member::Named(name) => plain(name).1,
                    Member::Guessed => String::new(),
                    Member::End => break Tree::Object(members),
                };
                members.insert(name, value(cursor)?);
            }
        }
        Token::Array => {
            cursor.begin_array()?;
            let mut elements = Vec::new();
            while cursor.next_element()? {
                elements.push(value(cursor)?);
            }
            Tree::Array(elements)
        }
        Token::String => {
            let (kind, text) = plain(cursor.string()?);
            Tree::Scalar(kind, text)
        }
        Token::Number => Tree::Scalar(b'0', cursor.number()?.to_owned()),
        Token::True | Token::False | Token::Null => Tree::Scalar(b'n', cursor.raw()?.to_owned()),
    })
}

fn plain(text: Text<'_, '_>) -> (u8, String) {
    match text {
        Text::Borrowed(text) | Text::Unescaped(text) => (b'"', text.to_owned()),
        Text::LoneSurrogate { raw } => (b'\\', raw.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(source: &str, row: &str, expected: &str) {
        let path = differing_path(source.as_bytes(), row.as_bytes(), 100);
        assert_eq!(path.as_deref(), Some(expected));
    }

    #[test]
    fn the_differing_element_is_named_and_no_content() {
        let patient = |rest: &str| format!(r#"{{"resourceType":"Patient",{rest}}}"#);
        check(&patient(r#""id":"1""#), &patient(r#""id":"2""#), "Patient.id");
        check(
            &patient(r#""name":[{"given":["a"]},{"given":["b","c"]}]"#),
            &patient(r#""name":[{"given":["a"]},{"given":["b"]}]"#),
            "Patient.name[1].given[1]",
        );
        check(&patient(r#""secret":1"#), &patient(r#""secret":1.0"#), "Patient.(unknown)");
        check(&patient(r#""contact":[{"x":1}]"#), &patient(r#""contact":[{"y":1}]"#), "Patient.contact[0].(unknown)");
        check(&patient(r#""active":true"#), &patient(r#""active":"true""#), "Patient.active");
    }

    #[test]
    fn every_way_to_differ_is_told() {
        let source = vec![((0, 1), 5), ((0, 2), 6), ((0, 3), 7), ((1, 1), 5)];
        let rows = vec![((0, 1), 5), ((0, 2), 1), ((1, 1), 5), ((1, 1), 5), ((1, 9), 5)];
        let told: Vec<_> = differing_lines(source, rows).into_iter().collect();
        let expected = [((0, 2), OTHER_ROW), ((0, 3), NO_ROW), ((1, 1), SEVERAL_ROWS), ((1, 9), NO_LINE)];
        assert_eq!(told, expected);
    }
}
