//! Leaf columns as Arrow arrays: the same rows as in a part's row group, for engines that take record batches.
//!
//! In: cursors over lines of one resource type. Out: a [`RecordBatch`] with the table's whole schema. Arrays are made
//! leaf by leaf in the slots of the nearest list (or the rows): a group's instances are never gathered first and spread
//! later.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryBuilder, BooleanBufferBuilder, BooleanBuilder, Decimal128Builder, Int32Builder, Int64Array,
    ListArray, MapArray, RecordBatch, StringArray, StringBuilder, StructArray, TimestampMicrosecondBuilder,
    new_null_array,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field, FieldRef};
use arrow::error::ArrowError;

use lakehaul_parse::{Cursor, Reject};
use lakehaul_schema::{Group, Present, TableSchema};

use crate::arrow_schema::arrow_schema;
use crate::columns::{BytesLeaf, Derived, Presence, instant_range, numeric, reference_target};
use crate::error::WriteError;
use crate::run_tables::RunTable;
use crate::shred::{Annotated, Child, LeafNode, Nodes, Origin, Shape, ShapeMember, Shredder, Values};

/// Collects rows of one resource type and gives them out as Arrow record batches.
#[derive(Debug)]
pub struct BatchBuilder {
    table: Arc<RunTable>,
    shredder: Shredder<Arc<RunTable>>,
    run: String,
}

impl BatchBuilder {
    /// A builder for the table of `schema`, which grows with what the lines have. `run` fills `__run`.
    pub fn new(schema: TableSchema, run: &str) -> Self {
        let table = Arc::new(RunTable::new(schema));
        BatchBuilder { shredder: table.shredder(), table, run: run.to_owned() }
    }

    /// Adds the cursor's line, whose resource type is this table's.
    ///
    /// # Errors
    /// What is wrong with the line; it left no trace.
    pub fn append<'c, C: Cursor<'c>>(&mut self, cursor: &mut C, origin: Origin<'_>) -> Result<(), Reject> {
        self.shredder.append(cursor, origin)
    }

    /// Rows since the last batch.
    pub fn rows(&self) -> usize {
        self.shredder.rows as usize
    }

    /// The rows so far as a batch; the builder goes on empty. Batches of one builder may differ in width: its schema
    /// only grows.
    ///
    /// # Errors
    /// A column is beyond Arrow's 32-bit offsets: more than 2 GiB of text in one batch.
    pub fn finish(&mut self) -> Result<RecordBatch, WriteError> {
        let schema = self.table.grow(&self.shredder)?;
        let batch = record_batch(&self.shredder, &schema.table, &self.run)
            .map_err(|error| WriteError::Parquet { path: self.table.resource_type().to_owned(), source: error.into() });
        self.shredder.clear();
        batch
    }
}

fn record_batch<G>(shredder: &Shredder<G>, table: &TableSchema, run: &str) -> Result<RecordBatch, ArrowError> {
    let schema = Arc::new(arrow_schema(&table.fields()));
    let rows = shredder.rows as usize;
    let arrays = Arrays { nodes: &shredder.nodes, table };
    let mut fields = schema.fields().iter();
    let mut columns: Vec<ArrayRef> = Vec::with_capacity(schema.fields().len());
    let mut next = || fields.next().expect("a schema has its fixed columns");

    let repeated =
        |text: &str| -> ArrayRef { Arc::new(StringArray::from_iter_values(std::iter::repeat_n(text, rows))) };
    next();
    columns.push(repeated(table.resource_type()));
    let slots = Slots { of_instances: (0..shredder.rows).collect(), len: rows };
    arrays.group(table.root(), Some(0), &slots, &mut next, &mut columns)?;
    columns.push(repeated(run));
    columns.push(text_array(&shredder.output_files, &slots.of_instances, rows)?);
    columns.push(Arc::new(Int64Array::from(shredder.lines.clone())));
    for _ in ["__run", "__output_file", "__line"] {
        next();
    }
    if let Some(json) = &shredder.json {
        next();
        columns.push(text_array(json, &slots.of_instances, rows)?);
    }
    columns.push(extra(shredder, next())?);
    RecordBatch::try_new(schema, columns)
}

/// Where the instances of a node stand among the slots of the nearest list, or among the rows.
struct Slots {
    of_instances: Vec<u32>,
    len: usize,
}

impl Slots {
    fn of(&self, presence: &Presence) -> Vec<u32> {
        let runs = presence.runs().flat_map(|(start, end)| &self.of_instances[start as usize..end as usize]);
        runs.copied().collect()
    }

    fn validity(&self, slots: &[u32]) -> NullBuffer {
        let mut bits = BooleanBufferBuilder::new(self.len);
        bits.append_n(self.len, false);
        slots.iter().for_each(|&slot| bits.set_bit(slot as usize, true));
        NullBuffer::new(bits.finish())
    }
}

struct Arrays<'a> {
    nodes: &'a Nodes,
    table: &'a TableSchema,
}

impl Arrays<'_> {
    /// Appends an array for each field of a group: its members and their annotations. `fields` yields them in order.
    fn group<'f>(
        &self,
        group: &Group,
        node: Option<usize>,
        slots: &Slots,
        fields: &mut dyn FnMut() -> &'f FieldRef,
        out: &mut Vec<ArrayRef>,
    ) -> Result<(), ArrowError> {
        let shape = Shape::of(group.type_id);
        for present in &group.members {
            let member = &shape.members[usize::from(present.member)];
            let annotated = member.annotated.within(self.table.annotations());
            let fields: Vec<&Field> = (0..=annotated.columns()).map(|_| &**fields()).collect();
            match node.map(|node| self.nodes.objects[node].child(present.member)) {
                Some(Child::At(child)) => out.extend(self.member(present, member, annotated, child, slots, &fields)?),
                _ => out.extend(fields.iter().map(|field| new_null_array(field.data_type(), slots.len))),
            }
        }
        Ok(())
    }

    /// A member's array and those of its annotations.
    fn member(
        &self,
        present: &Present,
        member: &ShapeMember,
        annotated: Annotated,
        child: usize,
        slots: &Slots,
        fields: &[&Field],
    ) -> Result<Vec<ArrayRef>, ArrowError> {
        if !member.list {
            let types: Vec<&DataType> = fields.iter().map(|field| field.data_type()).collect();
            return self.element(present, annotated, child, slots, &types);
        }
        let list = &self.nodes.lists[child];
        let lists = slots.of(&list.presence);
        let mut lengths = vec![0; slots.len];
        let mut start = 0;
        for (&slot, &end) in lists.iter().zip(&list.ends) {
            lengths[slot as usize] = (end - start) as usize;
            start = end;
        }
        let elements = Slots { of_instances: (0..list.total).collect(), len: list.total as usize };
        let element_fields: Vec<FieldRef> = fields
            .iter()
            .map(|field| match field.data_type() {
                DataType::List(element) => element.clone(),
                other => Arc::new(Field::new("element", other.clone(), true)),
            })
            .collect();
        let types: Vec<&DataType> = element_fields.iter().map(|field| field.data_type()).collect();
        let arrays = self.element(present, annotated, list.element, &elements, &types)?;
        let validity = slots.validity(&lists);
        let lists = arrays.into_iter().zip(&element_fields).map(|(array, field)| {
            let offsets = OffsetBuffer::from_lengths(lengths.iter().copied());
            let list = ListArray::try_new(field.clone(), offsets, array, Some(validity.clone()))?;
            Ok(Arc::new(list) as ArrayRef)
        });
        lists.collect()
    }

    fn element(
        &self,
        present: &Present,
        annotated: Annotated,
        child: usize,
        slots: &Slots,
        types: &[&DataType],
    ) -> Result<Vec<ArrayRef>, ArrowError> {
        let Some(group) = &present.group else {
            return leaf(&self.nodes.leaves[child], annotated, slots, types[0]);
        };
        let DataType::Struct(fields) = types[0] else {
            return Err(ArrowError::SchemaError("a group is not a struct".to_owned()));
        };
        let instances = slots.of(&self.nodes.objects[child].presence);
        let validity = slots.validity(&instances);
        let mut children = Vec::with_capacity(fields.len());
        let slots = Slots { of_instances: instances, len: slots.len };
        let mut next = fields.iter();
        let mut next = || next.next().expect("a struct has a field for each present member");
        self.group(group, Some(child), &slots, &mut next, &mut children)?;
        Ok(vec![Arc::new(StructArray::try_new(fields.clone(), children, Some(validity))?)])
    }
}

/// A leaf's array and those of its annotations.
fn leaf(
    leaf: &LeafNode,
    annotated: Annotated,
    slots: &Slots,
    data_type: &DataType,
) -> Result<Vec<ArrayRef>, ArrowError> {
    let at = slots.of(&leaf.presence);
    let bytes = match &leaf.values {
        Values::Integers(values) => {
            let mut array = Int32Builder::with_capacity(slots.len);
            spread(&at, slots.len, values.iter(), |value| array.append_option(value.copied()));
            return Ok(vec![Arc::new(array.finish())]);
        }
        Values::Booleans(values) => {
            let mut array = BooleanBuilder::with_capacity(slots.len);
            spread(&at, slots.len, values.iter(), |value| array.append_option(value.copied()));
            return Ok(vec![Arc::new(array.finish())]);
        }
        Values::Bytes(bytes) => bytes,
    };
    let mut arrays = vec![match data_type {
        DataType::Binary => {
            let mut array = BinaryBuilder::new();
            spread(&at, slots.len, bytes.values(), |value| array.append_option(value));
            Arc::new(array.finish()) as ArrayRef
        }
        _ => text_array(bytes, &at, slots.len)?,
    }];
    let kept_at = |kept: Option<Vec<bool>>| -> Vec<u32> {
        match kept {
            None => at.clone(),
            Some(kept) => at.iter().zip(kept).filter(|(_, kept)| *kept).map(|(&at, _)| at).collect(),
        }
    };
    match annotated {
        Annotated::Nothing => {}
        Annotated::Numeric => {
            let numbers = Derived::of(bytes, numeric);
            let mut array = Decimal128Builder::with_capacity(slots.len).with_precision_and_scale(38, 6)?;
            spread(&kept_at(numbers.kept()), slots.len, numbers.values(), |value| array.append_option(value));
            arrays.push(Arc::new(array.finish()));
        }
        Annotated::Dates => {
            let ranges = Derived::of(bytes, instant_range);
            let at = kept_at(ranges.kept());
            for end in [false, true] {
                let mut array = TimestampMicrosecondBuilder::with_capacity(slots.len).with_timezone("UTC");
                let instants = ranges.values().map(|range| if end { range.end } else { range.start });
                spread(&at, slots.len, instants, |value| array.append_option(value));
                arrays.push(Arc::new(array.finish()));
            }
        }
        Annotated::Target => {
            let targets = Derived::of(bytes, |text| reference_target(std::str::from_utf8(text).ok()?));
            let at = kept_at(targets.kept());
            for id in [false, true] {
                let mut array = StringBuilder::new();
                let texts = targets.values().map(|target| if id { target.1 } else { target.0 });
                spread(&at, slots.len, texts, |value| array.append_option(value));
                arrays.push(Arc::new(array.finish()));
            }
        }
    }
    Ok(arrays)
}

/// Calls `append` once for each of `len` slots: with the next value at the slots `at`, with nothing at the others.
fn spread<T>(at: &[u32], len: usize, values: impl Iterator<Item = T>, mut append: impl FnMut(Option<T>)) {
    let mut slot = 0;
    for (&at, value) in at.iter().zip(values) {
        while slot < at {
            append(None);
            slot += 1;
        }
        append(Some(value));
        slot += 1;
    }
    (slot as usize..len).for_each(|_| append(None));
}

fn text_array(leaf: &BytesLeaf, at: &[u32], len: usize) -> Result<ArrayRef, ArrowError> {
    let mut offsets = Vec::with_capacity(len + 1);
    let mut text = Vec::new();
    let mut bits = BooleanBufferBuilder::new(len);
    offsets.push(0i32);
    let mut overflow = false;
    spread(at, len, leaf.values(), |value| {
        bits.append(value.is_some());
        text.extend_from_slice(value.unwrap_or_default());
        offsets.push(i32::try_from(text.len()).unwrap_or_else(|_| {
            overflow = true;
            i32::MAX
        }));
    });
    if overflow {
        return Err(ArrowError::OffsetOverflowError(text.len()));
    }
    let nulls = Some(NullBuffer::new(bits.finish()));
    Ok(Arc::new(StringArray::try_new(OffsetBuffer::new(offsets.into()), text.into(), nulls)?))
}

/// The `__extra` column.
fn extra<G>(shredder: &Shredder<G>, field: &Field) -> Result<ArrayRef, ArrowError> {
    let DataType::Map(entries, _) = field.data_type() else {
        return Err(ArrowError::SchemaError("__extra is not a map".to_owned()));
    };
    let DataType::Struct(fields) = entries.data_type() else {
        return Err(ArrowError::SchemaError("__extra has no entries".to_owned()));
    };
    let extra = &shredder.extra;
    let rows = Slots { of_instances: (0..shredder.rows).collect(), len: shredder.rows as usize };
    let with_entries = rows.of(&extra.presence);
    let mut lengths = vec![0; rows.len];
    let mut start = 0;
    for (&row, &end) in with_entries.iter().zip(&extra.ends) {
        lengths[row as usize] = (end - start) as usize;
        start = end;
    }
    let at: Vec<u32> = (0..start).collect();
    let (keys, values) = (text_array(&extra.keys, &at, at.len())?, text_array(&extra.values, &at, at.len())?);
    let entries_array = StructArray::try_new(fields.clone(), vec![keys, values], None)?;
    let offsets = OffsetBuffer::from_lengths(lengths);
    let map = MapArray::try_new(entries.clone(), offsets, entries_array, Some(rows.validity(&with_entries)), false)?;
    Ok(Arc::new(map))
}
