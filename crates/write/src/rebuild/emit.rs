//! A row's JSON straight from the arrays: the way of all rows, or parts of rows, that have nothing in `__extra`.

use base64_simd::STANDARD;

use super::json_text::{push_integer, push_string};
use super::values::{Member, Values};

/// Appends an object of the members that are not null in `slot`.
pub(super) fn push_object(members: &[Member<'_>], slot: usize, out: &mut Vec<u8>) {
    out.push(b'{');
    for member in members {
        if !member.values.is_null(slot) {
            out.extend_from_slice(member.label);
            push_value(&member.values, slot, out);
            out.push(b',');
        }
    }
    close(b'}', out);
}

/// Appends the value in `slot`, which is not null.
pub(super) fn push_value(values: &Values<'_>, slot: usize, out: &mut Vec<u8>) {
    match values {
        Values::Text(array) => push_string(array.value(slot), out),
        Values::Verbatim(array) => out.extend_from_slice(array.value(slot).as_bytes()),
        Values::Integer(array) => push_integer(array.value(slot), out),
        Values::Boolean(array) => out.extend_from_slice(if array.value(slot) { b"true" } else { b"false" }),
        Values::Base64(array) => {
            out.push(b'"');
            STANDARD.encode_append(array.value(slot), out);
            out.push(b'"');
        }
        Values::Group { members, .. } => push_object(members, slot, out),
        Values::List { offsets, slots, .. } => {
            out.push(b'[');
            for slot in list_slots(offsets, slot) {
                push_slot(slots, slot, out);
                out.push(b',');
            }
            close(b']', out);
        }
    }
}

/// Appends a list's slot: its value, or `null`.
pub(super) fn push_slot(values: &Values<'_>, slot: usize, out: &mut Vec<u8>) {
    if values.is_null(slot) {
        out.extend_from_slice(b"null");
    } else {
        push_value(values, slot, out);
    }
}

/// Which slots of the items belong to the list in `slot`.
pub(super) fn list_slots(offsets: &[i32], slot: usize) -> std::ops::Range<usize> {
    // Offsets ascend from 0: Arrow checks it when an array is made.
    offsets[slot] as usize..offsets[slot + 1] as usize
}

/// Ends an object or array behind whose every member a comma was written: the last comma gives way.
pub(super) fn close(bracket: u8, out: &mut Vec<u8>) {
    match out.last_mut() {
        Some(last) if *last == b',' => *last = bracket,
        _ => out.push(bracket),
    }
}
