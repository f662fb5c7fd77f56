//! lakehaul's stages, each from the text on: every later one does the earlier ones' work too.

use std::path::Path;
use std::sync::Arc;

use lakehaul_fetch::{ClientOptions, ExportParameters, Kind};
use lakehaul_load::{
    AfterExport, Clock, Earlier, ExportRequest, Input, LoadOptions, LoadRequest, Observer, RawFiles, Silent, Since,
    SystemClock,
};
use lakehaul_parse::{
    Chunk, Cursor, DirectCursor, Framed, Framer, Line, Member, MemberGuess, Reject, Scratch, Text, Token,
};
use lakehaul_schema::{Annotations, ElementTable, TableSchema};
use lakehaul_write::store::LocalStore;
use lakehaul_write::{BatchBuilder, Origin, RunTables, TableOptions, TableSet};

use crate::ExportFile;

const MAX_DEPTH: u32 = 128;
/// Rows of one record batch, as in the peer's.
const BATCH_ROWS: usize = 8192;

/// Splits `text` into lines by way of the framer, read in pieces of 1 MiB; how many there are.
pub fn frame(text: &[u8]) -> usize {
    let mut framer = Framer::new(64 << 20, 1 << 20);
    let mut lines = 0;
    let mut take = |framer: &mut Framer| {
        while let Some(framed) = framer.next() {
            if let Framed::Chunk(chunk) = framed {
                lines += chunk.lines().count();
                framer.recycle(chunk);
            }
        }
    };
    for piece in text.chunks(1 << 20) {
        framer.space(piece.len())[..piece.len()].copy_from_slice(piece);
        framer.filled(piece.len());
        take(&mut framer);
    }
    framer.finish();
    take(&mut framer);
    lines
}

/// Checks every line and skips over its values; how many bytes of values there were.
pub fn skip(chunk: &Chunk) -> usize {
    let mut scratch = Scratch::new();
    chunk.lines().map(|line| cursor(&line, &mut scratch).raw().map_or(0, str::len)).sum()
}

/// Pulls every value of every line as the type it has, members by guessing that the order of the line before holds.
pub fn walk(chunk: &Chunk) -> usize {
    let mut scratch = Scratch::new();
    let mut names = Names::default();
    let values = chunk.lines().map(|line| value(&mut cursor(&line, &mut scratch), names.restarted()));
    values.map(|values| values.expect("sound lines")).sum()
}

/// The member names of the line before, in their order.
#[derive(Default)]
struct Names {
    guesses: Vec<(String, MemberGuess)>,
    next: usize,
}

impl Names {
    fn restarted(&mut self) -> &mut Names {
        self.next = 0;
        self
    }
}

fn value<'c>(cursor: &mut DirectCursor<'c, '_>, names: &mut Names) -> Result<usize, Reject> {
    let mut values = 1;
    match cursor.peek()? {
        Token::Object => {
            cursor.begin_object()?;
            loop {
                let guess = names.guesses.get(names.next).map_or(&MemberGuess::NEVER, |(_, guess)| guess);
                match cursor.next_member(guess)? {
                    Member::Guessed => {}
                    Member::End => return Ok(values),
                    Member::Named(Text::Borrowed(name) | Text::Unescaped(name)) => {
                        names.guesses.truncate(names.next);
                        names.guesses.push((name.to_owned(), MemberGuess::new(name)));
                    }
                    Member::Named(Text::LoneSurrogate { .. }) => return Ok(values),
                }
                names.next += 1;
                values += value(cursor, names)?;
            }
        }
        Token::Array => {
            cursor.begin_array()?;
            while cursor.next_element()? {
                values += value(cursor, names)?;
            }
        }
        Token::String => drop(cursor.string()?),
        Token::Number => drop(cursor.number()?),
        Token::True | Token::False => drop(cursor.boolean()?),
        Token::Null => cursor.null()?,
    }
    Ok(values)
}

fn cursor<'c, 's>(line: &Line<'c>, scratch: &'s mut Scratch) -> DirectCursor<'c, 's> {
    DirectCursor::new(line, MAX_DEPTH, scratch).expect("UTF-8")
}

fn origin<'c>(line: &Line<'c>) -> Origin<'c> {
    Origin { output_file: "bench", line: line.number(), json: "" }
}

/// Shreds every line and makes Arrow record batches; how many rows.
pub fn record_batches(file: &ExportFile, chunk: &Chunk) -> usize {
    let table = ElementTable::r4();
    let core = TableSchema::core(table, &file.resource_type, Annotations::default(), false).expect("a type of R4");
    let mut builder = BatchBuilder::new(core, "bench");
    let mut scratch = Scratch::new();
    let mut rows = 0;
    for line in chunk.lines() {
        builder.append(&mut cursor(&line, &mut scratch), origin(&line)).expect("sound lines");
        if builder.rows() == BATCH_ROWS {
            rows += builder.finish().expect("a batch").num_rows();
        }
    }
    rows + builder.finish().expect("a batch").num_rows()
}

/// Shreds every line and writes a Parquet file into `folder`; how many bytes.
pub fn write(file: &ExportFile, chunk: &Chunk, folder: &Path) -> u64 {
    let store = Arc::new(LocalStore::new(folder, LocalStore::PRIVATE));
    let tables = RunTables::new(store, "staged".to_owned(), "bench".to_owned(), TableOptions::default(), Vec::new());
    let mut set = TableSet::new(tables.clone(), "w0");
    let mut scratch = Scratch::new();
    for line in chunk.lines() {
        set.append(&file.resource_type, &mut cursor(&line, &mut scratch), origin(&line)).expect("sound lines");
    }
    let receipts = tables.settle(set.finish().expect("a sound disk").closed).expect("sound parts");
    receipts.iter().map(|receipt| receipt.bytes).sum()
}

/// A whole `lakehaul load` of a folder by so many threads; how many rows.
pub fn load(source: &Path, lake: &Path, threads: usize) -> u64 {
    let request = LoadRequest {
        inputs: vec![Input::Path(source.to_owned())],
        lake: lake.to_string_lossy().into_owned(),
        options: LoadOptions { threads, ..LoadOptions::default() },
    };
    let summary = lakehaul_load::load(&request, &SystemClock, &Silent).expect("a load of sound files");
    summary.tables.iter().map(|table| table.rows).sum()
}

/// A whole `lakehaul export` from an open SMART bulk server by two threads; how many rows.
pub fn export(base_url: &str, lake: &Path) -> u64 {
    let request = ExportRequest {
        client: ClientOptions::new(Kind::Smart, base_url.parse().expect("the simulated payer's URL")),
        parameters: ExportParameters::default(),
        since: Since::Ever,
        lake: lake.to_string_lossy().into_owned(),
        options: LoadOptions { threads: 2, ..LoadOptions::default() },
        earlier: Earlier::TakeUp,
        afterwards: AfterExport::Keep,
        raw: RawFiles::Streamed,
        max_duration: None,
    };
    let (clock, observer): (Arc<dyn Clock>, Arc<dyn Observer>) = (Arc::new(SystemClock), Arc::new(Silent));
    let summary = lakehaul_load::export(&request, &clock, &observer).expect("an export of sound files");
    summary.tables.iter().map(|table| table.rows).sum()
}
