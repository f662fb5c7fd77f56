//! What `check` finds, of servers that are there, and how it says so.

use lakehaul_fetch::{ClientOptions, Kind};
use lakehaul_sim::{ClientAuth, Personality, Scenario, Sim};

use super::*;
use crate::args::Level;

const MANNER: Manner = Manner { form: Form::Text, quiet: false, level: Level::Error };

/// What a check finds of this server; its address and secrets are not in the text.
fn asked(scenario: Scenario, kind: Kind, change: impl FnOnce(&mut ClientOptions, &Sim)) -> (String, Exit) {
    let sim = Sim::start(scenario).expect("starts");
    let credentials = sim.credentials();
    let mut options = ClientOptions::new(kind, sim.base_url().parse().expect("a URL"));
    options.tenant = kind.needs_tenant().then(|| "bison".to_owned());
    options.auth = lakehaul_fetch::Auth::ClientSecret {
        client_id: credentials.client_id.clone(),
        secret: credentials.client_secret.clone().into(),
        style: lakehaul_fetch::SecretStyle::Form,
    };
    change(&mut options, &sim);
    let reporter = Arc::new(Reporter::to_stderr(MANNER));
    let level = lakehaul_fetch::Level::Group("g".to_owned());
    let findings = server::findings(options, Some(&level), &reporter);
    assert!(sim.log().iter().all(|seen| !seen.path.contains("$export")), "a check starts no export");
    let text = text(&[], &findings, MANNER);
    assert!(!text.contains(&credentials.client_secret));
    let exit = Exit::first(findings.iter().map(|finding| match finding.grade {
        Grade::Problem(exit) => exit,
        Grade::Ok | Grade::Warning => Exit::Complete,
    }));
    (text.replace(&sim.origin(), "http://sim"), exit)
}

#[test]
fn servers_are_asked_what_they_can_do() {
    let oneup = asked(Scenario::new(Personality::OneupProvider), Kind::OneupProvider, |_, _| {});
    let smart = asked(Scenario::new(Personality::Smart), Kind::Smart, |_, _| {});
    let other_style = asked(
        Scenario::new(Personality::Smart).client_auth(&[ClientAuth::Form, ClientAuth::PrivateKeyJwt]),
        Kind::Smart,
        |options, sim| {
            options.auth = lakehaul_fetch::Auth::Token(sim.credentials().token.into());
            options.base_url = format!("{}/elsewhere", sim.origin()).parse().expect("a URL");
        },
    );
    assert_eq!([oneup.1, smart.1, other_style.1], [Exit::Complete; 3]);
    insta::assert_snapshot!([oneup.0, smart.0, other_style.0].join("\n────\n"));
}

#[test]
fn a_wrong_secret_and_a_server_that_is_not_there() {
    let wrong = asked(Scenario::new(Personality::OneupProvider), Kind::OneupProvider, |options, sim| {
        options.auth = lakehaul_fetch::Auth::ClientSecret {
            client_id: sim.credentials().client_id,
            secret: "wrong".to_owned().into(),
            style: lakehaul_fetch::SecretStyle::Form,
        };
    });
    assert_eq!(wrong.1, Exit::Refused, "{}", wrong.0);
    assert!(wrong.0.starts_with("problem  token     the token endpoint answers 401"), "{}", wrong.0);
    let gone = asked(Scenario::new(Personality::OneupProvider), Kind::OneupProvider, |options, _| {
        options.base_url = "http://127.0.0.1:1".parse().expect("a URL");
        options.patience.retries = 0;
    });
    assert_eq!(gone.1, Exit::Transport, "{}", gone.0);
    let plain = asked(Scenario::new(Personality::OneupProvider), Kind::OneupProvider, |options, _| {
        options.base_url = "http://a.example".parse().expect("a URL");
    });
    assert_eq!(plain.1, Exit::Usage, "{}", plain.0);
    assert!(plain.0.contains("--allow-http"), "{}", plain.0);
}

#[test]
fn lakes_are_looked_at_and_not_made() {
    let folder = tempfile::tempdir().expect("a folder");
    let name = |path: &str| folder.path().join(path).display().to_string();
    let look = |path: &str| {
        let findings = lake::findings(Some(Ok(name(path))), Some(&lakehaul_load::LoadOptions::default()));
        text(&[], &findings, MANNER).replace(&name(""), "")
    };
    let text = look("new/lake");
    assert!(text.starts_with("ok       lake      new/lake does not exist yet; it will be made"), "{text}");
    assert!(!folder.path().join("new").exists());
    std::fs::write(folder.path().join("file"), "").expect("written");
    assert!(look("file").starts_with("problem  lake      file is a file"), "{}", look("file"));

    std::fs::create_dir_all(folder.path().join("held/_lake")).expect("made");
    let lock = std::fs::File::create(folder.path().join("held/_lake/lock")).expect("made");
    assert!(look("held").starts_with("ok       lake      held can be written; 0 finished runs"), "{}", look("held"));
    lock.lock().expect("nobody has it");
    let held = lake::findings(Some(Ok(name("held"))), None);
    assert_eq!(held.iter().map(|finding| finding.grade).collect::<Vec<_>>(), [Grade::Problem(Exit::Held)]);
    assert!(matches!(lake::findings(None, None)[..], [Finding { grade: Grade::Warning, .. }]));
}

#[test]
fn findings_read_well() {
    let setting = |name: &str, value: &str, from: &str| Setting {
        name: name.to_owned(),
        value: value.to_owned(),
        from: from.to_owned(),
    };
    let settings = [
        setting("kind", "oneup-provider", "profile acme in config.toml"),
        setting("tenant", "bison", "LAKEHAUL_TENANT"),
    ];
    let ok = || Finding::ok("token", "obtained");
    let warning = || Finding::warning("server", "it does not name $export", "servers understate");
    let problem = || Finding::failure("lake", &Failure::Usage("the lake's path is empty".to_owned()));
    insta::assert_snapshot!("findings", text(&settings, &[ok(), warning(), problem()], MANNER));
    let verdict = |findings: &[Finding]| text(&[], findings, MANNER).lines().last().map(str::to_owned);
    assert!(verdict(&[ok()]).is_some_and(|line| line.starts_with("All is well")));
    assert!(verdict(&[ok(), warning()]).is_some_and(|line| line.starts_with("1 warning, no problem: ")));
    assert_eq!(verdict(&[problem(), problem()]).as_deref(), Some("2 problems."));
    let quiet = Manner { quiet: true, ..MANNER };
    assert_eq!(text(&settings, &[ok()], quiet), "");
    insta::assert_snapshot!("findings_object", object(&settings, &[ok(), warning(), problem()], Exit::Usage));
}
