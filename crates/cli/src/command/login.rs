//! `lakehaul login`: a member says yes in a browser, and the tokens that come of it are kept.

use std::io::{BufRead, IsTerminal, Write};
use std::sync::Arc;
use std::time::Duration;

use lakehaul_fetch::{AuthorizationRequest, Client, FetchError, FetchEvent, FetchObserver, SessionTokens, SystemClock};
use lakehaul_load::LoadError;
use secrecy::SecretString;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use url::Url;

use crate::args::LoginArgs;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::report::server;
use crate::resolve::{self, Form, Given, LoginJob, LoginWay, Manner};

/// A browser's request has some kilobytes of cookies at the most.
const REQUEST_BYTES_MAX: usize = 64 << 10;
/// A browser that connects and says nothing is not waited for.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

pub(super) fn run(args: &LoginArgs, manner: Manner, given: &Given) -> Result<Exit, Failure> {
    let LoginJob { client: options, file, way, timeout } = resolve::login(args, given)?;
    if way == LoginWay::Logout {
        let there = file.remove()?;
        let shown = file.path().display();
        let text = match (manner.form, there) {
            (Form::Json, _) => json!({"session": file.path(), "removed": there}).to_string(),
            (Form::Text, true) => format!("The tokens in {shown} are removed. The server still knows the login."),
            (Form::Text, false) => format!("There was no login: {shown} does not exist."),
        };
        return Failure::unless_left(writeln!(std::io::stdout(), "{text}"), Exit::Complete);
    }
    let failed = || Failure::to("log in");
    let client = Client::new(options.clone(), Arc::new(SystemClock), Arc::new(Told { manner }));
    let client = client.map_err(|error| failed()(error.into()))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let tokens = runtime.block_on(async {
        match tokio::time::timeout(timeout, tokens(&client, &way, manner)).await {
            Ok(tokens) => tokens.map_err(|error| match error {
                Trouble::Fetch(error) => failed()(LoadError::from(error)),
                Trouble::Usage(why) => Failure::Usage(why),
            }),
            Err(_) => Err(Failure::Usage(format!("nobody has logged in within {timeout:?} (--login-timeout)"))),
        }
    })?;
    file.write(&options, &tokens)?;
    let SessionTokens { expires_at, scope, patient, refresh_token, .. } = &tokens;
    let renewable = refresh_token.is_some();
    let text = match manner.form {
        Form::Json => json!({
            "session": file.path(), "expires_at": expires_at.map(|end| end.to_string()), "renewable": renewable, "scope": scope,
            "patient": patient,
        })
        .to_string(),
        Form::Text => {
            let until = expires_at.map_or_else(|| "soon".to_owned(), |end| format!("at {}", end.strftime("%H:%M:%SZ")));
            let renewed = if renewable { "and is renewed by itself" } else { "and cannot be renewed" };
            let shown = file.path().display();
            format!(
                "Logged in. The access token ends {until} {renewed}.\nKept in {shown}, which only you can read; lakehaul search uses it."
            )
        }
    };
    Failure::unless_left(writeln!(std::io::stdout(), "{text}"), Exit::Complete)
}

enum Trouble {
    Fetch(FetchError),
    Usage(String),
}

impl From<FetchError> for Trouble {
    fn from(error: FetchError) -> Trouble {
        Trouble::Fetch(error)
    }
}

async fn tokens(client: &Client, way: &LoginWay, manner: Manner) -> Result<SessionTokens, Trouble> {
    let (redirect, open) = match way {
        LoginWay::User(user) => {
            let code = client.user_code(user).await?;
            return Ok(client.exchange_plain_code(&code.code).await?);
        }
        LoginWay::Listen { redirect, open } | LoginWay::Paste { redirect, open } => (redirect, *open),
        LoginWay::Logout => return Err(Trouble::Usage("there is no login to be ended".to_owned())),
    };
    // Before the URL is shown: whoever opens it comes back.
    let listener = match way {
        LoginWay::Listen { .. } => Some(listen(redirect).await?),
        _ => None,
    };
    let request = client.authorization_request(redirect, None).await?;
    show(&request, open, manner);
    let code = match listener {
        Some(listener) => come_back(&listener, &request, redirect).await?,
        None => pasted(&request).await?,
    };
    // At once: it lives for minutes.
    Ok(client.exchange_code(&request, &code).await?)
}

/// The URL is to be opened by a person, so all of it is shown; it holds no secret of theirs.
fn show(request: &AuthorizationRequest, open: bool, manner: Manner) {
    let url = request.url();
    let url = url.expose();
    let mut err = std::io::stderr().lock();
    // Stderr may be gone; then the browser still opens.
    let _ = match manner.form {
        Form::Json => writeln!(err, "{}", json!({"event": "login", "url": url.as_str()})),
        Form::Text => writeln!(err, "Log in and agree at:\n\n  {url}\n"),
    };
    if open && err.is_terminal() && webbrowser::open(url.as_str()).is_err() {
        let _ = writeln!(err, "No browser could be opened: open the address yourself.");
    }
}

async fn listen(redirect: &Url) -> Result<TcpListener, Trouble> {
    let host = redirect.host_str().unwrap_or("127.0.0.1").trim_matches(['[', ']']).to_owned();
    let port = redirect.port_or_known_default().unwrap_or(80);
    TcpListener::bind((host.as_str(), port)).await.map_err(|error| {
        Trouble::Usage(format!(
            "nothing can listen at {host}:{port}: {error}; say another redirect URL that is registered (--redirect-url), or \
             --paste"
        ))
    })
}

/// Waits until the browser is sent back. What else it asks for, such as an icon, is not there.
async fn come_back(
    listener: &TcpListener,
    request: &AuthorizationRequest,
    redirect: &Url,
) -> Result<SecretString, Trouble> {
    loop {
        let (mut socket, _) = listener.accept().await.map_err(|error| Trouble::Usage(error.to_string()))?;
        let target = tokio::time::timeout(REQUEST_TIMEOUT, target(&mut socket)).await.ok().flatten();
        let Some(target) = target else { continue };
        let path = target.split(['?', '#']).next().unwrap_or_default();
        if path != redirect.path() {
            answer(&mut socket, "404 Not Found", "There is nothing here.").await;
            continue;
        }
        let code = request.code_of(&target);
        let (status, words) = match &code {
            Ok(_) => ("200 OK", "You are logged in. This window can be closed."),
            Err(_) => ("400 Bad Request", "The login has failed; lakehaul says why. This window can be closed."),
        };
        answer(&mut socket, status, words).await;
        return Ok(code?);
    }
}

/// What a GET asks for.
async fn target(socket: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") && head.len() < REQUEST_BYTES_MAX {
        if socket.read_buf(&mut head).await.ok()? == 0 {
            break;
        }
    }
    let head = String::from_utf8(head).ok()?;
    let mut words = head.lines().next()?.split(' ');
    (words.next()? == "GET").then(|| words.next().map(str::to_owned)).flatten()
}

/// The browser may have left; the code has come all the same.
async fn answer(socket: &mut TcpStream, status: &str, words: &str) {
    let length = words.len();
    let text = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {length}\r\n\
         Referrer-Policy: no-referrer\r\nConnection: close\r\n\r\n{words}"
    );
    let _ = socket.write_all(text.as_bytes()).await;
    let _ = socket.shutdown().await;
}

async fn pasted(request: &AuthorizationRequest) -> Result<SecretString, Trouble> {
    // Stderr may be gone; whoever pastes knows what to do.
    let _ = writeln!(std::io::stderr(), "Then paste the address at which the browser ends, or the code in it:");
    let line = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        std::io::stdin().lock().read_line(&mut line).map(|_| line)
    });
    let line = line.await.map_err(|error| Trouble::Usage(error.to_string()))?;
    let line = line.map_err(|error| Trouble::Usage(format!("stdin cannot be read: {error}")))?;
    if line.trim().is_empty() {
        return Err(Trouble::Usage("nothing was pasted".to_owned()));
    }
    Ok(request.code_of(&line)?)
}

/// Tells what is waited for.
pub(super) struct Told {
    pub(super) manner: Manner,
}

impl FetchObserver for Told {
    fn fetch_event(&self, event: FetchEvent<'_>) {
        if server::level(&event) > self.manner.level {
            return;
        }
        let line = match self.manner.form {
            Form::Json => server::object(&event).to_string(),
            Form::Text => server::sentence(&event),
        };
        // Stderr may be gone; there is nobody left to tell.
        let _ = writeln!(std::io::stderr(), "{line}");
    }
}
