//! Whose login is meant, and where it is kept: `lakehaul login`, `systems`, `connect` and `search`.

use std::time::Duration;

use lakehaul_fetch::{Auth, ClientOptions, Kind, SystemQuery};
use secrecy::ExposeSecret;
use url::Url;

use super::{Given, server};
use crate::args::{ConnectArgs, LoginArgs, ServerArgs, SessionArgs, SystemsArgs};
use crate::failure::Failure;
use crate::secret::Stdin;
use crate::session::{Credentials, SessionFile};

/// Registered for programs on a person's machine (RFC 8252, section 7.3); the port is nobody's.
const REDIRECT_URL: &str = "http://127.0.0.1:8765/callback";
/// To find a password and a second factor.
const LOGIN_TIMEOUT: Duration = Duration::from_secs(10 * 60);

/// `lakehaul login` as meant.
pub struct LoginJob {
    /// The server, and the application that asks.
    pub client: ClientOptions,
    /// Where the tokens are kept.
    pub file: SessionFile,
    /// How the code comes.
    pub way: LoginWay,
    /// How long the person is waited for.
    pub timeout: Duration,
}

/// How a login's code comes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoginWay {
    /// No code: the tokens are forgotten.
    Logout,
    /// The browser is sent back here, and it is listened there.
    Listen {
        /// On this machine.
        redirect: Url,
        /// A browser is opened.
        open: bool,
    },
    /// The person pastes where the browser was sent to.
    Paste {
        /// As registered.
        redirect: Url,
        /// A browser is opened.
        open: bool,
    },
    /// From the calls about users.
    User(String),
}

/// `lakehaul systems` as meant.
pub struct SystemsJob {
    /// The server, and who asks.
    pub client: ClientOptions,
    /// What is searched for.
    pub query: SystemQuery,
}

/// `lakehaul connect` as meant.
pub struct ConnectJob {
    /// The server, and who asks.
    pub client: ClientOptions,
    /// Where the user's tokens are kept.
    pub file: SessionFile,
    /// Which system.
    pub system: String,
    /// Which data of it.
    pub fhir_version: Option<String>,
}

/// `lakehaul login`
pub fn login(args: &LoginArgs, given: &Given) -> Result<LoginJob, Failure> {
    let mut client = server::place(&args.server, &Kind::SEARCH)?;
    client.authorize_url =
        args.authorize_url.as_deref().map(|text| server::url(text, "--authorize-url")).transpose()?;
    let file = file(&args.session, args.profile.as_deref(), &client, given)?;
    let timeout = args.login_timeout.map_or(LOGIN_TIMEOUT, |span| span.duration);
    if args.logout {
        return Ok(LoginJob { client, file, way: LoginWay::Logout, timeout });
    }
    client.auth =
        match (server::auth(&args.server.client, given, &mut Stdin::default())?, &args.server.client.client_id) {
            (Some(auth @ (Auth::ClientSecret { .. } | Auth::PrivateKeyJwt { .. })), _) => auth,
            (Some(_), _) => {
                let why = "a login makes its own access token: leave --token-…, LAKEHAUL_TOKEN and --no-auth out";
                return Err(Failure::Usage(why.to_owned()));
            }
            (None, Some(client_id)) => Auth::Public { client_id: client_id.clone() },
            (None, None) => {
                let why = "the application that asks is not named: add --client-id ID, as registered";
                return Err(Failure::Usage(why.to_owned()));
            }
        };
    let way = match (&args.session.user, client.kind) {
        (Some(user), Kind::OneupConnect) => LoginWay::User(user.clone()),
        (None, Kind::OneupConnect) => {
            let why = "the users of Patient Connect are the application's own: add --user APP_USER_ID";
            return Err(Failure::Usage(why.to_owned()));
        }
        (Some(_), kind) => return Err(no_users(kind)),
        (None, _) => {
            let redirect = server::url(args.redirect_url.as_deref().unwrap_or(REDIRECT_URL), "--redirect-url")?;
            let open = !args.no_browser;
            if args.paste {
                LoginWay::Paste { redirect, open }
            } else if is_here(&redirect) {
                LoginWay::Listen { redirect, open }
            } else {
                let why = "the redirect URL is not on this machine, like http://127.0.0.1:8765/callback, so nothing can \
                           listen there: add --paste, and paste where the browser ends";
                return Err(Failure::Usage(why.to_owned()));
            }
        }
    };
    Ok(LoginJob { client, file, way, timeout })
}

/// `lakehaul systems`
pub fn systems(args: &SystemsArgs, given: &Given) -> Result<SystemsJob, Failure> {
    let (client, _) = client(&args.server, &args.session, args.profile.as_deref(), &[Kind::OneupConnect], given)?;
    let SystemsArgs { text, system_type, zip, .. } = args;
    let query = SystemQuery { text: text.clone(), system_type: system_type.clone(), zip: zip.clone() };
    Ok(SystemsJob { client, query })
}

/// `lakehaul connect`
pub fn connect(args: &ConnectArgs, given: &Given) -> Result<ConnectJob, Failure> {
    let profile = args.profile.as_deref();
    let mut client = server::place(&args.server, &[Kind::OneupConnect])?;
    let file = file(&args.session, profile, &client, given)?;
    let auth = server::auth(&args.server.client, given, &mut Stdin::default())?;
    client.auth = Auth::Session(file.session(&client, credentials(auth, &args.server)?)?);
    Ok(ConnectJob { client, file, system: args.system.clone(), fhir_version: args.fhir_version.clone() })
}

/// A client with a login's tokens, or with what else it was given, and whose data it gets as far as that depends on who
/// asks.
pub(super) fn client(
    args: &ServerArgs,
    session: &SessionArgs,
    profile: Option<&str>,
    kinds: &[Kind],
    given: &Given,
) -> Result<(ClientOptions, String), Failure> {
    let mut client = server::place(args, kinds)?;
    if session.user.is_some() && client.kind != Kind::OneupConnect {
        return Err(no_users(client.kind));
    }
    let auth = server::auth(&args.client, given, &mut Stdin::default())?;
    // The logins' own servers give a client nothing by itself.
    let needs_login = match &auth {
        None => true,
        Some(Auth::Token(_) | Auth::None) => false,
        Some(_) => client.kind != Kind::Fhir || session.session.is_some(),
    };
    if !needs_login {
        let subject = match &auth {
            Some(Auth::Token(token)) => token.expose_secret().to_owned(),
            Some(Auth::ClientSecret { client_id, .. } | Auth::PrivateKeyJwt { client_id, .. }) => client_id.clone(),
            _ => String::new(),
        };
        client.auth = auth.unwrap_or(Auth::None);
        return Ok((client, subject));
    }
    let file = file(session, profile, &client, given)?;
    if auth.is_none() && !file.is_there() && client.kind == Kind::Fhir {
        // Not everyone logs in at a server of any kind.
        return Err(server::nobody(&args.client));
    }
    client.auth = Auth::Session(file.session(&client, credentials(auth, args)?)?);
    Ok((client, file.path().to_string_lossy().into_owned()))
}

/// The client that a login is of: renewing its tokens takes the secret, if it has one.
fn credentials(auth: Option<Auth>, args: &ServerArgs) -> Result<Credentials, Failure> {
    match auth {
        Some(Auth::ClientSecret { client_id, secret, style }) => {
            Ok(Credentials { client_id, secret: Some((secret, style)) })
        }
        Some(Auth::PrivateKeyJwt { .. }) => {
            Err(Failure::Usage("tokens of a login are renewed with a client's secret, or without one".to_owned()))
        }
        _ => match &args.client.client_id {
            Some(client_id) => Ok(Credentials { client_id: client_id.clone(), secret: None }),
            None => {
                Err(Failure::Usage("who asks was not told: log in (lakehaul login) and add --client-id ID, or add --token-file FILE, or --no-auth for an open server".to_owned()))
            }
        },
    }
}

/// Where the login is kept: as said, else by profile, or by kind and host, and user.
fn file(
    session: &SessionArgs,
    profile: Option<&str>,
    client: &ClientOptions,
    given: &Given,
) -> Result<SessionFile, Failure> {
    if let Some(path) = &session.session {
        return Ok(SessionFile::at(path.clone()));
    }
    let host = || format!("{}-{}", client.kind.name(), client.base_url.host_str().unwrap_or_default());
    let mut name = profile.map_or_else(host, str::to_owned);
    if let Some(user) = &session.user {
        name = format!("{name}-{user}");
    }
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if name.starts_with('.') || !name.bytes().all(plain) {
        let why = "the login cannot be kept under the names of its profile and user, which are not plain words: add \
                   --session FILE";
        return Err(Failure::Usage(why.to_owned()));
    }
    SessionFile::named(&name, given.state_folder.as_deref())
}

fn no_users(kind: Kind) -> Failure {
    Failure::Usage(format!(
        "--user is about Patient Connect ({}); a server of kind {kind} has no such users",
        Kind::OneupConnect
    ))
}

/// Something on this machine can listen there.
fn is_here(url: &Url) -> bool {
    url.scheme() == "http" && lakehaul_fetch::Origin::of(url).is_some_and(|origin| origin.is_loopback())
}
