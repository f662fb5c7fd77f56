//! A redirect takes neither a credential nor what is asked for to an origin that is not trusted, and is followed where
//! it does no harm.

use lakehaul_sim::{ClientAuth, Edition, Endpoint, Fault, Origin, RedirectTo, Target, Tls, When};

use super::{Case, REFUSED, WHOLE, asked_at_other_origin, check, check_each, is_left_alone, two_files};
use crate::payer::Payer;

const REDIRECTS: [u16; 5] = [301, 302, 303, 307, 308];

#[test]
fn no_token_follows_a_redirect() {
    /// Every request of an export but the one for a token, as `{method} {path}` begins.
    const EVERY: [&str; 7] = [
        "GET /fhir/.well-known/smart-configuration",
        "GET /fhir/metadata",
        "GET /fhir/$export",
        "GET /bulk/exports/",
        "GET /bulk/exports/{id}/pages/1",
        "GET /bulk/exports/{id}/files/a.ndjson",
        "GET /bulk/exports/{id}/files/b.ndjson",
    ];
    check_each(REDIRECTS.map(|status| (status, status)), |status| {
        let to_other = || Fault::redirect(status, RedirectTo::OtherOrigin);
        let payer = Payer::smart(|scenario| {
            two_files(scenario)
                .page_size(1)
                .fault(Endpoint::SmartConfiguration, When::First(1), to_other())
                .fault(Endpoint::SmartConfiguration, When::Always, Fault::status(404))
                .fault(Endpoint::Metadata, When::First(1), to_other())
                .fault(Endpoint::KickOff, When::First(1), to_other())
                .fault(Endpoint::Status, When::First(1), to_other())
                .fault(Endpoint::ManifestPage, When::First(1), to_other())
                .fault(Target::EachFile, When::First(1), to_other())
                .fault(Endpoint::Delete, When::First(1), to_other())
        });
        let outcome = payer.export(&[]);
        payer.is_whole(&outcome);
        let location = payer.sim.seen(Endpoint::Status)[0].path.clone();
        let asked = asked_at_other_origin(&payer);
        for request in EVERY {
            let request = request.replace("/bulk/exports/{id}", &location);
            assert!(asked.iter().any(|asked| asked.starts_with(&request)), "{request} is not in {asked:?}\n{outcome}");
        }
        // A 303 makes a GET of a DELETE, which does no harm.
        let last = if status == 303 { "GET" } else { "DELETE" };
        assert_eq!(asked.last(), Some(&format!("{last} {location}")));
    });
}

#[test]
fn no_secret_follows_a_redirect() {
    let ways = [("form", ClientAuth::Form), ("basic", ClientAuth::Basic)];
    let cases = REDIRECTS.iter().flat_map(|status| {
        ways.map(|(name, way)| (format!("{status} of a token request, {name}"), (*status, name, way)))
    });
    check_each(cases, |(status, style, way)| {
        let payer = Payer::smart(|scenario| {
            let fault = Fault::redirect(status, RedirectTo::OtherOrigin);
            two_files(scenario).client_auth(&[way]).fault(Endpoint::Token, When::First(1), fault)
        });
        let outcome = payer.export(&["--client-secret-style", style]);
        outcome.exits_with(3);
        if status == 303 {
            // It says where to look, not whom to ask.
            outcome.tells("token endpoint").tells("303");
        } else {
            outcome.tells("client's secret").tells(&format!("--trust-origin {}", payer.sim.other_origin()));
        }
        is_left_alone(&payer);
        assert_eq!(asked_at_other_origin(&payer), [""; 0]);
    });
}

/// What a kick-off's body asks for, and whom it names, goes nowhere else, and is never lost on the way: an export of
/// everything is not what was asked for.
#[test]
fn what_is_asked_for_follows_no_redirect() {
    let places = [("elsewhere", RedirectTo::OtherOrigin), ("the same place", RedirectTo::Itself)];
    let cases = REDIRECTS
        .iter()
        .flat_map(|status| places.iter().map(move |(name, to)| (format!("{status} to {name}"), (*status, to.clone()))));
    check_each(cases, |(status, to)| {
        let payer = Payer::smart(|scenario| {
            two_files(scenario).fault(Endpoint::KickOff, When::First(1), Fault::redirect(status, to.clone()))
        });
        let outcome = payer.export(&["--patient", "sesame-1"]);
        let named = |body: &[u8]| String::from_utf8_lossy(body).contains("sesame-1");
        assert!(payer.sim.log().iter().all(|seen| seen.origin == Origin::Main || !named(&seen.body.0)), "{outcome}");
        assert!(payer.sim.seen(Endpoint::KickOff).iter().all(|seen| named(&seen.body.0)), "{outcome}");
        if status == 303 {
            // It would make a GET of it.
            outcome.exits_with(4).tells("303");
            is_left_alone(&payer);
        } else if to == RedirectTo::OtherOrigin {
            outcome.exits_with(3).tells(&format!("--trust-origin {}", payer.sim.other_origin()));
            is_left_alone(&payer);
        } else {
            payer.is_whole(&outcome);
        }
    });
}

#[test]
fn redirects_end_somewhere() {
    check(&[
        Case {
            name: "two hops",
            scene: |scenario| {
                two_files(scenario)
                    .fault(Target::EachFile, When::Nth(1), Fault::redirect(302, RedirectTo::Itself))
                    .fault(Target::EachFile, When::Nth(2), Fault::redirect(307, RedirectTo::OtherOrigin))
            },
            then: |payer, outcome| {
                payer.is_whole(outcome);
                assert_eq!(asked_at_other_origin(payer).len(), 2);
            },
            ..WHOLE
        },
        Case {
            name: "there and back",
            scene: |scenario| {
                let path = "{origin}/bucket/a.ndjson".to_owned();
                two_files(scenario)
                    .fault("a.ndjson", When::Nth(1), Fault::redirect(302, RedirectTo::OtherOrigin))
                    .fault("a.ndjson", When::Nth(2), Fault::redirect(302, RedirectTo::Url(path)))
            },
            ..WHOLE
        },
        Case {
            name: "for ever",
            scene: |scenario| {
                two_files(scenario).fault("a.ndjson", When::Always, Fault::redirect(302, RedirectTo::Itself))
            },
            code: 5,
            tells: &["redirected more than 5 times"],
            ..REFUSED
        },
        Case {
            name: "with user name and password",
            scene: |scenario| {
                two_files(scenario).fault("a.ndjson", When::First(1), Fault::redirect(302, RedirectTo::Userinfo))
            },
            tells: &["user name or password"],
            ..REFUSED
        },
        Case {
            name: "to a file of this machine",
            scene: |scenario| {
                let to = RedirectTo::Url("file:///etc/passwd".to_owned());
                two_files(scenario).fault("a.ndjson", When::First(1), Fault::redirect(302, to))
            },
            tells: &["scheme file"],
            ..REFUSED
        },
        Case {
            name: "off this machine in the clear",
            scene: |scenario| {
                let to = RedirectTo::Url("http://192.0.2.1/a.ndjson".to_owned());
                two_files(scenario).fault("a.ndjson", When::First(1), Fault::redirect(302, to))
            },
            tells: &["plain http", "--allow-http"],
            ..REFUSED
        },
        Case {
            name: "to what is no URL, once",
            scene: |scenario| {
                let to = RedirectTo::Url("http://[".to_owned());
                two_files(scenario).fault("a.ndjson", When::First(1), Fault::redirect(302, to))
            },
            ..WHOLE
        },
        Case {
            name: "from https to http",
            scene: |scenario| {
                two_files(scenario).tls(Tls::Good).fault(
                    "a.ndjson",
                    When::First(1),
                    Fault::redirect(302, RedirectTo::PlainHttp),
                )
            },
            arguments: &["--ca-cert", "ca.pem"],
            tells: &["from https to plain http", "--allow-http"],
            ..REFUSED
        },
        Case {
            name: "from https to http, allowed",
            scene: |scenario| {
                two_files(scenario).tls(Tls::Good).fault(
                    "a.ndjson",
                    When::First(1),
                    Fault::redirect(302, RedirectTo::PlainHttp),
                )
            },
            arguments: &["--ca-cert", "ca.pem", "--allow-http"],
            ..WHOLE
        },
    ]);
}

/// STU4's POST sends what it asks for to the configured origin; a manifest there may be elsewhere all the same.
#[test]
fn a_token_that_the_user_got_is_kept_like_any_other() {
    let payer = Payer::smart(|scenario| {
        two_files(scenario)
            .edition(Edition::Stu4)
            .fault(Target::EachFile, When::First(1), Fault::redirect(302, RedirectTo::OtherOrigin))
            .fault(Endpoint::Status, When::First(1), Fault::redirect(302, RedirectTo::OtherOrigin))
    });
    payer.place.write("token", payer.sim.credentials().token);
    let mut command = payer.command(&["export", "--post", "--token-file", "token"]);
    command.env_remove("LAKEHAUL_CLIENT_SECRET");
    let outcome = crate::lakehaul::outcome(command.output().expect("the binary starts"));
    payer.is_whole(&outcome);
    assert_eq!(asked_at_other_origin(&payer).len(), 3);
    assert_eq!(payer.sim.tokens().len(), 0, "tokens from the token endpoint");
}
