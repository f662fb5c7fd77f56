//! One batch's arrays in the places that the shape gives them; borrowed, nothing is copied.

use arrow::array::{
    Array, AsArray, BinaryViewArray, BooleanArray, Int32Array, Int64Array, MapArray, RecordBatch, StringViewArray,
};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{Int32Type, Int64Type};

use super::fault::Fault;
use super::shape::{Child, Shape};

/// Column: the run that wrote the row.
pub(super) const RUN: &str = "__run";
/// Column: the output file that the resource came in.
pub(super) const OUTPUT_FILE: &str = "__output_file";
/// Column: the line of that file, from 1.
pub(super) const LINE: &str = "__line";
/// Column: JSON Pointer → raw JSON, for what has no typed place.
pub(super) const EXTRA: &str = "__extra";

/// The rows of a batch.
pub(super) struct Rows<'b> {
    pub(super) run: &'b StringViewArray,
    pub(super) output_file: &'b StringViewArray,
    pub(super) line: &'b Int64Array,
    pub(super) extra: ExtraMap<'b>,
    /// The resource's members.
    pub(super) members: Vec<Member<'b>>,
}

/// The column `__extra`.
pub(super) struct ExtraMap<'b> {
    pub(super) nulls: Option<&'b NullBuffer>,
    pub(super) offsets: &'b [i32],
    pub(super) pointers: &'b StringViewArray,
    pub(super) raws: &'b StringViewArray,
}

/// A member's name and values. A member that is null in the whole batch is left out.
pub(super) struct Member<'b> {
    /// As in [`Child::name`].
    pub(super) name: &'b str,
    /// `"name":`
    pub(super) label: &'b [u8],
    pub(super) values: Values<'b>,
}

/// A column's slots, ready to be written as JSON. The variants are those of [`Shape`].
pub(super) enum Values<'b> {
    Text(&'b StringViewArray),
    Verbatim(&'b StringViewArray),
    Integer(&'b Int32Array),
    Boolean(&'b BooleanArray),
    Base64(&'b BinaryViewArray),
    Group { nulls: Option<&'b NullBuffer>, members: Vec<Member<'b>> },
    List { nulls: Option<&'b NullBuffer>, offsets: &'b [i32], slots: Box<Values<'b>> },
}

impl<'b> Rows<'b> {
    /// Finds the fixed columns and puts every other array in its place.
    pub(super) fn bind(shape: &'b [Child], batch: &'b RecordBatch) -> Result<Self, Fault> {
        let column = |name: &'static str| batch.column_by_name(name).ok_or(Fault::FixedColumn(name));
        let text = |name| column(name)?.as_string_view_opt().ok_or(Fault::FixedColumn(name));
        let line = column(LINE)?.as_primitive_opt::<Int64Type>().ok_or(Fault::FixedColumn(LINE))?;
        let extra = column(EXTRA)?.as_map_opt().and_then(ExtraMap::bind).ok_or(Fault::FixedColumn(EXTRA))?;
        let members = bind_members(shape, batch.columns())?;
        Ok(Self { run: text(RUN)?, output_file: text(OUTPUT_FILE)?, line, extra, members })
    }
}

impl<'b> ExtraMap<'b> {
    fn bind(map: &'b MapArray) -> Option<Self> {
        let (pointers, raws) = (map.keys().as_string_view_opt()?, map.values().as_string_view_opt()?);
        Some(Self { nulls: map.nulls(), offsets: map.value_offsets(), pointers, raws })
    }
}

impl Values<'_> {
    /// Whether the slot holds nothing.
    #[inline]
    pub(super) fn is_null(&self, slot: usize) -> bool {
        match self {
            Values::Text(array) | Values::Verbatim(array) => array.is_null(slot),
            Values::Integer(array) => array.is_null(slot),
            Values::Boolean(array) => array.is_null(slot),
            Values::Base64(array) => array.is_null(slot),
            Values::Group { nulls, .. } | Values::List { nulls, .. } => nulls.is_some_and(|nulls| nulls.is_null(slot)),
        }
    }
}

fn bind_members<'b>(shape: &'b [Child], arrays: &'b [arrow::array::ArrayRef]) -> Result<Vec<Member<'b>>, Fault> {
    let mut members = Vec::with_capacity(shape.len());
    for child in shape {
        let array = arrays[child.array].as_ref();
        if array.null_count() == array.len() {
            continue;
        }
        let values = bind(&child.shape, array).ok_or_else(|| Fault::ColumnType { column: child.name.clone() })?;
        members.push(Member { name: &child.name, label: &child.label, values });
    }
    Ok(members)
}

/// `None` if an array is not of the type that its shape was compiled for.
fn bind<'b>(shape: &'b Shape, array: &'b dyn Array) -> Option<Values<'b>> {
    Some(match shape {
        Shape::Text => Values::Text(array.as_string_view_opt()?),
        Shape::Verbatim => Values::Verbatim(array.as_string_view_opt()?),
        Shape::Integer => Values::Integer(array.as_primitive_opt::<Int32Type>()?),
        Shape::Boolean => Values::Boolean(array.as_boolean_opt()?),
        Shape::Base64 => Values::Base64(array.as_binary_view_opt()?),
        Shape::Group(children) => {
            let group = array.as_struct_opt()?;
            Values::Group { nulls: group.nulls(), members: bind_members(children, group.columns()).ok()? }
        }
        Shape::List(slot_shape) => {
            let list = array.as_list_opt::<i32>()?;
            let slots = Box::new(bind(slot_shape, list.values().as_ref())?);
            Values::List { nulls: list.nulls(), offsets: list.value_offsets(), slots }
        }
    })
}
