//! What `lakehaul login` leaves for other commands: a file with a login's tokens that only its owner can read.
//!
//! `lakehaul/sessions/<name>.json` in the user's state folder, or wherever `--session` says. It is replaced as a whole
//! whenever the tokens are renewed, since a refresh token may be good once only. A file that others can read is refused.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lakehaul_fetch::{ClientOptions, Session, SessionKeeper, SessionTokens};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use crate::failure::Failure;

const VERSION: u32 = 1;

/// A session's file, which may not be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionFile {
    path: PathBuf,
}

/// What is in it.
#[derive(Serialize, Deserialize)]
struct Content {
    version: u32,
    kind: String,
    base_url: String,
    access_token: String,
    refresh_token: Option<String>,
    /// RFC 3339
    expires_at: Option<String>,
    scope: Option<String>,
    patient: Option<String>,
}

/// Keeps what becomes of a session's tokens.
struct Keeper {
    file: SessionFile,
    kind: String,
    base_url: String,
}

impl SessionFile {
    /// The file of this path.
    pub fn at(path: PathBuf) -> SessionFile {
        SessionFile { path }
    }

    /// Where the session of this name is kept by itself, in the user's state folder.
    pub fn named(name: &str, state: Option<&Path>) -> Result<SessionFile, Failure> {
        let state = state.ok_or_else(|| {
            Failure::Usage(
                "there is no state folder to keep a login in (HOME is not set): add --session FILE".to_owned(),
            )
        })?;
        Ok(SessionFile { path: state.join("lakehaul/sessions").join(format!("{name}.json")) })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether anything is there.
    pub fn is_there(&self) -> bool {
        self.path.exists()
    }

    /// The tokens that are kept for this server.
    pub fn read(&self, client: &ClientOptions) -> Result<SessionTokens, Failure> {
        let shown = self.path.display();
        let text = fs::read_to_string(&self.path).map_err(|error| {
            Failure::Usage(match error.kind() {
                io::ErrorKind::NotFound => {
                    format!(
                        "nobody has logged in: {shown} does not exist; lakehaul login makes it, with the same options"
                    )
                }
                _ => format!("the login {shown} cannot be read: {error}"),
            })
        })?;
        check_private(&self.path)?;
        // The parser's own words may quote the text.
        let content: Content = serde_json::from_str(&text)
            .map_err(|_| Failure::Usage(format!("the login {shown} is damaged: log in again (lakehaul login)")))?;
        if content.version != VERSION {
            let why = format!("the login {shown} has version {}, this program knows {VERSION}", content.version);
            return Err(Failure::Usage(why));
        }
        let (kind, base_url) = (client.kind.name(), client.base_url.as_str());
        if (content.kind.as_str(), content.base_url.as_str()) != (kind, base_url) {
            let Content { kind: other, base_url: there, .. } = content;
            let why = format!("the login {shown} is for {other} at {there}, not for {kind} at {base_url}");
            return Err(Failure::Usage(why));
        }
        Ok(SessionTokens {
            access_token: content.access_token.into(),
            refresh_token: content.refresh_token.map(SecretString::from),
            expires_at: content.expires_at.and_then(|time| time.parse().ok()),
            scope: content.scope,
            patient: content.patient,
        })
    }

    /// The session, ready to be used and kept on.
    pub fn session(&self, client: &ClientOptions, credentials: Credentials) -> Result<Session, Failure> {
        let tokens = self.read(client)?;
        let Credentials { client_id, secret } = credentials;
        Ok(Session { client_id, secret, tokens, keeper: Arc::new(self.keeper(client)) })
    }

    /// Keeps the tokens of a login.
    pub fn write(&self, client: &ClientOptions, tokens: &SessionTokens) -> Result<(), Failure> {
        let kept = self.keeper(client).put(tokens);
        kept.map_err(|error| Failure::Usage(format!("the login cannot be kept in {}: {error}", self.path.display())))
    }

    /// Forgets the tokens. Whether there were any.
    pub fn remove(&self) -> Result<bool, Failure> {
        match fs::remove_file(&self.path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(Failure::Usage(format!("{} cannot be removed: {error}", self.path.display()))),
        }
    }

    fn keeper(&self, client: &ClientOptions) -> Keeper {
        let (kind, base_url) = (client.kind.name().to_owned(), client.base_url.to_string());
        Keeper { file: self.clone(), kind, base_url }
    }
}

/// The user's state folder, if there is one: `$XDG_STATE_HOME` or `~/.local/state`, on Windows `%LOCALAPPDATA%`. Relative
/// folders do not count, as the XDG specification demands. `variable` reads the environment.
pub fn state_folder(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let folder = |name: &str| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
    if cfg!(windows) {
        folder("LOCALAPPDATA")
    } else {
        folder("XDG_STATE_HOME").or_else(|| folder("HOME").map(|home| home.join(".local/state")))
    }
}

/// The client that a session is of.
pub struct Credentials {
    /// As registered.
    pub client_id: String,
    /// As registered, if it has one.
    pub secret: Option<(SecretString, lakehaul_fetch::SecretStyle)>,
}

impl Keeper {
    fn put(&self, tokens: &SessionTokens) -> io::Result<()> {
        let content = Content {
            version: VERSION,
            kind: self.kind.clone(),
            base_url: self.base_url.clone(),
            access_token: tokens.access_token.expose_secret().to_owned(),
            refresh_token: tokens.refresh_token.as_ref().map(|token| token.expose_secret().to_owned()),
            expires_at: tokens.expires_at.map(|time| time.to_string()),
            scope: tokens.scope.clone(),
            patient: tokens.patient.clone(),
        };
        let path = &self.file.path;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        make_private_folder(folder)?;
        // Beside it, so that it can be put in place at once: whoever reads finds the old tokens or the new ones. Its owner
        // alone can read it from the beginning.
        let mut new = tempfile::NamedTempFile::new_in(folder)?;
        new.write_all(&serde_json::to_vec_pretty(&content)?)?;
        new.as_file().sync_all()?;
        new.persist(path).map_err(|error| error.error)?;
        Ok(())
    }
}

impl SessionKeeper for Keeper {
    fn keep(&self, tokens: &SessionTokens) -> Result<(), String> {
        self.put(tokens).map_err(|error| format!("{} cannot be written: {error}", self.file.path.display()))
    }
}

#[cfg(unix)]
fn make_private_folder(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;

    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

#[cfg(not(unix))]
fn make_private_folder(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)
}

#[cfg(unix)]
fn check_private(path: &Path) -> Result<(), Failure> {
    use std::os::unix::fs::PermissionsExt;

    let mode = fs::metadata(path).map_or(0, |metadata| metadata.permissions().mode());
    if mode & 0o077 == 0 {
        return Ok(());
    }
    let shown = path.display();
    Err(Failure::Usage(format!("the login {shown} can be read by others: chmod 600 {shown}, or log in again")))
}

#[cfg(not(unix))]
fn check_private(_: &Path) -> Result<(), Failure> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use lakehaul_fetch::Kind;

    use super::*;

    fn client(base_url: &str) -> ClientOptions {
        ClientOptions::new(Kind::OneupPatient, base_url.parse().unwrap())
    }

    fn tokens() -> SessionTokens {
        SessionTokens {
            access_token: "acc3ss".into(),
            refresh_token: Some("r3fresh".into()),
            expires_at: Some(Timestamp::UNIX_EPOCH),
            scope: None,
            patient: Some("42".to_owned()),
        }
    }

    #[test]
    fn what_is_kept_is_read_again_by_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let home = |name: &str| (name == "HOME").then(|| folder.path().as_os_str().to_owned());
        let state = state_folder(home).unwrap();
        assert!(state.ends_with(".local/state"));
        let file = SessionFile::named("acme", Some(&state)).unwrap();
        let here = client("https://a.example/r4");
        assert!(file.read(&here).unwrap_err().to_string().contains("lakehaul login"));
        file.write(&here, &tokens()).unwrap();
        let read = file.read(&here).unwrap();
        assert_eq!(read.access_token.expose_secret(), "acc3ss");
        assert_eq!(read.refresh_token.unwrap().expose_secret(), "r3fresh");
        assert_eq!((read.expires_at, read.patient.as_deref()), (Some(Timestamp::UNIX_EPOCH), Some("42")));
        let error = file.read(&client("https://b.example/r4")).unwrap_err().to_string();
        assert!(error.contains("a.example") && !error.contains("acc3ss"), "{error}");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;

            let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
            assert_eq!((mode(file.path()), mode(file.path().parent().unwrap())), (0o600, 0o700));
            fs::set_permissions(file.path(), fs::Permissions::from_mode(0o640)).unwrap();
            assert!(file.read(&here).unwrap_err().to_string().contains("chmod 600"));
            fs::set_permissions(file.path(), fs::Permissions::from_mode(0o600)).unwrap();
        }
        fs::write(file.path(), r#"{"version":1,"access_token":"acc3ss""#).unwrap();
        let error = file.read(&here).unwrap_err().to_string();
        assert!(error.contains("damaged") && !error.contains("acc3ss"), "{error}");
        assert!(file.remove().unwrap() && !file.remove().unwrap());
        let left: Vec<_> = fs::read_dir(file.path().parent().unwrap()).unwrap().collect();
        assert!(left.is_empty(), "{left:?}");
        assert!(SessionFile::named("acme", None).is_err());
    }
}
