//! Secrets and what names patients stay where they belong: planted words are searched for in all that a command says
//! and leaves behind.

use std::os::unix::fs::PermissionsExt;

use lakehaul_sim::{Answer, Endpoint, Fault, Place, Rule, Scenario, Signed, Target, When};
use serde_json::json;

use super::{below, check_each, two_files};
use crate::lakehaul::{Outcome, outcome};
use crate::payer::{LAKE, Payer};

const SECRET: &str = "SESAME+secret/8f14e45f=";
const PATIENT: &str = "SESAME-patient-1";

/// Where a run that may be taken up keeps what it needs for it.
const STAGING: &str = "_lake/staging/";

/// A payer with signed URLs, a token and a secret that would be seen.
fn payer(scene: impl FnOnce(Scenario) -> Scenario) -> Payer {
    Payer::smart(|scenario| {
        let scenario = two_files(scenario).client("client-1", SECRET).running(1).page_size(1);
        scene(scenario.each_file(|file| file.signed(Signed::default())))
    })
}

/// All that must not be seen: of the payer, and of each request to a signed URL.
fn planted(payer: &Payer) -> Vec<String> {
    let mut words: Vec<String> = ["SESAME", "8f14e45f", "sim-token-0", "BEGIN PRIVATE KEY"].map(str::to_owned).into();
    words.extend(payer.sim.tokens());
    words.push(payer.sim.credentials().token);
    words.extend(payer.sim.seen(Target::AnyFile).into_iter().filter_map(|seen| seen.query));
    // A signature alone is as good as the query that it is in.
    let signatures: Vec<String> =
        words.iter().filter_map(|word| Some(word.split_once("X-Sim-Signature=")?.1.to_owned())).collect();
    words.extend(signatures);
    let pem = payer.sim.credentials().ec_key().private_pem();
    words.extend(pem.lines().filter(|line| !line.starts_with('-')).map(str::to_owned));
    words
}

/// None of the planted words is in what was said, nor in a file of the lake; `_lake/staging` aside, if the run has not
/// ended.
#[track_caller]
fn nothing_leaked(payer: &Payer, outcomes: &[Outcome]) {
    let words = planted(payer);
    assert!(words.iter().all(|word| word.len() >= 6), "a word that is nowhere by itself: {words:?}");
    let lake = payer.place.path(LAKE);
    let files = below(&lake).into_iter().filter(|path| path.is_file());
    let files = files.filter(|path| !path.strip_prefix(&lake).is_ok_and(|path| path.starts_with(STAGING)));
    let texts = files.map(|path| (path.display().to_string(), std::fs::read(&path).expect("a file")));
    let said = outcomes.iter().flat_map(|outcome| {
        [("stdout", &outcome.stdout), ("stderr", &outcome.stderr)]
            .map(|(name, text)| (name.to_owned(), text.clone().into_bytes()))
    });
    for (name, text) in texts.chain(said) {
        for word in &words {
            let found = text.windows(word.len()).position(|window| window == word.as_bytes());
            assert!(found.is_none(), "{word} is in {name}:\n{}", String::from_utf8_lossy(&text));
        }
    }
}

/// Nobody but the owner may read what is written.
#[track_caller]
fn only_the_owner_may_read(payer: &Payer) {
    let lake = payer.place.path(LAKE);
    for path in below(&lake).into_iter().chain([lake.clone()]) {
        let mode = path.metadata().expect("it is there").permissions().mode() & 0o777;
        assert_eq!(mode, if path.is_dir() { 0o700 } else { 0o600 }, "{:o} of {}", mode, path.display());
    }
}

/// As people and as programs hear of it.
const MANNERS: [&[&str]; 2] = [&["--log", "debug"], &["--json", "--log", "debug"]];

#[test]
fn no_secret_is_seen_whatever_happens() {
    /// An error with everything in it that a server knows.
    fn indiscreet(status: u16) -> Fault {
        let key = "SESAME".repeat(8);
        let words = format!(
            "token {key} refused for https://me:SESAME@files.example/x?X-Amz-Signature={key}, Patient?id=SESAME"
        );
        let outcome = json!({"resourceType": "OperationOutcome", "issue": [{
            "severity": "error", "code": "processing", "details": {"text": words}, "diagnostics": words}]});
        Fault::answer(Answer::new(status).body("application/fhir+json", outcome.to_string()))
    }
    type Scene = fn(Scenario) -> Scenario;
    let cases: [(&str, (i32, Scene)); 9] = [
        ("all is well", (0, |scenario| scenario)),
        (
            "files at another origin",
            (0, |scenario| {
                scenario.file_access(lakehaul_sim::FileAccess::NoToken).each_file(|file| file.place(Place::OtherOrigin))
            }),
        ),
        (
            "every request fails once",
            (0, |scenario| {
                scenario
                    .fault(Target::EachFile, When::First(1), Fault::reset_at(5))
                    .fault(Endpoint::Status, When::First(1), Fault::status(503))
                    .fault(Endpoint::Token, When::First(1), Fault::status(500))
                    .fault(Endpoint::KickOff, When::First(1), Fault::status(429))
            }),
        ),
        (
            "signed URLs die",
            (0, |scenario| scenario.fault(Target::EachFile, When::First(1), Fault::expire_signed_urls())),
        ),
        ("signed URLs are dead", (6, |scenario| scenario.fault("a.ndjson", When::Always, Fault::expire_signed_urls()))),
        ("a file does not come", (5, |scenario| scenario.fault("a.ndjson", When::Always, Fault::reset_at(1)))),
        ("a file is refused", (3, |scenario| scenario.fault("a.ndjson", When::Always, Fault::status(401)))),
        ("the export fails", (4, |scenario| scenario.fault(Endpoint::Status, When::Always, indiscreet(400)))),
        (
            "the token endpoint says too much",
            (3, |scenario| {
                let words = format!("no client with the secret {SECRET}");
                let words = json!({"error": "invalid_client", "error_description": words});
                let answer = Answer::new(401).body("application/json", words.to_string());
                scenario.fault(Endpoint::Token, When::Always, Fault::answer(answer))
            }),
        ),
    ];
    let in_both_manners =
        cases.iter().flat_map(|(name, case)| MANNERS.map(|manner| (format!("{name}, {manner:?}"), (case, manner))));
    check_each(in_both_manners, |((code, scene), manner)| {
        let payer = payer(scene);
        let outcome = payer.export(&[manner, &["--retries", "2"]].concat());
        outcome.exits_with(*code);
        let runs = payer.place.run(&["runs", LAKE, "--json"]);
        nothing_leaked(&payer, &[outcome, runs]);
        only_the_owner_may_read(&payer);
    });
}

#[test]
fn no_key_is_seen() {
    for manner in MANNERS {
        let payer = payer(|scenario| scenario);
        let key = payer.sim.credentials().ec_key();
        payer.place.write("key.pem", key.private_pem());
        let arguments = [manner, &["--private-key-file", "key.pem", "--key-id", key.key_id()]].concat();
        let export = payer.export(&arguments);
        export.exits_with(0);
        let assertion = payer.sim.seen(Endpoint::Token)[0].body.clone();
        let assertion = String::from_utf8_lossy(&assertion.0).into_owned();
        let assertion =
            assertion.split("client_assertion=").nth(1).and_then(|text| text.split('&').next()).expect("an assertion");
        assert!(!export.stderr.contains(assertion) && !export.stdout.contains(assertion));
        let check = outcome(payer.command(&[&["check"], &arguments[..]].concat()).output().expect("the binary starts"));
        nothing_leaked(&payer, &[export, check]);
    }
}

/// A key to the status of an export may be all that is needed to fetch it: it is kept where a run is taken up from, and
/// nowhere else, and goes with it.
#[test]
fn a_polling_location_is_kept_for_as_long_as_it_is_needed() {
    let payer = Payer::smart(|scenario| {
        let query = "key=SESAME-job";
        two_files(scenario).fault(Endpoint::Status, When::First(1), Fault::status(503)).fault(
            Endpoint::KickOff,
            When::Always,
            {
                let answer = Answer::new(202).header("Content-Location", format!("{{origin}}/bulk/exports/1?{query}"));
                Fault::answer(answer)
            },
        )
    });
    let outcome = payer.export(&["--retries", "0", "--log", "debug"]);
    outcome.exits_with(5);
    nothing_leaked(&payer, &[outcome]);
    only_the_owner_may_read(&payer);
    let kept = |payer: &Payer| {
        let files = below(&payer.place.path(LAKE).join(STAGING)).into_iter().filter(|path| path.is_file());
        let having = |text: Vec<u8>| String::from_utf8_lossy(&text).contains("SESAME-job");
        files.filter(|path| having(std::fs::read(path).expect("a file"))).count()
    };
    assert_eq!(kept(&payer), 1);
    let manifest = r#"{"transactionTime":"2026-01-01T00:00:00Z","requiresAccessToken":true,"output":[]}"#;
    payer.sim.set_faults(vec![Rule::new(Endpoint::Status, When::Always, Fault::manifest(manifest))]);
    let outcome = payer.export(&["--log", "debug"]);
    outcome.exits_with(0);
    assert_eq!(kept(&payer), 0);
    let asked: Vec<_> = payer.sim.seen(Endpoint::Status).into_iter().filter_map(|seen| seen.query).collect();
    assert_eq!(asked, ["key=SESAME-job"; 2]);
    nothing_leaked(&payer, &[outcome]);
}

/// Who is asked for is nobody's business but the payer's.
#[test]
fn no_patient_s_id_is_seen() {
    for manner in MANNERS {
        let payer = payer(|scenario| scenario);
        payer.place.write("patients.txt", format!("{PATIENT}\n\nPatient/{PATIENT}-2\n"));
        payer.place.write("filters.txt", "Claim?patient=SESAME-patient-3\n");
        let named = ["--patient-file", "patients.txt", "--type-filter-file", "filters.txt", "--param", "x=SESAME-4"];
        let arguments = [manner, &named].concat();
        let command = |name: &str, more: &[&str]| {
            let mut command = payer.command(&[&[name], &arguments[..], more].concat());
            outcome(command.output().expect("the binary starts"))
        };
        let said = [command("export", &["--dry-run"]), command("check", &[]), command("export", &[])];
        for outcome in &said {
            outcome.exits_with(0);
        }
        let kick_off = payer.sim.seen(Endpoint::KickOff).remove(0);
        assert!(String::from_utf8_lossy(&kick_off.body.0).contains(PATIENT), "they were asked for");
        nothing_leaked(&payer, &said);
    }
}

#[test]
fn the_user_may_let_others_read() {
    let payer = payer(|scenario| scenario);
    payer.export(&["--mode", "640"]).exits_with(0);
    let part = payer.record()["tables"][0]["files"][0]["path"].as_str().expect("a path").to_owned();
    let mode = |path: std::path::PathBuf| path.metadata().expect("it is there").permissions().mode() & 0o777;
    assert_eq!(mode(payer.place.path(LAKE).join(&part)), 0o640);
    assert_eq!(mode(payer.place.path(LAKE).join("Patient")), 0o750);
}

/// A line each value and member name of which would be seen.
fn telling(id: usize) -> String {
    format!(
        r#"{{"resourceType":"Patient","id":"SESAME-id-{id}","birthDate":"1970-01-01","SESAMEmember":{{"x":"SESAME-inside"}},"name":[{{"family":"SESAME-family-{id}","given":["SESAME-given"],"_given":[{{"extension":[{{"url":"SESAME-url","valueDecimal":1.50}}]}}]}}],"contained":[{{"resourceType":"Basic","id":"SESAME-contained"}}],"photo":[{{"data":"U0VTQU1F"}}]}}"#
    ) + "\n"
}

/// Tables in the making, and lines that go to quarantine: who may read the lake may read these.
fn is_made_of_lines(name: &str) -> bool {
    let (folder, name) = name.rsplit_once('/').unwrap_or(("", name));
    name.ends_with(".part")
        || name.starts_with("row_groups-")
        || folder.ends_with("/aside")
        || name.starts_with("long-")
}

#[test]
fn what_a_dead_run_leaves_tells_nothing() {
    let lines: String = (0..200).map(telling).collect();
    let bad = "{\"SESAME\": broken\n\"SESAME-no-object\"\n";
    let payer = payer(|scenario| {
        let file = |text: String, name: &str| lakehaul_sim::ServedFile::new("Patient", text).named(name);
        let silent = Fault::stall_at(10, std::time::Duration::from_secs(600));
        scenario
            .file(file(format!("{lines}{bad}"), "telling.ndjson").signed(Signed::default()))
            .file(file(lines.clone(), "silent.ndjson").signed(Signed::default()))
            .fault("silent.ndjson", When::Always, silent)
    });
    let lake = payer.place.path(LAKE);
    let mut command = payer.command(&["export", "--checkpoint", "0s", "--log", "debug"]);
    // Not through pipes: nobody reads them while it runs.
    let said = ["stdout", "stderr"].map(|name| payer.place.path(name));
    let [stdout, stderr] = said.each_ref().map(|path| std::fs::File::create(path).expect("a file"));
    let mut running = command.stdout(stdout).stderr(stderr).spawn().expect("the binary starts");
    let journal = || below(&lake).into_iter().find(|path| path.ends_with("journal"));
    let begun = std::time::Instant::now();
    // Until the file that tells is in it.
    while !journal().is_some_and(|path| std::fs::read_to_string(path).is_ok_and(|text| text.contains("telling.ndjson")))
    {
        let stderr = || std::fs::read_to_string(payer.place.path("stderr")).unwrap_or_default();
        assert!(begun.elapsed().as_secs() < 30, "nothing is saved: {}", stderr());
        std::thread::yield_now();
    }
    let arguments = std::fs::read(format!("/proc/{}/cmdline", running.id())).unwrap_or_default();
    running.kill().expect("it runs");
    running.wait().expect("it has ended");

    let words = planted(&payer);
    let mut looked_at = vec![("the arguments".to_owned(), arguments)];
    looked_at.extend(said.map(|path| (path.display().to_string(), std::fs::read(&path).expect("a file"))));
    for path in below(&lake) {
        let mode = std::fs::metadata(&path).expect("it is there").permissions().mode() & 0o777;
        assert_eq!(mode, if path.is_dir() { 0o700 } else { 0o600 }, "{}", path.display());
        let name = path.strip_prefix(&lake).expect("it is in the lake").to_string_lossy().into_owned();
        if path.is_file() && !is_made_of_lines(&name) {
            looked_at.push((name, std::fs::read(&path).expect("a file")));
        }
    }
    let names: Vec<&str> = looked_at.iter().map(|(name, _)| name.rsplit('/').next().unwrap_or(name)).collect();
    assert!(["journal", "plan.json", "export.json"].iter().all(|name| names.contains(name)), "{names:?}");
    for (name, text) in &looked_at {
        for word in &words {
            let found = text.windows(word.len()).any(|window| window == word.as_bytes());
            assert!(!found, "{word} is in {name}:\n{}", String::from_utf8_lossy(text));
        }
    }
    payer.sim.set_faults(Vec::new());
    payer.export(&[]).exits_with(7);
    assert!(!below(&lake).iter().any(|path| path.is_file() && path.to_string_lossy().contains(STAGING)));
}
