//! Rosters of members: asked once, exported group by group, every line accounted for.

use std::collections::BTreeMap;
use std::fs::File;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use arrow::array::{Array, AsArray};
use lakehaul_load::{Ask, ErrorKind, GivenConsent, MatchOutcome, RunStatus, WrongLines};
use lakehaul_sim::{Endpoint, Fault, GroupAt, MatchAnswer, Personality, Rule, Scenario, ServedFile, When};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value;

use crate::scene::{Scene, resource, resources};

const HEADER: &str = "family,given,birthDate,gender,memberId\n";

/// Members by number.
fn roster(members: impl Iterator<Item = usize>) -> String {
    let lines = members.map(|member| format!("Family{member},Given,1960-01-02,female,{member}\n"));
    std::iter::once(HEADER.to_owned()).chain(lines).collect()
}

/// The member's number in a question.
fn number(question: &Value) -> usize {
    let coverage = &question["parameter"].as_array().unwrap()[1];
    assert_eq!(coverage["name"], "CoverageToMatch");
    coverage["resource"]["identifier"][0]["value"].as_str().unwrap().parse().unwrap()
}

fn file(group: &str) -> ServedFile {
    let lines: String = resources("Patient", 3).map(|line| line + "\n").collect();
    ServedFile::new("Patient", lines).named(&format!("{group}.ndjson"))
}

/// Groups `a` and `b`, and whatever else there is to answer.
fn answers(scenario: Scenario) -> Scenario {
    let scenario = scenario.group("a", [file("a")]).group("b", [file("b")]);
    scenario.match_members(|question| {
        let group = |id: &str, at| MatchAnswer::Group { id: id.to_owned(), at };
        match number(question) {
            1 => group("a", GroupAt::TopLevel),
            2 => group("b", GroupAt::ValueReference),
            3 => group("a", GroupAt::Contained),
            4 => MatchAnswer::NoMatch,
            5 => MatchAnswer::Ambiguous,
            6 => MatchAnswer::Refused { status: 403, text: "Family6 has not consented".to_owned() },
            7 => MatchAnswer::Identifier("42".to_owned()),
            8 => group("gone", GroupAt::ValueId),
            _ => group("b", GroupAt::ValueString),
        }
    })
}

/// The table's lines: outcome, reason, group, run.
fn table(scene: &Scene) -> BTreeMap<i64, [Option<String>; 4]> {
    let folder = scene.path("lake/member_match");
    let mut lines = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let file = File::open(entry.unwrap().path()).unwrap();
        for batch in ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap() {
            let batch = batch.unwrap();
            let line = batch["roster_line"].as_primitive::<arrow::datatypes::Int64Type>();
            let text = |name: &str, at: usize| {
                let column = batch[name].as_string::<i32>();
                column.is_valid(at).then(|| column.value(at).to_owned())
            };
            for at in 0..batch.num_rows() {
                let cells = ["outcome", "reason", "group_id", "run"].map(|name| text(name, at));
                lines.insert(line.value(at), cells);
            }
        }
    }
    lines
}

#[test]
fn every_line_of_a_roster_has_its_outcome() {
    let scene = Scene::new(Personality::OneupPayer, answers);
    // One of them twice.
    let request = scene.roster(&roster((1..=8).chain([2])));
    let summary = scene.match_members(&request).unwrap();
    let expected = [
        (MatchOutcome::Loaded, 4),
        (MatchOutcome::Matched, 1),
        (MatchOutcome::NoMatch, 1),
        (MatchOutcome::Ambiguous, 1),
        (MatchOutcome::Refused, 1),
        (MatchOutcome::Failed, 1),
    ];
    assert_eq!(summary.outcomes, expected);
    let groups: Vec<_> = summary.groups.iter().map(|group| (group.id.as_str(), group.members)).collect();
    assert_eq!(groups, [("a", 2), ("b", 2), ("gone", 1)]);
    assert_eq!((scene.sim.match_count(), scene.sim.export_count()), (8, 2));
    assert_eq!(scene.rows("Patient").len(), 6);
    scene.check_sound();
    let table = table(&scene);
    let outcome = |line: i64| table[&line][0].as_deref().unwrap();
    let outcomes: Vec<_> = (2..=10).map(outcome).collect();
    let all = ["loaded", "loaded", "loaded", "no_match", "ambiguous", "refused", "matched", "failed", "loaded"];
    assert_eq!(outcomes, all);
    let runs: Vec<_> = scene.records().into_iter().map(|record| record.run).collect();
    assert_eq!(table[&2][2..], [Some("a".to_owned()), Some(runs[0].clone())]);
    assert_eq!(table[&3][2..], [Some("b".to_owned()), Some(runs[1].clone())]);
    assert!(table[&8][1].as_ref().unwrap().contains("names no group"), "{table:?}");
    assert!(table[&9][1].is_some(), "{table:?}");
    assert!(!table[&7][1].as_ref().unwrap().contains("Family6"), "{table:?}");
    // Again: nobody is asked for twice, no group is exported twice; what failed is tried again.
    let summary = scene.match_members(&request).unwrap();
    assert_eq!(summary.outcomes, expected);
    assert_eq!((scene.sim.match_count(), scene.sim.export_count()), (8, 2));
    assert_eq!(scene.records().len(), 2);
    // Unless it is wished.
    let mut request = request;
    request.ask = Ask::Everyone;
    scene.match_members(&request).unwrap();
    assert_eq!(scene.sim.match_count(), 16);
}

#[test]
fn nothing_is_sent_for_a_roster_with_a_wrong_line() {
    let scene = Scene::new(Personality::OneupPayer, answers);
    let mut request = scene.roster(&(roster(1..=2) + "Young,John,1960,male,3\n"));
    let error = scene.match_members(&request).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage);
    let text = error.to_string();
    assert!(text.contains("line 4: the member's birth date is no date") && !text.contains("Young"), "{text}");
    request.consent = GivenConsent::default();
    let text = scene.match_members(&request).unwrap_err().to_string();
    assert!(text.contains("3 of the 3 lines") && text.contains("--consent-policy"), "{text}");
    assert_eq!(scene.sim.log().len(), 0);
    assert!(!scene.path("lake").exists());
    let mut request = scene.roster(&(roster(1..=2) + "Young,John,1960,male,3\n"));
    request.wrong_lines = WrongLines::Skip;
    let summary = scene.match_members(&request).unwrap();
    assert_eq!(summary.outcomes, [(MatchOutcome::Loaded, 2), (MatchOutcome::Refused, 1)]);
    assert!(table(&scene)[&4][1].as_ref().unwrap().contains("birth date"));
    scene.check_sound();
}

#[test]
fn a_server_that_refuses_who_asks_ends_it() {
    let scene = Scene::new(Personality::OneupPayer, answers);
    let mut request = scene.roster(&roster(1..=8));
    request.export.client.scope = Some("read".to_owned());
    assert_eq!(scene.match_members(&request).unwrap_err().kind(), ErrorKind::Refused);
    assert_eq!(scene.sim.match_count(), 0);
}

#[test]
fn a_server_that_is_down_ends_it_and_one_member_does_not() {
    let scene = Scene::new(Personality::OneupPayer, answers);
    let mut request = scene.roster(&roster(9..200));
    request.pace.at_once = 1;
    scene.sim.add_fault(Rule::new(Endpoint::MemberMatch, When::Nth(3), Fault::status(500)));
    scene.sim.add_fault(Rule::new(Endpoint::MemberMatch, When::From(10), Fault::status(503)));
    let error = scene.match_members(&request).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transport, "{error}");
    // Three in a row tell it. While a slow disk makes answers durable more are asked for: 64 go together, 64 wait.
    assert!(scene.asked(Endpoint::MemberMatch) < 9 + 3 + 2 * 64 + 2);
    assert_eq!(scene.sim.export_count(), 0);
    // What was answered is in the table, and not asked again.
    let answered = table(&scene).values().filter(|line| line[0].as_deref() == Some("matched")).count();
    assert_eq!(answered, 8);
    scene.sim.set_faults(Vec::new());
    let before = scene.asked(Endpoint::MemberMatch);
    let summary = scene.match_members(&request).unwrap();
    assert_eq!(summary.outcomes, [(MatchOutcome::Loaded, 191)]);
    assert_eq!(scene.asked(Endpoint::MemberMatch) - before, 191 - 8);
    scene.check_sound();
}

#[test]
fn the_rate_is_kept_and_the_server_may_ask_for_mercy() {
    let scene = Scene::new(Personality::OneupPayer, answers);
    let mut request = scene.roster(&roster(9..15));
    request.export.client.patience.retries = 3;
    request.pace.per_minute = 1_200;
    scene.sim.add_fault(Rule::new(Endpoint::MemberMatch, When::Nth(2), Fault::status(429).retry_after(1)));
    let begun = std::time::Instant::now();
    let summary = scene.match_members(&request).unwrap();
    assert_eq!(summary.outcomes, [(MatchOutcome::Loaded, 6)]);
    // Five intervals of 50 ms, and the second that was asked for.
    assert!(begun.elapsed().as_millis() >= 1_000, "{:?}", begun.elapsed());
    assert_eq!(scene.asked(Endpoint::MemberMatch), 7);
}

#[test]
fn five_thousand_members_are_interrupted_and_go_on() {
    static ASKED: AtomicUsize = AtomicUsize::new(0);
    let scene = Scene::new(Personality::OneupPayer, |scenario| {
        let groups = (0..5).map(|group| format!("g{group}"));
        let scenario = groups.fold(scenario, |scenario, id| {
            let line = resource("Patient", 1) + "\n";
            scenario.group(&id, [ServedFile::new("Patient", line).named(&format!("{id}.ndjson"))])
        });
        scenario.match_members(|question| {
            ASKED.fetch_add(1, SeqCst);
            MatchAnswer::Group { id: format!("g{}", number(question) % 5), at: GroupAt::ValueString }
        })
    });
    let request = scene.roster(&roster(0..5_000));
    let interrupt = request.export.options.interrupt.clone();
    let watched = std::thread::scope(|scope| {
        scope.spawn(|| {
            let enough = scene.sim.wait_until(Duration::from_secs(60), |_| ASKED.load(SeqCst) >= 2_000);
            assert!(enough, "members are asked for");
            interrupt.set();
        });
        scene.match_members(&request)
    });
    assert_eq!(watched.unwrap_err().kind(), ErrorKind::Interrupted);
    let first = ASKED.load(SeqCst);
    let answered = table(&scene).values().filter(|line| line[0].is_some()).count();
    assert!((2_000 - 64..5_000).contains(&answered), "{answered} of {first}");
    assert_eq!(table(&scene).len(), 5_000);
    let request = scene.roster_file(&scene.path("roster.csv"));
    let summary = scene.match_members(&request).unwrap();
    assert_eq!(summary.outcomes, [(MatchOutcome::Loaded, 5_000)]);
    // Only what was on its way when it was interrupted is asked for once more.
    let twice = ASKED.load(SeqCst) - 5_000;
    assert!(twice <= 64, "{twice}");
    assert_eq!((scene.sim.export_count(), scene.rows("Patient").len()), (5, 5));
    scene.check_sound();
}

#[test]
fn a_group_is_loaded_as_far_as_it_was_asked_for_and_its_problems_stay() {
    let scene = Scene::new(Personality::OneupPayer, |scenario| {
        let bad = ServedFile::new("Patient", "{broken\n".to_owned()).named("bad.ndjson");
        let claims: String = resources("Claim", 2).map(|line| line + "\n").collect();
        let scenario = scenario.group("a", [bad, ServedFile::new("Claim", claims).named("claims.ndjson")]);
        scenario.match_members(|_| MatchAnswer::Group { id: "a".to_owned(), at: GroupAt::TopLevel })
    });
    let mut request = scene.roster(&roster(0..2));
    request.export.parameters.types = vec!["Patient".to_owned()];
    for _ in 0..2 {
        // Again, it is what it was.
        assert_eq!(scene.match_members(&request).unwrap().status(), RunStatus::Rejected);
        assert_eq!((scene.sim.match_count(), scene.sim.export_count()), (2, 1));
    }
    request.export.parameters.types = vec!["Claim".to_owned()];
    assert_eq!(scene.match_members(&request).unwrap().status(), RunStatus::Complete);
    assert_eq!((scene.sim.match_count(), scene.sim.export_count(), scene.rows("Claim").len()), (2, 2, 2));
}

#[test]
fn the_server_works_on_some_groups_while_one_is_loaded() {
    for (refused, at_once) in [(false, 3), (true, 3), (false, 1)] {
        let scene = Scene::new(Personality::OneupPayer, |scenario| {
            let groups = (0..6).map(|group| format!("g{group}"));
            let scenario = groups.fold(scenario.running(2).retry_after(0), |scenario, id| {
                let line = resource("Patient", 1) + "\n";
                scenario.group(&id, [ServedFile::new("Patient", line).named(&format!("{id}.ndjson"))])
            });
            scenario.match_members(|question| MatchAnswer::Group {
                id: format!("g{}", number(question)),
                at: GroupAt::TopLevel,
            })
        });
        if refused {
            // One export at a time: the first is asked for again when it is its turn.
            scene.sim.add_fault(Rule::new(Endpoint::KickOff, When::Nth(1), Fault::status(429)));
        }
        let mut request = scene.roster(&roster(0..6));
        request.exports_at_once = at_once;
        let summary = scene.match_members(&request).unwrap();
        assert_eq!(summary.outcomes, [(MatchOutcome::Loaded, 6)]);
        assert_eq!((scene.sim.export_count(), scene.rows("Patient").len()), (6, 6));
        // How many have begun when the first file is asked for.
        let log = scene.sim.log();
        let first = log.iter().position(|seen| matches!(seen.endpoint, Endpoint::File(_))).unwrap();
        let begun = log[..first].iter().filter(|seen| seen.endpoint == Endpoint::KickOff && seen.status == 202).count();
        assert_eq!(begun, if refused { 1 } else { at_once });
        assert!(scene.notes.0.lock().unwrap().is_empty(), "{:?}", scene.notes.0.lock().unwrap());
        scene.check_sound();
    }
}
