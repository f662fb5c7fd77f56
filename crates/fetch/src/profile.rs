//! What one kind of server does differently from the next: a small table.
//!
//! Facts about 1upHealth's servers are from its developer documentation (Provider Access, Payer-to-Payer, population export,
//! Patient Access, Patient Connect); about SMART servers from SMART App Launch 2.2.

use std::fmt;
use std::str::FromStr;

use url::Url;

use crate::error::{ErrorKind, FetchError};

/// A kind of server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// 1upHealth's gateway, Provider Access: the members attributed to a provider.
    OneupProvider,
    /// 1upHealth's gateway, Payer-to-Payer: the members of a group that `$member-match` gave.
    OneupPayer,
    /// 1upHealth's gateway, population export for a customer's partners.
    OneupPopulation,
    /// Any FHIR server with Bulk Data Access and SMART Backend Services.
    Smart,
    /// 1upHealth's Patient Access: what a member who has logged in may see, by searches.
    OneupPatient,
    /// 1upHealth's Patient Connect: what patients have collected from their health systems, by searches.
    OneupConnect,
    /// Any FHIR server that is searched.
    Fhir,
}

/// What is particular to a kind.
struct Profile {
    name: &'static str,
    default_base_url: Option<&'static str>,
    default_scope: Option<&'static str>,
    /// Of a member's login, where it is another one.
    login_scope: Option<&'static str>,
    /// What lies between the gateway's origin and the FHIR base, around the tenant; `None`: the base URL is the FHIR base.
    gateway: Option<Gateway>,
    /// Who gives tokens, where that is known without asking the server.
    authority: Option<Authority>,
}

/// Whose origin is the base URL's own, unless that is the kind's default.
struct Authority {
    /// Beside the default base URL.
    token_url: &'static str,
    authorize_url: Option<&'static str>,
    /// Of the search for systems that a patient can connect to.
    systems_origin: Option<&'static str>,
}

struct Gateway {
    /// `{tenant}` stands for the tenant.
    base_path: &'static str,
    token_path: &'static str,
    /// Where a member is asked for.
    match_path: Option<&'static str>,
    /// What the client's registration must be for, as the developer portal names it.
    access_type: Option<&'static str>,
}

const ONEUP: Option<&str> = Some("https://gateway.1up.health");

impl Kind {
    /// Those with a bulk export.
    pub const EXPORT: [Kind; 4] = [Kind::OneupProvider, Kind::OneupPayer, Kind::OneupPopulation, Kind::Smart];
    /// Those that are searched.
    pub const SEARCH: [Kind; 3] = [Kind::OneupPatient, Kind::OneupConnect, Kind::Fhir];
    /// All of them.
    pub const ALL: [Kind; 7] = [
        Kind::OneupProvider,
        Kind::OneupPayer,
        Kind::OneupPopulation,
        Kind::Smart,
        Kind::OneupPatient,
        Kind::OneupConnect,
        Kind::Fhir,
    ];

    fn profile(self) -> &'static Profile {
        match self {
            Kind::OneupProvider => &Profile {
                name: "oneup-provider",
                default_base_url: ONEUP,
                // One scope, pipe included.
                default_scope: Some("bulk-data|user/*.rs"),
                login_scope: None,
                gateway: Some(Gateway {
                    base_path: "v1/{tenant}/bulk-data/r4",
                    token_path: "auth/realms/dev-portal/protocol/openid-connect/token",
                    match_path: None,
                    access_type: Some("Attributed members claims data (CMS Provider Access)"),
                }),
                authority: None,
            },
            Kind::OneupPayer => &Profile {
                name: "oneup-payer",
                default_base_url: ONEUP,
                default_scope: Some("member-match|read"),
                login_scope: None,
                gateway: Some(Gateway {
                    base_path: "v1/{tenant}/bulk-data/r4",
                    token_path: "auth/realms/dev-portal/protocol/openid-connect/token",
                    match_path: Some("v1/{tenant}/member-match/$member-match"),
                    access_type: Some("Payer claims data (CMS Payer-to-payer access)"),
                }),
                authority: None,
            },
            Kind::OneupPopulation => &Profile {
                name: "oneup-population",
                default_base_url: ONEUP,
                default_scope: None,
                login_scope: None,
                gateway: Some(Gateway {
                    base_path: "v1/{tenant}/bulk-export/bulk-data/r4",
                    token_path: "auth/realms/{tenant}/protocol/openid-connect/token",
                    match_path: None,
                    access_type: None,
                }),
                authority: None,
            },
            Kind::Smart => &Profile {
                name: "smart",
                default_base_url: None,
                default_scope: Some("system/*.rs"),
                login_scope: None,
                gateway: None,
                authority: None,
            },
            Kind::OneupPatient => &Profile {
                name: "oneup-patient",
                // The demonstration health plan; each real one has a base URL of its own.
                default_base_url: Some("https://api.1uphealthdemo.com/r4"),
                default_scope: Some("patient/*.read user/*.read launch/patient openid"),
                login_scope: None,
                gateway: None,
                authority: Some(Authority {
                    token_url: "https://auth.1uphealthdemo.com/oauth2/token",
                    authorize_url: Some("https://auth.1uphealthdemo.com/oauth2/authorize/test"),
                    systems_origin: None,
                }),
            },
            Kind::OneupConnect => &Profile {
                name: "oneup-connect",
                default_base_url: Some("https://api.1up.health/r4"),
                default_scope: Some("user/*.*"),
                login_scope: None,
                gateway: None,
                authority: Some(Authority {
                    token_url: "https://auth.1up.health/oauth2/token",
                    // Its codes come from the user management, not from a browser.
                    authorize_url: None,
                    systems_origin: Some("https://system-search.1up.health"),
                }),
            },
            Kind::Fhir => &Profile {
                name: "fhir",
                default_base_url: None,
                default_scope: Some("system/*.rs"),
                login_scope: Some("launch/patient openid fhirUser offline_access patient/*.rs"),
                gateway: None,
                authority: None,
            },
        }
    }

    /// As on a command line.
    pub fn name(self) -> &'static str {
        self.profile().name
    }

    /// Where such a server is, if there is only one.
    pub fn default_base_url(self) -> Option<&'static str> {
        self.profile().default_base_url
    }

    /// What is asked for in a token, unless the user says otherwise. A single scope may hold a pipe.
    pub fn default_scope(self) -> Option<&'static str> {
        self.profile().default_scope
    }

    /// What is asked for in a login, unless the user says otherwise.
    pub fn login_scope(self) -> Option<&'static str> {
        let profile = self.profile();
        profile.login_scope.or(profile.default_scope)
    }

    /// Whether servers of this kind have a bulk export; the others are searched.
    pub fn exports(self) -> bool {
        Kind::EXPORT.contains(&self)
    }

    /// Whether the base URL is a gateway's origin, which needs a tenant to make a FHIR base of it.
    pub fn needs_tenant(self) -> bool {
        self.profile().gateway.is_some()
    }

    /// What the client must have been registered for, in the words of the server's own portal, where that is known.
    pub fn access_type(self) -> Option<&'static str> {
        self.profile().gateway.as_ref()?.access_type
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Kind {
    type Err = FetchError;

    fn from_str(text: &str) -> Result<Kind, FetchError> {
        Kind::ALL.into_iter().find(|kind| kind.name() == text).ok_or_else(|| {
            let names = Kind::ALL.map(Kind::name).join(", ");
            FetchError::new(ErrorKind::Usage, format!("there is no such kind of server; the kinds are {names}"))
        })
    }
}

/// Where the FHIR API of one tenant of one server is.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    kind: Kind,
    tenant: Option<String>,
    /// Without a last slash in its path, without query and fragment.
    base: Url,
}

impl Place {
    /// Errors: [`ErrorKind::Usage`] where the three do not fit together.
    pub(crate) fn new(kind: Kind, base_url: &Url, tenant: Option<&str>) -> Result<Place, FetchError> {
        let usage = |message: String| FetchError::new(ErrorKind::Usage, message);
        if base_url.query().is_some() || base_url.fragment().is_some() {
            return Err(usage("the base URL ends with its path: leave out what follows ? or #".to_owned()));
        }
        let mut base = base_url.clone();
        let place = |base, tenant: Option<&str>| Place { kind, tenant: tenant.map(str::to_owned), base };
        let Some(gateway) = &kind.profile().gateway else {
            if tenant.is_some() {
                return Err(usage(format!("a server of kind {kind} has no tenants: leave the tenant out")));
            }
            let path = base.path().trim_end_matches('/').to_owned();
            base.set_path(&path);
            return Ok(place(base, None));
        };
        if base.path() != "/" {
            return Err(usage(format!("the base URL of kind {kind} is the gateway's origin, without a path")));
        }
        let tenant = tenant.ok_or_else(|| usage(format!("a server of kind {kind} needs a tenant")))?;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if tenant.is_empty() || tenant.starts_with('.') || !tenant.bytes().all(plain) {
            return Err(usage("a tenant is one word of letters, digits, dots, dashes and underscores".to_owned()));
        }
        base.set_path(&gateway.base_path.replace("{tenant}", tenant));
        Ok(place(base, Some(tenant)))
    }

    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    /// The URL under the FHIR base with these path segments, each percent-encoded as needed; `$` stays as it is. A segment
    /// must be neither `.` nor `..`, which a URL cannot hold.
    pub(crate) fn url(&self, segments: &[&str]) -> Url {
        let mut url = self.base.clone();
        url.path_segments_mut().expect("an http URL has a path").pop_if_empty().extend(segments);
        url
    }

    /// The kind's own token endpoint.
    pub(crate) fn token_endpoint(&self) -> Option<Url> {
        let profile = self.kind.profile();
        if let Some(gateway) = &profile.gateway {
            return self.gateway_url(gateway.token_path);
        }
        let authority = profile.authority.as_ref()?;
        if self.is_default() { Url::parse(authority.token_url).ok() } else { Some(self.at_origin("/oauth2/token")) }
    }

    /// The kind's own authorization endpoint.
    pub(crate) fn authorization_endpoint(&self) -> Option<Url> {
        let authority = self.kind.profile().authority.as_ref()?;
        if self.is_default() {
            Url::parse(authority.authorize_url?).ok()
        } else {
            Some(self.at_origin("/oauth2/authorize"))
        }
    }

    /// Whether the server need not be asked who gives tokens.
    pub(crate) fn authority_is_known(&self) -> bool {
        self.token_endpoint().is_some()
    }

    /// Where a member is asked for: the gateway's own place, or the operation of the type Patient (`HRex`, `$member-match`).
    /// None: a gateway that has none.
    pub(crate) fn member_match_url(&self) -> Option<Url> {
        match &self.kind.profile().gateway {
            Some(gateway) => self.gateway_url(gateway.match_path?),
            None => Some(self.url(&["Patient", "$member-match"])),
        }
    }

    /// Where systems are searched that a patient can connect to.
    pub(crate) fn systems_origin(&self) -> Url {
        let elsewhere = self.kind.profile().authority.as_ref().and_then(|authority| authority.systems_origin);
        let elsewhere = elsewhere.filter(|_| self.is_default()).and_then(|origin| Url::parse(origin).ok());
        elsewhere.unwrap_or_else(|| self.at_origin("/"))
    }

    /// The URL with this path at the base URL's own origin.
    pub(crate) fn at_origin(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(path);
        url
    }

    /// The FHIR base.
    pub(crate) fn base(&self) -> &Url {
        &self.base
    }

    /// Whether the base URL is the one that the kind has by itself.
    fn is_default(&self) -> bool {
        let default = self.kind.default_base_url().and_then(|text| Url::parse(text).ok());
        default.is_some_and(|default| default == self.base)
    }

    fn gateway_url(&self, path: &str) -> Option<Url> {
        Some(self.at_origin(&path.replace("{tenant}", self.tenant.as_deref()?)))
    }

    /// A gateway may name itself by another host in the URLs that it hands out. One of this tenant's is moved to the
    /// configured origin; any other URL is as it was.
    pub(crate) fn at_home(&self, mut url: Url) -> Url {
        let ours = self.tenant.as_ref().is_some_and(|tenant| {
            let rest = url.path().strip_prefix("/v1/").and_then(|path| path.strip_prefix(tenant.as_str()));
            rest.is_some_and(|rest| rest.starts_with('/'))
        });
        let web = matches!(url.scheme(), "https" | "http") && url.username().is_empty() && url.password().is_none();
        if ours && web {
            let moved = url.set_scheme(self.base.scheme()).is_ok()
                && url.set_host(self.base.host_str()).is_ok()
                && url.set_port(self.base.port()).is_ok();
            assert!(moved, "both URLs are http or https");
        }
        url
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(kind: Kind, base: &str, tenant: Option<&str>) -> Result<Place, FetchError> {
        Place::new(kind, &Url::parse(base).unwrap(), tenant)
    }

    #[test]
    fn names_are_read_back() {
        for kind in Kind::ALL {
            assert_eq!(kind.name().parse::<Kind>().unwrap(), kind);
            assert_eq!(kind.needs_tenant(), kind.exports() && kind != Kind::Smart);
            assert_eq!(kind.default_base_url().is_some(), !matches!(kind, Kind::Smart | Kind::Fhir));
            assert_ne!(Kind::EXPORT.contains(&kind), Kind::SEARCH.contains(&kind));
        }
        let error = "oneup".parse::<Kind>().unwrap_err();
        assert!(error.kind() == ErrorKind::Usage && error.to_string().contains("oneup-provider, "), "{error}");
    }

    #[test]
    fn where_things_are() {
        #[track_caller]
        fn check(kind: Kind, base: &str, tenant: Option<&str>, export: &str, token: Option<&str>) {
            let place = place(kind, base, tenant).unwrap();
            assert_eq!(place.url(&["$export"]).as_str(), export);
            assert_eq!(place.token_endpoint().map(String::from).as_deref(), token);
        }
        const GATEWAY: &str = "https://gateway.1up.health";
        check(
            Kind::OneupProvider,
            GATEWAY,
            Some("bison"),
            "https://gateway.1up.health/v1/bison/bulk-data/r4/$export",
            Some("https://gateway.1up.health/auth/realms/dev-portal/protocol/openid-connect/token"),
        );
        check(
            Kind::OneupPayer,
            GATEWAY,
            Some("bison"),
            "https://gateway.1up.health/v1/bison/bulk-data/r4/$export",
            Some("https://gateway.1up.health/auth/realms/dev-portal/protocol/openid-connect/token"),
        );
        check(
            Kind::OneupPopulation,
            "http://127.0.0.1:8080/",
            Some("acme"),
            "http://127.0.0.1:8080/v1/acme/bulk-export/bulk-data/r4/$export",
            Some("http://127.0.0.1:8080/auth/realms/acme/protocol/openid-connect/token"),
        );
        check(Kind::Smart, "https://a.example", None, "https://a.example/$export", None);
        check(Kind::Smart, "https://a.example/fhir/r4/", None, "https://a.example/fhir/r4/$export", None);
        let smart = place(Kind::Smart, "https://a.example/fhir", None).unwrap();
        assert_eq!(smart.url(&["Group", "a/b?c", "$export"]).path(), "/fhir/Group/a%2Fb%3Fc/$export");
        assert_eq!(smart.url(&[".well-known", "smart-configuration"]).path(), "/fhir/.well-known/smart-configuration");
    }

    #[test]
    fn who_gives_tokens_and_logs_members_in() {
        #[track_caller]
        fn check(kind: Kind, base: &str, expected: [Option<&str>; 3]) {
            let place = place(kind, base, None).unwrap();
            let found = [place.token_endpoint(), place.authorization_endpoint(), Some(place.systems_origin())];
            assert_eq!(found.each_ref().map(|url| url.as_ref().map(Url::as_str)), expected);
        }
        check(
            Kind::OneupPatient,
            "https://api.1uphealthdemo.com/r4/",
            [
                Some("https://auth.1uphealthdemo.com/oauth2/token"),
                Some("https://auth.1uphealthdemo.com/oauth2/authorize/test"),
                Some("https://api.1uphealthdemo.com/"),
            ],
        );
        check(
            Kind::OneupConnect,
            "https://api.1up.health/r4",
            [Some("https://auth.1up.health/oauth2/token"), None, Some("https://system-search.1up.health/")],
        );
        for kind in [Kind::OneupPatient, Kind::OneupConnect] {
            check(
                kind,
                "http://127.0.0.1:8080/r4",
                [
                    Some("http://127.0.0.1:8080/oauth2/token"),
                    Some("http://127.0.0.1:8080/oauth2/authorize"),
                    Some("http://127.0.0.1:8080/"),
                ],
            );
        }
        check(Kind::Fhir, "https://a.example/r4", [None, None, Some("https://a.example/")]);
    }

    #[test]
    fn where_members_are_asked_for() {
        let payer = place(Kind::OneupPayer, "https://gateway.1up.health", Some("bison")).unwrap();
        let url = payer.member_match_url().unwrap();
        assert_eq!(url.as_str(), "https://gateway.1up.health/v1/bison/member-match/$member-match");
        let smart = place(Kind::Smart, "https://a.example/fhir", None).unwrap();
        assert_eq!(smart.member_match_url().unwrap().as_str(), "https://a.example/fhir/Patient/$member-match");
    }

    #[test]
    fn what_does_not_fit_together() {
        #[track_caller]
        fn check(kind: Kind, base: &str, tenant: Option<&str>, part: &str) {
            let error = place(kind, base, tenant).unwrap_err();
            assert!(error.kind() == ErrorKind::Usage && error.to_string().contains(part), "{error}");
        }
        check(Kind::OneupProvider, "https://a.example", None, "needs a tenant");
        check(Kind::OneupProvider, "https://a.example/v1", Some("bison"), "without a path");
        for tenant in ["", "a/b", "..", "a b", "ä", "a?b"] {
            check(Kind::OneupPayer, "https://a.example", Some(tenant), "one word");
        }
        check(Kind::Smart, "https://a.example", Some("bison"), "no tenants");
        check(Kind::Smart, "https://a.example/?x", None, "follows ?");
        check(Kind::Smart, "https://a.example/#x", None, "follows ?");
    }

    #[test]
    fn urls_of_the_tenant_come_home() {
        let gateway = place(Kind::OneupProvider, "http://127.0.0.1:8080", Some("bison")).unwrap();
        let smart = place(Kind::Smart, "https://a.example", None).unwrap();
        #[track_caller]
        fn check(place: &Place, url: &str, expected: &str) {
            assert_eq!(place.at_home(Url::parse(url).unwrap()).as_str(), expected);
        }
        check(&gateway, "https://other.example/v1/bison/job/7?a=b", "http://127.0.0.1:8080/v1/bison/job/7?a=b");
        check(&gateway, "https://other.example:9/v1/bison/job", "http://127.0.0.1:8080/v1/bison/job");
        for same in [
            "https://other.example/v1/bisons/job",
            "https://other.example/v1/bison",
            "https://other.example/x/v1/bison/job",
            "https://me@other.example/v1/bison/job",
            "file:///v1/bison/job",
        ] {
            check(&gateway, same, same);
        }
        check(&smart, "https://other.example/v1/bison/job", "https://other.example/v1/bison/job");
        let usual = place(Kind::OneupProvider, "https://a.example", Some("bison")).unwrap();
        check(&usual, "http://other.example:8080/v1/bison/x", "https://a.example/v1/bison/x");
    }
}
