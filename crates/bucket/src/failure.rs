//! What a store's refusal means: a sentence that says what to do.
//!
//! In goes an error of `object_store`, out comes an [`io::Error`] whose kind callers decide by and whose text people read. Of a
//! store's answer only its code is kept: bodies may name keys and signatures.

use std::error::Error as _;
use std::io::{self, ErrorKind};

use object_store::Error;

use crate::credential_process::NoCredentials;

/// Codes that stores answer with (S3's "List of error codes", Google's XML API and Azure's blob errors), what to call the
/// failure, and what to do.
const KNOWN: [(&str, ErrorKind, &str); 19] = [
    ("NoSuchBucket", ErrorKind::Other, "there is no such bucket; check its name, and make it first"),
    ("ContainerNotFound", ErrorKind::Other, "there is no such container; check its name, and make it first"),
    (
        "ExpiredToken",
        ErrorKind::PermissionDenied,
        "the credentials have expired; get new ones and run the command again, it goes on where it was",
    ),
    ("TokenRefreshRequired", ErrorKind::PermissionDenied, "the credentials have expired; get new ones"),
    (
        "InvalidAccessKeyId",
        ErrorKind::PermissionDenied,
        "the access key is not known there; check AWS_ACCESS_KEY_ID and the endpoint",
    ),
    (
        "SignatureDoesNotMatch",
        ErrorKind::PermissionDenied,
        "the secret key does not fit the access key; check AWS_SECRET_ACCESS_KEY",
    ),
    (
        "AuthenticationFailed",
        ErrorKind::PermissionDenied,
        "the credentials were refused; check the account and its key, and this machine's clock",
    ),
    (
        "RequestTimeTooSkewed",
        ErrorKind::PermissionDenied,
        "this machine's clock is more than a quarter of an hour off the store's; set it (NTP)",
    ),
    ("AuthorizationHeaderMalformed", ErrorKind::Other, ANOTHER_REGION),
    ("PermanentRedirect", ErrorKind::Other, ANOTHER_REGION),
    ("IllegalLocationConstraint", ErrorKind::Other, ANOTHER_REGION),
    ("SlowDown", ErrorKind::Other, "the store asks for fewer requests and kept asking; run the command again later"),
    ("ServerBusy", ErrorKind::Other, "the store asks for fewer requests and kept asking; run the command again later"),
    ("AccessDenied", ErrorKind::PermissionDenied, DENIED),
    ("AuthorizationPermissionMismatch", ErrorKind::PermissionDenied, DENIED),
    ("EntityTooLarge", ErrorKind::Other, "the store takes no object of this size"),
    ("QuotaExceeded", ErrorKind::StorageFull, "the bucket is full"),
    ("InvalidBucketName", ErrorKind::Other, "the bucket's name is none that the store knows"),
    ("KMS.DisabledException", ErrorKind::PermissionDenied, "the key that objects are encrypted with is disabled"),
];

const ANOTHER_REGION: &str = "the bucket is in another region; name it with AWS_REGION or --store-option region=…";

/// What `object_store` makes of S3's 301 (`PermanentRedirect`), whose body it does not hand on.
const REDIRECT: &str = "redirect without LOCATION";

/// Where clouds give their machines credentials (AWS and Azure, AWS containers, Google; AWS at an address of the user's, as for
/// IPv6): what is asked last.
const METADATA_SERVICES: [&str; 4] =
    ["//169.254.169.254/", "//169.254.170.2/", "//metadata.google.internal/", "/latest/meta-data/iam/"];

const NO_CREDENTIALS: &str = "no credentials were found: none in the environment, in a profile or in --store-option, and this machine's \
                              metadata service gives none; name a profile with AWS_PROFILE, or see the \
                              README on where they are looked for";

const DENIED: &str = "the credentials may not do this; the bucket's policy has to allow reading, writing, listing and deleting under \
                      the lake's path";

/// The same failure for those who know files.
#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` gives")]
pub(crate) fn failure(error: Error) -> io::Error {
    if let Some(none) = causes(&error).find_map(|cause| cause.downcast_ref::<NoCredentials>()) {
        return io::Error::new(ErrorKind::PermissionDenied, none.to_string());
    }
    let text = whole_text(&error);
    if let Some((code, kind, what)) = KNOWN.iter().find(|(code, ..)| has_code(&text, code)) {
        return io::Error::new(*kind, format!("{what} ({code})"));
    }
    if text.contains(REDIRECT) {
        return io::Error::other(format!("{ANOTHER_REGION} (PermanentRedirect)"));
    }
    if METADATA_SERVICES.iter().any(|service| text.contains(service)) {
        return io::Error::new(ErrorKind::PermissionDenied, NO_CREDENTIALS);
    }
    match error {
        Error::NotFound { .. } => io::Error::new(ErrorKind::NotFound, "there is no such object"),
        Error::AlreadyExists { .. } | Error::Precondition { .. } => {
            io::Error::new(ErrorKind::AlreadyExists, "another process has written it meanwhile")
        }
        Error::PermissionDenied { .. } => io::Error::new(ErrorKind::PermissionDenied, DENIED),
        Error::Unauthenticated { .. } => io::Error::new(
            ErrorKind::PermissionDenied,
            "the store wants credentials, or others than these; see the README on where they are looked for",
        ),
        Error::NotSupported { .. } | Error::NotImplemented { .. } => {
            io::Error::new(ErrorKind::Unsupported, "the store cannot do this")
        }
        _ => io::Error::other(without_body(&text)),
    }
}

/// The error and what it was caused by.
fn whole_text(error: &Error) -> String {
    let mut text = error.to_string();
    for cause in causes(error) {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
    }
    text
}

/// What it was caused by, the nearest first.
fn causes(error: &Error) -> impl Iterator<Item = &(dyn std::error::Error + 'static)> {
    std::iter::successors(error.source(), |&cause| cause.source())
}

/// S3 and Google say `<Code>…</Code>`; Azure does too, or in a header that the library puts into its text.
fn has_code(text: &str, code: &str) -> bool {
    text.contains(&format!("<Code>{code}</Code>"))
}

/// Up to the answer's body.
fn without_body(text: &str) -> String {
    let end = text.find('<').unwrap_or(text.len());
    text[..end].trim_end_matches([':', ' ', '\n', '"']).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_without_a_role_is_told_where_credentials_come_from() {
        let source = "Error performing PUT http://169.254.169.254/latest/api/token in 6ms - 403 Forbidden".into();
        let error = failure(Error::Generic { store: "S3", source });
        assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::PermissionDenied, NO_CREDENTIALS));
    }
}
