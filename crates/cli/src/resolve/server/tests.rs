//! Servers and credentials as typed: what arrives, which source counts, what is refused.

use std::ffi::OsString;
use std::time::Duration;

use clap::{CommandFactory, FromArgMatches};
use lakehaul_fetch::Origin;

use super::*;
use crate::args::{Args, Command};
use crate::secret::SecretVariables;

/// What is given by a line, a config file's text, and variables that hold secrets.
fn resolved(line: &str, config: &str, variables: &[(&str, &str)]) -> Result<ClientOptions, Failure> {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("c.toml");
    std::fs::write(&file, config).expect("written");
    let words = ["lakehaul", "export"].into_iter().chain(line.split(' ').filter(|word| !word.is_empty()));
    let words: Vec<OsString> = words.map(OsString::from).collect();
    let matches = Args::command().try_get_matches_from(&words).expect("parses");
    let profile = matches.subcommand().and_then(|(_, export)| export.get_one::<String>("profile")).cloned();
    let config = crate::config::Config::find(Some(&file), None).expect("reads").expect("is there");
    let command = config.apply(Args::command(), profile.as_deref()).expect("applies");
    let matches = command.try_get_matches_from(&words).expect("parses");
    let provenance = Provenance::of(&Args::command(), &matches, Some(&config), profile.as_deref());
    let variable = |asked: &str| variables.iter().find(|(name, _)| *name == asked).map(|(_, value)| value.into());
    let given = Given { provenance, secrets: SecretVariables::read(variable), state_folder: None };
    match Args::from_arg_matches(&matches).expect("is whole").command {
        Command::Export(args) => client(&args.server, &Kind::EXPORT, &given, &mut Stdin::default()),
        other => panic!("{other:?}"),
    }
}

const SERVER: &str = "--kind oneup-provider --tenant bison";

/// Who asks, shown with the secret.
fn auth_of(line: &str, config: &str, variables: &[(&str, &str)]) -> Result<String, Failure> {
    Ok(match resolved(&format!("{SERVER} {line}"), config, variables)?.auth {
        Auth::None => "nobody".to_owned(),
        Auth::Token(token) => format!("token {}", token.expose_secret()),
        Auth::ClientSecret { client_id, secret, style } => {
            format!("secret {client_id} {} {style:?}", secret.expose_secret())
        }
        Auth::PrivateKeyJwt { client_id, key_id, jku, .. } => {
            format!("key {client_id} {} {}", key_id.unwrap_or_default(), jku.map(String::from).unwrap_or_default())
        }
        other => panic!("{other:?}"),
    })
}

#[test]
fn every_option_arrives() {
    let folder = tempfile::tempdir().expect("a folder");
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, "a certificate").expect("written");
    let line = format!(
        "--kind smart --base-url https://a.example/r4 --token-url https://t.example/token --no-auth \
         --trust-origin https://f.example,https://g.example:8443 --trust-origin https://h.example --allow-http \
         --ca-cert {} --retries 3 --max-wait 30s --idle-timeout 2min",
        ca.display()
    );
    let options = resolved(&line, "", &[]).expect("is meant");
    assert_eq!(options.kind, Kind::Smart);
    assert_eq!(options.base_url.as_str(), "https://a.example/r4");
    assert_eq!(options.token_url.as_ref().map(Url::as_str), Some("https://t.example/token"));
    let origins: Vec<String> = options.trusted_origins.iter().map(Origin::to_string).collect();
    assert_eq!(origins, ["https://f.example", "https://g.example:8443", "https://h.example"]);
    assert_eq!(options.plain_http, PlainHttp::Allowed);
    assert_eq!(options.ca_certificates, [b"a certificate"]);
    let patience = Patience { retries: 3, max_wait: Duration::from_secs(30), idle_timeout: Duration::from_secs(120) };
    assert_eq!(options.patience, patience);
    assert_eq!((options.tenant, options.scope), (None, None));

    let options = resolved(&format!("{SERVER} --no-auth"), "", &[]).expect("is meant");
    assert_eq!(options.base_url.as_str(), "https://gateway.1up.health/");
    assert_eq!(options.tenant.as_deref(), Some("bison"));
    assert_eq!((options.patience, options.plain_http), (Patience::default(), PlainHttp::LoopbackOnly));
    assert!(options.trusted_origins.is_empty() && options.ca_certificates.is_empty());
}

#[test]
fn secrets_have_many_sources() {
    #[track_caller]
    fn check(line: &str, config: &str, variables: &[(&str, &str)], expected: &str) {
        assert_eq!(auth_of(line, config, variables).expect(line), expected, "{line}");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let kept = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("written");
        path.display().to_string()
    };
    let file = kept("secret", " sesame \n");
    let windows = kept("windows", "sesame\r\n");
    let two = kept("two", "sesame\n\n");
    let id = "--client-id me";
    check(&format!("{id} --client-secret-file {file}"), "", &[], "secret me  sesame  Form");
    check(
        &format!("{id} --client-secret-file {windows} --client-secret-style basic"),
        "",
        &[],
        "secret me sesame Basic",
    );
    check(&format!("{id} --client-secret-file {two}"), "", &[], "secret me sesame\n Form");
    check(id, "", &[("LAKEHAUL_CLIENT_SECRET", "open")], "secret me open Form");
    check(id, "client-secret-command = \"echo; echo ' open '\"", &[], "secret me open Form");
    check(&format!("--token-file {file}"), "", &[], "token  sesame ");
    check("", "", &[("LAKEHAUL_TOKEN", "t")], "token t");
    check("", "token-command = \"printf t\"", &[], "token t");
    check("--no-auth", "", &[], "nobody");

    let sim = lakehaul_sim::Sim::start(lakehaul_sim::Scenario::new(lakehaul_sim::Personality::Smart)).expect("starts");
    let pem = sim.credentials().ec_key().private_pem();
    let key = kept("key.pem", &pem);
    check(&format!("{id} --private-key-file {key}"), "", &[], "key me  ");
    check(id, "", &[("LAKEHAUL_PRIVATE_KEY", &pem)], "key me  ");
    let line = format!("{id} --private-key-file {key} --key-id k --jku https://a.example/jwks");
    check(&line, "", &[], "key me k https://a.example/jwks");
}

#[test]
fn the_strongest_source_counts() {
    #[track_caller]
    fn check(line: &str, variables: &[(&str, &str)], expected: &str) {
        let config = "client-id = \"me\"\nclient-secret-command = \"echo file\"\n\
                      [profile.acme]\nclient-secret-command = \"echo profile\"\n[profile.ready]\ntoken-command = \"echo t\"";
        assert_eq!(auth_of(line, config, variables).expect(line), expected, "{line}");
    }
    let secret = [("LAKEHAUL_CLIENT_SECRET", "variable")];
    check("", &[], "secret me file Form");
    check("acme", &[], "secret me profile Form");
    check("ready", &[], "token t");
    check("acme", &secret, "secret me variable Form");
    check("acme --no-auth", &secret, "nobody");
    check("ready --client-secret-command whoami>/dev/null;echo${IFS}flag", &secret, "secret me flag Form");
}

#[test]
fn what_cannot_be_meant_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let empty = folder.path().join("empty");
    std::fs::write(&empty, "\n").expect("written");
    let empty = empty.display();
    let both = [("LAKEHAUL_CLIENT_SECRET", "sesame"), ("LAKEHAUL_TOKEN", "sesame")];
    let secret = &both[..1];
    #[track_caller]
    fn check(line: &str, variables: &[(&str, &str)], part: &str) {
        let failure = resolved(line, "", variables).map(|_| ()).expect_err(line);
        let text = failure.to_string();
        assert!(text.contains(part), "{line}: {text}");
        assert!(!format!("{failure:?}{text}").contains("sesame"), "{failure:?}");
        assert_eq!(failure.exit().code(), 2, "{line}");
    }
    check("--no-auth", &[], "--kind KIND (oneup-provider, oneup-payer, oneup-population, smart)");
    check("--kind smart --no-auth", &[], "--base-url URL");
    check("--kind smart --no-auth --base-url sesame", &[], "--base-url is no URL");
    check("--kind oneup-payer --no-auth", &[], "--tenant NAME");
    check(SERVER, &[], "--no-auth for an open server");
    check(&format!("{SERVER} --client-id me"), &[], "LAKEHAUL_CLIENT_SECRET, or add --client-secret-file");
    check(SERVER, secret, "not whose: add --client-id");
    check(SERVER, &both, "LAKEHAUL_CLIENT_SECRET and LAKEHAUL_TOKEN are given at once");
    check(&format!("{SERVER} --no-auth --token-file t"), &[], "--no-auth and --token-file are given at once");
    check(&format!("{SERVER} --token-file /nowhere/t"), &[], "--token-file: cannot read /nowhere/t");
    check(&format!("{SERVER} --token-file {empty}"), &[], "gives nothing, where the access token should be");
    check(&format!("{SERVER} --token-command false"), &[], "the command of --token-command failed (exit status: 1)");
    check(&format!("{SERVER} --token-command true"), &[], "gives nothing");
    check(SERVER, &[("LAKEHAUL_TOKEN", "")], "LAKEHAUL_TOKEN gives nothing");
    check(
        &format!("{SERVER} --client-id me"),
        &[("LAKEHAUL_PRIVATE_KEY", "sesame")],
        "the private key of LAKEHAUL_PRIVATE_KEY",
    );
    check(&format!("{SERVER} --client-id me --key-id k"), secret, "--key-id goes with a private key");
    check(&format!("{SERVER} --no-auth --scope s"), &[], "--scope goes with a client secret or a private key");
    check(&format!("{SERVER} --no-auth --client-secret-style form"), &[], "--client-secret-style goes with");
    check(
        &format!("{SERVER} --no-auth --trust-origin https://a.example/path"),
        &[],
        "--trust-origin: an origin is written",
    );
    check(&format!("{SERVER} --no-auth --ca-cert /nowhere/ca"), &[], "--ca-cert: cannot read /nowhere/ca");
}

#[test]
fn a_profile_may_hold_what_this_time_has_no_effect() {
    let config = "[profile.acme]\nkey-id = \"k\"\nscope = \"s\"";
    assert_eq!(auth_of("acme --no-auth", config, &[]).expect("is meant"), "nobody");
}

#[test]
fn stdin_is_read_once() {
    let mut stdin = Stdin::default();
    let path = Path::new("-");
    stdin.text(path, "--token-file").expect("a test's stdin ends at once");
    let failure = stdin.text(path, "--patient-file").expect_err("it was read");
    assert!(failure.to_string().contains("--token-file and --patient-file both want stdin"), "{failure}");
}
