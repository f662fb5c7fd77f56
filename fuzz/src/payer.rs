//! A payer on paper: for whom answers are read, and what must hold of whatever is made of them.
//!
//! In: URLs, errors, manifests. Out: nothing, or a panic where a promise is broken. Nobody is asked for anything.

use std::path::{Component, Path};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use jiff::Timestamp;
use lakehaul_fetch::{
    BoxFuture, Client, ClientOptions, Clock, ExportParameters, FetchError, Kind, Origin, Patience, PollingLocation,
    SecretUrl,
};
use serde_json::Value;
use url::{Host, Url};

/// Whom credentials are for.
pub const HOME: &str = "https://gateway.example";
/// Who may have them too.
pub const TRUSTED: &str = "https://trusted.example:8443";
/// Stands in the queries of all that we ask, and must be shown nowhere.
pub const MARKER: &str = "marker-0451-planted";
/// Marks what is secret in the corpus. Any other text may be in a URL's query and, by right, in its path too.
pub const PLANTED: &str = "sesame";
/// The longest wait that these clients bear with.
pub const MAX_WAIT: Duration = Duration::from_secs(120);

/// The kinds that read differently.
pub const KINDS: [Kind; 2] = [Kind::Smart, Kind::OneupProvider];

/// Time stands still at 2026-03-01T12:00:00Z.
struct PaperClock;

impl Clock for PaperClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(1_772_366_400).expect("a time of this century")
    }

    fn sleep(&self, _: Duration) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }
}

/// A client of a server of this kind at [`HOME`], made once: it looks for the machine's certificates.
pub fn client(kind: Kind) -> &'static Client {
    static CLIENTS: OnceLock<[Client; KINDS.len()]> = OnceLock::new();
    let clients = CLIENTS.get_or_init(|| {
        KINDS.map(|kind| {
            let base = if kind.needs_tenant() { HOME.to_owned() } else { format!("{HOME}/fhir") };
            let mut options = ClientOptions::new(kind, url(&base));
            options.tenant = kind.needs_tenant().then(|| "bison".to_owned());
            options.trusted_origins = vec![trusted()];
            options.patience = Patience { max_wait: MAX_WAIT, ..Patience::default() };
            Client::new(options, Arc::new(PaperClock), Arc::new(())).expect("the options fit together")
        })
    });
    &clients[KINDS.iter().position(|known| *known == kind).expect("one of the kinds")]
}

/// [`TRUSTED`]
pub fn trusted() -> Origin {
    TRUSTED.parse().expect("an origin")
}

/// What is asked for. Its URL has the marker in its query.
pub fn export() -> ExportParameters {
    ExportParameters { type_filters: vec![format!("Patient?identifier={MARKER}")], ..ExportParameters::default() }
}

/// Where a server of this kind tells the status.
pub fn location(kind: Kind) -> PollingLocation {
    let path = if kind.needs_tenant() { "v1/bison/bulk-data/r4/$export/job/7" } else { "fhir/status/7" };
    PollingLocation::from_stored(&format!("{HOME}/{path}?job={MARKER}")).expect("a URL")
}

/// A URL that is one.
pub fn url(text: &str) -> Url {
    Url::parse(text).expect("a URL")
}

/// Whether a URL is the configured origin's or the trusted one's, by the `url` crate's own notion of an origin.
pub fn may_have_credentials(wanted: &Url) -> bool {
    [HOME, TRUSTED].iter().any(|origin| url(origin).origin() == wanted.origin())
}

/// Whether a GET of `asked` is the kick-off `own`, or one of all there is.
pub fn begins_an_export(asked: &Url, own: &Url) -> bool {
    let (mut asked, mut own) = (asked.clone(), own.clone());
    asked.set_fragment(None);
    own.set_fragment(None);
    let same = asked == own;
    own.set_query(None);
    same || asked == own
}

/// Checks a URL that was taken from an answer, to be asked some time.
pub fn check_admitted(admitted: &SecretUrl) {
    let inside = admitted.expose();
    assert!(matches!(inside.scheme(), "https" | "http"), "neither https nor http: {admitted}");
    assert_eq!((inside.username(), inside.password()), ("", None), "a user name: {admitted}");
    let loopback = match inside.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => panic!("no host: {admitted}"),
    };
    assert!(inside.scheme() == "https" || loopback, "plain http off the machine: {admitted}");
    check_shown(admitted);
}

/// Checks that a URL is shown without what may be secret in it.
pub fn check_shown(secret: &SecretUrl) {
    let (inside, shown) = (secret.expose(), secret.to_string());
    assert_eq!(format!("{secret:?}"), shown);
    check_text(&shown);
    if inside.path_segments().is_none() {
        assert_eq!(shown, format!("{}:…", inside.scheme()));
    } else {
        let rest = shown.strip_prefix(inside.scheme()).and_then(|rest| rest.strip_prefix("://"));
        let rest = rest.unwrap_or_else(|| panic!("not as a URL: {shown}"));
        let rest = if inside.query().is_some() { rest.strip_suffix("?…").unwrap_or(rest) } else { rest };
        assert!(!rest.contains(['?', '#']), "a query or fragment: {shown}");
        let mut parts = rest.split('/');
        assert!(!parts.next().unwrap_or_default().contains('@'), "a user name: {shown}");
        for segment in parts {
            let key = segment.strip_suffix('…').map_or(segment.len() <= 28, |start| start.len() == 8);
            assert!(key, "a long segment: {shown}");
        }
    }
    if let Some(name) = secret.name() {
        let alone = Path::new(name).components().eq([Component::Normal(name.as_ref())]);
        assert!(alone && name.len() <= 128 && !name.starts_with('.') && name.is_ascii(), "no file's name: {name}");
    }
}

/// Checks a text that a person reads: on one line, and without what we asked for.
pub fn check_text(text: &str) {
    assert!(!text.contains(char::is_control), "control characters: {text:?}");
    assert!(!text.contains(MARKER), "the marker is shown: {text}");
}

/// Checks an error's texts; none may show one of `secrets`.
pub fn check_error(error: &FetchError, secrets: &[String]) {
    for text in [error.to_string(), format!("{error:?}"), error.hint().unwrap_or_default()] {
        check_text(&text);
        check_hidden(&text, secrets);
    }
}

/// Checks that none of `secrets` is in `text`.
pub fn check_hidden(text: &str, secrets: &[String]) {
    let shown = secrets.iter().find(|secret| text.contains(secret.as_str()));
    assert!(shown.is_none(), "{shown:?} is shown: {text}");
}

/// What the URLs of an answer hide: queries, user names and passwords with [`PLANTED`] in them, as far as they stand nowhere
/// else in it, where they would be something else.
pub fn secrets<'t>(urls: impl Iterator<Item = &'t str>, answer: &str) -> Vec<String> {
    // Not by itself: `https:user@host` is a relative reference.
    let base = url(HOME);
    let hidden = |text: &str| {
        let url = base.join(text.trim()).ok()?;
        let parts = [url.query(), url.password(), Some(url.username())];
        Some(parts.into_iter().flatten().map(str::to_owned).collect::<Vec<_>>())
    };
    let mut secrets: Vec<String> = urls.filter_map(hidden).flatten().collect();
    secrets.retain(|secret| secret.contains(PLANTED) && answer.matches(secret.as_str()).count() == 1);
    secrets
}

/// The texts of all members called `url`, at any depth.
pub fn urls_in(value: &Value) -> Vec<&str> {
    match value {
        Value::Array(elements) => elements.iter().flat_map(urls_in).collect(),
        Value::Object(members) => {
            let own = members.get("url").and_then(Value::as_str);
            own.into_iter().chain(members.values().flat_map(urls_in)).collect()
        }
        _ => Vec::new(),
    }
}
