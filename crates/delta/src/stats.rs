//! What a Parquet file's footer knows of its columns, as a Delta log tells it.
//!
//! In go a footer, the schema of the commit and the columns that are told of, out comes the JSON of an `add`: number of
//! rows, and for each of those columns how many values are missing and between which bounds the others lie. A bound may
//! be wider than the values, never narrower.

use std::collections::{HashMap, HashSet};

use arrow::datatypes::{DataType, Field, Fields, Schema};
use chrono::{DateTime, Datelike, NaiveDate, SecondsFormat, TimeDelta, Utc};
use parquet::basic::{ConvertedType, LogicalType, TimeUnit};
use parquet::file::metadata::ParquetMetaData;
use parquet::file::statistics::Statistics;
use parquet::schema::types::ColumnDescriptor;
use serde_json::Value;

/// Characters of a string that are told.
const CHARACTERS: usize = 32;

/// The statistics of one file of a Delta table, as the JSON that belongs into
/// [`AddedFile::stats`](crate::AddedFile::stats).
///
/// `schema`: the one of the commit. `columns`: those of its leaves that are told of, each as its path with dots, as in
/// [`Commit::statistics`](crate::Commit::statistics). Columns in lists and maps have no statistics in Delta. What the
/// footer does not know is left out.
pub fn stats(metadata: &ParquetMetaData, schema: &Schema, columns: &[String]) -> String {
    let leaves = metadata.file_metadata().schema_descr().columns().iter().enumerate();
    let leaves = leaves.map(|(index, leaf)| (leaf.path().parts(), index)).collect();
    let columns = columns.iter().map(String::as_str).collect();
    let told = Told { metadata, leaves, columns };
    let [mut nulls, mut mins, mut maxs] = [const { Object::new() }; 3];
    told.columns(schema.fields(), &mut Vec::new(), [&mut nulls, &mut mins, &mut maxs]);
    let mut all = Object::new();
    all.put("numRecords", metadata.file_metadata().num_rows().to_string());
    all.put("minValues", mins.json());
    all.put("maxValues", maxs.json());
    all.put("nullCount", nulls.json());
    all.json()
}

/// A JSON object on its way. Numbers go in as text: a decimal has more digits than a float.
struct Object(String);

impl Object {
    const fn new() -> Object {
        Object(String::new())
    }

    fn put(&mut self, name: &str, json: impl AsRef<str>) {
        self.0.push(if self.0.is_empty() { '{' } else { ',' });
        self.0.push_str(&quoted(name));
        self.0.push(':');
        self.0.push_str(json.as_ref());
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn json(self) -> String {
        if self.is_empty() { "{}".to_owned() } else { self.0 + "}" }
    }
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// What there is to tell.
struct Told<'a> {
    metadata: &'a ParquetMetaData,
    /// Where the footer has each leaf.
    leaves: HashMap<&'a [String], usize>,
    columns: HashSet<&'a str>,
}

impl Told<'_> {
    /// Tells of `fields`, which are below `path`.
    fn columns(&self, fields: &Fields, path: &mut Vec<String>, [nulls, mins, maxs]: [&mut Object; 3]) {
        for field in fields {
            path.push(field.name().clone());
            if let DataType::Struct(fields) = field.data_type() {
                let mut inner = [const { Object::new() }; 3];
                let [n, min, max] = &mut inner;
                self.columns(fields, path, [n, min, max]);
                for (outer, inner) in [&mut *nulls, &mut *mins, &mut *maxs].into_iter().zip(inner) {
                    if !inner.is_empty() {
                        outer.put(field.name(), inner.json());
                    }
                }
            } else if !field.data_type().is_nested()
                && self.columns.contains(path.join(".").as_str())
                && let Some(column) = self.leaves.get(path.as_slice())
            {
                let known = self.column(*column, field);
                for (object, known) in [&mut *nulls, &mut *mins, &mut *maxs].into_iter().zip(known) {
                    if let Some(json) = known {
                        object.put(field.name(), json);
                    }
                }
            }
            path.pop();
        }
    }

    /// Missing values, least and greatest value of a column, over all row groups.
    fn column(&self, column: usize, field: &Field) -> [Option<String>; 3] {
        let mut nulls = Some(0);
        let mut bounds: Option<(Bound, Bound)> = None;
        let mut bounded = true;
        for group in self.metadata.row_groups() {
            let chunk = group.column(column);
            let statistics = chunk.statistics();
            let missing = statistics.and_then(Statistics::null_count_opt);
            nulls = nulls.zip(missing).map(|(all, missing)| all + missing);
            let rows = u64::try_from(group.num_rows()).unwrap_or(0);
            if rows == 0 || missing == Some(rows) {
                continue;
            }
            let found = statistics.and_then(|statistics| bounds_of(statistics, field, chunk.column_descr()));
            bounds = match (bounds.take(), found) {
                (_, None) => {
                    bounded = false;
                    None
                }
                (None, found) => found,
                (Some((min, max)), Some((new_min, new_max))) => Some((min.min(new_min), max.max(new_max))),
            };
        }
        let (min, max) = bounds.filter(|_| bounded).unzip();
        [nulls.map(|nulls| nulls.to_string()), min.and_then(|min| min.told(false)), max.and_then(|max| max.told(true))]
    }
}

/// A bound of a column. All bounds of one column are of one variant, and of one scale.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Bound {
    Text(String),
    Number(i64),
    Decimal(i128, usize),
    Day(i32),
    Microseconds(i64),
}

fn bounds_of(statistics: &Statistics, field: &Field, column: &ColumnDescriptor) -> Option<(Bound, Bound)> {
    if statistics.is_min_max_deprecated() {
        return None;
    }
    let bound = |bytes: Option<&[u8]>| bound(bytes?, field.data_type(), statistics, column);
    Some((bound(statistics.min_bytes_opt())?, bound(statistics.max_bytes_opt())?))
}

/// A value of the footer. None: its type has no bounds in Delta, or it is none that can be told.
fn bound(bytes: &[u8], data_type: &DataType, statistics: &Statistics, column: &ColumnDescriptor) -> Option<Bound> {
    let little = || match statistics {
        Statistics::Int32(_) => bytes.try_into().ok().map(|bytes| i64::from(i32::from_le_bytes(bytes))),
        Statistics::Int64(_) => bytes.try_into().ok().map(i64::from_le_bytes),
        _ => None,
    };
    Some(match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
            Bound::Text(std::str::from_utf8(bytes).ok()?.to_owned())
        }
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => Bound::Number(little()?),
        DataType::Date32 => Bound::Day(i32::try_from(little()?).ok()?),
        DataType::Timestamp(..) => Bound::Microseconds(little()?.checked_mul(microseconds(column)?)?),
        DataType::Decimal128(_, scale) => {
            // The same digits are another number if the file has another scale.
            if column.type_scale() != i32::from(*scale) {
                return None;
            }
            let unscaled = little().map(i128::from).or_else(|| big_endian(bytes))?;
            Bound::Decimal(unscaled, usize::try_from(*scale).ok()?)
        }
        _ => return None,
    })
}

/// Microseconds in the unit of a column of times.
fn microseconds(column: &ColumnDescriptor) -> Option<i64> {
    let is_micros = match (column.logical_type_ref(), column.converted_type()) {
        (Some(LogicalType::Timestamp(time)), _) if time.unit == TimeUnit::MICROS => true,
        (Some(LogicalType::Timestamp(time)), _) if time.unit == TimeUnit::MILLIS => false,
        (None, ConvertedType::TIMESTAMP_MICROS) => true,
        (None, ConvertedType::TIMESTAMP_MILLIS) => false,
        _ => return None,
    };
    Some(if is_micros { 1 } else { 1000 })
}

fn big_endian(bytes: &[u8]) -> Option<i128> {
    let first = *bytes.first().filter(|_| bytes.len() <= 16)?;
    let sign = if first & 0x80 == 0 { 0 } else { -1 };
    Some(bytes.iter().fold(sign, |number, byte| number << 8 | i128::from(*byte)))
}

impl Bound {
    /// As JSON; rounded up if it is an upper bound.
    fn told(self, upper: bool) -> Option<String> {
        match self {
            Bound::Text(text) => shortened(text, upper).map(|text| quoted(&text)),
            Bound::Number(number) => Some(number.to_string()),
            Bound::Decimal(unscaled, scale) => Some(decimal(unscaled, scale)),
            Bound::Day(days) => {
                let day = NaiveDate::default().checked_add_signed(TimeDelta::try_days(days.into())?)?;
                four_digits(day.year()).then(|| format!("\"{day}\""))
            }
            Bound::Microseconds(micros) => {
                let rounds_up = upper && micros.rem_euclid(1000) != 0;
                let millis = micros.div_euclid(1000) + i64::from(rounds_up);
                let time: DateTime<Utc> = DateTime::from_timestamp_millis(millis)?;
                four_digits(time.year()).then(|| quoted(&time.to_rfc3339_opts(SecondsFormat::Millis, true)))
            }
        }
    }
}

/// Other years are written in ways that readers differ in.
fn four_digits(year: i32) -> bool {
    (0..=9999).contains(&year)
}

/// The beginning of a long text. As an upper bound it gets a character that is greater than the one that would have
/// followed; None: there is no greater one.
fn shortened(mut text: String, upper: bool) -> Option<String> {
    const ASCII_MAX: char = '\u{7f}';
    let Some((at, next)) = text.char_indices().nth(CHARACTERS) else {
        return Some(text);
    };
    text.truncate(at);
    if upper {
        // For ASCII it is ASCII: then it is greater in the order of UTF-16 too, which some readers compare by.
        let greater = if next < ASCII_MAX { ASCII_MAX } else { char::MAX };
        if greater <= next {
            return None;
        }
        text.push(greater);
    }
    Some(text)
}

fn decimal(unscaled: i128, scale: usize) -> String {
    let sign = if unscaled < 0 { "-" } else { "" };
    let digits = format!("{:0>width$}", unscaled.unsigned_abs(), width = scale + 1);
    let (whole, rest) = digits.split_at(digits.len() - scale);
    if rest.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{rest}") }
}

#[cfg(test)]
mod tests {
    use super::{Bound, big_endian, decimal, shortened};

    #[test]
    fn bounds_are_never_narrower_than_the_values() {
        let long = "ä".repeat(40);
        assert_eq!(shortened(long.clone(), false), Some("ä".repeat(32)));
        let upper = shortened(long.clone(), true).unwrap();
        assert!(upper > long && upper.chars().count() == 33);
        assert_eq!(shortened(format!("{}\u{10ffff}", "a".repeat(32)), true), None);
        assert_eq!(shortened("a".repeat(33), true), Some("a".repeat(32) + "\u{7f}"));
        assert_eq!(shortened("a".repeat(32), true), Some("a".repeat(32)));
        assert_eq!(Bound::Microseconds(1).told(true).as_deref(), Some("\"1970-01-01T00:00:00.001Z\""));
        assert_eq!(Bound::Microseconds(1).told(false).as_deref(), Some("\"1970-01-01T00:00:00.000Z\""));
        assert_eq!(Bound::Microseconds(-1).told(true).as_deref(), Some("\"1970-01-01T00:00:00.000Z\""));
        assert_eq!(Bound::Microseconds(-1).told(false).as_deref(), Some("\"1969-12-31T23:59:59.999Z\""));
        assert_eq!(Bound::Microseconds(i64::MAX).told(true), None);
        assert_eq!(Bound::Day(19_723).told(false).as_deref(), Some("\"2024-01-01\""));
    }

    #[test]
    fn decimals_keep_their_digits() {
        assert_eq!(decimal(-5, 3), "-0.005");
        assert_eq!(decimal(0, 0), "0");
        assert_eq!(
            decimal(99_999_999_999_999_999_999_999_999_999_999_999_999, 9),
            "99999999999999999999999999999.999999999"
        );
        assert_eq!(big_endian(&(-7_i128).to_be_bytes()), Some(-7));
        assert_eq!(big_endian(&[0xff, 0x00]), Some(-256));
        assert_eq!(big_endian(&[]), None);
    }
}
