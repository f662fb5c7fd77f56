//! Promise: whatever the body of an answer to a kick-off or a status request, or a manifest, it is read or refused; what is
//! read asks only whom it may, takes credentials only where they belong, names each file once, and shows no secret.
//!
//! In: a body. Oracle: `serde_json` and `url`, which say which files are listed, and where each of them is.

use std::collections::HashSet;

use http::{HeaderMap, StatusCode};
use lakehaul_fetch::{FetchError, KickOff, Kind, Manifest, Role, SecretUrl, Status};
use serde_json::Value;
use url::Url;

use crate::payer;

/// Reads `body` as each answer that it may be.
pub fn check(body: &[u8]) {
    let text = String::from_utf8_lossy(body);
    if text.contains(payer::MARKER) {
        return; // A fuzzer that has found it.
    }
    let value = serde_json::from_slice(body).unwrap_or(Value::Null);
    let secrets = payer::secrets(payer::urls_in(&value).into_iter(), &text);
    let read = Read { body, value: &value, secrets: &secrets };
    let at = payer::url(&payer::location(Kind::Smart).to_stored());
    read.check(Manifest::read(body, &at, &[payer::trusted()]), |read, manifest| {
        read.check_manifest(Kind::Smart, manifest);
        read.check_listed(manifest, &at);
    });
    read.check(Manifest::read(body, &at, &[]), |read, manifest| read.check_manifest(Kind::Smart, manifest));
    for kind in payer::KINDS {
        let (client, location, export) = (payer::client(kind), payer::location(kind), payer::export());
        let headers = HeaderMap::new();
        for status in [200, 202, 204, 401, 404, 500, 503].map(status) {
            read.check(client.read_status(&location, status, &headers, body), |read, status| match status {
                Status::Complete(manifest) => read.check_manifest(kind, manifest),
                Status::Running(running) => {
                    assert_eq!(running.progress, None);
                    assert!(running.next_in <= payer::MAX_WAIT);
                    running.so_far.iter().for_each(|manifest| read.check_manifest(kind, manifest));
                }
            });
        }
        let own = client.kick_off_url(&export).expect("parameters that fit");
        for status in [200, 202, 400, 403, 503].map(status) {
            read.check(client.read_kick_off(&export, status, &headers, body), |read, kick_off| match kick_off {
                KickOff::Done(manifest) => read.check_manifest(kind, manifest),
                KickOff::Accepted(location) => {
                    let url: SecretUrl = payer::url(&location.to_stored()).into();
                    payer::check_admitted(&url);
                    assert_eq!(location.to_string(), url.to_string());
                    assert!(!payer::begins_an_export(url.expose(), own.expose()), "asked there, it begins another one");
                }
            });
        }
    }
}

fn status(code: u16) -> StatusCode {
    StatusCode::from_u16(code).expect("a status")
}

/// A body, as the oracle reads it.
struct Read<'b> {
    body: &'b [u8],
    value: &'b Value,
    secrets: &'b [String],
}

impl Read<'_> {
    fn check<T>(&self, result: Result<T, FetchError>, accepted: impl FnOnce(&Self, &T)) {
        match result {
            Ok(read) => accepted(self, &read),
            Err(error) => payer::check_error(&error, self.secrets),
        }
    }

    fn check_manifest(&self, kind: Kind, manifest: &Manifest) {
        let shown = format!("{manifest:?}");
        payer::check_text(&shown);
        payer::check_hidden(&shown, self.secrets);
        assert!(manifest.files.len() <= self.body.len(), "more files than bytes");
        let said = match self.value.get("requiresAccessToken") {
            Some(Value::Bool(said)) => Some(*said),
            _ => None,
        };
        assert!(said.is_none_or(|said| manifest.requires_access_token == said));
        let mut urls = HashSet::new();
        for file in &manifest.files {
            let url = file.url.expose();
            payer::check_admitted(&file.url);
            assert_eq!(url.fragment(), None, "a fragment tells no file from another: {}", file.url);
            assert!(urls.insert(url.clone()), "listed twice: {}", file.url);
            assert!(!file.requires_access_token || payer::may_have_credentials(url), "a token for {}", file.url);
            assert!(said.is_none_or(|said| file.requires_access_token == said), "the manifest says otherwise");
            let word = file.declared_type.as_deref().unwrap_or("T");
            assert!((1..=64).contains(&word.len()) && word.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
        }
        let strangers = urls.iter().filter(|url| !payer::may_have_credentials(url)).count();
        assert!(strangers == 0 || said != Some(true), "a token for strangers ({kind})");
        manifest.warnings.iter().for_each(|warning| payer::check_text(warning));
    }

    /// None of the files that are listed is lost, and none is invented.
    fn check_listed(&self, manifest: &Manifest, at: &Url) {
        if self.value.is_null() {
            return; // Bytes that are no UTF-8, in a member that the reader passes over and the oracle does not.
        }
        let found = |role| manifest.files.iter().filter(move |file| file.role == role).map(|file| file.url.expose());
        let listed = |list: &str| -> Option<Vec<Url>> {
            let entries = self.value.get(list).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
            entries
                .iter()
                .map(|entry| {
                    let mut url = at.join(entry.as_object()?.get("url")?.as_str()?.trim()).ok()?;
                    url.set_fragment(None);
                    Some(url)
                })
                .collect()
        };
        let all: HashSet<&Url> = manifest.files.iter().map(|file| file.url.expose()).collect();
        for (role, list) in [(Role::Output, "output"), (Role::Deleted, "deleted")] {
            // An entry that is an array is read by the order of its members, which this oracle does not.
            let Some(listed) = listed(list) else { continue };
            assert!(listed.iter().all(|url| all.contains(url)), "a file of {list} is lost");
            let listed: HashSet<Url> = listed.into_iter().collect();
            assert!(found(role).all(|url| listed.contains(url)), "a file of {list} is invented");
        }
    }
}
