//! Uploads that are half-way, as S3 lists them (ListMultipartUploads): also those whose process died before it could note
//! them. The store's client has no call for it, so it is asked by a signed URL.
//!
//! It is asked as a courtesy, to spare a bill: a store that does not list them, or to others, is no failure.

use std::sync::Arc;
use std::time::Duration;

use http::{Method, Request, StatusCode};
use object_store::aws::{AmazonS3, AmazonS3ConfigKey};
use object_store::client::{HttpConnector, HttpRequestBody, ReqwestConnector};
use object_store::path::Path;
use object_store::signer::{SignedUrlOptions, Signer};
use object_store::{ClientOptions, MultipartId};
use serde::Deserialize;

/// How long a URL can be used: from now until the request is there.
const SIGNED_FOR: Duration = Duration::from_secs(60);

/// Lists the uploads in a bucket of S3, or of what speaks S3.
#[derive(Debug, Clone)]
pub(crate) struct HalfWay {
    signer: Arc<AmazonS3>,
    options: ClientOptions,
}

impl HalfWay {
    /// Nothing is connected yet: most who open a bucket only read it.
    pub(crate) fn new<'o>(
        signer: Arc<AmazonS3>,
        options: impl Iterator<Item = (AmazonS3ConfigKey, &'o String)>,
    ) -> HalfWay {
        let options = options.fold(ClientOptions::new(), |options, (key, value)| match key {
            AmazonS3ConfigKey::Client(key) => options.with_config(key, value),
            _ => options,
        });
        HalfWay { signer, options }
    }

    /// The first thousand under the folder; more are listed once these are gone.
    pub(crate) async fn under(&self, folder: &Path) -> Vec<(Path, MultipartId)> {
        self.listed(folder).await.unwrap_or_default()
    }

    async fn listed(&self, folder: &Path) -> Option<Vec<(Path, MultipartId)>> {
        let prefix = format!("{folder}/");
        let query = SignedUrlOptions::new().with_query([("uploads", ""), ("prefix", &prefix)]);
        let url = self.signer.signed_url_opts(Method::GET, &Path::default(), SIGNED_FOR, &query).await.ok()?;
        let request = Request::get(url.as_str()).body(HttpRequestBody::empty()).ok()?;
        let client = ReqwestConnector::default().connect(&self.options).ok()?;
        let response = client.execute(request).await.ok().filter(|answer| answer.status() == StatusCode::OK)?;
        let body = response.into_body().bytes().await.ok()?;
        let listing: Listing = quick_xml::de::from_str(std::str::from_utf8(&body).ok()?).ok()?;
        let ours = listing.uploads.into_iter().filter(|upload| upload.key.starts_with(&prefix));
        Some(ours.filter_map(|upload| Some((Path::parse(upload.key).ok()?, upload.id))).collect())
    }
}

/// S3's `ListMultipartUploadsResult`.
#[derive(Deserialize)]
struct Listing {
    #[serde(rename = "Upload", default)]
    uploads: Vec<Listed>,
}

#[derive(Deserialize)]
struct Listed {
    #[serde(rename = "Key")]
    key: String,
    #[serde(rename = "UploadId")]
    id: MultipartId,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing() {
        #[track_caller]
        fn check(inside: &str, expected: &[(&str, &str)]) {
            let text = format!(
                r#"<?xml version="1.0" encoding="UTF-8"?><ListMultipartUploadsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
                   <Bucket>b</Bucket><KeyMarker/><IsTruncated>false</IsTruncated>{inside}</ListMultipartUploadsResult>"#
            );
            let listing: Listing = quick_xml::de::from_str(&text).expect("a listing");
            let found: Vec<_> = listing.uploads.iter().map(|found| (found.key.as_str(), found.id.as_str())).collect();
            assert_eq!(found, expected);
        }
        let one = "<Upload><Key>lake/_lake/x</Key><UploadId>i1</UploadId><Owner><ID>o</ID></Owner></Upload>";
        check("", &[]);
        check(one, &[("lake/_lake/x", "i1")]);
        let other = "<Upload><UploadId>i2</UploadId><Key>lake/a&amp;b</Key></Upload>";
        check(&format!("{one}<CommonPrefixes/>{other}"), &[("lake/_lake/x", "i1"), ("lake/a&b", "i2")]);
    }
}
