//! Uploads that are half-way, as S3 (`ListMultipartUploads`) and Google (XML API, "List multipart uploads") list them: also those
//! whose process died before it could note them. The store's client has no call for it: S3 is asked by a URL that is signed,
//! Google by one with a token.
//!
//! It is asked as a courtesy, to spare a bill: a store that does not list them, or to others, is no failure.

use std::sync::Arc;
use std::time::Duration;

use http::header::AUTHORIZATION;
use http::{Method, Request, StatusCode};
use object_store::aws::AmazonS3;
use object_store::client::{HttpConnector, HttpRequestBody, ReqwestConnector};
use object_store::gcp::GoogleCloudStorage;
use object_store::path::Path;
use object_store::signer::{SignedUrlOptions, Signer};
use object_store::{ClientOptions, MultipartId};
use serde::Deserialize;
use url::Url;

/// How long a URL can be used: from now until the request is there.
const SIGNED_FOR: Duration = Duration::from_secs(60);

/// Lists the uploads in a bucket. Nothing is connected before it is asked: most who open a bucket only read it.
#[derive(Debug, Clone)]
pub(crate) struct HalfWay {
    pub(crate) store: Listing,
    /// Of the client that asks.
    pub(crate) options: ClientOptions,
}

/// A store that lists them.
#[derive(Debug, Clone)]
pub(crate) enum Listing {
    /// S3, or what speaks S3.
    S3(Arc<AmazonS3>),
    /// Google, at the bucket's own URL.
    Google(Arc<GoogleCloudStorage>, Url),
}

impl HalfWay {
    /// The first thousand under the folder; more are listed once these are gone.
    pub(crate) async fn under(&self, folder: &Path) -> Vec<(Path, MultipartId)> {
        self.listed(folder).await.unwrap_or_default()
    }

    async fn listed(&self, folder: &Path) -> Option<Vec<(Path, MultipartId)>> {
        let prefix = format!("{folder}/");
        let query = [("uploads", ""), ("prefix", prefix.as_str())];
        let request = match &self.store {
            Listing::S3(signer) => {
                let query = SignedUrlOptions::new().with_query(query);
                let url = signer.signed_url_opts(Method::GET, &Path::default(), SIGNED_FOR, &query).await.ok()?;
                Request::get(url.as_str())
            }
            Listing::Google(store, bucket) => {
                let token = store.credentials().get_credential().await.ok()?;
                let mut url = bucket.clone();
                url.query_pairs_mut().extend_pairs(query);
                Request::get(url.as_str()).header(AUTHORIZATION, format!("Bearer {}", token.bearer))
            }
        };
        let request = request.body(HttpRequestBody::empty()).ok()?;
        let client = ReqwestConnector::default().connect(&self.options).ok()?;
        let response = client.execute(request).await.ok().filter(|answer| answer.status() == StatusCode::OK)?;
        let body = response.into_body().bytes().await.ok()?;
        let listed: Uploads = quick_xml::de::from_str(std::str::from_utf8(&body).ok()?).ok()?;
        let ours = listed.uploads.into_iter().filter(|upload| upload.key.starts_with(&prefix));
        Some(ours.filter_map(|upload| Some((Path::parse(upload.key).ok()?, upload.id))).collect())
    }
}

/// S3's `ListMultipartUploadsResult`, which is Google's too.
#[derive(Deserialize)]
struct Uploads {
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
            let listing: Uploads = quick_xml::de::from_str(&text).expect("a listing");
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
