//! A client of one server, for one caller: all that can be asked of it.

use std::fmt;
use std::sync::Arc;

use http::{HeaderMap, StatusCode};
use secrecy::SecretString;
use url::Url;

use crate::capability::{self, Capability};
use crate::clock::Clock;
use crate::concurrency::Hosts;
use crate::error::FetchError;
use crate::event::FetchObserver;
use crate::http::Http;
use crate::kick_off::{self, Cancelled, ExportParameters, KickOff, PollingLocation};
use crate::login::{self, AuthorizationRequest};
use crate::manifest::OutputFile;
use crate::member_match::{self, MatchAnswer, MemberMatch};
use crate::origin::{Origin, PlainHttp};
use crate::output_file::{FileStream, FileVersion};
use crate::patient_connect::{self, SystemPages, SystemQuery, UserCode};
use crate::profile::Kind;
use crate::retry::Patience;
use crate::search::{SearchPages, SearchQuery};
use crate::secret_url::SecretUrl;
use crate::status::{self, Poller, Status};
use crate::token::{Auth, SessionTokens, TokenFacts};

/// Whom to ask, as whom, and how patiently.
#[derive(Clone)]
pub struct ClientOptions {
    /// What kind of server it is.
    pub kind: Kind,
    /// The gateway's origin, or the FHIR base: see [`Kind::needs_tenant`].
    pub base_url: Url,
    /// Whose data a gateway is asked for.
    pub tenant: Option<String>,
    /// Where tokens are had, if not where the kind or the server says. Naming it is trusting it with the client's secret.
    pub token_url: Option<Url>,
    /// Where a member logs in, if not where the kind or the server says.
    pub authorize_url: Option<Url>,
    /// The origin of the search for systems that a patient can connect to, if it is not the kind's own. Naming it is trusting
    /// it with the access token.
    pub systems_url: Option<Url>,
    /// How the client shows who it is.
    pub auth: Auth,
    /// What is asked for in a token; `None`: the kind's own ([`Kind::default_scope`]); empty: nothing.
    pub scope: Option<String>,
    /// Besides the base URL's: whom credentials may be sent to.
    pub trusted_origins: Vec<Origin>,
    /// Whether plain http may leave the machine.
    pub plain_http: PlainHttp,
    /// PEM bundles, trusted besides the machine's own authorities.
    pub ca_certificates: Vec<Vec<u8>>,
    /// How long to wait and how often to ask again.
    pub patience: Patience,
    /// The most output files that one host is asked for at a time.
    pub concurrency: usize,
    /// Of the jitter: the same seed waits the same.
    pub seed: u64,
}

impl ClientOptions {
    /// A client without authentication, and the defaults for the rest.
    pub fn new(kind: Kind, base_url: Url) -> ClientOptions {
        ClientOptions {
            kind,
            base_url,
            tenant: None,
            token_url: None,
            authorize_url: None,
            systems_url: None,
            auth: Auth::None,
            scope: None,
            trusted_origins: Vec::new(),
            plain_http: PlainHttp::LoopbackOnly,
            ca_certificates: Vec::new(),
            patience: Patience::default(),
            // An upper limit only: how many a host bears is found out, beginning with fewer.
            concurrency: 8,
            seed: 0,
        }
    }
}

/// Asks one server. Cheap to clone; clones share connections, token and limits.
#[derive(Clone)]
pub struct Client {
    http: Http,
    hosts: Arc<Hosts>,
}

impl Client {
    /// Sends nothing yet.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) for options that do not fit together: a URL that is neither https nor
    /// on this machine, a gateway without a tenant, a CA file without a certificate.
    pub fn new(
        options: ClientOptions,
        clock: Arc<dyn Clock>,
        observer: Arc<dyn FetchObserver>,
    ) -> Result<Client, FetchError> {
        let hosts = Arc::new(Hosts::new(options.concurrency, observer.clone()));
        Ok(Client { http: Http::new(options, clock, observer)?, hosts })
    }

    /// Begins an export.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::ExportFailed`](crate::ErrorKind::ExportFailed) with the server's own words where it does not begin one,
    /// and all that keeps a request from being answered.
    pub async fn kick_off(&self, export: &ExportParameters) -> Result<KickOff, FetchError> {
        kick_off::send(&self.http, export).await
    }

    /// Where [`Client::kick_off`] would ask; nothing is sent.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) for parameters that no URL can hold.
    pub fn kick_off_url(&self, export: &ExportParameters) -> Result<SecretUrl, FetchError> {
        kick_off::url(&self.http, export)
    }

    /// Asks for an export's status from now on; sends nothing yet.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "who polls gives the location away: two pollers ask twice as often"
    )]
    pub fn poll(&self, location: PollingLocation) -> Poller {
        Poller::new(self.http.clone(), &location)
    }

    /// What an answer to a kick-off says, as [`Client::kick_off`] would read it; nothing is sent, and the observer hears of
    /// nothing. Of a manifest in several pages it is the first one.
    ///
    /// # Errors
    ///
    /// Those of [`Client::kick_off`]; for an answer that says "not now", what it comes to if it stays so.
    pub fn read_kick_off(
        &self,
        export: &ExportParameters,
        status: StatusCode,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<KickOff, FetchError> {
        kick_off::read_answer(&self.http, export, status, headers, body)
    }

    /// What an answer to a status request says, as [`Poller::next`] would read it; nothing is sent, and the observer hears
    /// of nothing. Of a manifest in several pages it is the first one.
    ///
    /// # Errors
    ///
    /// Those of [`Poller::next`]; for an answer that says "not now", what it comes to if it stays so.
    pub fn read_status(
        &self,
        location: &PollingLocation,
        status: StatusCode,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<Status, FetchError> {
        status::read_answer(&self.http, location, status, headers, body)
    }

    /// The bytes of an output file; sends nothing yet. All streams of a client together keep to what each host bears.
    pub fn file(&self, file: &OutputFile) -> FileStream {
        FileStream::new(self.http.clone(), self.hosts.clone(), file)
    }

    /// The bytes of an output file of which an earlier process has read up to `position` already, and its
    /// [`FileStream::version`] told `begun`; sends nothing yet.
    ///
    /// What is handed out begins at [`FileStream::start`]: at `position`, where the server has ranges and `begun` a validator
    /// to guard one with (a strong entity tag, else a date); else the file comes whole, from byte 0, and it is for the caller
    /// to hold what comes again against what it knows. Another version, as far as validators, content coding and length tell,
    /// is [`ErrorKind::FileChanged`](crate::ErrorKind::FileChanged), at position 0 too.
    pub fn file_from(&self, file: &OutputFile, begun: &FileVersion, position: u64) -> FileStream {
        FileStream::continuing(self.http.clone(), self.hosts.clone(), file, begun, position)
    }

    /// The pages of a search; sends nothing yet.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) for a type or an id that is none.
    pub fn search(&self, query: &SearchQuery) -> Result<SearchPages, FetchError> {
        SearchPages::new(self.http.clone(), query)
    }

    /// The rest of the pages of a search of which an earlier process has seen the page that named `next`; sends nothing yet.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::UntrustedOrigin`](crate::ErrorKind::UntrustedOrigin) where it may not be asked.
    pub fn search_from(&self, next: &SecretUrl) -> Result<SearchPages, FetchError> {
        SearchPages::after(self.http.clone(), next)
    }

    /// Asks which group a member is in.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) for a kind of server without `$member-match`,
    /// [`ErrorKind::Auth`](crate::ErrorKind::Auth), and why no answer came. That no member was found is no error.
    pub async fn member_match(&self, question: &MemberMatch) -> Result<MatchAnswer, FetchError> {
        member_match::send(&self.http, question).await
    }

    /// Asks the server to forget an export and its files. A refusal is no error.
    ///
    /// # Errors
    ///
    /// Why no answer came.
    pub async fn cancel(&self, location: &PollingLocation) -> Result<Cancelled, FetchError> {
        kick_off::cancel(&self.http, location).await
    }

    /// Gets a token, if there is to be one, and tells what is known of it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Auth`](crate::ErrorKind::Auth) where it is refused; else why no answer came.
    pub async fn authorize(&self) -> Result<TokenFacts, FetchError> {
        self.http.tokens().facts(&self.http).await
    }

    /// Begins a member's login: gives the URL to open in a browser, which is sent back to `redirect_uri`. The scope is the
    /// one given here, else that of the options, else [`Kind::login_scope`].
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) without a client id or for an unfit redirect URL;
    /// [`ErrorKind::Auth`](crate::ErrorKind::Auth) where nobody says where to log in; else why no answer came.
    pub async fn authorization_request(
        &self,
        redirect_uri: &Url,
        scope: Option<&str>,
    ) -> Result<AuthorizationRequest, FetchError> {
        login::begin(&self.http, redirect_uri, scope).await
    }

    /// Ends a member's login: gives tokens for the code that [`AuthorizationRequest::code_of`] found. This client goes on
    /// without them; a new one with [`Auth::Session`] uses them.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Auth`](crate::ErrorKind::Auth) where the code is not good (any more); else why no answer came.
    pub async fn exchange_code(
        &self,
        request: &AuthorizationRequest,
        code: &SecretString,
    ) -> Result<SessionTokens, FetchError> {
        login::finish(&self.http, request, code).await
    }

    /// The same for a code that did not come by a browser, such as one of Patient Connect's.
    ///
    /// # Errors
    ///
    /// Those of [`Client::exchange_code`].
    pub async fn exchange_plain_code(&self, code: &SecretString) -> Result<SessionTokens, FetchError> {
        login::finish_plain(&self.http, code).await
    }

    /// A code for one of the application's users at Patient Connect, who is made if there is none.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) for another kind of server or a client without a secret,
    /// [`ErrorKind::Auth`](crate::ErrorKind::Auth) where the client is refused,
    /// [`ErrorKind::ExportFailed`](crate::ErrorKind::ExportFailed) with the server's words; else why no answer came.
    pub async fn user_code(&self, app_user_id: &str) -> Result<UserCode, FetchError> {
        patient_connect::user_code(&self.http, app_user_id).await
    }

    /// The systems that a patient can connect to; sends nothing yet.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) for another kind of server, and what cannot be searched for.
    pub fn systems(&self, query: &SystemQuery) -> Result<SystemPages, FetchError> {
        SystemPages::new(self.http.clone(), query)
    }

    /// Where a user is sent to connect to a system. It holds the access token; nothing is sent.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) for another kind of server, and a system's id that is none.
    pub fn connect_url(
        &self,
        system: &str,
        fhir_version: Option<&str>,
        access_token: &SecretString,
    ) -> Result<SecretUrl, FetchError> {
        patient_connect::connect_url(&self.http, system, fhir_version, access_token)
    }

    /// Asks the server what it can do.
    ///
    /// # Errors
    ///
    /// Why no answer came. A server without the documents is told as such.
    pub async fn capability(&self) -> Result<Capability, FetchError> {
        capability::ask(&self.http).await
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Client({})", self.http.origins().home)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;

    #[test]
    fn all_of_it_can_move_to_another_thread() {
        fn check<T: Send>(_: T) {}
        let options = ClientOptions::new(Kind::Smart, Url::parse("https://payer.example/fhir").unwrap());
        let client = Client::new(options, Arc::new(SystemClock), Arc::new(())).unwrap();
        assert_eq!(format!("{client:?}"), "Client(https://payer.example)");
        let location = PollingLocation::from_stored("https://payer.example/status/1").unwrap();
        let file = OutputFile {
            role: crate::manifest::Role::Output,
            declared_type: None,
            url: SecretUrl::new(Url::parse("https://payer.example/1").unwrap()),
            count: None,
            file_size: None,
            requires_access_token: true,
        };
        check(client.authorize());
        check(client.capability());
        check(client.kick_off(&ExportParameters::default()));
        check(client.cancel(&location));
        check(client.file(&file).next());
        check(client.file_from(&file, &FileVersion::default(), 7).next());
        check(client.poll(location).next());
        check(client.search_from(&file.url).unwrap().next(7));
    }
}
