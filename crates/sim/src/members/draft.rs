//! A resource while it is written: the text so far, the draws it may make, and what most resources have in common.
//!
//! Names of members are R4's elements; each function writes one member, or one element of an array where it says so.
//! FHIR's general data types are in [`datatypes`](super::datatypes).

use std::ops::{Deref, DerefMut};

use fastrand::Rng;

use super::ResourceType;
use super::calendar::{Offset, Precision, push_moment};
use super::chance;
use super::codes::{CATEGORY, V2_IDENTIFIER, code};
use super::json::{JsonWriter, push_number};
use super::names::STREETS;
use super::world::{Member, World};

/// What is written as `resourceType`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TypeMember {
    /// The type.
    Real,
    /// Another name.
    Named(&'static str),
    /// Nothing at all.
    Absent,
}

/// One resource on its way. Derefs to the text, whose functions write members of simple types.
pub(crate) struct Draft<'a> {
    pub(crate) json: &'a mut JsonWriter,
    pub(crate) world: &'a World,
    pub(crate) rng: Rng,
    pub(crate) version: u64,
    /// `meta.lastUpdated`: seconds, milliseconds.
    pub(crate) updated: (i64, u32),
    /// It has the elements that only late resources have.
    pub(crate) late: bool,
    /// It may have a narrative.
    pub(crate) narrative: bool,
    pub(crate) type_member: TypeMember,
    /// `payment.amount` of an explanation of benefit; of others 0.
    pub(crate) payment_cents: i64,
}

impl Deref for Draft<'_> {
    type Target = JsonWriter;

    fn deref(&self) -> &JsonWriter {
        self.json
    }
}

impl DerefMut for Draft<'_> {
    fn deref_mut(&mut self) -> &mut JsonWriter {
        self.json
    }
}

impl Draft<'_> {
    /// True once in so many times.
    pub(crate) fn one_in(&mut self, times: u32) -> bool {
        self.rng.u32(..times) == 0
    }

    /// One of them.
    pub(crate) fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        chance::pick(&mut self.rng, choices)
    }

    /// Opens the resource: `resourceType`, `id`, `meta`.
    pub(crate) fn begin(&mut self, of: ResourceType, index: u64, profile: &'static str) {
        self.open();
        match self.type_member {
            TypeMember::Real => self.code("resourceType", of.name()),
            TypeMember::Named(name) => self.code("resourceType", name),
            TypeMember::Absent => {}
        }
        self.name("id");
        self.out.push(b'"');
        self.world.push_id(&mut self.json.out, of, index);
        self.out.push(b'"');
        self.meta(profile);
    }

    fn meta(&mut self, profile: &'static str) {
        self.object("meta");
        self.name("versionId");
        let version = self.version;
        self.quoted(|out| push_number(out, version));
        let offset = self.pick(&[Offset::Utc, Offset::Utc, Offset::Minutes(0), Offset::Minutes(-300)]);
        let (seconds, milliseconds) = self.updated;
        self.name("lastUpdated");
        self.quoted(|out| push_moment(out, seconds, milliseconds, offset, Precision::Millisecond));
        if self.one_in(4) {
            self.code("source", "https://payer.example.org/feeds/nightly");
        }
        self.array("profile");
        self.text_item(profile);
        self.end_array();
        if self.one_in(16) {
            self.array("security");
            let label = self.pick(&[
                code("http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "R", "restricted"),
                code("http://terminology.hl7.org/CodeSystem/v3-ActCode", "PSY", "psychiatry disorder sensitivity"),
            ]);
            self.coding_item(label);
            self.end_array();
        }
        if self.one_in(64) {
            self.array("tag");
            self.coding_item(code(
                "https://payer.example.org/CodeSystem/source",
                "lob-3",
                "Commercial — “fully insured”",
            ));
            self.end_array();
        }
        self.end();
    }

    /// A string that the caller writes; nothing in it is escaped.
    pub(crate) fn quoted(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        self.out.push(b'"');
        write(&mut self.json.out);
        self.out.push(b'"');
    }

    /// `text`, now and then: a narrative with markup, quotes and a line break.
    pub(crate) fn some_narrative(&mut self, title: &str) {
        if !self.narrative || !self.one_in(8) {
            return;
        }
        self.object("text");
        self.code("status", "generated");
        self.name("div");
        self.out.push(b'"');
        self.escaped("<div xmlns=\"http://www.w3.org/1999/xhtml\"><p><b>");
        self.escaped(title);
        self.escaped(
            "</b></p>\n<table class=\"grid\"><tr><td>Source</td><td>claims &amp; encounters</td></tr></table></div>",
        );
        self.out.push(b'"');
        self.end();
    }

    /// `Identifier` in an array, with a type of HL7 version 2, if it is not empty.
    pub(crate) fn identifier_item(&mut self, kind: &'static str, system: &'static str, prefix: &str, number: u64) {
        self.item();
        if !kind.is_empty() {
            self.concept("type", code(V2_IDENTIFIER, kind, ""));
        }
        self.identifier_members(system, prefix, number);
        self.end();
    }

    /// `Identifier`.
    pub(crate) fn identifier(&mut self, name: &str, system: &'static str, prefix: &str, number: u64) {
        self.object(name);
        self.identifier_members(system, prefix, number);
        self.end();
    }

    fn identifier_members(&mut self, system: &'static str, prefix: &str, number: u64) {
        self.code("system", system);
        self.name("value");
        self.quoted(|out| {
            out.extend_from_slice(prefix.as_bytes());
            push_number(out, number);
        });
    }

    /// Opens an extension in an array; its value and [`end`](JsonWriter::end) follow.
    pub(crate) fn extension(&mut self, url: &'static str) {
        self.item();
        self.code("url", url);
    }

    /// `ContactPoint` in an array: a telephone.
    pub(crate) fn telephone_item(&mut self, purpose: &'static str) {
        let (middle, last) = (self.rng.u32(..100), self.rng.u32(..10_000));
        self.item();
        self.code("system", "phone");
        self.name("value");
        self.quoted(|out| {
            out.extend_from_slice(b"(555) 0");
            push_padded(out, middle, 2);
            out.push(b'-');
            push_padded(out, last, 4);
        });
        self.code("use", purpose);
        self.end();
    }

    /// The members of an `Address`, in an object that is open.
    pub(crate) fn address_members(&mut self, member: &Member) {
        self.array("line");
        let (number, street) = (self.rng.u64(1..9999), self.pick(&STREETS));
        self.json.text_item_parts(number, street);
        if self.one_in(5) {
            self.text_item("Apt. 4\u{2013}B");
        }
        self.end_array();
        self.text("city", member.home.city);
        if self.one_in(2) {
            self.text("district", member.home.district);
        }
        self.code("state", member.home.state);
        let last = self.rng.u32(..100);
        self.name("postalCode");
        self.quoted(|out| {
            push_padded(out, member.home.postal, 3);
            push_padded(out, last, 2);
        });
        self.code("country", "US");
    }

    /// `Annotation` in an array, with an author, quotes, line breaks and a character beyond the first 65,536.
    pub(crate) fn note_item(&mut self, seconds: i64, offset: i16) {
        self.item();
        if self.one_in(2) {
            self.text("authorString", "Care team \"Blue\"");
        }
        self.moment("time", seconds, Offset::Minutes(offset), Precision::Second);
        let text = self.pick(&[
            "Reviewed with the member.\nFollow up in 6 weeks.",
            "Said: \"I feel fine\" \u{1F642}; see C:\\notes\\2.txt",
            "Übertragen aus dem Altsystem\t— unverändert",
            "No change since the last visit.",
        ]);
        self.text("text", text);
        self.end();
    }

    /// An adjudication category of FHIR's own code system.
    pub(crate) fn category(&mut self, of: &'static str) {
        self.concept("category", code(CATEGORY, of, ""));
    }
}

/// Appends a number with leading zeros, in so many digits.
fn push_padded(out: &mut Vec<u8>, number: u32, digits: u32) {
    for at in (0..digits).rev() {
        out.push(b'0' + (number / 10u32.pow(at) % 10) as u8);
    }
}

impl JsonWriter {
    /// An element of an array: a number and a name, parted by a blank.
    fn text_item_parts(&mut self, number: u64, name: &str) {
        self.text_item("");
        self.out.pop();
        push_number(&mut self.out, number);
        self.out.push(b' ');
        self.escaped(name);
        self.out.push(b'"');
    }
}
