//! A bulk export's manifest as it lies in a folder, and where its URLs lead.
//!
//! In goes the manifest's text; out come its entries, in the order of their lists. It is hostile input: a URL that is
//! not a relative path below the manifest's folder is refused, and nothing is opened here.

use std::path::PathBuf;

use serde::Deserialize;
use serde_json::Value;

/// What a manifest's list says of its files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Role {
    /// `output`: resources.
    Data,
    /// `error` (STU4: `outcome`): what the server has to say about the export itself.
    Outcomes,
    /// `deleted`: Bundles of what is to be removed.
    Deletions,
}

/// A file that a manifest names.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) role: Role,
    pub(crate) declared_type: Option<String>,
    pub(crate) url: String,
    pub(crate) count: Option<u64>,
}

/// A manifest, or one page of it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Manifest {
    pub(crate) transaction_time: Option<String>,
    /// The output has header lines (`outputOrganizedBy`).
    pub(crate) organized: bool,
    pub(crate) entries: Vec<Entry>,
    /// The URL of the next page.
    pub(crate) next: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ManifestFile {
    transaction_time: Option<String>,
    output_organized_by: Option<Value>,
    output: Option<Vec<EntryFile>>,
    error: Option<Vec<EntryFile>>,
    outcome: Option<Vec<EntryFile>>,
    deleted: Option<Vec<EntryFile>>,
    link: Option<Vec<LinkFile>>,
}

#[derive(Deserialize)]
struct EntryFile {
    #[serde(rename = "type")]
    declared_type: Option<String>,
    url: String,
    /// A number, but not from every server.
    count: Option<Value>,
}

#[derive(Deserialize)]
struct LinkFile {
    relation: Option<String>,
    url: Option<String>,
}

impl Manifest {
    /// Reads a manifest of any version of the guide. The error is a clause without the manifest's name.
    pub(crate) fn parse(text: &[u8]) -> Result<Manifest, String> {
        let file: ManifestFile = serde_json::from_slice(text)
            .map_err(|error| format!("it is no bulk export manifest ({})", place(&error)))?;
        let lists = [
            (Role::Data, file.output),
            (Role::Outcomes, file.error),
            (Role::Outcomes, file.outcome),
            (Role::Deletions, file.deleted),
        ];
        if lists.iter().all(|(_, list)| list.is_none()) {
            return Err("it is no bulk export manifest (it has no output)".to_owned());
        }
        let entries = lists
            .into_iter()
            .flat_map(|(role, list)| list.unwrap_or_default().into_iter().map(move |entry| (role, entry)))
            .map(|(role, entry)| Entry {
                role,
                declared_type: entry.declared_type.filter(|text| is_plain(text)),
                url: entry.url,
                count: entry.count.as_ref().and_then(count),
            })
            .collect();
        let next = file.link.unwrap_or_default().into_iter().find(|link| link.relation.as_deref() == Some("next"));
        Ok(Manifest {
            transaction_time: file.transaction_time.filter(|text| is_plain(text)),
            organized: file.output_organized_by.is_some_and(|by| !by.is_null()),
            entries,
            next: next.and_then(|link| link.url),
        })
    }
}

/// Fit to be shown: a type's or a time's length, and nothing that a terminal would act on. Other texts count as absent.
fn is_plain(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Where the JSON went wrong; the library's own text may quote what it found there.
fn place(error: &serde_json::Error) -> String {
    let what = if error.is_data() { "a member of another type than expected" } else { "not JSON" };
    format!("{what}, line {} column {}", error.line(), error.column())
}

fn count(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.trim().parse().ok())
}

/// The path that a manifest's URL names, relative to the manifest's folder. The error is a clause without the URL's text
/// beyond its scheme: what it holds may be a secret.
pub(crate) fn relative_path(url: &str) -> Result<PathBuf, String> {
    if let Some(scheme) = scheme(url) {
        return Err(format!("it is a URL of the scheme {scheme}; only files beside the manifest are loaded"));
    }
    if url.starts_with(['/', '\\']) {
        return Err("it is an absolute path; only files beside the manifest are loaded".to_owned());
    }
    if url.contains(['?', '#']) {
        return Err("it has a query or a fragment, so it names no file beside the manifest".to_owned());
    }
    let decoded = percent_decoded(url).ok_or("its percent-encoding is broken")?;
    if decoded.contains(['\0', '\\']) {
        return Err("it has a character that no file name should have".to_owned());
    }
    let mut path = PathBuf::new();
    for segment in decoded.split('/') {
        match segment {
            "" | "." => {}
            ".." => return Err("it leads out of the manifest's folder".to_owned()),
            segment => path.push(segment),
        }
    }
    if path.as_os_str().is_empty() || path.is_absolute() {
        return Err("it names no file".to_owned());
    }
    Ok(path)
}

/// The scheme of an absolute URL (RFC 3986, section 3.1).
fn scheme(url: &str) -> Option<&str> {
    let (scheme, _) = url.split_once(':')?;
    let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.');
    (scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && scheme.bytes().all(legal)).then_some(scheme)
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let mut digit = || char::from(rest.next()?).to_digit(16);
        bytes.push(if byte == b'%' { (digit()? * 16 + digit()?) as u8 } else { byte });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_version_is_understood() {
        let text = br#"{"transactionTime":"2026-01-01T00:00:00Z","request":"x","requiresAccessToken":true,
            "outputOrganizedBy":"Patient",
            "output":[{"type":"Patient","url":"a.ndjson","count":3},{"url":"b.ndjson","count":"4","fileSize":9}],
            "deleted":[{"type":"Bundle","url":"d.ndjson"}],"outcome":[{"url":"o.ndjson"}],
            "error":[{"type":"OperationOutcome","url":"e.ndjson","count":null}],
            "link":[{"relation":"self","url":"x"},{"relation":"next","url":"page2.json"}],"extension":{}}"#;
        let manifest = Manifest::parse(text).unwrap();
        assert_eq!(manifest.transaction_time.as_deref(), Some("2026-01-01T00:00:00Z"));
        assert!(manifest.organized);
        assert_eq!(manifest.next.as_deref(), Some("page2.json"));
        let entries: Vec<_> =
            manifest.entries.iter().map(|entry| (entry.role, entry.url.as_str(), entry.count)).collect();
        let expected = [
            (Role::Data, "a.ndjson", Some(3)),
            (Role::Data, "b.ndjson", Some(4)),
            (Role::Outcomes, "e.ndjson", None),
            (Role::Outcomes, "o.ndjson", None),
            (Role::Deletions, "d.ndjson", None),
        ];
        assert_eq!(entries, expected);
        assert!(Manifest::parse(br#"{"output":[]}"#).unwrap().entries.is_empty());
        let odd = br#"{"transactionTime":"\u001b[2J","output":[{"type":"Pat\u001b[31m","url":"a"}]}"#;
        let odd = Manifest::parse(odd).unwrap();
        assert_eq!((odd.transaction_time, &odd.entries[0].declared_type), (None, &None));
    }

    #[test]
    fn what_is_no_manifest_is_told() {
        let texts: [&[u8]; 6] = [
            b"",
            b"[]",
            b"{}",
            br#"{"resourceType":"Patient"}"#,
            br#"{"output":[{"type":"x"}]}"#,
            b"{\"output\":[]} {}",
        ];
        for text in texts {
            let error = Manifest::parse(text).unwrap_err();
            assert!(error.starts_with("it is no bulk export manifest ("), "{error}");
        }
    }

    #[track_caller]
    fn check(url: &str, expected: Result<&str, &str>) {
        match (relative_path(url), expected) {
            (Ok(path), Ok(expected)) => assert_eq!(path, PathBuf::from(expected)),
            (Err(error), Err(expected)) => assert!(error.contains(expected), "{url}: {error}"),
            (found, _) => panic!("{url}: {found:?}"),
        }
    }

    #[test]
    fn urls_stay_below_the_folder() {
        check("a.ndjson", Ok("a.ndjson"));
        check("./sub//a%20b.ndjson.gz", Ok("sub/a b.ndjson.gz"));
        check("a..b.ndjson", Ok("a..b.ndjson"));
        for url in ["../a", "a/../../b", "%2e%2e/a", "a/%2E./b", ".."] {
            check(url, Err("leads out"));
        }
        for url in ["file:///etc/passwd", "https://user:secret@host/a", "http:a", "FILE:a", "c:a"] {
            check(url, Err("scheme"));
            assert!(!relative_path(url).unwrap_err().contains("secret"));
        }
        for url in ["/etc/passwd", "//host/a", "\\\\host\\a"] {
            check(url, Err("absolute"));
        }
        check("%2Fetc/passwd", Ok("etc/passwd"));
        check("a\\..\\b", Err("character"));
        check("a%00", Err("character"));
        check("a%5c..%5cb", Err("character"));
        check("a%2", Err("percent"));
        check("a%+1", Err("percent"));
        check("a%ff", Err("percent"));
        check("a.ndjson?sig=1", Err("query"));
        check("", Err("no file"));
        check("./", Err("no file"));
    }
}
