//! What a line of a manifest's `deleted` file says: a transaction Bundle whose entries have a `request` with the method
//! DELETE and the URL `Type/id` (Bulk Data Access guide, "Complete Status": `deleted`).
//!
//! In goes the line, out come types and ids. A Bundle is taken whole or not at all: one entry that cannot be told would
//! be a deletion lost.

use lakehaul_schema::ElementTable;
use serde::Deserialize;

#[derive(Deserialize)]
struct Bundle {
    #[serde(rename = "resourceType")]
    resource_type: String,
    #[serde(default)]
    entry: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    request: Request,
}

#[derive(Deserialize)]
struct Request {
    method: String,
    url: String,
}

/// The resources that a line reports as deleted: types and ids. The error is where the line went wrong: its byte, or 0
/// if it is its meaning.
pub(crate) fn deleted_resources(line: &[u8]) -> Result<Vec<(String, String)>, u32> {
    let bundle: Bundle = serde_json::from_slice(line).map_err(|error| error.column().try_into().unwrap_or(u32::MAX))?;
    if bundle.resource_type != "Bundle" {
        return Err(0);
    }
    bundle.entry.into_iter().map(|entry| deleted(&entry.request).ok_or(0)).collect()
}

fn deleted(request: &Request) -> Option<(String, String)> {
    if !request.method.eq_ignore_ascii_case("DELETE") || request.url.contains(['?', '#']) {
        return None;
    }
    // The guide has relative URLs; an absolute one ends alike.
    let mut parts = request.url.trim_end_matches('/').rsplit('/');
    let (id, resource_type) = (parts.next()?, parts.next()?);
    ElementTable::r4().resource(resource_type)?;
    (!id.is_empty()).then(|| (resource_type.to_owned(), id.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, expected: Option<&[(&str, &str)]>) {
        let expected = expected.map(|rows| rows.iter().map(|(t, id)| ((*t).to_owned(), (*id).to_owned())).collect());
        assert_eq!(deleted_resources(line.as_bytes()).ok(), expected, "{line}");
    }

    #[test]
    fn bundles_of_deletions() {
        let entry = |method: &str, url: &str| format!(r#"{{"request":{{"method":"{method}","url":"{url}"}}}}"#);
        let bundle = |entries: &[String]| {
            format!(r#"{{"resourceType":"Bundle","type":"transaction","entry":[{}]}}"#, entries.join(","))
        };
        check(
            &bundle(&[entry("DELETE", "Patient/1"), entry("delete", "https://h/fhir/Claim/a-b")]),
            Some(&[("Patient", "1"), ("Claim", "a-b")]),
        );
        check(r#"{"resourceType":"Bundle"}"#, Some(&[]));
        for wrong in [
            bundle(&[entry("DELETE", "Patient/1"), entry("PUT", "Patient/2")]),
            bundle(&[entry("DELETE", "Patient?identifier=1")]),
            bundle(&[entry("DELETE", "Person2/1")]),
            bundle(&[entry("DELETE", "Patient")]),
            r#"{"resourceType":"Patient","id":"1"}"#.to_owned(),
            r#"{"resourceType":"Bundle","entry":[{"fullUrl":"x"}]}"#.to_owned(),
            "{".to_owned(),
        ] {
            check(&wrong, None);
        }
        assert_eq!(deleted_resources(b"{\"resourceType\" 1}"), Err(17));
    }
}
