//! Who cannot show that he is the payer is not spoken to, and nobody is in the clear unless the user says so.

use lakehaul_sim::{Host, LocationIn, Personality, Scenario, Sim, Tls};

use super::{Case, REFUSED, WHOLE, check, two_files};
use crate::payer::Payer;

#[test]
fn only_a_payer_that_can_show_who_it_is_is_asked() {
    /// No request, and no second attempt.
    fn nothing_was_sent(payer: &Payer, outcome: &crate::lakehaul::Outcome) {
        payer.nothing_is_published();
        assert_eq!(payer.sim.log().len(), 0, "{outcome}");
        assert!(!outcome.stderr.contains("sent again") && !outcome.stderr.contains("retries"), "{outcome}");
    }
    const TRUSTING: &[&str] = &["--ca-cert", "ca.pem", "--log", "debug"];
    const UNTRUSTED: Case =
        Case { code: 5, tells: &["cannot trust {origin}", "--ca-cert"], then: nothing_was_sent, ..WHOLE };
    check(&[
        Case { name: "good", scene: |scenario| two_files(scenario).tls(Tls::Good), arguments: TRUSTING, ..WHOLE },
        Case {
            name: "an authority that nobody knows",
            scene: |scenario| two_files(scenario).tls(Tls::Good),
            arguments: &["--log", "debug"],
            ..UNTRUSTED
        },
        Case {
            name: "an authority that nobody knows, though plain http is allowed",
            scene: |scenario| two_files(scenario).tls(Tls::Good),
            arguments: &["--allow-http"],
            ..UNTRUSTED
        },
        Case {
            name: "another name",
            scene: |scenario| two_files(scenario).tls(Tls::WrongName),
            arguments: TRUSTING,
            ..UNTRUSTED
        },
        Case {
            name: "expired",
            scene: |scenario| two_files(scenario).tls(Tls::Expired),
            arguments: TRUSTING,
            ..UNTRUSTED
        },
        Case {
            name: "no certificate in the file",
            scene: |scenario| two_files(scenario).tls(Tls::Good),
            arguments: &["--ca-cert", "/dev/null"],
            code: 2,
            tells: &["no PEM certificate"],
            then: nothing_was_sent,
            ..WHOLE
        },
        Case {
            name: "no such file",
            scene: |scenario| two_files(scenario).tls(Tls::Good),
            arguments: &["--ca-cert", "nowhere.pem"],
            code: 2,
            tells: &["--ca-cert", "nowhere.pem"],
            then: nothing_was_sent,
            ..WHOLE
        },
    ]);
}

#[test]
fn another_authority_vouches_for_nobody() {
    let payer = Payer::smart(|scenario| two_files(scenario).tls(Tls::Good));
    let another = Sim::start(Scenario::new(Personality::Smart).tls(Tls::Good)).expect("it starts");
    payer.place.write("another.pem", another.ca_pem().expect("it has TLS"));
    payer.export(&["--ca-cert", "another.pem"]).exits_with(5).tells("cannot trust");
    // Beside the right one it does no harm.
    payer.place.write("ca.pem", payer.sim.ca_pem().expect("it has TLS"));
    payer.is_whole(&payer.export(&["--ca-cert", "another.pem", "--ca-cert", "ca.pem"]));
}

/// 0.0.0.0 is not loopback by its address, and leads to this machine all the same.
#[test]
fn plain_http_stays_on_this_machine_unless_it_is_allowed() {
    let payer = Payer::provider(|scenario| two_files(scenario).kick_off(202, LocationIn::DetailsText, Host::Here));
    let base_url = payer.sim.base_url().replace("127.0.0.1", "0.0.0.0");
    let arguments = ["--base-url", base_url.as_str()];
    payer.export(&arguments).exits_with(2).tells("plain http").tells("--allow-http");
    assert_eq!(payer.sim.log().len(), 0);
    payer.is_whole(&payer.export(&[&arguments[..], &["--allow-http"]].concat()));
}

#[test]
fn a_base_url_that_is_none_is_told_before_anything_is_asked() {
    const USAGE: Case = Case {
        code: 2,
        then: |payer, outcome| {
            assert_eq!(payer.sim.log().len(), 0);
            assert!(!payer.place.path("lake").exists() && !outcome.stderr.contains("sesame"), "{outcome}");
        },
        ..REFUSED
    };
    check(&[
        Case { name: "another scheme", arguments: &["--base-url", "ftp://127.0.0.1/"], tells: &["base URL"], ..USAGE },
        Case { name: "a path", arguments: &["--base-url", "/fhir"], tells: &["--base-url"], ..USAGE },
        Case {
            name: "user name and password",
            arguments: &["--base-url", "http://me:sesame@127.0.0.1/fhir"],
            tells: &["user name or password"],
            ..USAGE
        },
        Case {
            name: "a query",
            arguments: &["--base-url", "http://127.0.0.1/fhir?key=sesame"],
            tells: &["base URL"],
            ..USAGE
        },
        Case {
            name: "plain http elsewhere",
            arguments: &["--base-url", "http://payer.example/fhir"],
            tells: &["plain http", "--allow-http"],
            ..USAGE
        },
    ]);
}
