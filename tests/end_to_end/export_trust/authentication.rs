//! Every way to show who asks, from every place where a secret may come from; and what is told when it is not accepted.

use std::process::Stdio;

use lakehaul_sim::ClientAuth::{Basic, Form, PrivateKeyJwt};
use lakehaul_sim::{ClientAuth, Endpoint, Scenario, SigningKey};

use super::{check_each, is_left_alone, two_files};
use crate::lakehaul::{Outcome, outcome};
use crate::payer::Payer;

/// A command without the secret that the scene puts into the environment.
fn export(payer: &Payer, arguments: &[&str], variables: &[(&str, &str)]) -> Outcome {
    let mut command = payer.command(&[&["export"], arguments].concat());
    command.env_remove("LAKEHAUL_CLIENT_SECRET").envs(variables.iter().copied());
    outcome(command.output().expect("the binary starts"))
}

/// A SMART server that takes only this; tokens are demanded for all.
fn taking(way: ClientAuth) -> Payer {
    Payer::smart(|scenario: Scenario| two_files(scenario).client_auth(&[way]))
}

#[test]
fn a_signed_assertion_is_accepted() {
    let credentials = taking(PrivateKeyJwt).sim.credentials();
    let key_set = |key: &SigningKey| format!("{{\"keys\":[{}]}}", key.private_jwk());
    let (rsa, ec) = (credentials.rsa_key(), credentials.ec_key());
    let cases = [
        ("RS384, PEM", rsa.private_pem(), Some(rsa.key_id())),
        ("RS384, JWK", rsa.private_jwk(), None),
        ("RS384, JWK and its own id", rsa.private_jwk(), Some(rsa.key_id())),
        ("RS384, JWK set", key_set(rsa), None),
        ("ES384, PEM", ec.private_pem(), Some(ec.key_id())),
        ("ES384, JWK", ec.private_jwk(), None),
        ("ES384, JWK set", key_set(ec), None),
    ];
    check_each(cases.map(|case| (case.0, case)), |(_, key, id)| {
        let payer = taking(PrivateKeyJwt);
        payer.place.write("key", key);
        let mut arguments = vec!["--private-key-file", "key"];
        arguments.extend(id.iter().flat_map(|id| ["--key-id", id]));
        payer.is_whole(&export(&payer, &arguments, &[]));
        let form = String::from_utf8_lossy(&payer.sim.seen(Endpoint::Token)[0].body.0).into_owned();
        assert!(
            form.contains("client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer")
        );
        assert!(form.contains("scope=system%2F*.rs") && !form.contains("client_secret"), "{form}");
    });
}

#[test]
fn a_secret_may_come_from_anywhere_but_the_command_line() {
    let probe = taking(Form);
    let credentials = probe.sim.credentials();
    let (secret, token, pem) =
        (credentials.client_secret.as_str(), credentials.token.as_str(), credentials.ec_key().private_pem());
    let key_id = credentials.ec_key().key_id();
    type Given<'g> = (ClientAuth, &'g [&'g str], &'g [(&'g str, &'g str)]);
    let cases: [(&str, Given<'_>); 13] = [
        ("secret in the environment", (Form, &[], &[("LAKEHAUL_CLIENT_SECRET", secret)])),
        ("secret in a file", (Form, &["--client-secret-file", "secret"], &[])),
        ("secret in a file that the environment names", (Form, &[], &[("LAKEHAUL_CLIENT_SECRET_FILE", "secret")])),
        ("secret from a command", (Form, &["--client-secret-command", "cat secret"], &[])),
        ("secret as HTTP basic", (Basic, &["--client-secret-file", "secret", "--client-secret-style", "basic"], &[])),
        (
            "a flag beats the environment",
            (Form, &["--client-secret-file", "secret"], &[("LAKEHAUL_CLIENT_SECRET", "no")]),
        ),
        ("key in the environment", (PrivateKeyJwt, &["--key-id", key_id], &[("LAKEHAUL_PRIVATE_KEY", &pem)])),
        ("key from a command", (PrivateKeyJwt, &["--key-id", key_id, "--private-key-command", "cat key"], &[])),
        (
            "key beats a secret of the environment",
            (PrivateKeyJwt, &["--key-id", key_id, "--private-key-file", "key"], &[("LAKEHAUL_CLIENT_SECRET", "no")]),
        ),
        ("token in the environment", (Form, &[], &[("LAKEHAUL_TOKEN", token)])),
        ("token in a file", (Form, &["--token-file", "token"], &[])),
        ("token from a command", (Form, &["--token-command", "cat token"], &[])),
        ("token in a file of a profile", (Form, &["acme"], &[])),
    ];
    check_each(cases, |(way, arguments, variables)| {
        let payer = taking(way);
        payer.place.write("secret", format!("{secret}\n"));
        payer.place.write("token", format!("{token}\r\n"));
        payer.place.write("key", &pem);
        payer.place.write("config/lakehaul/config.toml", "[profile.acme]\ntoken-file = \"token\"\n");
        payer.is_whole(&export(&payer, arguments, variables));
    });
}

#[test]
fn a_secret_may_come_from_stdin() {
    let payer = taking(Form);
    let secret = payer.place.write("secret", payer.sim.credentials().client_secret);
    let mut command = payer.command(&["export", "--client-secret-file", "-"]);
    let file = std::fs::File::open(secret).expect("the file is there");
    let output = command.env_remove("LAKEHAUL_CLIENT_SECRET").stdin(Stdio::from(file)).output();
    payer.is_whole(&outcome(output.expect("the binary starts")));
}

#[test]
fn what_is_not_accepted_is_told_and_not_repeated() {
    let probe = taking(Form);
    let credentials = probe.sim.credentials();
    let (rsa, ec) = (credentials.rsa_key(), credentials.ec_key());
    type Given<'g> = (ClientAuth, &'g [&'g str], i32, &'g [&'g str]);
    let cases: [(&str, Given<'_>); 9] = [
        ("no key id", (PrivateKeyJwt, &["--private-key-file", "ec.pem"], 3, &["invalid_client"])),
        (
            "another key's id",
            (PrivateKeyJwt, &["--private-key-file", "ec.pem", "--key-id", rsa.key_id()], 3, &["invalid_client"]),
        ),
        (
            "a way that is not accepted",
            (Form, &["--private-key-file", "ec.pem", "--key-id", ec.key_id()], 3, &["invalid_client"]),
        ),
        ("a public key", (PrivateKeyJwt, &["--private-key-file", "public.pem"], 2, &["private key"])),
        ("no key at all", (PrivateKeyJwt, &["--private-key-file", "words.txt"], 2, &["private key"])),
        ("an empty secret", (Form, &["--client-secret-file", "empty"], 2, &["--client-secret-file gives nothing"])),
        (
            "a command that fails",
            (Form, &["--client-secret-command", "false"], 2, &["--client-secret-command", "failed"]),
        ),
        (
            "two at once",
            (
                Form,
                &["--client-secret-file", "words.txt", "--token-file", "words.txt"],
                2,
                &["--client-secret-file", "--token-file", "only one"],
            ),
        ),
        ("a dead token", (Form, &["--token-file", "words.txt"], 3, &["401", "Get a new access token"])),
    ];
    check_each(cases, |(way, arguments, code, tells)| {
        let payer = taking(way);
        payer.place.write("ec.pem", ec.private_pem());
        payer.place.write("public.pem", "-----BEGIN PUBLIC KEY-----\nc2VzYW1l\n-----END PUBLIC KEY-----\n");
        payer.place.write("words.txt", "sesame");
        payer.place.write("empty", "\n");
        let outcome = export(&payer, arguments, &[]);
        outcome.exits_with(code);
        for part in tells {
            outcome.tells(part);
        }
        assert!(!outcome.stderr.contains("sesame") && !outcome.stderr.contains("c2VzYW1l"), "{outcome}");
        is_left_alone(&payer);
        assert!(payer.sim.seen(Endpoint::Token).len() <= 1, "a refusal is final");
        if code == 2 {
            assert_eq!(payer.sim.log().len(), 0);
        }
    });
}

#[test]
fn who_asks_has_to_be_said() {
    let payer = taking(Form);
    export(&payer, &[], &[]).exits_with(2).tells("LAKEHAUL_CLIENT_SECRET").tells("--private-key-file");
    let mut command = payer.command(&["export"]);
    command.env_remove("LAKEHAUL_CLIENT_ID");
    outcome(command.output().expect("the binary starts")).exits_with(2).tells("--client-id");
    export(&payer, &["--no-auth"], &[]).exits_with(3).tells("401").tells("--client-id");
    is_left_alone(&payer);
}
