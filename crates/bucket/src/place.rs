//! Which store a URL names, and with which options it is opened.

use std::fmt::Display;
use std::io::{self, ErrorKind};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::multipart::MultipartStore;
use object_store::path::Path;
use object_store::{ClientConfigKey, ClientOptions, Error, ObjectStore, ObjectStoreScheme, RetryConfig};
use url::Url;

use crate::credential_process::CredentialProcess;
use crate::failure::failure;
use crate::half_way::{HalfWay, Listing};
use crate::web::Web;

/// How long a request is tried again that the store is too busy for, or that gets no answer.
const RETRY_AT_MOST: Duration = Duration::from_secs(120);

/// Schemes of stores.
const SCHEMES: [&str; 10] = ["s3", "s3a", "gs", "az", "azure", "adl", "abfs", "abfss", "http", "https"];

/// The option that names a program for AWS's credentials, as a profile has it. The store's client does not know it.
const CREDENTIAL_PROCESS: &str = "credential_process";

const NO_SCHEME: &str = "its scheme is none of s3, gs, az, abfs, https";

/// A URL stands in the ledger and in messages.
const HAS_SECRET: &str = "it names a user or has a query (`?…`), which would be kept with the lake and shown; use a URL without, and \
                          give credentials by the environment";

/// Whether `text` names a place in a store.
fn is_url(text: &str) -> bool {
    text.split_once("://").is_some_and(|(scheme, _)| SCHEMES.contains(&scheme))
}

/// A store's requests: objects, and uploads in pieces.
pub trait Objects: ObjectStore + MultipartStore {}

impl<T: ObjectStore + MultipartStore> Objects for T {}

/// A place in a store: the store, and the path in it that all names begin with.
#[derive(Debug, Clone)]
pub struct Bucket {
    pub(crate) objects: Arc<dyn Objects>,
    /// Where uploads can be listed.
    pub(crate) half_way: Option<HalfWay>,
    root: Path,
    is_web: bool,
}

impl Bucket {
    /// The place that `url` names. `options`: keys and values as `object_store` has them for this kind of store, such as
    /// `region`, `endpoint` or `aws_sse_kms_key_id`, the environment's variables among them. Keys of other stores are passed over.
    ///
    /// # Errors
    /// The URL or an option is wrong ([`ErrorKind::InvalidInput`]), or credentials are incomplete.
    pub fn open(url: &str, options: &[(String, String)]) -> io::Result<Bucket> {
        let wrong = |why: &dyn Display| {
            io::Error::new(ErrorKind::InvalidInput, format!("{url} names no place in a store: {why}"))
        };
        if !is_url(url) {
            return Err(wrong(&NO_SCHEME));
        }
        let parsed = Url::parse(url).map_err(|error| wrong(&error))?;
        // Azure's own URLs name a container where others have a user.
        let names_user = parsed.scheme().starts_with("http") && !parsed.username().is_empty();
        if parsed.query().is_some() || parsed.password().is_some() || names_user {
            return Err(io::Error::new(ErrorKind::InvalidInput, format!("a URL is refused: {HAS_SECRET}")));
        }
        let (scheme, root) = ObjectStoreScheme::parse(&parsed).map_err(|error| wrong(&error))?;
        // A local server speaks plain HTTP; whoever names it so means it, unless an option says otherwise.
        let plain = options.iter().any(|(key, value)| is_endpoint(key) && value.starts_with("http://"));
        let plain = plain.then(|| ("allow_http".to_owned(), "true".to_owned()));
        let options: Vec<&(String, String)> = plain.iter().chain(options).collect();
        let is_web = scheme == ObjectStoreScheme::Http;
        let (objects, half_way) = match scheme {
            ObjectStoreScheme::AmazonS3 => s3(url, &options).map_err(failure)?,
            ObjectStoreScheme::GoogleCloudStorage => google(&parsed, &options).map_err(failure)?,
            ObjectStoreScheme::MicrosoftAzure => {
                let builder = MicrosoftAzureBuilder::new().with_url(url).with_retry(retries());
                let with = known(&options).fold(builder, |builder, (key, value)| builder.with_config(key, value));
                (Arc::new(with.build().map_err(failure)?) as Arc<dyn Objects>, None)
            }
            ObjectStoreScheme::Http => {
                (Arc::new(Web::of(&parsed, retries()).map_err(failure)?) as Arc<dyn Objects>, None)
            }
            _ => return Err(wrong(&NO_SCHEME)),
        };
        Ok(Bucket { objects, half_way, root, is_web })
    }

    /// A place in any store, such as one in memory.
    ///
    /// # Errors
    /// `root` is no path.
    pub fn within(objects: Arc<dyn Objects>, root: &str) -> io::Result<Bucket> {
        let root = Path::parse(root).map_err(|error| io::Error::new(ErrorKind::InvalidInput, error.to_string()))?;
        Ok(Bucket { objects, half_way: None, root, is_web: false })
    }

    /// Whether it is on a web server, where what is named can be read, and nothing else can be done.
    pub fn is_web(&self) -> bool {
        self.is_web
    }

    /// Whether some kind of store knows an option of this name.
    pub fn knows_option(key: &str) -> bool {
        let key = key.to_ascii_lowercase();
        key == CREDENTIAL_PROCESS
            || AmazonS3ConfigKey::from_str(&key).is_ok()
            || GoogleConfigKey::from_str(&key).is_ok()
            || AzureConfigKey::from_str(&key).is_ok()
    }

    /// The object's path in the store. `path` is relative to the place; empty: the place itself.
    pub(crate) fn at(&self, path: &str) -> io::Result<Path> {
        let whole = match (self.root.as_ref(), path) {
            ("", path) => path.to_owned(),
            (root, "") => root.to_owned(),
            (root, path) => format!("{root}/{path}"),
        };
        Path::parse(whole).map_err(|error| io::Error::new(ErrorKind::InvalidInput, error.to_string()))
    }

    /// The path relative to the place.
    pub(crate) fn name_of(&self, path: &Path) -> String {
        let path = path.as_ref();
        let rest = path.strip_prefix(self.root.as_ref()).unwrap_or(path);
        rest.strip_prefix('/').unwrap_or(rest).to_owned()
    }
}

/// A store, and how its uploads are listed.
type Opened = (Arc<dyn Objects>, Option<HalfWay>);

fn s3(url: &str, options: &[&(String, String)]) -> Result<Opened, Error> {
    let mut builder = AmazonS3Builder::new().with_url(url).with_retry(retries());
    if let Some(command) = credential_process(options) {
        builder = builder.with_credentials(Arc::new(CredentialProcess::new(command.to_owned())));
    }
    let with = known(options).fold(builder, |builder, (key, value)| builder.with_config(key, value));
    let is_anonymous = is_anonymous(with.get_config_value(&AmazonS3ConfigKey::SkipSignature));
    let objects = Arc::new(with.build()?);
    let client = |key| match key {
        AmazonS3ConfigKey::Client(key) => Some(key),
        _ => None,
    };
    let options = client_options(options, client);
    let half_way = (!is_anonymous).then(|| HalfWay { store: Listing::S3(Arc::clone(&objects)), options });
    Ok((objects, half_way))
}

fn google(url: &Url, options: &[&(String, String)]) -> Result<Opened, Error> {
    let builder = GoogleCloudStorageBuilder::new().with_url(url.as_str()).with_retry(retries());
    let with = known(options).fold(builder, |builder, (key, value)| builder.with_config(key, value));
    let is_anonymous = is_anonymous(with.get_config_value(&GoogleConfigKey::SkipSignature));
    let server = with.get_config_value(&GoogleConfigKey::BaseUrl);
    let server = server.as_deref().unwrap_or("https://storage.googleapis.com");
    let bucket = Url::parse(&format!("{}/{}", server.trim_end_matches('/'), url.host_str().unwrap_or_default()));
    let objects = Arc::new(with.build()?);
    let client = |key| match key {
        GoogleConfigKey::Client(key) => Some(key),
        _ => None,
    };
    let options = client_options(options, client);
    let listing = bucket.ok().filter(|_| !is_anonymous);
    let half_way = listing.map(|url| HalfWay { store: Listing::Google(Arc::clone(&objects), url), options });
    Ok((objects, half_way))
}

fn retries() -> RetryConfig {
    RetryConfig { retry_timeout: RETRY_AT_MOST, ..RetryConfig::default() }
}

/// Whether an option names a store's own server.
fn is_endpoint(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    matches!(AmazonS3ConfigKey::from_str(&key), Ok(AmazonS3ConfigKey::Endpoint))
        || matches!(AzureConfigKey::from_str(&key), Ok(AzureConfigKey::Endpoint))
        || matches!(GoogleConfigKey::from_str(&key), Ok(GoogleConfigKey::BaseUrl))
}

/// Whether requests go without credentials, by what `skip_signature` is set to. Then nobody may list uploads, and to look for
/// credentials could take long.
fn is_anonymous(skip_signature: Option<String>) -> bool {
    skip_signature.is_some_and(|value| value != "false")
}

/// What an HTTP client is made with. `client`: the key, if it is one of clients.
fn client_options<K: FromStr>(
    options: &[&(String, String)],
    client: impl Fn(K) -> Option<ClientConfigKey>,
) -> ClientOptions {
    let known = known(options).filter_map(|(key, value)| Some((client(key)?, value)));
    known.fold(ClientOptions::new(), |options, (key, value)| options.with_config(key, value))
}

/// The command that prints AWS's credentials, unless a key is given behind it.
fn credential_process<'o>(options: &[&'o (String, String)]) -> Option<&'o str> {
    options.iter().rev().find_map(|(key, value)| match key.to_ascii_lowercase() {
        key if key == CREDENTIAL_PROCESS => Some(Some(value.as_str())),
        key => matches!(AmazonS3ConfigKey::from_str(&key), Ok(AmazonS3ConfigKey::AccessKeyId)).then_some(None),
    })?
}

/// The options that this kind of store knows.
fn known<'o, K: FromStr>(options: &[&'o (String, String)]) -> impl Iterator<Item = (K, &'o String)> {
    options.iter().filter_map(|(key, value)| Some((K::from_str(&key.to_ascii_lowercase()).ok()?, value)))
}
