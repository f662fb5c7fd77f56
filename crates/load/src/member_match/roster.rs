//! A roster: the members that a payer is asked for, one a line.
//!
//! In goes CSV with a header, or NDJSON whose lines are objects with the same columns, or `Parameters` resources as they
//! are to be sent; out come questions, one a line, as they are read: no roster is held in memory unless it came through
//! standard input. What is wrong with a line is told by its number, never by its content.

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::path::PathBuf;

use bytes::Bytes;
use lakehaul_fetch::{Consent, ConsentPolicy, Member, MemberMatch};
use serde_json::{Map, Value};

use crate::LoadError;

/// The columns. What is not among them is passed over.
const COLUMNS: [&str; 8] =
    ["family", "given", "birthDate", "gender", "memberId", "consentPolicy", "consentStart", "consentEnd"];
/// Without them there is no member to ask for.
const NEEDED: [&str; 3] = ["family", "birthDate", "memberId"];

/// A `Parameters` resource with all that may be in it is some 10 kB.
const LINE_BYTES_MAX: usize = 1 << 20;

/// The members that a payer is asked for.
#[derive(Clone)]
pub struct Roster {
    source: Source,
    name: String,
}

#[derive(Clone)]
enum Source {
    File(PathBuf),
    Text(Bytes),
}

/// What the user gives for lines that say nothing of a consent. Nothing is filled in for what is not given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GivenConsent {
    /// Which data it is about.
    pub policy: Option<ConsentPolicy>,
    /// From when on.
    pub start: Option<String>,
    /// Until when.
    pub end: Option<String>,
}

/// A line of a roster.
pub(crate) struct Entry {
    /// From 1 on; in CSV the header is line 1.
    pub(crate) line: u64,
    /// Or why it cannot be asked.
    pub(crate) question: Result<MemberMatch, String>,
}

impl Roster {
    /// Reads a file, more than once.
    pub fn file(path: PathBuf) -> Roster {
        let name = path.to_string_lossy().into_owned();
        Roster { source: Source::File(path), name }
    }

    /// What has come through standard input.
    pub fn text(text: Bytes) -> Roster {
        Roster { source: Source::Text(text), name: "-".to_owned() }
    }

    /// As it was named.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The lines, and the columns that are passed over. Errors: a roster that cannot be read, or has no such columns.
    pub(crate) fn entries(&self, given: &GivenConsent) -> Result<(Entries, Vec<String>), LoadError> {
        let mut reader = self.open()?;
        let first = first_byte(&mut reader).map_err(|error| self.unreadable(&error))?;
        let roster = self.clone();
        let given = given.clone();
        match first {
            None => Err(LoadError::NothingToLoad(format!("the roster {} is empty", self.name))),
            Some(b'{') => Ok((Entries { roster, given, lines: Lines::Json { reader, line: 0 } }, Vec::new())),
            Some(_) => {
                let mut csv = csv::Reader::from_reader(PlainLines { inner: reader, last: b'\n' });
                let header = csv.headers().map_err(|error| self.no_csv(&error))?;
                let (columns, unknown) = self.columns(header)?;
                Ok((Entries { roster, given, lines: Lines::Csv { csv: csv.into_records(), columns } }, unknown))
            }
        }
    }

    fn open(&self) -> Result<Box<dyn BufRead + Send>, LoadError> {
        Ok(match &self.source {
            Source::File(path) => Box::new(BufReader::new(File::open(path).map_err(|error| self.unreadable(&error))?)),
            Source::Text(text) => Box::new(Cursor::new(text.clone())),
        })
    }

    /// Which column is which field, and columns that are none.
    fn columns(&self, header: &csv::StringRecord) -> Result<(Vec<Option<usize>>, Vec<String>), LoadError> {
        let plain =
            |name: &str| name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
        let known = |name: &str| COLUMNS.iter().position(|column| plain(column) == plain(name));
        let columns: Vec<Option<usize>> =
            (0..COLUMNS.len()).map(|column| header.iter().position(|name| known(name) == Some(column))).collect();
        for needed in NEEDED {
            let column = COLUMNS.iter().position(|column| *column == needed);
            if column.is_none_or(|column| columns[column].is_none()) {
                let all = COLUMNS.join(",");
                let why = format!("the roster {} has no column {needed}; its first line is to name {all}", self.name);
                return Err(LoadError::Usage(why));
            }
        }
        let twice = |column: usize| header.iter().filter(|name| known(name) == Some(column)).count() > 1;
        if let Some(column) = (0..COLUMNS.len()).find(|&column| twice(column)) {
            let why = format!("the roster {} has the column {} twice", self.name, COLUMNS[column]);
            return Err(LoadError::Usage(why));
        }
        Ok((columns, header.iter().filter(|name| known(name).is_none()).map(|name| name.trim().to_owned()).collect()))
    }

    fn unreadable(&self, error: &io::Error) -> LoadError {
        LoadError::Usage(format!("the roster {} cannot be read: {error}", self.name))
    }

    /// The parser's own words may quote a line.
    fn no_csv(&self, error: &csv::Error) -> LoadError {
        let at = error.position().map(|position| format!(" (line {})", position.line())).unwrap_or_default();
        let why = match error.kind() {
            csv::ErrorKind::Io(error) => return self.unreadable(error),
            csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
                format!("it has {len} fields where the first line has {expected_len}")
            }
            csv::ErrorKind::Utf8 { .. } => "it is not UTF-8".to_owned(),
            _ => "it is no CSV".to_owned(),
        };
        LoadError::Usage(format!("the roster {} cannot be read{at}: {why}", self.name))
    }
}

impl fmt::Debug for Roster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Roster({})", self.name)
    }
}

/// Passes over a byte order mark and white space; the byte that comes then.
fn first_byte(reader: &mut dyn BufRead) -> io::Result<Option<u8>> {
    loop {
        let bytes = reader.fill_buf()?;
        if bytes.is_empty() {
            return Ok(None);
        }
        if bytes.starts_with(b"\xef\xbb\xbf") {
            reader.consume(3);
        } else if bytes[0].is_ascii_whitespace() {
            reader.consume(1);
        } else {
            return Ok(Some(bytes[0]));
        }
    }
}

/// A roster's lines, as they are read.
pub(crate) struct Entries {
    roster: Roster,
    given: GivenConsent,
    lines: Lines,
}

enum Lines {
    Json { reader: Box<dyn BufRead + Send>, line: u64 },
    Csv { csv: csv::StringRecordsIntoIter<PlainLines>, columns: Vec<Option<usize>> },
}

impl Iterator for Entries {
    type Item = Result<Entry, LoadError>;

    fn next(&mut self) -> Option<Self::Item> {
        let (line, fields) = match &mut self.lines {
            Lines::Csv { csv, columns } => match csv.next()? {
                Err(error) => return Some(Err(self.roster.no_csv(&error))),
                Ok(record) => {
                    // Where a record begins, the parser tells without the blank lines before it; where it ends, it knows.
                    let inside = record.iter().map(|field| field.matches('\n').count() as u64).sum::<u64>();
                    let line = csv.reader().position().line().saturating_sub(1 + inside);
                    let field = |column: usize| columns[column].and_then(|at| record.get(at)).unwrap_or_default();
                    let mut fields = Fields::default();
                    for (column, name) in COLUMNS.iter().enumerate() {
                        fields.put(name, field(column));
                    }
                    (line, Ok(fields))
                }
            },
            Lines::Json { reader, line } => {
                let text = match next_line(reader, line) {
                    Err(error) => return Some(Err(self.roster.unreadable(&error))),
                    Ok(text) => text?,
                };
                match serde_json::from_slice::<Value>(&text) {
                    Ok(Value::Object(object))
                        if object.contains_key("resourceType") || object.contains_key("parameter") =>
                    {
                        let question = MemberMatch::from_parameters(Value::Object(object));
                        let question = question.map_err(|error| error.to_string());
                        return Some(Ok(Entry { line: *line, question }));
                    }
                    Ok(Value::Object(object)) => (*line, Fields::of(&object)),
                    Ok(_) => (*line, Err("it is no JSON object".to_owned())),
                    Err(error) => (*line, Err(format!("it is no JSON (column {})", error.column()))),
                }
            }
        };
        let question = fields.and_then(|fields| fields.question(&self.given));
        Some(Ok(Entry { line, question }))
    }
}

/// Text whose lines all end with a line feed alone, the last one too: so that their number can be told.
struct PlainLines {
    inner: Box<dyn BufRead + Send>,
    last: u8,
}

impl Read for PlainLines {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        loop {
            let bytes = self.inner.fill_buf()?;
            if bytes.is_empty() || space.is_empty() {
                let missing = !space.is_empty() && std::mem::replace(&mut self.last, b'\n') != b'\n';
                return if missing { Cursor::new(b"\n").read(space) } else { Ok(0) };
            }
            let (mut taken, mut kept) = (0, 0);
            for &byte in bytes.iter().take(space.len()) {
                taken += 1;
                if byte != b'\r' {
                    space[kept] = byte;
                    kept += 1;
                    self.last = byte;
                }
            }
            self.inner.consume(taken);
            if kept > 0 {
                return Ok(kept);
            }
        }
    }
}

/// The next line that is not blank, without its end. `line`: its number.
fn next_line(reader: &mut Box<dyn BufRead + Send>, line: &mut u64) -> io::Result<Option<Vec<u8>>> {
    loop {
        let mut text = Vec::new();
        let most = LINE_BYTES_MAX as u64 + 1;
        if reader.by_ref().take(most).read_until(b'\n', &mut text)? == 0 {
            return Ok(None);
        }
        *line += 1;
        if text.len() > LINE_BYTES_MAX {
            let why = format!("line {line} has more than {LINE_BYTES_MAX} bytes");
            return Err(io::Error::new(io::ErrorKind::InvalidData, why));
        }
        if !text.trim_ascii().is_empty() {
            return Ok(Some(text));
        }
    }
}

/// A line's columns.
#[derive(Default)]
struct Fields {
    family: String,
    given: Vec<String>,
    birth_date: String,
    gender: String,
    member_id: String,
    policy: String,
    start: String,
    end: String,
}

impl Fields {
    fn of(object: &Map<String, Value>) -> Result<Fields, String> {
        let mut fields = Fields::default();
        for (name, value) in object {
            let Some(column) = COLUMNS.iter().find(|column| column.eq_ignore_ascii_case(name)) else { continue };
            match value {
                Value::Null => {}
                Value::String(text) => fields.put(column, text),
                // An id may be written as a number.
                Value::Number(number) if *column == "memberId" => fields.put(column, &number.to_string()),
                Value::Array(list) if *column == "given" && list.iter().all(Value::is_string) => {
                    list.iter().filter_map(Value::as_str).for_each(|text| fields.put(column, text));
                }
                _ => return Err(format!("{column} is no text")),
            }
        }
        Ok(fields)
    }

    fn put(&mut self, column: &str, text: &str) {
        let text = text.trim().to_owned();
        match column {
            "family" => self.family = text,
            "given" if text.is_empty() => {}
            "given" => self.given.push(text),
            "birthDate" => self.birth_date = text,
            "gender" => self.gender = text,
            "memberId" => self.member_id = text,
            "consentPolicy" => self.policy = text,
            "consentStart" => self.start = text,
            _ => self.end = text,
        }
    }

    fn question(self, consent: &GivenConsent) -> Result<MemberMatch, String> {
        let Fields { family, given, birth_date, gender, member_id, policy, start, end } = self;
        let missing = |what: &str, option: &str| format!("{what} is missing: in its line, or by {option}");
        let filled =
            |own: String, given: &Option<String>| Some(own).filter(|own| !own.is_empty()).or_else(|| given.clone());
        let policy = match (policy.as_str(), &consent.policy) {
            ("", None) => return Err(missing("the consent's policy", "--consent-policy")),
            ("", Some(policy)) => policy.clone(),
            (policy, _) => policy.parse().map_err(|error: lakehaul_fetch::MatchInputError| error.to_string())?,
        };
        let start = filled(start, &consent.start)
            .ok_or_else(|| missing("the start of the consent's period", "--consent-start"))?;
        let end =
            filled(end, &consent.end).ok_or_else(|| missing("the end of the consent's period", "--consent-end"))?;
        let gender = Some(gender.to_ascii_lowercase()).filter(|gender| !gender.is_empty());
        let member = Member { family, given, birth_date, gender, member_id };
        MemberMatch::of(&member, &Consent { policy, start, end }).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given() -> GivenConsent {
        GivenConsent {
            policy: Some(ConsentPolicy::Regular),
            start: Some("2026-01-01".to_owned()),
            end: Some("2026-12-31".to_owned()),
        }
    }

    /// Each line's number, and what is wrong with it.
    fn lines(text: &str, given: &GivenConsent) -> Vec<(u64, Option<String>)> {
        let (entries, _) = Roster::text(Bytes::copy_from_slice(text.as_bytes())).entries(given).unwrap();
        entries.map(|entry| entry.map(|entry| (entry.line, entry.question.err())).unwrap()).collect()
    }

    fn bodies(text: &str, given: &GivenConsent) -> Vec<Value> {
        let (entries, _) = Roster::text(Bytes::copy_from_slice(text.as_bytes())).entries(given).unwrap();
        entries.map(|entry| serde_json::from_slice(entry.unwrap().question.unwrap().body()).unwrap()).collect()
    }

    #[test]
    fn csv_and_ndjson_ask_the_same() {
        let csv = "\u{feff}memberId, Family ,given,birth_date,gender,consentPolicy,consentStart,consentEnd\r\n\
            1,\"Allen, Jr.\",John,1950-10-19,MALE,sensitive,2026-02-01,2026-03-01\r\n\r\n2,Young,,1960-01-02,,,,\r\n";
        let json = r#"{"memberId":1,"family":"Allen, Jr.","given":["John"],"birthDate":"1950-10-19","gender":"male",
            "consentPolicy":"sensitive","consentStart":"2026-02-01","consentEnd":"2026-03-01"}"#
            .replace('\n', "");
        let json = format!(
            "\n{json}\n\n{{\"memberId\":\"2\",\"family\":\"Young\",\"birthDate\":\"1960-01-02\",\"gender\":null}}"
        );
        assert_eq!(bodies(csv, &given()), bodies(&json, &given()));
        assert_eq!(lines(csv, &given()), [(2, None), (4, None)]);
        let header = "family,given,birthDate,memberId\n";
        let text = format!("{header}\n\n\"A\nB\",C,1950-10-19,1\nD,E,1950-10-19,2\n\nF,G,1950-10-19,3");
        for text in [text.clone(), text.replace('\n', "\r\n"), text + "\n\n"] {
            assert_eq!(lines(&text, &given()), [(4, None), (6, None), (8, None)]);
        }
        let own = bodies(csv, &given())[0]["parameter"][2]["resource"].clone();
        assert_eq!(own["provision"]["period"]["start"], "2026-02-01");
        // What is to be sent is sent.
        let parameters = bodies(csv, &given()).remove(0);
        assert_eq!(bodies(&parameters.to_string(), &GivenConsent::default()), [parameters]);
    }

    #[test]
    fn what_is_wrong_with_a_line_is_told_by_its_number() {
        let header = "family,given,birthDate,memberId,other\n";
        let check = |text: &str, given: &GivenConsent, part: &str| {
            let why = lines(text, given).remove(0).1.unwrap();
            assert!(why.contains(part) && !why.contains("Allen"), "{why}");
        };
        check(&format!("{header}Allen,John,1950-10-19,1,x"), &GivenConsent::default(), "consent's policy is missing");
        let without_end = GivenConsent { end: None, ..given() };
        check(&format!("{header}Allen,John,1950-10-19,1,x"), &without_end, "--consent-end");
        check(&format!("{header}Allen,John,1950,1,x"), &given(), "birth date");
        check(&format!("{header}Allen,John,1950-10-19,,x"), &given(), "member's id");
        check(r#"{"family":"Allen""#, &given(), "no JSON");
        check(r#"{"family":["Allen"]}"#, &given(), "family is no text");
        check(r#"{"resourceType":"Patient"}"#, &given(), "no Parameters");
        let (_, passed_over) = Roster::text(Bytes::from(header)).entries(&given()).unwrap();
        assert_eq!(passed_over, ["other"]);
        for (text, part) in [
            ("", "empty"),
            (" \n", "empty"),
            ("family,birthDate\n", "memberId"),
            ("family,birthDate,memberId,member_id\n", "twice"),
        ] {
            let error = Roster::text(Bytes::copy_from_slice(text.as_bytes())).entries(&given()).err().unwrap();
            assert!(error.to_string().contains(part), "{error}");
        }
        let (mut entries, _) = Roster::text(Bytes::from(format!("{header}Allen,1\n"))).entries(&given()).unwrap();
        let error = entries.next().unwrap().err().unwrap().to_string();
        assert!(error.contains("line 2") && error.contains("2 fields") && !error.contains("Allen"), "{error}");
    }
}
