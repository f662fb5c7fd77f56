//! Origins: who may have a credential, and which URLs are asked at all.
//!
//! An origin is scheme, host and port (RFC 6454, section 4). A credential belongs to the configured origin and to those that
//! the user trusts by name; every request and every redirect is decided on its own.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use url::{Host, Url};

use crate::error::{ErrorKind, FetchError};

/// Scheme, host and port of an http or https URL.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Origin {
    https: bool,
    /// Lower case, punycode; IPv6 without brackets.
    host: Host<String>,
    port: u16,
}

impl Origin {
    /// `None` for a URL that is neither http nor https.
    pub fn of(url: &Url) -> Option<Origin> {
        let https = match url.scheme() {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        Some(Origin { https, host: url.host()?.to_owned(), port: url.port_or_known_default()? })
    }

    /// 127.0.0.0/8, `::1` and `localhost`: what is sent there does not leave the machine.
    pub fn is_loopback(&self) -> bool {
        match &self.host {
            Host::Domain(name) => name == "localhost",
            Host::Ipv4(address) => IpAddr::V4(*address).is_loopback(),
            Host::Ipv6(address) => IpAddr::V6(*address).is_loopback(),
        }
    }
}

/// As one writes it: `https://host`, with the port unless it is the scheme's own.
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, usual) = if self.https { ("https", 443) } else { ("http", 80) };
        write!(f, "{scheme}://{}", self.host)?;
        if self.port == usual { Ok(()) } else { write!(f, ":{}", self.port) }
    }
}

/// Takes `https://host[:port]`, with or without a last slash.
///
/// # Errors
///
/// [`ErrorKind::Usage`] for anything else: a path would suggest that trust can be narrower than an origin.
impl FromStr for Origin {
    type Err = FetchError;

    fn from_str(text: &str) -> Result<Origin, FetchError> {
        let refused = |why: &str| {
            FetchError::new(ErrorKind::Usage, format!("an origin is written https://host[:port]; this one {why}"))
        };
        let url = Url::parse(text).map_err(|_| refused("is no URL"))?;
        if has_userinfo(&url) {
            return Err(refused("has a user name"));
        }
        let origin = Origin::of(&url).ok_or_else(|| refused("is neither http nor https"))?;
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            return Err(refused("has more than that"));
        }
        Ok(origin)
    }
}

/// Whether plain http may leave the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PlainHttp {
    /// Only to the machine itself.
    #[default]
    LoopbackOnly,
    /// To any host, credentials included; redirects from https to http are followed.
    Allowed,
}

/// What the user has said about origins.
#[derive(Debug, Clone)]
pub(crate) struct OriginPolicy {
    pub(crate) home: Origin,
    pub(crate) trusted: Vec<Origin>,
    pub(crate) plain_http: PlainHttp,
}

impl OriginPolicy {
    /// The configured origin, or one that is trusted by name.
    pub(crate) fn may_have_credentials(&self, url: &Url) -> bool {
        Origin::of(url).is_some_and(|origin| origin == self.home || self.trusted.contains(&origin))
    }

    /// Whether this URL may be asked at all, with or without a credential; gives its origin.
    ///
    /// Errors: [`ErrorKind::UntrustedOrigin`] for another scheme, a user name in it, or plain http off the machine. `what`
    /// names whose URL it is, such as "the output file".
    pub(crate) fn admit(&self, url: &Url, what: &str) -> Result<Origin, FetchError> {
        let refused = |why: String| FetchError::new(ErrorKind::UntrustedOrigin, format!("the URL of the {what} {why}"));
        let Some(origin) = Origin::of(url) else {
            return Err(refused(format!("has the scheme {}, which is neither https nor http", url.scheme())));
        };
        if has_userinfo(url) {
            return Err(refused(format!("at {origin} carries a user name or password")));
        }
        if !origin.https && !origin.is_loopback() && self.plain_http == PlainHttp::LoopbackOnly {
            return Err(refused(format!("is plain http, to {origin}"))
                .with_hint("Plain http is refused off this machine; use https, or say --allow-http."));
        }
        Ok(origin)
    }

    /// Whether a redirect from `from` to `to` may be followed, [`OriginPolicy::admit`] aside.
    ///
    /// Errors: [`ErrorKind::UntrustedOrigin`] from https to http, unless plain http is allowed.
    pub(crate) fn admit_redirect(&self, from: &Url, to: &Url, what: &str) -> Result<(), FetchError> {
        if from.scheme() == "https" && to.scheme() == "http" && self.plain_http == PlainHttp::LoopbackOnly {
            return Err(FetchError::new(
                ErrorKind::UntrustedOrigin,
                format!("the {what} is redirected from https to plain http"),
            )
            .with_hint("That would give up the encryption; --allow-http allows it."));
        }
        Ok(())
    }
}

/// The error for an origin that would have to get a credential, or what names patients, and may not. `why` is a clause, such
/// as "demands the access token".
pub(crate) fn untrusted(url: &Url, what: &str, why: &str) -> FetchError {
    let origin = Origin::of(url).map_or_else(|| url.scheme().to_owned(), |origin| origin.to_string());
    FetchError::new(
        ErrorKind::UntrustedOrigin,
        format!("the {what} is at {origin}, which {why} and is not the configured origin"),
    )
    .with_hint(format!("If that origin is the payer's own, say --trust-origin {origin}."))
}

fn has_userinfo(url: &Url) -> bool {
    !url.username().is_empty() || url.password().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(plain_http: PlainHttp) -> OriginPolicy {
        OriginPolicy {
            home: "https://payer.example".parse().unwrap(),
            trusted: vec!["https://files.example:8443".parse().unwrap()],
            plain_http,
        }
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        #[track_caller]
        fn check(text: &str, expected: Result<&str, &str>) {
            match (text.parse::<Origin>(), expected) {
                (Ok(origin), Ok(shown)) => assert_eq!(origin.to_string(), shown),
                (Err(error), Err(part)) => {
                    assert_eq!(error.kind(), ErrorKind::Usage);
                    assert!(error.to_string().contains(part), "{error}");
                }
                (got, _) => panic!("{text}: {got:?}"),
            }
        }
        check("https://Payer.Example", Ok("https://payer.example"));
        check("https://payer.example:443/", Ok("https://payer.example"));
        check("http://127.0.0.1:8080", Ok("http://127.0.0.1:8080"));
        check("http://[::1]:80", Ok("http://[::1]"));
        check("https://payer.example/v1", Err("more than that"));
        check("https://payer.example?x", Err("more than that"));
        check("https://me@payer.example", Err("user name"));
        check("payer.example", Err("no URL"));
        check("ftp://payer.example", Err("neither"));
        check("file:///etc", Err("neither"));
    }

    #[test]
    fn credentials_stay_with_named_origins() {
        #[track_caller]
        fn check(url: &str, expected: bool) {
            let url = Url::parse(url).unwrap();
            assert_eq!(policy(PlainHttp::Allowed).may_have_credentials(&url), expected, "{url}");
        }
        check("https://payer.example/a/b?c", true);
        check("https://PAYER.example:443/", true);
        check("https://files.example:8443/x", true);
        check("https://files.example/x", false);
        check("http://payer.example/", false);
        check("https://payer.example:444/", false);
        check("https://payer.example.evil.example/", false);
        check("https://sub.payer.example/", false);
        check("file:///payer.example", false);
    }

    #[test]
    fn what_may_be_asked_at_all() {
        #[track_caller]
        fn check(url: &str, strict: bool, allowed: bool) {
            let url = Url::parse(url).unwrap();
            for (plain_http, expected) in [(PlainHttp::LoopbackOnly, strict), (PlainHttp::Allowed, allowed)] {
                let admitted = policy(plain_http).admit(&url, "output file");
                assert_eq!(admitted.is_ok(), expected, "{url} {plain_http:?}");
                if let Err(error) = admitted {
                    assert_eq!(error.kind(), ErrorKind::UntrustedOrigin);
                    assert!(!error.to_string().contains("sesame"), "{error}");
                }
            }
        }
        check("https://other.example/x", true, true);
        check("http://127.0.0.1:1/x", true, true);
        check("http://127.9.9.9/x", true, true);
        check("http://[::1]/x", true, true);
        check("http://localhost:8080/x", true, true);
        check("http://payer.example/x", false, true);
        check("http://10.0.0.1/x", false, true);
        check("http://localhost.evil.example/x", false, true);
        check("https://user:sesame@payer.example/", false, false);
        check("https://user@payer.example/", false, false);
        check("https://:sesame@payer.example/", false, false);
        check("file:///etc/passwd", false, false);
        check("ftp://payer.example/", false, false);
        check("data:text/plain,sesame", false, false);
    }
}
