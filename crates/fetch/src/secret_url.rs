//! A URL that is shown without what may be secret in it.
//!
//! A presigned URL is a credential, and the parameters of a kick-off can name patients.

use std::fmt;

use url::Url;

/// Shown as scheme, host, port and path; long opaque segments of the path are shortened, query, fragment and user name are
/// not shown.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct SecretUrl(Url);

/// Longer segments of a path are taken for keys: words of an API are shorter, a UUID (36) and a signature are longer.
const PLAIN_SEGMENT_BYTES: usize = 28;
/// How much of one is shown: enough to tell two of them apart.
const SHOWN_BYTES: usize = 8;
/// The longest last segment that is taken for a file's name.
const NAME_BYTES: usize = 128;

impl SecretUrl {
    /// Takes it as it is.
    pub fn new(url: Url) -> SecretUrl {
        SecretUrl(url)
    }

    /// The whole URL: to ask it, never to show it.
    pub fn expose(&self) -> &Url {
        &self.0
    }

    /// The path's last segment, if it is 1 to 128 of `A-Z a-z 0-9 . _ -` and does not start with a dot: safe as a file's
    /// name.
    pub fn name(&self) -> Option<&str> {
        let name = self.0.path_segments()?.next_back()?;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        ((1..=NAME_BYTES).contains(&name.len()) && !name.starts_with('.') && name.bytes().all(plain)).then_some(name)
    }
}

impl From<Url> for SecretUrl {
    fn from(url: Url) -> SecretUrl {
        SecretUrl(url)
    }
}

impl fmt::Display for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SecretUrl(url) = self;
        let Some(segments) = url.path_segments() else {
            // Such as `data:`, whose path is the content.
            return write!(f, "{}:…", url.scheme());
        };
        write!(f, "{}://{}", url.scheme(), url.host_str().unwrap_or_default())?;
        if let Some(port) = url.port() {
            write!(f, ":{port}")?;
        }
        segments.map(shown).try_for_each(|segment| write!(f, "/{segment}"))?;
        f.write_str(if url.query().is_some() { "?…" } else { "" })
    }
}

impl fmt::Debug for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// A `Url`'s path is ASCII, so that any place is a character's boundary.
fn shown(segment: &str) -> String {
    match segment.get(..SHOWN_BYTES) {
        Some(start) if segment.len() > PLAIN_SEGMENT_BYTES => format!("{start}…"),
        _ => segment.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(url: &str, expected: &str, name: Option<&str>) {
        let url = SecretUrl::new(Url::parse(url).unwrap());
        assert_eq!(url.to_string(), expected);
        assert_eq!(format!("{url:?}"), expected);
        assert_eq!(url.name(), name);
    }

    #[test]
    fn what_may_be_secret_is_hidden() {
        check("https://a.example/x/Patient.ndjson", "https://a.example/x/Patient.ndjson", Some("Patient.ndjson"));
        check("https://a.example:443/", "https://a.example/", None);
        check("http://[::1]:8080/f?X-Signature=sesame#frag", "http://[::1]:8080/f?…", Some("f"));
        check("https://user:sesame@a.example/f", "https://a.example/f", Some("f"));
        check(
            "https://a.example/v1/0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9/part-1.ndjson",
            "https://a.example/v1/0a1b2c3d…/part-1.ndjson",
            Some("part-1.ndjson"),
        );
        let long = "a".repeat(128);
        check(&format!("https://a.example/{long}"), "https://a.example/aaaaaaaa…", Some(&long));
        check(&format!("https://a.example/{long}a"), "https://a.example/aaaaaaaa…", None);
        check("https://a.example/x/%2e%2e%2fpasswd", "https://a.example/x/%2e%2e%2fpasswd", None);
        check("https://a.example/x/..", "https://a.example/", None);
        check("https://a.example/.hidden", "https://a.example/.hidden", None);
        check("https://a.example/a b", "https://a.example/a%20b", None);
        check("file:///etc/passwd", "file:///etc/passwd", Some("passwd"));
        check("data:text/plain,sesame", "data:…", None);
    }
}
