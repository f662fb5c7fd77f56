//! What an export is asked for, as a query, as a Parameters resource, and as one text that tells two requests apart.
//!
//! Names, types and cardinalities are those of the operations `export`, `patient-export` and `group-export` in Bulk Data
//! Access. Nothing is checked here that a server would check.

use serde_json::{Value, json};

/// What an export is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExportParameters {
    /// Whose data.
    pub level: Level,
    /// How it is asked for.
    pub method: Method,
    /// `_since`: an instant, or for some servers a date.
    pub since: Option<String>,
    /// `_until`: likewise.
    pub until: Option<String>,
    /// `_type`; empty: all that the server has.
    pub types: Vec<String>,
    /// `_elements`
    pub elements: Vec<String>,
    /// `_typeFilter`: one search query each, such as `Claim?status=active`.
    pub type_filters: Vec<String>,
    /// `patient`: ids, or references such as `Patient/1`. The guide has it in a POST only.
    pub patients: Vec<String>,
    /// `includeAssociatedData`
    pub include_associated_data: Vec<String>,
    /// `organizeOutputBy`
    pub organize_output_by: Option<String>,
    /// `_outputFormat`
    pub output_format: Option<String>,
    /// `allowPartialManifests`; false: it is left out.
    pub allow_partial_manifests: bool,
    /// Whatever else, by name and value.
    pub extra: Vec<(String, String)>,
}

/// Whose data is exported.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Level {
    /// All that the client may see.
    #[default]
    System,
    /// All patients.
    Patient,
    /// The members of the group with this id.
    Group(String),
}

/// How the parameters travel.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Method {
    /// In the URL.
    #[default]
    Get,
    /// As a Parameters resource.
    Post,
}

/// A parameter's type in a Parameters resource.
#[derive(Clone, Copy)]
enum ValueType {
    String,
    Code,
    Instant,
    Boolean,
    Reference,
}

impl ExportParameters {
    /// The same request gives the same text, in whatever order its lists are; another request gives another.
    pub fn canonical(&self) -> String {
        let mut parts: Vec<String> = Vec::new();
        let sorted = ExportParameters {
            types: sorted(&self.types),
            elements: sorted(&self.elements),
            type_filters: sorted(&self.type_filters),
            patients: sorted(&self.patients),
            include_associated_data: sorted(&self.include_associated_data),
            extra: sorted(&self.extra),
            ..self.clone()
        };
        for (name, value, _) in sorted.list() {
            parts.push(format!("{}={}", encoded(&name), encoded(&value)));
        }
        let level = match &self.level {
            Level::System => "system".to_owned(),
            Level::Patient => "patient".to_owned(),
            Level::Group(id) => format!("group/{}", encoded(id)),
        };
        let method = match self.method {
            Method::Get => "get",
            Method::Post => "post",
        };
        format!("{method} {level}?{}", parts.join("&"))
    }

    /// The query of a GET; `None` if there is nothing to say.
    pub(super) fn query(&self) -> Option<String> {
        let parts: Vec<String> =
            self.list().into_iter().map(|(name, value, _)| format!("{}={}", encoded(&name), encoded(&value))).collect();
        (!parts.is_empty()).then(|| parts.join("&"))
    }

    /// The body of a POST: a Parameters resource.
    pub(super) fn resource(&self) -> Vec<u8> {
        let parameter: Vec<Value> = self
            .list()
            .into_iter()
            .map(|(name, value, value_type)| match value_type {
                ValueType::String => json!({"name": name, "valueString": value}),
                ValueType::Code => json!({"name": name, "valueCode": value}),
                // A date is no instant, and some servers take one.
                ValueType::Instant if !value.contains('T') => json!({"name": name, "valueDate": value}),
                ValueType::Instant => json!({"name": name, "valueInstant": value}),
                ValueType::Boolean => json!({"name": name, "valueBoolean": value == "true"}),
                ValueType::Reference => json!({"name": name, "valueReference": {"reference": value}}),
            })
            .collect();
        json!({"resourceType": "Parameters", "parameter": parameter}).to_string().into_bytes()
    }

    /// Every parameter that is given, in the guide's order. What the guide wants comma-delimited is one parameter; a type
    /// filter may hold commas of its own, so that each is a parameter.
    fn list(&self) -> Vec<(String, String, ValueType)> {
        let one = |name: &str, value: &Option<String>, value_type| {
            value.iter().map(|value| (name.to_owned(), value.clone(), value_type)).collect::<Vec<_>>()
        };
        let joined = |name: &str, values: &[String]| one(name, &join(values), ValueType::String);
        let each = |name: &str, values: Vec<String>, value_type| {
            values.into_iter().map(|value| (name.to_owned(), value, value_type)).collect::<Vec<_>>()
        };
        let associated = each("includeAssociatedData", self.include_associated_data.clone(), ValueType::Code);
        let partial = self.allow_partial_manifests.then(|| "true".to_owned());
        let extra = self.extra.iter().map(|(name, value)| (name.clone(), value.clone(), ValueType::String)).collect();
        [
            one("_outputFormat", &self.output_format, ValueType::String),
            one("_since", &self.since, ValueType::Instant),
            one("_until", &self.until, ValueType::Instant),
            joined("_type", &self.types),
            joined("_elements", &self.elements),
            each("_typeFilter", self.type_filters.clone(), ValueType::String),
            match self.method {
                Method::Get => joined("includeAssociatedData", &self.include_associated_data),
                Method::Post => associated,
            },
            each("patient", self.patients.iter().map(|patient| reference(patient)).collect(), ValueType::Reference),
            one("organizeOutputBy", &self.organize_output_by, ValueType::String),
            one("allowPartialManifests", &partial, ValueType::Boolean),
            extra,
        ]
        .concat()
    }
}

fn join(values: &[String]) -> Option<String> {
    (!values.is_empty()).then(|| values.join(","))
}

fn sorted<T: Ord + Clone>(values: &[T]) -> Vec<T> {
    let mut values = values.to_vec();
    values.sort();
    values
}

fn reference(patient: &str) -> String {
    if patient.contains('/') { patient.to_owned() } else { format!("Patient/{patient}") }
}

/// Percent-encoded for a query (RFC 3986, section 3.4). A space is `%20`: `+` is one only in forms.
fn encoded(text: &str) -> String {
    use std::fmt::Write;
    let mut query = String::with_capacity(text.len());
    for &byte in text.as_bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~,:/$".contains(&byte) {
            query.push(char::from(byte));
        } else {
            write!(query, "%{byte:02X}").expect("a String takes whatever is written");
        }
    }
    query
}
