//! Names for a server's output files: what the ledger, the quarantine and `__output_file` call them, and how the same
//! file is told in another answer of the server.
//!
//! A URL may be signed anew in each manifest, so a file is known by its URL without the query, unless two files of one
//! manifest differ by the query alone.

use std::collections::{HashMap, HashSet};

use lakehaul_fetch::{Manifest, OutputFile};

/// What a file is known by from one manifest to the next. Never shown: it may be a secret.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct FileKey(String);

impl FileKey {
    /// In a form that may be kept: no secret can be read from it.
    pub(super) fn stored(&self) -> String {
        blake3::hash(self.0.as_bytes()).to_hex()[..32].to_owned()
    }
}

/// The keys of a manifest's files, in their order.
pub(super) fn keys(manifest: &Manifest) -> Vec<FileKey> {
    let mut having: HashMap<String, usize> = HashMap::new();
    for file in &manifest.files {
        *having.entry(without_query(file)).or_default() += 1;
    }
    let key = |file: &OutputFile| {
        let short = without_query(file);
        FileKey(if having[&short] > 1 { file.url.expose().to_string() } else { short })
    };
    manifest.files.iter().map(key).collect()
}

fn without_query(file: &OutputFile) -> String {
    let mut url = file.url.expose().clone();
    url.set_query(None);
    url.set_fragment(None);
    url.to_string()
}

/// Gives out names, each once.
#[derive(Default)]
pub(super) struct Names {
    given: HashSet<String>,
    /// Names that an earlier process has given, by stored key.
    before: HashMap<String, String>,
    /// The number to try next, where a name was taken: a manifest may have one name for all of its files.
    next: HashMap<String, usize>,
}

impl Names {
    /// What an earlier process has given: stored keys and names.
    pub(super) fn given<'n>(names: impl Iterator<Item = (&'n str, &'n str)>) -> Names {
        let before: HashMap<String, String> = names.map(|(key, name)| (key.to_owned(), name.to_owned())).collect();
        Names { given: before.values().cloned().collect(), before, next: HashMap::new() }
    }

    /// The name that an earlier process has given to the file of this stored key. Else the URL's last segment if it is fit
    /// for it, else the declared type; numbered where that is taken.
    pub(super) fn name(&mut self, key: &str, file: &OutputFile) -> String {
        if let Some(name) = self.before.get(key) {
            return name.clone();
        }
        let plain = file.url.name().map(str::to_owned);
        let name = plain
            .unwrap_or_else(|| file.declared_type.clone().filter(|name| is_word(name)).unwrap_or("file".to_owned()));
        if self.given.insert(name.clone()) {
            return name;
        }
        let next = self.next.entry(name.clone()).or_insert(2);
        loop {
            let unique = format!("{name}-{next}");
            *next += 1;
            if self.given.insert(unique.clone()) {
                return unique;
            }
        }
    }
}

/// A type may be anything that a server sends.
fn is_word(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use lakehaul_fetch::{Role, SecretUrl};

    use super::*;

    fn file(url: &str, declared_type: Option<&str>) -> OutputFile {
        OutputFile {
            role: Role::Output,
            declared_type: declared_type.map(str::to_owned),
            url: SecretUrl::new(url.parse().unwrap()),
            count: None,
            file_size: None,
            requires_access_token: false,
        }
    }

    fn manifest(urls: &[&str]) -> Manifest {
        let files = urls.iter().map(|url| file(url, None)).collect();
        Manifest {
            transaction_time: None,
            requires_access_token: false,
            organized: false,
            resource_count: None,
            batches: None,
            files,
            warnings: Vec::new(),
        }
    }

    #[test]
    fn names_are_plain_and_unique() {
        let mut names = Names::default();
        for (url, declared_type, expected) in [
            ("https://h/x/Patient.1.ndjson?sig=s", Some("Patient"), "Patient.1.ndjson"),
            ("https://h/y/Patient.1.ndjson", Some("Patient"), "Patient.1.ndjson-2"),
            ("https://h/y/Patient.1.ndjson-3", None, "Patient.1.ndjson-3"),
            ("https://h/z/Patient.1.ndjson", Some("Patient"), "Patient.1.ndjson-4"),
            ("https://h/z/Patient.1.ndjson-2", None, "Patient.1.ndjson-2-2"),
            ("https://h/y/a%20b", Some("Claim"), "Claim"),
            ("https://h/y/c%20d", Some("Claim"), "Claim-2"),
            ("https://h/y/", Some("../etc"), "file"),
            ("https://h/", None, "file-2"),
        ] {
            assert_eq!(names.name("k", &file(url, declared_type)), expected);
        }
        let mut names = Names::given([("a", "x.ndjson"), ("b", "x.ndjson-2")].into_iter());
        for (key, expected) in [("new", "x.ndjson-3"), ("b", "x.ndjson-2"), ("a", "x.ndjson")] {
            assert_eq!(names.name(key, &file("https://h/x.ndjson", None)), expected);
        }
    }

    #[test]
    fn a_file_is_known_by_its_url_without_signature() {
        let one = keys(&manifest(&["https://h/a?sig=1", "https://h/b?sig=1"]));
        let other = keys(&manifest(&["https://h/b?sig=2", "https://h/a?sig=2"]));
        assert!(one[0] == other[1] && one[1] == other[0] && one[0] != one[1]);
        let by_query = keys(&manifest(&["https://h/get?id=1", "https://h/get?id=2"]));
        assert!(by_query[0] != by_query[1]);
    }
}
