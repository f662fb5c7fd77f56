//! What a server says about a request in its own words: an OperationOutcome (FHIR R4, section 2.10).
//!
//! In go a body's bytes; out come its issues, as far as they may decide something, and one line for a person. It is a
//! server's free text: `severity`, `code`, `details.text` and `diagnostics` are read, nothing else is, and what is shown is
//! shortened, without control characters, keys or the queries of URLs.

use serde::Deserialize;
use serde_json::Value;
use url::Url;

use crate::secret_url::SecretUrl;

/// One OperationOutcome.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct OperationOutcome {
    issues: Vec<Issue>,
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Issue {
    severity: String,
    code: String,
    /// `details.text` and `diagnostics`, in this order, those that are there.
    texts: Vec<String>,
}

/// How bad the worst issue is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Severity {
    /// `information`, `warning`, `success`, or no issue at all.
    Benign,
    /// `error`, `fatal`, all of it transient by its code.
    Transient,
    /// `error`, `fatal`, or what is not a severity.
    Failure,
}

/// The most that is shown, in characters.
const SHOWN_CHARS: usize = 300;
/// A longer word is taken for a key: a UUID has 36 characters, a token more.
const PLAIN_WORD_CHARS: usize = 40;
/// The codes below `transient` in the code system issue-type.
const TRANSIENT_CODES: [&str; 7] =
    ["transient", "lock-error", "no-store", "exception", "timeout", "incomplete", "throttled"];

impl OperationOutcome {
    /// `None` if the body is anything else. A member of another type than FHIR gives it is as if it were not there.
    pub(crate) fn read(body: &[u8]) -> Option<OperationOutcome> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Shape {
            resource_type: String,
            issue: Option<Value>,
        }
        let shape: Shape = serde_json::from_slice(body).ok()?;
        (shape.resource_type == "OperationOutcome").then(|| {
            let issues = shape.issue.as_ref().and_then(Value::as_array);
            OperationOutcome { issues: issues.into_iter().flatten().map(issue).collect() }
        })
    }

    /// The worst issue decides; if one is final, so are all.
    pub(crate) fn severity(&self) -> Severity {
        let bad = |issue: &&Issue| !matches!(issue.severity.as_str(), "information" | "warning" | "success");
        let mut bad_issues = self.issues.iter().filter(bad).peekable();
        if bad_issues.peek().is_none() {
            return Severity::Benign;
        }
        let transient = bad_issues.all(|issue| TRANSIENT_CODES.contains(&issue.code.as_str()));
        if transient { Severity::Transient } else { Severity::Failure }
    }

    /// Whether an issue has this code.
    pub(crate) fn has_code(&self, code: &str) -> bool {
        self.issues.iter().any(|issue| issue.code == code)
    }

    /// The texts of all issues, as they are: to be searched, never to be shown.
    pub(crate) fn texts(&self) -> impl Iterator<Item = &str> {
        self.issues.iter().flat_map(|issue| issue.texts.iter().map(String::as_str))
    }

    /// One line for a person, at most 300 characters: `error processing: no such group; warning …`.
    pub(crate) fn words(&self) -> String {
        let mut line = String::new();
        for issue in &self.issues {
            if !line.is_empty() {
                line.push_str("; ");
            }
            let head = format!("{} {}", issue.severity, issue.code);
            line.push_str(head.trim());
            // The second text is often the first one, word for word.
            let mut texts = issue.texts.clone();
            texts.dedup();
            for text in texts {
                line.push_str(if line.ends_with([' ', ',']) || line.is_empty() { "" } else { ": " });
                line.push_str(&text);
            }
        }
        if line.is_empty() { "an OperationOutcome without an issue".to_owned() } else { shown(&line) }
    }
}

fn issue(value: &Value) -> Issue {
    let text = |value: Option<&Value>| Some(value?.as_str()?.trim().to_owned()).filter(|text| !text.is_empty());
    let details = text(value.get("details").and_then(|details| details.get("text")));
    let diagnostics = text(value.get("diagnostics"));
    Issue {
        severity: text(value.get("severity")).unwrap_or_default().to_ascii_lowercase(),
        code: text(value.get("code")).unwrap_or_default().to_ascii_lowercase(),
        texts: details.into_iter().chain(diagnostics).collect(),
    }
}

/// A server's free text as it may be shown: one line, at most 300 characters, no control characters or marks that turn the
/// reading direction, URLs as [`SecretUrl`] shows them, and no word that may be a key.
pub(crate) fn shown(text: &str) -> String {
    let unseen = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
    };
    let mut line = String::new();
    let mut chars = 0;
    for word in text.split(|c: char| c.is_whitespace() || unseen(c)).filter(|word| !word.is_empty()) {
        let word = shown_word(word);
        chars += word.chars().count() + usize::from(!line.is_empty());
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(&word);
        if chars > SHOWN_CHARS {
            return line.chars().take(SHOWN_CHARS - 1).chain(['…']).collect();
        }
    }
    line
}

fn shown_word(word: &str) -> String {
    let (mut line, mut rest) = (String::new(), word);
    // One word may hold several, such as a link's target and its text. What would be cut off is not looked at.
    while let Some((before, url, after)) = split_at_url(rest).filter(|_| line.chars().count() <= SHOWN_CHARS) {
        line.push_str(&shown_plain(before));
        match Url::parse(url) {
            Ok(url) => line.push_str(&SecretUrl::new(url).to_string()),
            Err(_) => line.push('…'),
        }
        rest = after;
    }
    line + &shown_plain(rest)
}

/// What is no URL: without what looks like a query or a key.
fn shown_plain(text: &str) -> String {
    let before_query = text.split_once('?').filter(|(_, query)| query.contains('=')).map(|(before, _)| before);
    match before_query.unwrap_or(text) {
        long if long.chars().count() > PLAIN_WORD_CHARS => "…".to_owned(),
        before if before_query.is_some() => format!("{before}?…"),
        plain => plain.to_owned(),
    }
}

/// The first http or https URL in a word, with what stands before and after it.
fn split_at_url(word: &str) -> Option<(&str, &str, &str)> {
    let lower = word.to_ascii_lowercase();
    let start = [lower.find("https://"), lower.find("http://")].into_iter().flatten().min()?;
    let (before, rest) = word.split_at(start);
    let end = rest.find(['"', '\'', '<', '>', '`', '|', '{', '}', '\\']).unwrap_or(rest.len());
    let url = rest[..end].trim_end_matches(['.', ',', ';', ':', '!', ')', ']']);
    Some((before, url, &rest[url.len()..]))
}

/// The http and https URLs in a text, at most one a word.
pub(crate) fn urls(text: &str) -> impl Iterator<Item = Url> {
    text.split_whitespace().filter_map(|word| Url::parse(split_at_url(word)?.1).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(issues: &str) -> OperationOutcome {
        let body = format!(r#"{{"resourceType":"OperationOutcome","issue":{issues}}}"#);
        OperationOutcome::read(body.as_bytes()).unwrap()
    }

    #[test]
    fn only_an_outcome_is_one() {
        for body in [&b""[..], b"[]", b"null", b"{}", br#"{"resourceType":"Bundle"}"#, b"<html>", b"{\"resourceType\":"]
        {
            assert_eq!(OperationOutcome::read(body), None);
        }
        for issues in ["[]", "null", "{}", "7"] {
            assert_eq!(outcome(issues), OperationOutcome::default());
        }
        assert_eq!(outcome(r#"[7, {"severity": 1, "details": "x", "diagnostics": [], "code": null}]"#).issues.len(), 2);
    }

    #[test]
    fn the_worst_issue_decides() {
        #[track_caller]
        fn check(issues: &str, expected: Severity) {
            assert_eq!(outcome(issues).severity(), expected);
        }
        check("[]", Severity::Benign);
        check(r#"[{"severity":"information","code":"informational"}]"#, Severity::Benign);
        check(r#"[{"severity":"warning","code":"processing"}]"#, Severity::Benign);
        check(r#"[{"severity":"error","code":"transient"}]"#, Severity::Transient);
        check(r#"[{"severity":"Fatal","code":"Timeout"},{"severity":"information"}]"#, Severity::Transient);
        check(
            r#"[{"severity":"error","code":"throttled"},{"severity":"error","code":"processing"}]"#,
            Severity::Failure,
        );
        check(r#"[{"severity":"error"}]"#, Severity::Failure);
        check(r#"[{"code":"not-found"}]"#, Severity::Failure);
    }

    #[test]
    fn words_for_a_person() {
        #[track_caller]
        fn check(issues: &str, expected: &str) {
            assert_eq!(outcome(issues).words(), expected);
        }
        check("[]", "an OperationOutcome without an issue");
        check(r#"[{"severity":"error","code":"processing"}]"#, "error processing");
        check(
            r#"[{"severity":"error","code":"processing","details":{"text":"no\nsuch group"},"diagnostics":"line 3"}]"#,
            "error processing: no such group: line 3",
        );
        check(r#"[{"details":{"text":"same"},"diagnostics":"same"},{"diagnostics":"b"}]"#, "same; b");
        check(
            r#"[{"severity":"error","code":"expired","location":["Patient.name"],"expression":["x"],
                "details":{"text":"gone","coding":[{"display":"hidden"}]}}]"#,
            "error expired: gone",
        );
        let long = format!(r#"[{{"severity":"error","code":"x","diagnostics":"{}"}}]"#, "word ".repeat(200));
        let words = outcome(&long).words();
        assert!(words.chars().count() == 300 && words.ends_with('…'), "{words}");
    }

    #[test]
    fn free_text_is_made_harmless() {
        #[track_caller]
        fn check(text: &str, expected: &str) {
            assert_eq!(shown(text), expected);
        }
        check("", "");
        check(" a\t\r\nb\u{1b}[31mc\u{202e}d\0 ", "a b [31mc d");
        check("see (https://a.example/x/y?token=sesame), now", "see (https://a.example/x/y?…), now");
        check("at https://me:sesame@a.example/x.", "at https://a.example/x.");
        check("HTTP://a.example/?q", "http://a.example/?…");
        check("GET Patient?name=sesame failed", "GET Patient?… failed");
        check("really?", "really?");
        check(&format!("token {} refused", "e".repeat(41)), "token … refused");
        check("https://[sesame", "…");
        check(
            "<a|href='https://a.example/?x'>https://b.example/y?sesame</a>",
            "<a|href='https://a.example/?…'>https://b.example/y?…</a>",
        );
        check(r"https://a.example\ud800?key=sesame", r"https://a.example/\ud800?…");
        check(&format!("{key}'https://a.example'{key}", key = "e".repeat(41)), "…https://a.example/…");
        assert_eq!(shown(&"é".repeat(40)).chars().count(), 40);
        assert_eq!(shown(&"éé ".repeat(150)).chars().count(), 300);
    }

    #[test]
    fn urls_are_found_in_texts() {
        #[track_caller]
        fn check(text: &str, expected: &[&str]) {
            assert_eq!(urls(text).map(String::from).collect::<Vec<_>>(), expected);
        }
        check("Track job at https://a.example/v1/t/$export/job/7", &["https://a.example/v1/t/$export/job/7"]);
        check("at <https://a.example/job/7>.", &["https://a.example/job/7"]);
        check("\"http://a.example:8/job?id=7\",", &["http://a.example:8/job?id=7"]);
        check("https://[ then https://b.example/x", &["https://b.example/x"]);
        check("https://a.example/x, then https://b.example/x", &["https://a.example/x", "https://b.example/x"]);
        check("ftp://a.example/x", &[]);
        check("", &[]);
    }
}
