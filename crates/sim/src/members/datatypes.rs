//! FHIR R4's general data types as members of a [`Draft`]: concepts, references, decimals, moments and periods.
//!
//! Each function writes one member, or one element of an array where it says so.

use super::ResourceType;
use super::calendar::{Offset, Precision, push_moment, push_time};
use super::codes::{Code, UCUM};
use super::draft::Draft;
use super::json::{push_decimal, push_number};
use super::world::Member;

impl Draft<'_> {
    /// `Coding`.
    pub(crate) fn coding(&mut self, name: &str, of: Code) {
        self.object(name);
        self.coding_members(of);
        self.end();
    }

    /// `Coding` in an array.
    pub(crate) fn coding_item(&mut self, of: Code) {
        self.item();
        self.coding_members(of);
        self.end();
    }

    fn coding_members(&mut self, of: Code) {
        self.code("system", of.system);
        self.code("code", of.code);
        if !of.display.is_empty() {
            self.text("display", of.display);
        }
    }

    /// `CodeableConcept`.
    pub(crate) fn concept(&mut self, name: &str, of: Code) {
        self.object(name);
        self.concept_members(of);
        self.end();
    }

    /// `CodeableConcept` in an array.
    pub(crate) fn concept_item(&mut self, of: Code) {
        self.item();
        self.concept_members(of);
        self.end();
    }

    fn concept_members(&mut self, of: Code) {
        self.array("coding");
        self.coding_item(of);
        self.end_array();
        if self.one_in(4) && !of.display.is_empty() {
            self.text("text", of.display);
        }
    }

    /// An array of one `CodeableConcept`.
    pub(crate) fn concepts(&mut self, name: &str, of: Code) {
        self.array(name);
        self.concept_item(of);
        self.end_array();
    }

    /// `CodeableConcept` with nothing but text.
    pub(crate) fn text_concept(&mut self, name: &str, text: &str) {
        self.object(name);
        self.text("text", text);
        self.end();
    }

    /// `Reference` to a resource.
    pub(crate) fn reference(&mut self, name: &str, of: ResourceType, index: u64) {
        self.object(name);
        self.reference_members(of, index);
        self.end();
    }

    /// `Reference` in an array.
    pub(crate) fn reference_item(&mut self, of: ResourceType, index: u64) {
        self.item();
        self.reference_members(of, index);
        self.end();
    }

    /// An array of one `Reference`.
    pub(crate) fn references(&mut self, name: &str, of: ResourceType, index: u64) {
        self.array(name);
        self.reference_item(of, index);
        self.end_array();
    }

    fn reference_members(&mut self, of: ResourceType, index: u64) {
        self.name("reference");
        let world = self.world;
        self.quoted(|out| {
            out.extend_from_slice(of.name().as_bytes());
            out.push(b'/');
            world.push_id(out, of, index);
        });
        if self.one_in(32) {
            self.code("type", of.name());
        }
    }

    /// `Reference` to a contained resource.
    pub(crate) fn local_reference(&mut self, name: &str, to: &str) {
        self.object(name);
        self.code("reference", to);
        self.end();
    }

    /// `subject` or `patient`, sometimes with the name.
    pub(crate) fn patient(&mut self, name: &str, member: &Member) {
        self.object(name);
        self.reference_members(ResourceType::Patient, member.index);
        if self.one_in(8) {
            self.name("display");
            self.out.push(b'"');
            self.escaped(member.given[0]);
            self.out.push(b' ');
            self.escaped(member.family);
            self.out.push(b'"');
        }
        self.end();
    }

    /// `decimal`: mostly with exactly `scale` digits behind the point, sometimes written otherwise.
    pub(crate) fn decimal(&mut self, name: &str, digits: i64, scale: u32) {
        self.name(name);
        let way = self.rng.u32(..1024);
        let out = &mut self.json.out;
        match way {
            // 0.0, 0.00, 0
            0..=99 if digits == 0 => push_decimal(out, 0, way % 3),
            100..=139 => {
                let (mut digits, mut scale) = (digits, scale);
                while scale > 0 && digits % 10 == 0 {
                    (digits, scale) = (digits / 10, scale - 1);
                }
                push_decimal(out, digits, scale);
            }
            140 if scale == 2 && digits != 0 && digits % 10_000 == 0 => {
                push_decimal(out, digits / 10_000, 0);
                out.extend_from_slice(b"e2");
            }
            141 => {
                push_decimal(out, digits, 0);
                out.extend_from_slice(b"E-");
                push_number(out, u64::from(scale));
            }
            _ => push_decimal(out, digits, scale),
        }
    }

    /// `Money`.
    pub(crate) fn money(&mut self, name: &str, cents: i64) {
        self.object(name);
        self.decimal("value", cents, 2);
        self.code("currency", "USD");
        self.end();
    }

    /// `Quantity` with a unit of UCUM that is written as its code.
    pub(crate) fn quantity(&mut self, name: &str, digits: i64, scale: u32, unit: &'static str) {
        self.object(name);
        self.decimal("value", digits, scale);
        self.text("unit", unit);
        self.code("system", UCUM);
        self.code("code", unit);
        self.end();
    }

    /// `Quantity` without a unit, or with one in plain words.
    pub(crate) fn amount(&mut self, name: &str, digits: i64, scale: u32, unit: Option<&str>) {
        self.object(name);
        self.decimal("value", digits, scale);
        if let Some(unit) = unit {
            self.text("unit", unit);
        }
        self.end();
    }

    /// `date`, `dateTime` or `instant`.
    pub(crate) fn moment(&mut self, name: &str, seconds: i64, offset: Offset, precision: Precision) {
        let milliseconds = self.rng.u32(..1000);
        self.name(name);
        self.quoted(|out| push_moment(out, seconds, milliseconds, offset, precision));
    }

    /// `date`.
    pub(crate) fn date(&mut self, name: &str, seconds: i64) {
        self.moment(name, seconds, Offset::Utc, Precision::Day);
    }

    /// `dateTime`, of any precision; mostly a date or a full one.
    pub(crate) fn date_time(&mut self, name: &str, seconds: i64, offset: i16) {
        let precision = match self.rng.u32(..64) {
            0 => Precision::Year,
            1 | 2 => Precision::Month,
            3..=14 => Precision::Day,
            15..=24 => Precision::Millisecond,
            _ => Precision::Second,
        };
        let offset = if self.one_in(10) { Offset::Utc } else { Offset::Minutes(offset) };
        self.moment(name, seconds, offset, precision);
    }

    /// `time`.
    pub(crate) fn time(&mut self, name: &str, of_day: i64) {
        self.name(name);
        self.quoted(|out| push_time(out, of_day));
    }

    /// `Period` of days.
    pub(crate) fn days(&mut self, name: &str, begin: i64, end: i64) {
        self.object(name);
        self.date("start", begin);
        self.date("end", end);
        self.end();
    }

    /// `Period` of moments; sometimes without an end.
    pub(crate) fn period(&mut self, name: &str, begin: i64, end: i64, offset: i16) {
        self.object(name);
        self.moment("start", begin, Offset::Minutes(offset), Precision::Second);
        if !self.one_in(16) {
            self.moment("end", end, Offset::Minutes(offset), Precision::Second);
        }
        self.end();
    }
}
