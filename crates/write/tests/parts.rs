//! What a part is: its columns, statistics and key-values; that it is the same however it came about; and that a store
//! which fails is never taken for one that did not.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::SeqCst};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::Int64Type;
use bytes::Bytes;
use lakehaul_parse::{Chunk, DirectCursor, Line, Scratch};
use lakehaul_schema::{Annotations, ElementTable, TableSchema};
use lakehaul_write::store::{LocalStore, Store, StoreRead, StoreSync, StoreWrite};
use lakehaul_write::{
    BatchBuilder, FileReceipt, JoinedPart, LaidDownPart, LaidDownRowGroup, Origin, PartShape, RunTables, Saved,
    TableOptions, TableSet, WrittenRowGroup,
};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::Encoding;
use parquet::data_type::{ByteArray, FixedLenByteArray};
use parquet::file::metadata::RowGroupMetaData;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::statistics::Statistics;
use tempfile::TempDir;

fn origin<'c>(line: &Line<'c>) -> Origin<'c> {
    let json = std::str::from_utf8(line.bytes()).expect("these lines are UTF-8");
    Origin { output_file: "test.ndjson", line: line.number(), json }
}

/// Appends the lines of `text` that `wanted` picks by number; how many were rejected.
fn append(set: &mut TableSet, text: &str, wanted: impl Fn(u64) -> bool) -> usize {
    let chunk = Chunk::copy_of(text.as_bytes());
    let mut scratch = Scratch::new();
    let mut rejected = 0;
    for line in chunk.lines().filter(|line| wanted(line.number())) {
        let mut cursor = DirectCursor::new(&line, 100, &mut scratch).expect("UTF-8");
        rejected += usize::from(set.append("Patient", &mut cursor, origin(&line)).is_err());
    }
    rejected
}

struct Lake {
    folder: TempDir,
    store: Arc<dyn Store>,
}

impl Lake {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let store = Arc::new(LocalStore::new(folder.path(), LocalStore::PRIVATE));
        Lake { folder, store }
    }

    /// Loads the lines that `wanted` picks with one worker and settles: the parts, the schemas, and how many lines were
    /// rejected.
    fn load(
        &self,
        options: TableOptions,
        known: Vec<TableSchema>,
        text: &str,
        wanted: impl Fn(u64) -> bool,
    ) -> (Vec<FileReceipt>, Vec<TableSchema>, usize) {
        let tables = RunTables::new(self.store.clone(), "staging".to_owned(), "run".to_owned(), options, known);
        let mut set = TableSet::new(tables.clone(), "w0");
        let rejected = append(&mut set, text, wanted);
        let receipts = tables.settle(set.finish().expect("the store works").closed).expect("the parts are sound");
        (receipts, tables.schemas(), rejected)
    }

    fn bytes(&self, receipt: &FileReceipt) -> Bytes {
        std::fs::read(self.folder.path().join(&receipt.path)).expect("the receipt names a file").into()
    }
}

fn batch(bytes: Bytes) -> RecordBatch {
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).expect("a Parquet file");
    let schema = reader.schema().clone();
    let batches: Vec<RecordBatch> =
        reader.with_batch_size(1 << 20).build().expect("a reader").map(|batch| batch.expect("readable")).collect();
    concat_batches(&schema, &batches).expect("batches of one schema")
}

const PATIENTS: &str = concat!(
    r#"{"resourceType":"Patient","id":"a","birthDate":"1970-02","name":[{"family":"Ito","given":["Ai","Bo"]},{"text":"x"}]}"#,
    "\n",
    r#"{"resourceType":"Patient","id":"b","gender":"other","foo":[1, 2],"multipleBirthInteger":3}"#,
    "\n",
    r#"{"resourceType":"Patient","id":"c","extension":[{"url":"u","valueDecimal":1.50},{"url":"v","valueDecimal":-2e3}]}"#,
    "\n",
    r#"{"resourceType":"Patient","id":"d","name":[{"given":[null,"Cy"],"_given":[{"id":"g"},null]}],"deceasedBoolean":false}"#,
    "\n",
);

#[test]
fn a_part_names_what_it_is_and_has_statistics() {
    let lake = Lake::new();
    let (receipts, _, _) = lake.load(TableOptions::default(), Vec::new(), PATIENTS, |_| true);
    let [receipt] = receipts.as_slice() else { panic!("one part, not {}", receipts.len()) };
    let bytes = lake.bytes(receipt);
    assert_eq!((receipt.rows, receipt.bytes), (4, bytes.len() as u64));
    assert_eq!(receipt.blake3, blake3::hash(&bytes).to_hex().as_str());

    let reader = SerializedFileReader::new(bytes).expect("a Parquet file");
    let metadata = reader.metadata();
    // In any other form parquet-java distrusts DELTA_BYTE_ARRAY.
    let created_by = concat!("lakehaul version ", env!("CARGO_PKG_VERSION"));
    assert_eq!(metadata.file_metadata().created_by(), Some(created_by));
    let entries = metadata.file_metadata().key_value_metadata().expect("key-values").iter();
    let key_values: Vec<(&str, &str)> =
        entries.map(|entry| (entry.key.as_str(), entry.value.as_deref().unwrap_or_default())).collect();
    let expected = [
        ("fhir.version", "4.0.1"),
        ("fhir.resourceType", "Patient"),
        ("lake.schema", "1"),
        ("lake.elements.sha256", ElementTable::r4().sha256()),
        ("lake.annotations", "numeric,dates"),
    ];
    assert_eq!(key_values, expected);

    let row_group = metadata.row_group(0);
    let statistics = |path: &str| {
        let column = row_group.columns().iter().find(|column| column.column_path().string() == path);
        column.unwrap_or_else(|| panic!("no column {path}")).statistics().expect("statistics").clone()
    };
    let Statistics::ByteArray(id) = statistics("id") else { panic!("id is a byte array") };
    assert_eq!(
        (id.min_opt().map(ByteArray::data), id.max_opt().map(ByteArray::data)),
        (Some(&b"a"[..]), Some(&b"d"[..]))
    );
    let Statistics::Int64(start) = statistics("__birthDate_start") else { panic!("a timestamp is an INT64") };
    assert_eq!((start.min_opt(), start.null_count_opt()), (Some(&2_678_400_000_000), Some(3)));
    let Statistics::FixedLenByteArray(number) = statistics("extension.list.element.__valueDecimal_numeric") else {
        panic!("a decimal is a fixed-length byte array")
    };
    let millionths = |value: Option<&FixedLenByteArray>| {
        value.map(|value| i128::from_be_bytes(value.data().try_into().expect("sixteen bytes")))
    };
    assert_eq!((millionths(number.min_opt()), millionths(number.max_opt())), (Some(-2_000_000_000), Some(1_500_000)));
}

/// Bytes are equal, so no value, no dictionary entry, no column and no level of a rejected line is left.
#[test]
fn a_rejected_line_leaves_no_trace() {
    let bad = [
        r#"{"resourceType":"Patient","id":"secret","birthDate":"1999","name":[{"family":"secret","given":["secret"]}],"#,
        r#"{"resourceType":"Patient","id":"secret","photo":[{"title":"secret","size":7}],"photo":[]}"#,
        r#"{"resourceType":"Patient","secret":1,"contained":[{"a":1}],"extension":[{"url":"secret","valueBoolean":true}]} x"#,
        r#"{"resourceType":"Patient","name":[{"family":"secret"},{"given":["q",{"secret":"#,
    ];
    let mixed: String = bad.iter().zip(PATIENTS.lines()).map(|(bad, good)| format!("{bad}\n{good}\n")).collect();
    let (with, without) = (Lake::new(), Lake::new());
    let (with_bad, _, rejected) = with.load(TableOptions::default(), Vec::new(), &mixed, |_| true);
    let (good, _, none) = without.load(TableOptions::default(), Vec::new(), &mixed, |line| line % 2 == 0);
    assert_eq!((rejected, none), (4, 0));
    assert!(with.bytes(&with_bad[0]) == without.bytes(&good[0]), "rejected lines show in the part");
}

/// Pages of one row group, in lists and out of them: of texts without and with a common beginning, which no dictionary holds, of a
/// dictionary that ends inside a row, of elements that some lack, and of a leaf that each row has but the first.
#[test]
fn pages_hold_what_was_appended() {
    const ROWS: usize = 50_000;
    let scattered = |i: usize| (i as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let id = |i: usize| format!("{:x}", scattered(i));
    let family = |i: usize| (i > 0).then(|| format!("Name-{}", scattered(i)));
    // Each text twice, so that they stay in the dictionary until they are a megabyte; three to a row.
    let texts =
        |i: usize| (3 * i..3 * i + 3).map(|n| format!("{:0500}", scattered(n / 2))).take(if i < 1_500 { 3 } else { 1 });
    let line = |i: usize| {
        let family = family(i).map(|family| format!(r#","family":"{family}""#)).unwrap_or_default();
        let names: Vec<String> = texts(i).map(|text| format!(r#"{{"text":"{text}"{family}}}"#)).collect();
        let given = if i.is_multiple_of(3) { String::new() } else { format!(r#","gender":"{}""#, i % 7) };
        format!(r#"{{"resourceType":"Patient","id":"{}","name":[{}]{given}}}"#, id(i), names.join(",")) + "\n"
    };
    let text: String = (0..ROWS).map(line).collect();
    let lake = Lake::new();
    let (receipts, _, rejected) = lake.load(TableOptions::default(), Vec::new(), &text, |_| true);
    let [receipt] = receipts.as_slice() else { panic!("one part, not {}", receipts.len()) };
    assert_eq!(rejected, 0);
    let bytes = lake.bytes(receipt);

    let reader = SerializedFileReader::new(bytes.clone()).expect("a Parquet file");
    let [row_group] = reader.metadata().row_groups() else { panic!("one row group") };
    let encodings = |path: &str| -> Vec<Encoding> {
        let column = row_group.columns().iter().find(|column| column.column_path().string() == path);
        column.expect("the column").encodings().collect()
    };
    assert_eq!(encodings("id"), [Encoding::RLE, Encoding::DELTA_LENGTH_BYTE_ARRAY]);
    assert_eq!(encodings("name.list.element.family"), [Encoding::RLE, Encoding::DELTA_BYTE_ARRAY]);
    let of_text = encodings("name.list.element.text");
    assert!(of_text.contains(&Encoding::RLE_DICTIONARY) && of_text.len() > 3, "{of_text:?}");

    let batch = batch(bytes);
    let column = |name: &str| batch.column_by_name(name).expect("the column").clone();
    assert!(
        column("id").as_string::<i32>().iter().eq((0..ROWS)
            .map(id)
            .collect::<Vec<_>>()
            .iter()
            .map(|id| Some(id.as_str())))
    );
    let genders = (0..ROWS).map(|i| (!i.is_multiple_of(3)).then(|| (i % 7).to_string())).collect::<Vec<_>>();
    assert!(column("gender").as_string::<i32>().iter().eq(genders.iter().map(Option::as_deref)));
    let names = column("name");
    let names = names.as_list::<i32>();
    let (all_texts, families) = {
        let element = names.values().as_struct();
        let member = |name| element.column_by_name(name).expect("the member").as_string::<i32>().clone();
        (member("text"), member("family"))
    };
    let mut at = 0;
    for i in 0..ROWS {
        let expected: Vec<String> = texts(i).collect();
        assert_eq!(names.value_length(i) as usize, expected.len(), "row {i}");
        for text in expected {
            assert_eq!(all_texts.value(at), text, "row {i}");
            assert_eq!(families.is_valid(at).then(|| families.value(at)), family(i).as_deref(), "row {i}");
            at += 1;
        }
    }
}

#[test]
fn a_widened_part_equals_one_written_wide() {
    let narrow_first: String = [
        r#"{"resourceType":"Patient","id":"1"}"#,
        r#"{"resourceType":"Patient","id":"2","name":[{"given":["a","b"]},{}]}"#,
        r#"{"resourceType":"Patient","id":"3","name":[{"given":["c",null]},null],"contact":[{"name":{"family":"x"}}]}"#,
        r#"{"resourceType":"Patient","id":"4","name":[{"period":{"start":"2020"},"given":["d"],"extension":[{"url":"u"},{"url":"v"}]}]}"#,
        r#"{"resourceType":"Patient","id":"5","contact":[{"name":{"given":["y","z"]},"extension":[{"url":"w","valueCode":"q"}]},{"name":{"_family":{"id":"i"}}}]}"#,
        r#"{"resourceType":"Patient","id":"6","implicitRules":"http://rules","name":[{"_given":[{"id":"k"}]}]}"#,
        r#"{"resourceType":"Patient","id":"7"}"#,
    ]
    .map(|line| format!("{line}\n"))
    .concat();
    for rows in [1, 2, 3, 100] {
        let options = TableOptions { row_group_rows: rows, ..TableOptions::default() };
        let (spliced, wide) = (Lake::new(), Lake::new());
        let (receipts, schemas, _) = spliced.load(options.clone(), Vec::new(), &narrow_first, |_| true);
        let (at_once, same, _) = wide.load(options, schemas.clone(), &narrow_first, |_| true);
        assert_eq!(schemas, same);
        assert_eq!((receipts.len(), at_once.len()), (1, 1), "small parts of one worker are joined");
        let (spliced, wide) = (spliced.bytes(&receipts[0]), wide.bytes(&at_once[0]));
        assert_eq!(batch(spliced.clone()), batch(wide.clone()), "{rows} rows a row group");
        let (spliced, wide) = (SerializedFileReader::new(spliced), SerializedFileReader::new(wide));
        let (spliced, wide) = (spliced.expect("a file"), wide.expect("a file"));
        for (ours, theirs) in spliced.metadata().row_groups().iter().zip(wide.metadata().row_groups()) {
            for (ours, theirs) in ours.columns().iter().zip(theirs.columns()) {
                let name = ours.column_path().string();
                assert_eq!(ours.statistics(), theirs.statistics(), "{name}");
                assert_eq!(ours.num_values(), theirs.num_values(), "{name}");
            }
        }
    }
}

#[test]
fn record_batches_hold_what_parts_hold() {
    let annotations = Annotations { references: true, ..Annotations::default() };
    let options = TableOptions { annotations, keep_json: true, ..TableOptions::default() };
    let lake = Lake::new();
    let text = PATIENTS.to_owned()
        + r##"{"resourceType":"Patient","id":"e","managingOrganization":{"reference":"Organization/7"},"generalPractitioner":[{"reference":"#x"},{"reference":"Practitioner/8"}],"photo":[{"data":"AQID"},{"data":"AQID="}]}"##
        + "\n";
    let (receipts, schemas, _) = lake.load(options, Vec::new(), &text, |_| true);
    let core = TableSchema::core(ElementTable::r4(), "Patient", annotations, true).expect("a type of R4");
    let mut builder = BatchBuilder::new(core, "run");
    let chunk = Chunk::copy_of(text.as_bytes());
    let mut scratch = Scratch::new();
    for line in chunk.lines() {
        let mut cursor = DirectCursor::new(&line, 100, &mut scratch).expect("UTF-8");
        builder.append(&mut cursor, origin(&line)).expect("sound lines");
    }
    assert_eq!(builder.rows(), 5);
    let built = builder.finish().expect("a batch");
    assert_eq!(builder.rows(), 0);
    let read = batch(lake.bytes(&receipts[0]));
    assert_eq!(schemas[0].fields().len(), built.num_columns());
    for (field, (built, read)) in built.schema().fields().iter().zip(built.columns().iter().zip(read.columns())) {
        assert_eq!(built, read, "{}", field.name());
    }
}

/// A store that is full after so many bytes.
#[derive(Debug)]
struct Full {
    inner: Arc<dyn Store>,
    left: Arc<AtomicI64>,
}

struct FullFile {
    inner: Box<dyn StoreWrite>,
    left: Arc<AtomicI64>,
}

impl Write for FullFile {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        if self.left.fetch_sub(buf.len() as i64, SeqCst) < buf.len() as i64 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.inner.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl StoreWrite for FullFile {
    /// At the very last byte it is the fsync that fails.
    fn finish(self: Box<Self>) -> io::Result<()> {
        if self.left.load(SeqCst) <= 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.inner.finish()
    }

    fn syncer(&self) -> io::Result<Box<dyn StoreSync>> {
        self.inner.syncer()
    }
}

impl Store for Full {
    fn create(&self, path: &str) -> io::Result<Box<dyn StoreWrite>> {
        Ok(Box::new(FullFile { inner: self.inner.create(path)?, left: self.left.clone() }))
    }

    fn extend(&self, path: &str, len: u64) -> io::Result<Box<dyn StoreWrite>> {
        Ok(Box::new(FullFile { inner: self.inner.extend(path, len)?, left: self.left.clone() }))
    }

    fn open(&self, path: &str) -> io::Result<Box<dyn StoreRead>> {
        self.inner.open(path)
    }

    fn put(&self, path: &str, bytes: &[u8]) -> io::Result<()> {
        self.inner.put(path, bytes)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.inner.rename(from, to)
    }

    fn sync(&self) -> io::Result<()> {
        self.inner.sync()
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        self.inner.remove(path)
    }

    fn list(&self, path: &str) -> io::Result<Vec<(String, u64)>> {
        self.inner.list(path)
    }
}

/// Parquet's library drops what its buffers could not flush; a part must not.
#[test]
fn a_part_that_could_not_be_written_is_never_finished() {
    let lake = Lake::new();
    let whole = lake.load(TableOptions::default(), Vec::new(), PATIENTS, |_| true).0[0].bytes as i64;
    for limit in (0..whole).step_by(997).chain([whole - 9, whole - 1, whole]) {
        let store = Arc::new(Full { inner: lake.store.clone(), left: Arc::new(AtomicI64::new(limit)) });
        let tables = RunTables::new(store, "full".to_owned(), "run".to_owned(), TableOptions::default(), Vec::new());
        let mut set = TableSet::new(tables.clone(), "w0");
        append(&mut set, PATIENTS, |_| true);
        let error = set.finish().expect_err("the store is full").to_string();
        assert!(error.contains("full/Patient-w0-00000.part") && error.contains("no storage space"), "{limit}: {error}");
    }
}

/// As a journal would keep it.
fn laid_down(row_groups: &[WrittenRowGroup], keep: &[bool], closed: Option<(u64, String)>) -> LaidDownPart {
    let row_group = |(written, &keep): (&WrittenRowGroup, &bool)| LaidDownRowGroup {
        rows: written.rows,
        end: written.end,
        blake3: written.blake3.clone(),
        footer: written.footer().expect("a footer"),
        beyond_caps: written.beyond_caps,
        keep,
    };
    LaidDownPart {
        path: row_groups[0].part.clone(),
        writer: "w0".to_owned(),
        schema: row_groups[0].schema().clone(),
        row_groups: row_groups.iter().zip(keep).map(row_group).collect(),
        closed,
    }
}

fn run_tables(lake: &Lake) -> Arc<RunTables> {
    RunTables::new(lake.store.clone(), "staging".to_owned(), "run".to_owned(), TableOptions::default(), Vec::new())
}

/// Writes a row group a line, and tears the file behind them.
fn torn_part(lake: &Lake) -> Vec<WrittenRowGroup> {
    // So that all row groups are in one part.
    let known = lake.load(TableOptions::default(), Vec::new(), PATIENTS, |_| true).1;
    let tables =
        RunTables::new(lake.store.clone(), "staging".to_owned(), "run".to_owned(), TableOptions::default(), known);
    let mut set = TableSet::new(tables, "w0");
    let mut row_groups = Vec::new();
    for line in 1..=4 {
        append(&mut set, PATIENTS, |number| number == line);
        let Saved { row_groups: written, closed, open } = set.save().expect("the store works");
        assert_eq!((written.len(), closed.len(), open.len()), (1, 0, 1));
        open[0].sync().expect("a sound disk");
        row_groups.extend(written);
    }
    assert!(set.save().expect("nothing to do").open.is_empty());
    drop(set);
    let path = lake.folder.path().join(&row_groups[0].part);
    let mut torn = std::fs::OpenOptions::new().append(true).open(path).expect("the part");
    torn.write_all(b"half a row gr").expect("a sound disk");
    row_groups
}

/// The lines whose rows are in the parts, in order.
fn lines_in(lake: &Lake, receipts: &[FileReceipt]) -> Vec<i64> {
    let line = |receipt| batch(lake.bytes(receipt))["__line"].as_primitive::<Int64Type>().values().to_vec();
    receipts.iter().flat_map(line).collect()
}

#[test]
fn a_part_is_finished_by_another_process() {
    // Each way to count row groups, the first ones as a crash leaves them and any as a changed file does.
    for kept in 0..16_u8 {
        let lake = Lake::new();
        let row_groups = torn_part(&lake);
        let keep: Vec<bool> = (0..4).map(|at| kept >> at & 1 == 1).collect();
        let tables = run_tables(&lake);
        let part = tables.restore(&laid_down(&row_groups, &keep, None)).expect("the store works");
        assert_eq!(part.is_some(), kept > 0);
        let Some(part) = part else { continue };
        let receipts = tables.settle(vec![part.clone()]).expect("the part is sound");
        let expected: Vec<i64> = (1..=4).filter(|at| keep[*at as usize - 1]).collect();
        assert_eq!(lines_in(&lake, &receipts), expected, "kept {keep:?}");
        let bytes = lake.bytes(&receipts[0]);
        assert_eq!((bytes.len() as u64, blake3::hash(&bytes).to_hex().as_str()), (part.bytes(), part.blake3()));
        assert_eq!(receipts[0].blake3, part.blake3());

        // Taken up once more, by a process that does not know of the first one's work.
        let again = run_tables(&lake).restore(&laid_down(&row_groups, &keep, None)).expect("the store works");
        assert_eq!(again.expect("it is still there").blake3(), part.blake3());
    }
}

#[test]
fn a_finished_part_is_the_same_whoever_finishes_it() {
    let lake = Lake::new();
    let mut set = TableSet::new(run_tables(&lake), "w0");
    append(&mut set, PATIENTS, |_| true);
    let row_groups = set.save().expect("the store works").row_groups;
    let closed = set.finish().expect("the store works").closed.remove(0);
    let whole = lake.store.read(closed.path()).expect("the part");
    let part = laid_down(&row_groups, &[true], None);
    let again = run_tables(&lake).restore(&part).expect("the store works").expect("it is there");
    assert_eq!(lake.store.read(again.path()).expect("the part"), whole);

    let told = laid_down(&row_groups, &[true], Some((closed.bytes(), closed.blake3().to_owned())));
    let as_told = run_tables(&lake).restore(&told).expect("the store works").expect("it is there");
    assert_eq!((as_told.bytes(), as_told.blake3()), (closed.bytes(), closed.blake3()));
}

#[test]
fn a_part_that_is_not_what_the_journal_says_is_not_taken() {
    type Damage = fn(&mut Vec<u8>, &mut LaidDownPart);
    let table: [(&str, Damage); 4] = [
        ("shorter than its last row group", |bytes, part| bytes.truncate(part.row_groups[3].end as usize - 1)),
        ("another byte in a row group", |bytes, _| bytes[100] ^= 1),
        ("a footer that is none", |_, part| part.row_groups[1].footer.truncate(20)),
        ("another path", |_, part| part.path.push('x')),
    ];
    for (what, damage) in table {
        let lake = Lake::new();
        let mut part = laid_down(&torn_part(&lake), &[true; 4], None);
        let path = lake.folder.path().join(&part.path);
        let mut bytes = std::fs::read(&path).expect("the part");
        damage(&mut bytes, &mut part);
        std::fs::write(&path, bytes).expect("a sound disk");
        assert!(run_tables(&lake).restore(&part).expect("the store works").is_none(), "{what}");
    }
}

#[test]
fn row_groups_end_between_chunks() {
    let lake = Lake::new();
    let options = TableOptions { row_group_rows: 3, ..TableOptions::default() };
    let tables = RunTables::new(lake.store.clone(), "staging".to_owned(), "run".to_owned(), options, Vec::new());
    let mut set = TableSet::new(tables, "w0");
    assert!(!set.make_room(2).expect("nothing to write"));
    append(&mut set, PATIENTS, |number| number <= 2);
    // Two more do not fit; nothing else is open.
    assert!(set.make_room(2).expect("the store works"));
    append(&mut set, PATIENTS, |number| number > 2);
    let rows: Vec<u64> = set.save().expect("the store works").row_groups.iter().map(|written| written.rows).collect();
    assert_eq!(rows, [2, 2]);
}

/// Row groups of some size go over as they are, widened; tiny ones are decoded and become one.
#[test]
fn a_joined_part_has_every_row_and_column() {
    let lake = Lake::new();
    let lines = |from: usize, to: usize, more: &str| -> String {
        (from..to).map(|n| format!("{{\"resourceType\":\"Patient\",\"id\":\"p{n}\"{more}}}\n")).collect()
    };
    let (narrow, wide) = (9_000, 18_000);
    let texts = [
        lines(0, narrow, r#","gender":"other""#),
        lines(narrow, wide, r#","contact":[{"period":{"start":"1970-02-03"}}]"#),
        lines(wide, wide + 3, ""),
        lines(wide + 3, wide + 5, r#","contact":[{"period":{"start":"1971"}}]"#),
    ];
    let (mut schemas, mut paths) = (Vec::new(), Vec::new());
    for (index, text) in texts.iter().enumerate() {
        let (receipts, grown, _) = lake.load(TableOptions::default(), schemas, text, |_| true);
        let [receipt] = receipts.as_slice() else { panic!("one part, not {}", receipts.len()) };
        let path = format!("part-{index}");
        lake.store.rename(&receipt.path, &path).expect("it is there");
        (schemas, paths) = (grown, [paths, vec![path]].concat());
    }
    let [schema] = schemas.as_slice() else { panic!("one table") };
    let shape = |path: &str| PartShape::of(&*lake.store, path, schema).expect("a part");
    assert_eq!((shape("part-0").rows, shape("part-0").missing_leaves), (9_000, 3), "a date has its annotations");

    let mut joined = JoinedPart::create(&*lake.store, "joined".to_owned(), schema).expect("it is begun");
    paths.iter().for_each(|path| joined.add(path).expect("a sound part"));
    let receipt = joined.finish().expect("the store works");
    let expected = PartShape { rows: wide as u64 + 5, missing_leaves: 0, tiny_row_groups: 0 };
    assert_eq!((shape("joined"), receipt.rows), (expected, wide as u64 + 5));
    let bytes = lake.bytes(&receipt);
    assert_eq!(receipt.blake3, blake3::hash(&bytes).to_hex().as_str());
    let reader = SerializedFileReader::new(bytes.clone()).expect("a Parquet file");
    let path = "contact.list.element.period.__start_end";
    let shape = |row_group: &RowGroupMetaData| {
        let column = row_group.columns().iter().find(|column| column.column_path().string() == path);
        let statistics = column.unwrap_or_else(|| panic!("no column {path}")).statistics().expect("statistics");
        (row_group.num_rows(), statistics.null_count_opt())
    };
    let shapes: Vec<_> = reader.metadata().row_groups().iter().map(shape).collect();
    assert_eq!(shapes, [(9_000, Some(9_000)), (9_000, Some(0)), (5, Some(3))], "rows and nulls");
    let all = batch(bytes);
    let ids = all.column_by_name("id").expect("a column").as_string::<i32>();
    assert!(ids.iter().flatten().eq((0..wide + 5).map(|n| format!("p{n}"))));
}
