//! What an object store is opened with: the clouds' own variables, AWS's profile files, then `--store-option`.
//!
//! In go the environment, a way to read files, and the options as typed; out come keys and values, later ones before earlier.
//! Google's credentials file and each cloud's metadata service are looked for by the store's client itself.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Variables of stores begin so.
const PREFIXES: [&str; 3] = ["AWS_", "GOOGLE_", "AZURE_"];

/// What AWS's tools read from a profile, and what the store's client calls it.
const PROFILE_KEYS: [(&str, &str); 7] = [
    ("aws_access_key_id", "aws_access_key_id"),
    ("aws_secret_access_key", "aws_secret_access_key"),
    ("aws_session_token", "aws_session_token"),
    ("region", "aws_region"),
    ("endpoint_url", "aws_endpoint"),
    ("role_arn", "aws_role_arn"),
    ("web_identity_token_file", "aws_web_identity_token_file"),
];

/// Both the setting of a profile and the option: a command that prints credentials.
const CREDENTIAL_PROCESS: &str = "credential_process";

/// A profile with one of these gets its credentials by another role or by single sign-on: AWS's own program knows how, and
/// prints them.
const BY_AWS: [&str; 5] = ["source_profile", "credential_source", "sso_session", "sso_start_url", "login_session"];

/// Gathers them. `read`: a file's text, if it can be read.
pub(crate) fn gather(
    environment: impl Iterator<Item = (OsString, OsString)>,
    read: impl Fn(&Path) -> Option<String>,
    typed: &[(String, String)],
) -> Vec<(String, String)> {
    let text = |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
    let environment: HashMap<String, String> = environment.filter_map(text).collect();
    let mut options = profile(&environment, read);
    let mut variables: Vec<_> = environment
        .into_iter()
        .filter(|(name, value)| !value.is_empty() && PREFIXES.iter().any(|prefix| name.starts_with(prefix)))
        .collect();
    variables.sort();
    options.extend(variables);
    options.extend_from_slice(typed);
    options
}

/// What the profile says that `AWS_PROFILE` names, else `default`, in the files that AWS's tools read.
fn profile(environment: &HashMap<String, String>, read: impl Fn(&Path) -> Option<String>) -> Vec<(String, String)> {
    let name = environment.get("AWS_PROFILE").map_or("default", String::as_str);
    let home = environment.get("HOME").or_else(|| environment.get("USERPROFILE")).map(PathBuf::from);
    let file = |variable: &str, name: &str| {
        let named = environment.get(variable).map(PathBuf::from);
        named.or_else(|| Some(home.as_ref()?.join(".aws").join(name)))
    };
    let config = file("AWS_CONFIG_FILE", "config").and_then(|path| read(&path)).unwrap_or_default();
    let credentials =
        file("AWS_SHARED_CREDENTIALS_FILE", "credentials").and_then(|path| read(&path)).unwrap_or_default();
    let config_section = if name == "default" { name.to_owned() } else { format!("profile {name}") };
    let settings: Vec<(&str, &str)> = section(&config, &config_section).chain(section(&credentials, name)).collect();
    let known = settings.iter().filter_map(|(key, value)| {
        let (_, option) = PROFILE_KEYS.iter().find(|(known, _)| known == key)?;
        Some(((*option).to_owned(), (*value).to_owned()))
    });
    let mut options: Vec<(String, String)> = known.collect();
    // Keys of the environment are used as a whole: a profile's token does not belong to them.
    if environment.contains_key("AWS_ACCESS_KEY_ID") {
        options.retain(|(key, _)| !key.contains("key") && !key.contains("token"));
    } else if let Some(command) = credential_process(name, &settings) {
        options.push((CREDENTIAL_PROCESS.to_owned(), command));
    }
    options
}

/// The command that prints the credentials of the profile `name`; None: its settings have them, or it has none.
fn credential_process(name: &str, settings: &[(&str, &str)]) -> Option<String> {
    let of = |wanted: &str| settings.iter().rev().find(|(key, _)| *key == wanted).map(|(_, value)| *value);
    if BY_AWS.iter().any(|key| of(key).is_some()) {
        let name = if cfg!(windows) { format!("\"{name}\"") } else { format!("'{}'", name.replace('\'', r"'\''")) };
        return Some(format!("aws configure export-credentials --format process --profile {name}"));
    }
    match of("aws_access_key_id") {
        Some(_) => None,
        None => of(CREDENTIAL_PROCESS).map(str::to_owned),
    }
}

/// A section's settings.
fn section<'t>(text: &'t str, name: &str) -> impl Iterator<Item = (&'t str, &'t str)> {
    let mut inside = false;
    text.lines().filter_map(move |line| {
        let line = line.trim();
        if let Some(heading) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            inside = heading.trim() == name;
            return None;
        }
        let (key, value) = line.split_once('=').filter(|_| inside && !line.starts_with(['#', ';']))?;
        Some((key.trim(), value.trim()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gathered(environment: &[(&str, &str)], typed: &[(&str, &str)]) -> Vec<(String, String)> {
        let environment = environment.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
        let read = |path: &Path| {
            match path.to_str()? {
            "/home/me/.aws/config" => Some(
                "[default]\nregion = r0\n[profile p]\nregion=r1\noutput=json\n[profile it's]\nsso_session = s\n\
                 [profile m]\n#region=r2\ncredential_process = \"/opt/a b\" --to=x\n[profile q]\ncredential_process = never\n\
                 [profile r]\nrole_arn = a\nsource_profile = p\n"
                    .to_owned(),
            ),
            "/home/me/.aws/credentials" => Some(
                "# mine\n[p]\naws_access_key_id = k\naws_secret_access_key = s\n[q]\naws_access_key_id=t\n".to_owned(),
            ),
            _ => None,
        }
        };
        let typed: Vec<_> = typed.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        gather(environment, read, &typed)
    }

    #[track_caller]
    fn check(environment: &[(&str, &str)], typed: &[(&str, &str)], expected: &[(&str, &str)]) {
        let gathered = gathered(environment, typed);
        let gathered: Vec<_> = gathered.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        assert_eq!(gathered, expected);
    }

    #[test]
    fn what_is_nearer_comes_later() {
        check(&[], &[], &[]);
        check(&[("HOME", "/home/me")], &[("region", "r9")], &[("aws_region", "r0"), ("region", "r9")]);
        check(
            &[("HOME", "/home/me"), ("AWS_PROFILE", "p")],
            &[],
            &[("aws_region", "r1"), ("aws_access_key_id", "k"), ("aws_secret_access_key", "s"), ("AWS_PROFILE", "p")],
        );
        let mine = [("HOME", "/home/me"), ("AWS_PROFILE", "p"), ("AWS_ACCESS_KEY_ID", "other"), ("PATH", "x")];
        check(&mine, &[], &[("aws_region", "r1"), ("AWS_ACCESS_KEY_ID", "other"), ("AWS_PROFILE", "p")]);
    }

    #[test]
    fn a_profile_may_name_a_program() {
        let of = |profile: &'static str, expected: &[(&str, &str)]| {
            let expected = [expected, &[("AWS_PROFILE", profile)]].concat();
            check(&[("HOME", "/home/me"), ("AWS_PROFILE", profile)], &[], &expected);
        };
        of("m", &[("credential_process", r#""/opt/a b" --to=x"#)]);
        of("q", &[("aws_access_key_id", "t")]);
        let by_aws = "aws configure export-credentials --format process --profile";
        let (of_role, of_sso) = if cfg!(windows) { ("\"r\"", "\"it's\"") } else { ("'r'", r"'it'\''s'") };
        of("r", &[("aws_role_arn", "a"), ("credential_process", &format!("{by_aws} {of_role}"))]);
        of("it's", &[("credential_process", &format!("{by_aws} {of_sso}"))]);
        let mine = [("HOME", "/home/me"), ("AWS_PROFILE", "m"), ("AWS_ACCESS_KEY_ID", "other")];
        check(&mine, &[], &[("AWS_ACCESS_KEY_ID", "other"), ("AWS_PROFILE", "m")]);
    }
}
