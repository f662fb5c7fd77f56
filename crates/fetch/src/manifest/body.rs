//! An answer's JSON as it was written, by any version of the guide or by 1upHealth, before anything in it is believed.

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::Batches;

/// An answer's JSON, with every member that says something about an export; none of them has to be there.
///
/// A member of another type than expected is as if it were not there, so that one server's liberties with one member do
/// not hide the others; but see [`Body::has_unreadable_lists`].
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Body {
    pub(crate) resource_type: Lenient<String>,
    pub(crate) status: Lenient<String>,
    message: Lenient<String>,
    pub(super) transaction_time: Lenient<String>,
    pub(super) requires_access_token: Option<Value>,
    pub(super) output_organized_by: Option<Value>,
    pub(super) resource_count: Option<Value>,
    batches: Lenient<BatchesBody>,
    pub(super) output: Option<Lenient<Vec<Entry>>>,
    /// A list in a manifest; a text or an object where a server reports a failure without an OperationOutcome.
    pub(super) error: Lenient<Vec<Entry>>,
    pub(super) outcome: Lenient<Vec<Entry>>,
    pub(super) deleted: Option<Lenient<Vec<Entry>>>,
    link: Lenient<Vec<Link>>,
}

/// What could be read of a member.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Lenient<T> {
    Read(T),
    /// A text where none was expected.
    Text(String),
    Other(IgnoredAny),
}

impl<T> Lenient<T> {
    pub(crate) fn get(&self) -> Option<&T> {
        match self {
            Lenient::Read(value) => Some(value),
            Lenient::Text(_) | Lenient::Other(_) => None,
        }
    }

    pub(super) fn take(self) -> Option<T> {
        match self {
            Lenient::Read(value) => Some(value),
            Lenient::Text(_) | Lenient::Other(_) => None,
        }
    }
}

impl<T> Default for Lenient<T> {
    fn default() -> Lenient<T> {
        Lenient::Other(IgnoredAny)
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct BatchesBody {
    running: Option<Value>,
    complete: Option<Value>,
    failed: Option<Value>,
    total: Option<Value>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Entry {
    #[serde(rename = "type")]
    pub(super) declared_type: Option<Value>,
    pub(super) url: Option<Value>,
    pub(super) count: Option<Value>,
    #[serde(rename = "fileSize")]
    pub(super) file_size: Option<Value>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Link {
    relation: Option<Value>,
    url: Option<Value>,
}

impl Body {
    /// `None` for what is no JSON object.
    pub(crate) fn read(body: &[u8]) -> Option<Body> {
        // serde would take an array for a struct, too.
        let first = body.iter().find(|byte| !byte.is_ascii_whitespace());
        first.filter(|&&byte| byte == b'{')?;
        serde_json::from_slice(body).ok()
    }

    /// Whether any of a manifest's lists is there, be it empty.
    pub(crate) fn has_lists(&self) -> bool {
        let lists = [self.output.as_ref(), Some(&self.error), Some(&self.outcome), self.deleted.as_ref()];
        lists.into_iter().flatten().any(|list| list.get().is_some())
    }

    /// Whether a list of what the export holds is there and cannot be read. To go on as if it were not there would lose
    /// the export.
    pub(crate) fn has_unreadable_lists(&self) -> bool {
        [&self.output, &self.deleted].into_iter().flatten().any(|list| list.get().is_none())
    }

    /// Whether there is a list of output, be it empty.
    pub(crate) fn has_output(&self) -> bool {
        self.output.as_ref().is_some_and(|list| list.get().is_some())
    }

    /// Whether there are files of output.
    pub(crate) fn has_files(&self) -> bool {
        self.output.as_ref().and_then(Lenient::get).is_some_and(|entries| !entries.is_empty())
    }

    /// What a server says about a failure without an OperationOutcome; to be made harmless before it is shown.
    pub(crate) fn words(&self) -> Option<&str> {
        match (&self.error, &self.message) {
            (Lenient::Text(words), _) | (_, Lenient::Read(words)) => Some(words),
            _ => None,
        }
    }

    /// A total that is not given is the sum.
    pub(crate) fn batches(&self) -> Option<Batches> {
        let batches = self.batches.get()?;
        let number = |value: &Option<Value>| value.as_ref().and_then(number);
        let [running, complete, failed] =
            [&batches.running, &batches.complete, &batches.failed].map(|value| number(value).unwrap_or(0));
        let given = [&batches.running, &batches.complete, &batches.failed, &batches.total];
        given.iter().any(|value| number(value).is_some()).then(|| {
            let sum = running.saturating_add(complete).saturating_add(failed);
            Batches { running, complete, failed, total: number(&batches.total).unwrap_or(sum) }
        })
    }

    /// Whether another page is linked to.
    pub(crate) fn has_next(&self) -> bool {
        self.next().is_some()
    }

    pub(super) fn next(&self) -> Option<&str> {
        let relation = |link: &Link| link.relation.as_ref().and_then(Value::as_str).map(str::to_ascii_lowercase);
        let is_next = |link: &&Link| relation(link).as_deref() == Some("next");
        self.link.get()?.iter().find(is_next)?.url.as_ref()?.as_str()
    }
}

/// A count as a number or as a text.
pub(super) fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.trim().parse().ok())
}

/// A truth value as such or as a text.
pub(super) fn truth(value: &Value) -> Option<bool> {
    value.as_bool().or_else(|| match value.as_str()?.trim().to_ascii_lowercase().as_str() {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    })
}

/// The most that is taken for a time or a type, in bytes.
const WORD_BYTES: usize = 64;

/// A time or a type, as it is written. It will be shown: what is not of a few printable characters is neither.
pub(super) fn word(text: String) -> Option<String> {
    ((1..=WORD_BYTES).contains(&text.len()) && text.bytes().all(|byte| matches!(byte, b' '..=b'~'))).then_some(text)
}

pub(super) fn text(value: Option<Value>) -> Option<String> {
    match value {
        Some(Value::String(text)) if !text.is_empty() => Some(text),
        _ => None,
    }
}
