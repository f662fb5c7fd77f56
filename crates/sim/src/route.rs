//! Which path is which endpoint: 1upHealth's gateway as its pages show it, and a SMART server of our own layout.
//!
//! ```text
//! provider, payer  /v1/{tenant}/bulk-data/r4/…             $export, Group/{id}/$export, $export/job/{id}, $export/file/{n}
//!                                                           $export/job/{id}/pages/{n}
//! population       /v1/{tenant}/bulk-export/bulk-data/r4/… the same, and {ResourceType} for one type
//! smart            /fhir/…                                 $export, Patient/$export, Group/{id}/$export, metadata, …
//!                  /auth/token, /bulk/exports/{id}, …/pages/{n}, …/files/{name}
//!                  {ResourceType}, Patient/{id}/$everything, ?_getpages=…, Patient/$member-match, /auth/authorize
//! payer            /v1/{tenant}/member-match/$member-match
//! patient, connect /r4/…                                   {ResourceType}, Patient/{id}/$everything, ?_getpages=…
//!                  /oauth2/token, /oauth2/authorize; patient: /oauth2/authorize/test
//! connect          /api/…, /user-management/v1/…, /connect/system/clinical/{id}
//! any              /bucket/{name}                          output files that are placed at the other origin
//! ```
//!
//! Paths are compared as they come: `%24export` is not `$export`.

use http::Method;

use crate::patient_connect;
use crate::scenario::Personality;

/// What a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Endpoint {
    /// POST: a token for credentials.
    Token,
    /// GET or POST: the export is asked for.
    KickOff,
    /// GET on the polling location.
    Status,
    /// GET on a further page of the manifest.
    ManifestPage,
    /// DELETE on the polling location.
    Delete,
    /// PUT on the polling location: a failed export is tried again.
    Retry,
    /// The `CapabilityStatement`.
    Metadata,
    /// `.well-known/smart-configuration`.
    SmartConfiguration,
    /// GET: the first page of a search of one type.
    Search,
    /// GET: a further page of a search, or of `$everything`.
    SearchPage,
    /// GET: the first page of a patient's `$everything`.
    Everything,
    /// GET: the member logs in and consents.
    Authorize,
    /// POST: `$member-match`.
    MemberMatch,
    /// GET or POST: systems that a patient may connect.
    Systems,
    /// POST: a user is made.
    User,
    /// POST: a new code for a user.
    AuthCode,
    /// GET: the way to a system's login.
    Connect,
    /// The output file of this place in the scenario, from 0.
    File(usize),
    /// No rule knows it: answered 599.
    Unknown,
}

/// A request's endpoint with what its path says more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Route {
    Token,
    KickOff {
        level: Level,
        resource_type: Option<String>,
    },
    /// By its id: GET, DELETE or PUT.
    Export(Endpoint, String),
    Page {
        export: String,
        page: usize,
    },
    Metadata,
    SmartConfiguration,
    /// Of this type.
    Search(String),
    SearchPage,
    /// Of the patient of this id.
    Everything(String),
    Authorize,
    MemberMatch,
    /// Patient Connect's own.
    PatientConnect(Endpoint),
    File {
        /// Where the layout has one.
        export: Option<String>,
        name: String,
    },
    Unknown,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Level {
    System,
    Patient,
    /// Of this id.
    Group(String),
}

/// The layout of one personality's paths.
#[derive(Debug, Clone)]
pub(crate) struct Site {
    personality: Personality,
    tenant: String,
    /// Before `/$export`.
    base: String,
}

impl Site {
    pub(crate) fn new(personality: Personality, tenant: &str) -> Site {
        let base = match personality {
            Personality::OneupProvider | Personality::OneupPayer => format!("/v1/{tenant}/bulk-data/r4"),
            Personality::OneupPopulation => format!("/v1/{tenant}/bulk-export/bulk-data/r4"),
            Personality::Smart => "/fhir".to_owned(),
            Personality::OneupPatient | Personality::OneupConnect => "/r4".to_owned(),
        };
        Site { personality, tenant: tenant.to_owned(), base }
    }

    /// The path behind the origin that a client is configured with.
    pub(crate) fn configured_base(&self) -> &str {
        let is_base = self.personality == Personality::Smart || self.personality.is_for_patients();
        if is_base { &self.base } else { "" }
    }

    pub(crate) fn fhir_base(&self) -> &str {
        &self.base
    }

    pub(crate) fn token_path(&self) -> String {
        match self.personality {
            Personality::Smart => "/auth/token".to_owned(),
            Personality::OneupPatient | Personality::OneupConnect => "/oauth2/token".to_owned(),
            Personality::OneupPopulation => format!("/auth/realms/{}/protocol/openid-connect/token", self.tenant),
            Personality::OneupProvider | Personality::OneupPayer => {
                "/auth/realms/dev-portal/protocol/openid-connect/token".to_owned()
            }
        }
    }

    /// Where members log in; None where nobody does.
    pub(crate) fn authorize_path(&self) -> Option<&'static str> {
        match self.personality {
            Personality::Smart => Some("/auth/authorize"),
            Personality::OneupPatient => Some("/oauth2/authorize/test"),
            Personality::OneupConnect => Some("/oauth2/authorize"),
            _ => None,
        }
    }

    pub(crate) fn export_path(&self, export: &str) -> String {
        match self.personality {
            Personality::Smart => format!("/bulk/exports/{export}"),
            _ => format!("{}/$export/job/{export}", self.base),
        }
    }

    pub(crate) fn page_path(&self, export: &str, page: usize) -> String {
        format!("{}/pages/{page}", self.export_path(export))
    }

    pub(crate) fn file_path(&self, export: &str, name: &str) -> String {
        match self.personality {
            Personality::Smart => format!("/bulk/exports/{export}/files/{name}"),
            _ => format!("{}/$export/file/{name}", self.base),
        }
    }

    pub(crate) fn bucket_path(name: &str) -> String {
        format!("/bucket/{name}")
    }

    pub(crate) fn route(&self, method: &Method, path: &str) -> Route {
        if path == self.token_path() {
            return if method == Method::POST { Route::Token } else { Route::Unknown };
        }
        if let Some(name) = path.strip_prefix("/bucket/") {
            return self.file(method, None, name);
        }
        if let Some(below) = path.strip_prefix("/bulk/exports/").filter(|_| self.personality == Personality::Smart) {
            return match below.split('/').collect::<Vec<_>>()[..] {
                [export] => self.export(method, export),
                [export, "pages", page] if method == Method::GET => {
                    page.parse().map_or(Route::Unknown, |page| Route::Page { export: export.to_owned(), page })
                }
                [export, "files", name] => self.file(method, Some(export), name),
                _ => Route::Unknown,
            };
        }
        let is_login = Some(path) == self.authorize_path()
            || self.personality == Personality::OneupPatient && path == "/oauth2/authorize";
        if is_login && method == Method::GET {
            return Route::Authorize;
        }
        if let Some(endpoint) = patient_connect::endpoint(self.personality, method, path) {
            return Route::PatientConnect(endpoint);
        }
        if self.personality == Personality::OneupPayer
            && path == format!("/v1/{}/member-match/$member-match", self.tenant)
        {
            return if method == Method::POST { Route::MemberMatch } else { Route::Unknown };
        }
        let searches =
            method == Method::GET && (self.personality == Personality::Smart || self.personality.is_for_patients());
        let exports = !self.personality.is_for_patients();
        if path.strip_suffix('/').unwrap_or(path) == self.base && searches {
            return Route::SearchPage;
        }
        let Some(below) = path.strip_prefix(&self.base).and_then(|below| below.strip_prefix('/')) else {
            return Route::Unknown;
        };
        let kick_off = |level, resource_type: Option<&str>| match *method {
            Method::GET | Method::POST if exports => {
                Route::KickOff { level, resource_type: resource_type.map(str::to_owned) }
            }
            _ => Route::Unknown,
        };
        match below.split('/').collect::<Vec<_>>()[..] {
            ["$export"] => kick_off(Level::System, None),
            ["Patient", "$export"] => kick_off(Level::Patient, None),
            ["Group", id, "$export"] if !id.is_empty() => kick_off(Level::Group(id.to_owned()), None),
            ["Patient", id, "$everything"] if searches && !id.is_empty() => Route::Everything(id.to_owned()),
            ["Patient", "$member-match"] if self.personality == Personality::Smart && method == Method::POST => {
                Route::MemberMatch
            }
            ["$export", "job", export] if exports && self.personality != Personality::Smart => {
                self.export(method, export)
            }
            ["$export", "job", export, "pages", page]
                if exports && self.personality != Personality::Smart && method == Method::GET =>
            {
                page.parse().map_or(Route::Unknown, |page| Route::Page { export: export.to_owned(), page })
            }
            ["$export", "file", name] if exports && self.personality != Personality::Smart => {
                self.file(method, None, name)
            }
            ["metadata"] if method == Method::GET => Route::Metadata,
            [".well-known", "smart-configuration"] if method == Method::GET => Route::SmartConfiguration,
            [name] if self.personality == Personality::OneupPopulation && is_type(name) => {
                kick_off(Level::System, Some(name))
            }
            [name] if searches && is_type(name) => Route::Search(name.to_owned()),
            _ => Route::Unknown,
        }
    }

    fn export(&self, method: &Method, export: &str) -> Route {
        let endpoint = match *method {
            Method::GET => Endpoint::Status,
            Method::DELETE => Endpoint::Delete,
            Method::PUT if self.personality == Personality::OneupPopulation => Endpoint::Retry,
            _ => return Route::Unknown,
        };
        Route::Export(endpoint, export.to_owned())
    }

    fn file(&self, method: &Method, export: Option<&str>, name: &str) -> Route {
        if method != Method::GET {
            return Route::Unknown;
        }
        Route::File { export: export.map(str::to_owned), name: name.to_owned() }
    }
}

/// `Patient`, `ExplanationOfBenefit`.
fn is_type(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_uppercase()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(personality: Personality, method: &Method, path: &str, expected: &Route) {
        assert_eq!(Site::new(personality, "bison").route(method, path), *expected);
    }

    #[test]
    fn the_documented_paths_are_known() {
        use Personality::{OneupConnect, OneupPatient, OneupPayer, OneupPopulation, OneupProvider, Smart};
        let system = || Route::KickOff { level: Level::System, resource_type: None };
        let group = |id: &str| Route::KickOff { level: Level::Group(id.to_owned()), resource_type: None };
        let status = || Route::Export(Endpoint::Status, "1-2".to_owned());
        let file =
            |export: Option<&str>| Route::File { export: export.map(str::to_owned), name: "a.ndjson".to_owned() };

        check(OneupProvider, &Method::GET, "/v1/bison/bulk-data/r4/$export", &system());
        check(OneupPayer, &Method::GET, "/v1/bison/bulk-data/r4/Group/cmk1/$export", &group("cmk1"));
        check(OneupPayer, &Method::GET, "/v1/bison/bulk-data/r4/$export/job/1-2", &status());
        let page = Route::Page { export: "1-2".to_owned(), page: 2 };
        check(OneupPayer, &Method::GET, "/v1/bison/bulk-data/r4/$export/job/1-2/pages/2", &page);
        check(OneupPayer, &Method::GET, "/v1/bison/bulk-data/r4/$export/file/a.ndjson", &file(None));
        check(OneupPopulation, &Method::GET, "/v1/bison/bulk-export/bulk-data/r4/$export", &system());
        check(
            OneupPopulation,
            &Method::GET,
            "/v1/bison/bulk-export/bulk-data/r4/Patient",
            &Route::KickOff { level: Level::System, resource_type: Some("Patient".to_owned()) },
        );
        check(
            OneupPopulation,
            &Method::PUT,
            "/v1/bison/bulk-export/bulk-data/r4/$export/job/1-2",
            &Route::Export(Endpoint::Retry, "1-2".to_owned()),
        );
        check(Smart, &Method::POST, "/fhir/Group/1/$export", &group("1"));
        check(Smart, &Method::POST, "/auth/token", &Route::Token);
        check(Smart, &Method::GET, "/bulk/exports/1-2", &status());
        check(Smart, &Method::DELETE, "/bulk/exports/1-2", &Route::Export(Endpoint::Delete, "1-2".to_owned()));
        check(Smart, &Method::GET, "/bulk/exports/1/pages/2", &Route::Page { export: "1".to_owned(), page: 2 });
        check(Smart, &Method::GET, "/bulk/exports/1/files/a.ndjson", &file(Some("1")));
        check(Smart, &Method::GET, "/bucket/a.ndjson", &file(None));

        let search = || Route::Search("Claim".to_owned());
        let everything = || Route::Everything("p1".to_owned());
        for (personality, base) in [(Smart, "/fhir"), (OneupPatient, "/r4"), (OneupConnect, "/r4")] {
            check(personality, &Method::GET, &format!("{base}/Claim"), &search());
            check(personality, &Method::GET, base, &Route::SearchPage);
            check(personality, &Method::GET, &format!("{base}/Patient/p1/$everything"), &everything());
            check(personality, &Method::POST, &format!("{base}/Claim"), &Route::Unknown);
        }
        check(Smart, &Method::GET, "/auth/authorize", &Route::Authorize);
        check(OneupPatient, &Method::GET, "/oauth2/authorize/test", &Route::Authorize);
        check(OneupPatient, &Method::GET, "/oauth2/authorize", &Route::Authorize);
        check(OneupConnect, &Method::GET, "/oauth2/authorize", &Route::Authorize);
        check(OneupConnect, &Method::POST, "/oauth2/token", &Route::Token);
        check(OneupPayer, &Method::POST, "/v1/bison/member-match/$member-match", &Route::MemberMatch);
        check(Smart, &Method::POST, "/fhir/Patient/$member-match", &Route::MemberMatch);
        for (method, path, endpoint) in [
            (Method::POST, "/api/search", Endpoint::Systems),
            (Method::GET, "/api/systems/02114", Endpoint::Systems),
            (Method::GET, "/api/all-systems", Endpoint::Systems),
            (Method::POST, "/user-management/v1/user", Endpoint::User),
            (Method::POST, "/user-management/v1/user/auth-code", Endpoint::AuthCode),
            (Method::GET, "/connect/system/clinical/4706", Endpoint::Connect),
        ] {
            check(OneupConnect, &method, path, &Route::PatientConnect(endpoint));
            check(OneupPatient, &method, path, &Route::Unknown);
        }

        for (personality, method, path) in [
            (OneupProvider, &Method::GET, "/v1/otter/bulk-data/r4/$export"),
            (OneupProvider, &Method::GET, "/v1/bison/bulk-data/r4/%24export"),
            (OneupProvider, &Method::GET, "/v1/bison/bulk-data/r4/Patient"),
            (OneupProvider, &Method::PUT, "/v1/bison/bulk-data/r4/$export/job/1-2"),
            (OneupProvider, &Method::GET, "/auth/realms/dev-portal/protocol/openid-connect/token"),
            (OneupProvider, &Method::POST, "/v1/bison/member-match/$member-match"),
            (OneupPayer, &Method::GET, "/v1/bison/member-match/$member-match"),
            (OneupPatient, &Method::GET, "/r4/$export"),
            (OneupPatient, &Method::GET, "/r4/Group/1/$export"),
            (OneupPatient, &Method::GET, "/r4/$export/job/1"),
            (OneupConnect, &Method::GET, "/oauth2/authorize/test"),
            (OneupPopulation, &Method::GET, "/v1/bison/bulk-data/r4/$export"),
            (Smart, &Method::HEAD, "/bulk/exports/1/files/a.ndjson"),
            (Smart, &Method::GET, "/bulk/exports/1/files/a/b"),
            (Smart, &Method::GET, "/"),
        ] {
            check(personality, method, path, &Route::Unknown);
        }
    }
}
