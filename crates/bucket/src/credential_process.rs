//! AWS credentials that a program prints: `credential_process` of a profile, and what stands for roles and single sign-on.
//!
//! In goes a command, out come the credentials it prints as JSON (AWS SDKs and Tools Reference Guide, "Process credential
//! provider"). They are asked for anew shortly before they expire, so a load may take longer than they are good for. Nothing
//! that it prints is ever shown; what it writes to standard error goes to the terminal.

use std::fmt;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use object_store::aws::AwsCredential;
use object_store::{CredentialProvider, Error, Result};
use serde::Deserialize;
use tokio::sync::Mutex;

/// Credentials that expire sooner are asked for anew: a request may be tried again for some time.
const GOOD_FOR_AT_LEAST: Duration = Duration::from_secs(300);

/// The program, and what it printed last.
pub(crate) struct CredentialProcess {
    command: String,
    newest: Mutex<Option<Temporary>>,
}

#[derive(Clone)]
struct Temporary {
    credential: Arc<AwsCredential>,
    /// None: it does not expire.
    expires: Option<SystemTime>,
}

/// What the program prints.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Printed {
    version: u32,
    access_key_id: String,
    secret_access_key: String,
    session_token: Option<String>,
    /// ISO 8601.
    expiration: Option<String>,
}

/// Why there are no credentials: a sentence without what was printed.
#[derive(Debug)]
pub(crate) struct NoCredentials(String);

impl fmt::Display for NoCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the AWS profile's program for credentials (credential_process, or `aws` for roles and SSO) {}",
            self.0
        )
    }
}

impl std::error::Error for NoCredentials {}

impl fmt::Debug for CredentialProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CredentialProcess").finish_non_exhaustive()
    }
}

impl CredentialProcess {
    /// Nothing is run yet.
    pub(crate) fn new(command: String) -> CredentialProcess {
        CredentialProcess { command, newest: Mutex::default() }
    }
}

impl Temporary {
    fn is_good_for(&self, time: Duration) -> bool {
        self.expires.is_none_or(|expires| SystemTime::now() + time < expires)
    }
}

#[async_trait]
impl CredentialProvider for CredentialProcess {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> Result<Arc<AwsCredential>> {
        let mut newest = self.newest.lock().await;
        if let Some(good) = newest.as_ref().filter(|newest| newest.is_good_for(GOOD_FOR_AT_LEAST)) {
            return Ok(good.credential.clone());
        }
        let command = self.command.clone();
        let printed = tokio::task::spawn_blocking(move || run(&command)).await;
        match printed.unwrap_or_else(|_| Err(NoCredentials("broke off".to_owned()))) {
            Ok(printed) => Ok(newest.insert(printed).credential.clone()),
            // It may do better next time.
            Err(error) => match newest.as_ref().filter(|newest| newest.is_good_for(Duration::ZERO)) {
                Some(good) => Ok(good.credential.clone()),
                None => Err(Error::Generic { store: "S3", source: error.into() }),
            },
        }
    }
}

fn run(command: &str) -> std::result::Result<Temporary, NoCredentials> {
    let (shell, flag) = if cfg!(windows) { ("cmd", "/C") } else { ("sh", "-c") };
    let output = Command::new(shell).arg(flag).arg(command).stdin(Stdio::null()).stderr(Stdio::inherit()).output();
    let output = output.map_err(|error| NoCredentials(format!("cannot be run: {error}")))?;
    if !output.status.success() {
        let why = format!("failed ({}); log in again where it asks for that (`aws sso login`)", output.status);
        return Err(NoCredentials(why));
    }
    read(&output.stdout).ok_or_else(|| NoCredentials("prints no credentials of version 1 as JSON".to_owned()))
}

fn read(printed: &[u8]) -> Option<Temporary> {
    let printed: Printed = serde_json::from_slice(printed).ok().filter(|printed: &Printed| printed.version == 1)?;
    let expires = match printed.expiration {
        None => None,
        Some(text) => Some(DateTime::parse_from_rfc3339(&text).ok()?.with_timezone(&Utc).into()),
    };
    let Printed { access_key_id: key_id, secret_access_key: secret_key, session_token: token, .. } = printed;
    Some(Temporary { credential: Arc::new(AwsCredential { key_id, secret_key, token }), expires })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expires(text: &str) -> String {
        format!(r#"{{"Version":1,"AccessKeyId":"k","SecretAccessKey":"s","SessionToken":"t","Expiration":"{text}"}}"#)
    }

    #[test]
    fn what_it_prints() {
        let lasting = read(br#"{"Version":1,"AccessKeyId":"k","SecretAccessKey":"s"}"#).expect("credentials");
        assert!(lasting.expires.is_none() && lasting.credential.token.is_none());
        let past = read(expires("2020-01-01T02:00:00+02:00").as_bytes()).expect("credentials");
        assert_eq!(past.expires, Some(SystemTime::UNIX_EPOCH + Duration::from_secs(1_577_836_800)));
        assert_eq!(past.credential.token.as_deref(), Some("t"));
        for wrong in ["", "{}", r#"{"Version":2,"AccessKeyId":"k","SecretAccessKey":"s"}"#, &expires("soon")] {
            assert!(read(wrong.as_bytes()).is_none(), "{wrong}");
        }
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn it_is_run_again_before_they_expire() {
        let folder = tempfile::tempdir().expect("a folder");
        let runs = folder.path().join("runs");
        let process = |lasts: Duration| {
            let text = expires(&DateTime::<Utc>::from(SystemTime::now() + lasts).to_rfc3339());
            CredentialProcess::new(format!("echo >> '{}'; printf '%s' '{text}'", runs.display()))
        };
        let lines = || std::fs::read_to_string(&runs).map_or(0, |text| text.len());
        let long = process(GOOD_FOR_AT_LEAST * 2);
        for _ in 0..3 {
            assert_eq!(long.get_credential().await.expect("credentials").key_id, "k");
        }
        assert_eq!(lines(), 1);
        let short = process(GOOD_FOR_AT_LEAST / 2);
        for _ in 0..3 {
            short.get_credential().await.expect("credentials");
        }
        assert_eq!(lines(), 4);
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn one_that_fails_is_told_without_what_it_prints() {
        for (command, why) in
            [("echo secret; exit 3", "failed (exit status: 3)"), ("echo secret", "prints no credentials")]
        {
            let error = CredentialProcess::new(command.to_owned()).get_credential().await.expect_err("no credentials");
            let told = crate::failure::failure(error);
            assert_eq!(told.kind(), std::io::ErrorKind::PermissionDenied);
            let told = told.to_string();
            assert!(told.contains(why) && !told.contains("secret"), "{told}");
        }
    }
}
