//! Every member of every resource is an element that FHIR R4 has at that place, in the right number and of the right
//! JSON kind, by a table of R4's elements beside the repository. Where the table is not there, the test says so.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::*;

/// From the repository's root.
const TABLE: &str = "../shared/r4-elements.tsv";

struct Element {
    types: Vec<String>,
    many: bool,
    /// Where the members are defined, if elsewhere.
    target: String,
}

struct Elements(HashMap<String, Element>);

impl Elements {
    #[expect(clippy::print_stderr, reason = "a skipped test has to say so")]
    fn load() -> Option<Elements> {
        let path = format!("{}/../../{TABLE}", env!("CARGO_MANIFEST_DIR"));
        let Ok(text) = std::fs::read_to_string(path) else {
            eprintln!("skipped: the table {TABLE} is not there");
            return None;
        };
        let elements = text.lines().map(|line| {
            let cells: Vec<&str> = line.split('\t').collect();
            let types = cells[1].split('|').filter(|name| !name.is_empty()).map(str::to_owned).collect();
            let target = cells.get(3).copied().unwrap_or_default().to_owned();
            (cells[0].to_owned(), Element { types, many: cells[2] == "*", target })
        });
        Some(Elements(elements.collect()))
    }

    /// The element that a member of `parent` is, and its type.
    fn find(&self, parent: &str, name: &str) -> Option<(&Element, &str, String)> {
        let path = format!("{parent}.{name}");
        if let Some(element) = self.0.get(&path) {
            return Some((element, element.types.first().map_or("", String::as_str), path));
        }
        let splits = (1..name.len()).filter(|at| name.as_bytes()[*at].is_ascii_uppercase());
        for (base, of) in splits.map(|at| name.split_at(at)) {
            let path = format!("{parent}.{base}[x]");
            let Some(element) = self.0.get(&path) else { continue };
            let is_type =
                |of_element: &&String| of_element[..1].to_ascii_uppercase() == of[..1] && of_element[1..] == of[1..];
            if let Some(of) = element.types.iter().find(is_type) {
                return Some((element, of, path));
            }
        }
        None
    }

    #[track_caller]
    fn check_resource(&self, resource: &Value) {
        let members = resource.as_object().expect("a resource is an object");
        let of = members["resourceType"].as_str().expect("a resource has a type");
        let mut rest = members.clone();
        rest.remove("resourceType");
        self.check_members(of, &rest);
    }

    #[track_caller]
    fn check_members(&self, parent: &str, members: &Map<String, Value>) {
        assert!(!members.is_empty(), "{parent} is empty");
        let mut choices = BTreeSet::new();
        for (name, value) in members {
            let (base, sibling) = name.strip_prefix('_').map_or((name.as_str(), false), |base| (base, true));
            let Some((element, of, path)) = self.find(parent, base) else { panic!("{parent} has no {name}") };
            assert!(sibling || choices.insert(path.clone()), "{path}: two of a choice");
            assert_eq!(element.many, value.is_array(), "{path}: an array or not");
            let values = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
            assert!(!values.is_empty(), "{path}: an empty array");
            for (at, value) in values.iter().enumerate() {
                // A null keeps the place of what is in the other array.
                let other = if sibling { base.to_owned() } else { format!("_{name}") };
                if value.is_null() {
                    assert!(members.get(&other).is_some_and(|other| !other[at].is_null()), "{path}: null");
                } else if sibling {
                    assert!(of.starts_with(|first: char| first.is_ascii_lowercase()), "{path} is no primitive");
                    self.check_members("Element", value.as_object().expect("a primitive's other half is an object"));
                } else {
                    self.check_value(element, of, &path, value);
                }
            }
        }
    }

    #[track_caller]
    fn check_value(&self, element: &Element, of: &str, path: &str, value: &Value) {
        match of {
            "" => self.check_members(&element.target, value.as_object().unwrap_or_else(|| panic!("{path}: no object"))),
            "BackboneElement" | "Element" => {
                self.check_members(path, value.as_object().unwrap_or_else(|| panic!("{path}: no object")));
            }
            "Resource" => self.check_resource(value),
            "boolean" => assert!(value.is_boolean(), "{path}"),
            "decimal" => assert!(value.is_number(), "{path}"),
            "integer" | "positiveInt" | "unsignedInt" => {
                let least = if of == "positiveInt" { 1 } else { 0 };
                assert!(value.as_u64().is_some_and(|number| number >= least), "{path}: {value}");
            }
            of if of.starts_with(|first: char| first.is_ascii_uppercase()) && !of.starts_with("System.") => {
                self.check_members(of, value.as_object().unwrap_or_else(|| panic!("{path}: no object")));
            }
            of => {
                let text = value.as_str().unwrap_or_else(|| panic!("{path}: no string"));
                assert!(fits(of, text), "{path}: {text:?} is no {of}");
            }
        }
    }
}

/// Whether a string has the form of its type (FHIR R4, data types).
fn fits(of: &str, text: &str) -> bool {
    let is_date = |text: &str| match text.len() {
        4 => text.bytes().all(|byte| byte.is_ascii_digit()),
        7 => format!("{text}-01").parse::<jiff::civil::Date>().is_ok(),
        10 => text.parse::<jiff::civil::Date>().is_ok(),
        _ => false,
    };
    match of {
        "instant" => text.len() >= 20 && text.parse::<jiff::Timestamp>().is_ok(),
        "dateTime" => is_date(text) || (text.len() >= 20 && text.parse::<jiff::Timestamp>().is_ok()),
        "date" => is_date(text),
        "time" => text.len() == 8 && text.parse::<jiff::civil::Time>().is_ok(),
        "id" => text.len() <= 64 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte)),
        "code" => !text.is_empty() && text.trim() == text && !text.contains("  "),
        "uri" | "url" | "canonical" => !text.is_empty() && !text.contains(char::is_whitespace),
        _ => !text.is_empty(),
    }
}

#[test]
fn every_member_is_an_element_of_r4() {
    let Some(elements) = Elements::load() else { return };
    // With the late elements everywhere, and nowhere.
    for (seed, share) in [(1, 1000), (2, 0)] {
        let late_columns = LateColumns::LastPerMille(share);
        let members = Members::new(MembersOptions { seed, members: 150, late_columns, ..MembersOptions::default() });
        let resources = resources(&members);
        assert!(resources.len() > 6000);
        for (_, resource) in &resources {
            elements.check_resource(resource);
        }
    }
    let asides =
        Members::new(MembersOptions { types: vec![ResourceType::Patient], deletions: 9, outcomes: 9, ..unusual() });
    for (index, file) in asides.files().iter().enumerate().filter(|(_, file)| file.role != Role::Output) {
        for (_, line) in lines(&bytes(&asides, index)) {
            elements.check_resource(&serde_json::from_slice(line).expect("a line is JSON"));
        }
        assert!(file.resources > 0);
    }
}

#[test]
fn what_is_no_element_is_noticed() {
    let Some(elements) = Elements::load() else { return };
    for wrong in [
        r#"{"resourceType":"Patient","name":{"family":"A"}}"#,
        r#"{"resourceType":"Patient","nickname":"A"}"#,
        r#"{"resourceType":"Patient","birthDate":"1/2/2000"}"#,
        r#"{"resourceType":"Observation","valueMoney":{"value":1}}"#,
        r#"{"resourceType":"Observation","valueString":"a","valueBoolean":true}"#,
        r#"{"resourceType":"ExplanationOfBenefit","item":[{"adjudication":[{"amount":{"cents":1}}]}]}"#,
        r#"{"resourceType":"Patient","name":[{"given":["A",null]}]}"#,
        r#"{"resourceType":"Patient","contact":[]}"#,
    ] {
        let wrong: Value = serde_json::from_str(wrong).expect("it is JSON");
        let check = std::panic::AssertUnwindSafe(|| elements.check_resource(&wrong));
        assert!(std::panic::catch_unwind(check).is_err(), "{wrong} passed");
    }
}
