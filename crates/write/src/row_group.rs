//! A shredder's rows as the encoded column chunks of one row group, in the order of the table's schema.
//!
//! Levels go down the tree from parent to child; a group's members are encoded side by side in the caller's thread
//! pool. A leaf without a column here gets an all-null chunk from its nearest ancestor's levels. Annotations are
//! computed from their element's column: once for each dictionary entry, not for each value.

use std::cell::RefCell;

use lakehaul_schema::{Group, Present};
use parquet::errors::ParquetError;
use rayon::prelude::*;

use crate::columns::{Derived, instant_range, numeric, reference_target};
use crate::encode::{
    Booleans, ChunkEncoder, ChunkLevels, Constant, Deltas, EncodedChunk, Fixed, Levels, NoValues, PageValues,
    StatisticsLevel,
};
use crate::parquet_schema::CompiledSchema;
use crate::shred::{Annotated, Child, ColumnGate, Kind, LeafNode, Nodes, Shape, ShapeMember, Shredder, Values};

/// Encodes all rows of `shredder`. `schema` covers every path that has values there.
pub(crate) fn encode_row_group<G: ColumnGate>(
    shredder: &Shredder<G>,
    schema: &CompiledSchema,
    run: &str,
    compression_level: i32,
) -> Result<Vec<EncodedChunk>, ParquetError> {
    let encoder = RowGroup { nodes: &shredder.nodes, schema, rows: shredder.rows, compression_level };
    let root = Levels::root(shredder.rows);
    let rows = shredder.rows as usize;
    let mut chunks = Vec::with_capacity(schema.columns.num_columns());

    let resource_type = schema.table.resource_type().as_bytes();
    chunks.push(encoder.chunk(
        0,
        Definition::Required,
        &root,
        &Constant { value: resource_type, count: rows },
        StatisticsLevel::Page,
    )?);
    chunks.extend(encoder.group(schema.table.root(), Some(0), &root, 1)?);

    let mut fixed = |values: &dyn PageValues, statistics| {
        let chunk = encoder.chunk(chunks.len(), Definition::Full, &root, values, statistics)?;
        chunks.push(chunk);
        Ok::<_, ParquetError>(())
    };
    fixed(&Constant { value: run.as_bytes(), count: rows }, StatisticsLevel::Page)?;
    fixed(&shredder.output_files, StatisticsLevel::Page)?;
    fixed(&Deltas(&shredder.lines), StatisticsLevel::Page)?;
    if let Some(json) = &shredder.json {
        fixed(json, StatisticsLevel::NullCount)?;
    }

    // A map's entries are a list whose keys are required: their definition level is that of the entry itself.
    let extra = &shredder.extra;
    let entries = root.list(&extra.presence, &extra.ends);
    let keys = Definition::Own(&entries.definition);
    chunks.push(encoder.chunk(chunks.len(), keys, &entries, &extra.keys, StatisticsLevel::NullCount)?);
    chunks.push(encoder.chunk(chunks.len(), Definition::Full, &entries, &extra.values, StatisticsLevel::NullCount)?);
    Ok(chunks)
}

/// Which of a node's slots a leaf has a value in.
#[derive(Clone, Copy)]
enum Definition<'a> {
    /// It is a required one of the rows.
    Required,
    /// Each instance has one.
    Full,
    /// By these levels.
    Own(&'a [u8]),
}

struct RowGroup<'a> {
    nodes: &'a Nodes,
    schema: &'a CompiledSchema,
    rows: u32,
    compression_level: i32,
}

impl RowGroup<'_> {
    /// The chunks of a group's members, from column `first` on. `node`: the group's object node, if it has one here.
    fn group(
        &self,
        group: &Group,
        node: Option<usize>,
        levels: &Levels,
        first: usize,
    ) -> Result<Vec<EncodedChunk>, ParquetError> {
        let shape = Shape::of(group.type_id);
        let mut column = first;
        let members: Vec<(&Present, usize)> = group
            .members
            .iter()
            .map(|present| {
                let at = column;
                column += self.columns_of(present, &shape.members[usize::from(present.member)]);
                (present, at)
            })
            .collect();
        let chunks: Result<Vec<Vec<EncodedChunk>>, ParquetError> = members
            .into_par_iter()
            .map(|(present, column)| {
                self.member(present, &shape.members[usize::from(present.member)], node, levels, column)
            })
            .collect();
        Ok(chunks?.into_iter().flatten().collect())
    }

    fn columns_of(&self, present: &Present, member: &ShapeMember) -> usize {
        match &present.group {
            None => 1 + member.annotated.within(self.schema.table.annotations()).columns(),
            Some(group) => {
                let shape = Shape::of(group.type_id);
                group
                    .members
                    .iter()
                    .map(|child| self.columns_of(child, &shape.members[usize::from(child.member)]))
                    .sum()
            }
        }
    }

    fn member(
        &self,
        present: &Present,
        member: &ShapeMember,
        node: Option<usize>,
        levels: &Levels,
        first: usize,
    ) -> Result<Vec<EncodedChunk>, ParquetError> {
        let Some(Child::At(child)) = node.map(|node| self.nodes.objects[node].child(present.member)) else {
            return self.absent(levels, first..first + self.columns_of(present, member));
        };
        if !member.list {
            return self.element(present, member, child, levels, first);
        }
        let list = &self.nodes.lists[child];
        let elements = levels.list(&list.presence, &list.ends);
        self.element(present, member, list.element, &elements, first)
    }

    fn element(
        &self,
        present: &Present,
        member: &ShapeMember,
        child: usize,
        levels: &Levels,
        first: usize,
    ) -> Result<Vec<EncodedChunk>, ParquetError> {
        match &present.group {
            Some(group) => {
                let levels = levels.group(&self.nodes.objects[child].presence);
                self.group(group, Some(child), &levels, first)
            }
            None => self.leaf(member, &self.nodes.leaves[child], levels, first),
        }
    }

    /// All-null chunks for the leaves below a member that has no column here.
    fn absent(&self, levels: &Levels, columns: std::ops::Range<usize>) -> Result<Vec<EncodedChunk>, ParquetError> {
        columns
            .map(|column| {
                self.chunk(column, Definition::Own(&levels.definition), levels, &NoValues, StatisticsLevel::Page)
            })
            .collect()
    }

    /// A leaf's chunk and those of its annotations.
    fn leaf(
        &self,
        member: &ShapeMember,
        leaf: &LeafNode,
        levels: &Levels,
        first: usize,
    ) -> Result<Vec<EncodedChunk>, ParquetError> {
        let statistics = match member.kind {
            Kind::LongText | Kind::Base64 | Kind::Resource => StatisticsLevel::NullCount,
            _ => StatisticsLevel::Page,
        };
        let mut own = DEFINITION.take();
        let mut full = levels.has_all(&leaf.presence);
        if !full {
            levels.leaf(&leaf.presence, None, &mut own);
        }
        let definition = if full { Definition::Full } else { Definition::Own(&own) };
        let encode = |values: &dyn PageValues| self.chunk(first, definition, levels, values, statistics);
        let mut chunks = vec![match &leaf.values {
            Values::Integers(values) => encode(&Fixed::new(values)),
            Values::Booleans(values) => encode(&Booleans(values)),
            Values::Bytes(bytes) => encode(bytes),
        }?];
        // `kept`: which of the leaf's values these are of. None: all, and the levels are the same.
        let mut annotate = |kept: Option<Vec<bool>>, annotations: &[&dyn PageValues]| {
            if let Some(kept) = kept {
                levels.leaf(&leaf.presence, Some(&kept), &mut own);
                full = false;
            }
            let definition = if full { Definition::Full } else { Definition::Own(&own) };
            for &values in annotations {
                let column = first + chunks.len();
                chunks.push(self.chunk(column, definition, levels, values, StatisticsLevel::Page)?);
            }
            Ok::<_, ParquetError>(())
        };
        match (member.annotated.within(self.schema.table.annotations()), &leaf.values) {
            (Annotated::Numeric, Values::Bytes(bytes)) => {
                let numbers = Derived::of(bytes, numeric);
                let kept = numbers.kept();
                match numbers.dictionary() {
                    Some((of_ids, ids)) => annotate(kept, &[&Fixed::of_dictionary(of_ids, ids)])?,
                    None => annotate(kept, &[&Fixed::new(&numbers.slice())])?,
                }
            }
            (Annotated::Dates, Values::Bytes(bytes)) => {
                let ranges = Derived::of(bytes, instant_range);
                let (starts, ends): (Vec<_>, Vec<_>) = ranges.values().map(|range| (range.start, range.end)).unzip();
                annotate(ranges.kept(), &[&Deltas(&starts), &Deltas(&ends)])?;
            }
            (Annotated::Target, Values::Bytes(bytes)) => {
                let targets = Derived::of(bytes, |text| reference_target(std::str::from_utf8(text).ok()?));
                let types = targets.texts(|(resource_type, _)| resource_type);
                annotate(targets.kept(), &[&types, &targets.texts(|(_, id)| id)])?;
            }
            _ => {}
        }
        DEFINITION.set(own);
        Ok(chunks)
    }

    fn chunk(
        &self,
        column: usize,
        definition: Definition<'_>,
        levels: &Levels,
        values: &dyn PageValues,
        statistics: StatisticsLevel,
    ) -> Result<EncodedChunk, ParquetError> {
        let column = self.schema.columns.column(column);
        // A leaf that has no column here may lie in deeper lists.
        let usual = i16::from(levels.max_repetition) == column.max_rep_level();
        let (definition, full) = match definition {
            Definition::Required => (&[][..], false),
            Definition::Full => (levels.full(), true),
            Definition::Own(levels) => (levels, false),
        };
        let levels = ChunkLevels {
            repetition: &levels.repetition,
            definition,
            slots: levels.slots(),
            rows: self.rows,
            usual: if usual { levels.usual_pages() } else { &[] },
            full,
        };
        with_encoder(self.compression_level, |encoder| encoder.encode(&column, levels, values, statistics))
    }
}

thread_local! {
    static ENCODER: RefCell<Option<ChunkEncoder>> = const { RefCell::new(None) };
    static DEFINITION: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Runs `work` with this thread's encoder.
pub(crate) fn with_encoder<R>(level: i32, work: impl FnOnce(&mut ChunkEncoder) -> R) -> R {
    let mut encoder = match ENCODER.take() {
        Some(encoder) if encoder.level() == level => encoder,
        _ => ChunkEncoder::new(level),
    };
    let result = work(&mut encoder);
    ENCODER.set(Some(encoder));
    result
}
