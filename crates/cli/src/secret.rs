//! Secrets: the client's secret, its private key, a ready token. In come variables, file names and commands, out goes one
//! secret, never as an argument and never shown. Of several sources the strongest layer counts (flags > environment >
//! profile > config file); two in one layer are an error, since nobody could say which was meant.

use std::ffi::OsString;
use std::fmt;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};

use secrecy::{ExposeSecret, SecretString};

use crate::args::ClientArgs;
use crate::failure::Failure;
use crate::provenance::{Provenance, Source, variable};

/// The variables that hold secrets themselves.
pub const VARIABLES: [&str; 3] = ["LAKEHAUL_CLIENT_SECRET", "LAKEHAUL_PRIVATE_KEY", "LAKEHAUL_TOKEN"];

/// What proves who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Credential {
    /// A secret that is shared with the server.
    ClientSecret,
    /// A key whose public half the server knows.
    PrivateKey,
    /// A ready access token.
    Token,
}

impl Credential {
    /// In the order of [`VARIABLES`].
    const ALL: [Credential; 3] = [Credential::ClientSecret, Credential::PrivateKey, Credential::Token];

    /// As the options begin.
    pub fn option(self) -> &'static str {
        match self {
            Credential::ClientSecret => "client-secret",
            Credential::PrivateKey => "private-key",
            Credential::Token => "token",
        }
    }
}

impl fmt::Display for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Credential::ClientSecret => "client secret",
            Credential::PrivateKey => "private key",
            Credential::Token => "access token",
        })
    }
}

/// What [`VARIABLES`] hold. None is shown.
#[derive(Debug, Default)]
pub struct SecretVariables {
    values: [Option<Value>; 3],
}

#[derive(Debug)]
enum Value {
    Text(SecretString),
    /// No Unicode.
    Other,
}

impl SecretVariables {
    /// `variable` reads the environment.
    pub fn read(variable: impl Fn(&str) -> Option<OsString>) -> SecretVariables {
        let value = |name| {
            variable(name).map(|value| match value.into_string() {
                Ok(text) => Value::Text(text.into()),
                Err(_) => Value::Other,
            })
        };
        SecretVariables { values: VARIABLES.map(value) }
    }

    /// Those that are set.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        VARIABLES.into_iter().zip(&self.values).filter(|(_, value)| value.is_some()).map(|(name, _)| name)
    }
}

/// Where a secret is to be had, or that there is none.
#[derive(Debug)]
pub struct Chosen<'a> {
    /// None: nobody has to show who asks (`--no-auth`).
    pub credential: Option<Credential>,
    /// Where that was said.
    pub source: Source,
    place: Place<'a>,
}

#[derive(Debug, Clone, Copy)]
enum Place<'a> {
    Nowhere,
    Variable(&'a Value),
    File(&'a Path),
    Command(&'a str),
}

/// The strongest of the sources that are given; none: nothing was said.
pub fn choose<'a>(
    args: &'a ClientArgs,
    variables: &'a SecretVariables,
    provenance: &Provenance,
) -> Result<Option<Chosen<'a>>, Failure> {
    let mut all = Vec::new();
    if args.no_auth {
        all.push(Chosen { credential: None, source: provenance.source("no-auth"), place: Place::Nowhere });
    }
    for ((credential, name), value) in Credential::ALL.into_iter().zip(VARIABLES).zip(&variables.values) {
        let (file, command) = match credential {
            Credential::ClientSecret => (&args.client_secret_file, &args.client_secret_command),
            Credential::PrivateKey => (&args.private_key_file, &args.private_key_command),
            Credential::Token => (&args.token_file, &args.token_command),
        };
        let mut add = |source, place| all.push(Chosen { credential: Some(credential), source, place });
        if let Some(value) = value {
            add(Source::Variable(name.to_owned()), Place::Variable(value));
        }
        if let Some(path) = file {
            add(provenance.source(&format!("{}-file", credential.option())), Place::File(path));
        }
        if let Some(command) = command {
            add(provenance.source(&format!("{}-command", credential.option())), Place::Command(command));
        }
    }
    let Some(strongest) = all.iter().map(|chosen| chosen.source.rank()).min() else { return Ok(None) };
    all.retain(|chosen| chosen.source.rank() == strongest);
    match all.as_slice() {
        [_] => Ok(all.pop()),
        several => {
            let names: Vec<String> = several.iter().map(Chosen::name).collect();
            Err(Failure::Usage(format!("{} are given at once, and only one of them can count", names.join(" and "))))
        }
    }
}

impl Chosen<'_> {
    /// As one gives it: the option, or the variable.
    pub fn name(&self) -> String {
        let option = self.credential.map_or("no-auth", Credential::option);
        let long = match self.place {
            Place::Nowhere => option.to_owned(),
            Place::Variable(_) => return variable(option),
            Place::File(_) => format!("{option}-file"),
            Place::Command(_) => format!("{option}-command"),
        };
        match &self.source {
            Source::Variable(name) => name.clone(),
            Source::Profile { .. } | Source::File(_) => long,
            Source::Argument | Source::Default => format!("--{long}"),
        }
    }

    /// The file that it is in.
    pub fn file(&self) -> Option<&Path> {
        match self.place {
            Place::File(path) if path.as_os_str() != "-" => Some(path),
            _ => None,
        }
    }

    /// Gets the secret. `stdin`: who reads it already.
    pub fn read(&self, stdin: &mut Stdin) -> Result<SecretString, Failure> {
        let name = self.name();
        let usage = |why: String| Failure::Usage(why);
        let secret: SecretString = match self.place {
            Place::Nowhere => SecretString::default(),
            Place::Variable(Value::Text(secret)) => secret.clone(),
            Place::Variable(Value::Other) => return Err(usage(format!("{name} is no text (UTF-8)"))),
            Place::File(path) => without_line_end(stdin.text(path, &name)?).into(),
            Place::Command(command) => run(command).map_err(|why| usage(format!("the command of {name} {why}")))?,
        };
        if secret.expose_secret().trim().is_empty() && self.credential.is_some() {
            return Err(usage(format!("{name} gives nothing, where the {} should be", self.what())));
        }
        Ok(secret)
    }

    fn what(&self) -> String {
        self.credential.map_or_else(String::new, |credential| credential.to_string())
    }
}

/// One trailing line end cut: an editor's, not the secret's.
fn without_line_end(mut text: String) -> String {
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    text
}

/// What a command prints, trimmed. Its stderr is the terminal's: a password manager may have to ask. The error is a clause
/// without its output.
fn run(command: &str) -> Result<SecretString, String> {
    let (shell, flag) = if cfg!(windows) { ("cmd", "/C") } else { ("sh", "-c") };
    let mut shell = Command::new(shell);
    shell.arg(flag).arg(command).stdin(Stdio::inherit()).stderr(Stdio::inherit());
    let output = shell.output().map_err(|error| format!("cannot be run: {error}"))?;
    if !output.status.success() {
        return Err(format!("failed ({})", output.status));
    }
    let text = String::from_utf8(output.stdout).map_err(|_| "prints no text (UTF-8)".to_owned())?;
    Ok(text.trim().to_owned().into())
}

/// Standard input, which can be read only once.
#[derive(Debug, Default)]
pub struct Stdin {
    taken_by: Option<String>,
}

impl Stdin {
    /// The text of a file; of stdin, for `-`. `name`: the option, for the error.
    pub fn text(&mut self, path: &Path, name: &str) -> Result<String, Failure> {
        let failed = |error: std::io::Error| Failure::Usage(format!("{name}: cannot read {}: {error}", path.display()));
        if path.as_os_str() != "-" {
            return std::fs::read_to_string(path).map_err(failed);
        }
        if let Some(taken_by) = &self.taken_by {
            return Err(Failure::Usage(format!(
                "{taken_by} and {name} both want stdin (-), which can be read only once"
            )));
        }
        self.taken_by = Some(name.to_owned());
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map_err(failed)?;
        Ok(text)
    }
}
