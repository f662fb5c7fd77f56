//! How a server lists its files: at once or bit by bit, on one page or many, few or thousands. Each is loaded once.

use std::time::Duration;

use lakehaul_sim::members::{Members, MembersOptions, Split};
use lakehaul_sim::{
    Compressed, Edition, Endpoint, Fault, Gzip, Listed, Personality, Scenario, ServedFile, Target, When,
};
use serde_json::Value;

use super::check_each;
use crate::payer::{Payer, patient_file};

/// Several types, several files each.
fn members() -> Members {
    Members::new(MembersOptions { members: 10, split: Split::Files(2), ..MembersOptions::default() })
}

#[track_caller]
fn each_file_is_asked_for_once(payer: &Payer) {
    for file in payer.sim.model().files {
        assert_eq!(payer.sim.seen(&*file.name).len(), 1, "requests for {}", file.name);
    }
}

#[test]
fn every_listing_gives_each_file_once() {
    type Scene = fn(Scenario) -> Scenario;
    let scenes: [(&str, Scene); 7] = [
        ("one page", |scenario| scenario),
        ("pages of one", |scenario| scenario.page_size(1)),
        ("pages of five", |scenario| scenario.page_size(5)),
        ("finished ones first, 202", |scenario| {
            scenario.running(4).running_as(|running| running.listed = Listed::Finished)
        }),
        ("finished ones first, 200", |scenario| {
            scenario.running(4).running_as(|running| (running.listed, running.status) = (Listed::Finished, 200))
        }),
        ("finished ones first, then pages", |scenario| {
            scenario.page_size(3).running(3).running_as(|running| running.listed = Listed::Finished)
        }),
        ("every entry twice", |scenario| {
            scenario.edit_manifest(|manifest| {
                let Some(Value::Array(files)) = manifest.get_mut("output") else { return };
                let again = files.clone();
                files.extend(again);
            })
        }),
    ];
    let personalities =
        [Personality::OneupProvider, Personality::OneupPayer, Personality::OneupPopulation, Personality::Smart];
    let mut cases = Vec::new();
    for personality in personalities {
        for (name, scene) in scenes {
            // A 200 without `batches` says that it is done.
            if personality == Personality::Smart && name.ends_with("200") {
                continue;
            }
            cases.push((format!("{name}, {personality:?}"), (personality, scene)));
        }
    }
    check_each(&cases, |&(personality, scene)| {
        let payer = Payer::new(personality, |scenario| scene(scenario.members(&members())));
        payer.is_whole(&payer.export(&[]));
        each_file_is_asked_for_once(&payer);
    });
}

#[test]
fn editions_of_the_guide_are_all_read() {
    let editions = [Edition::Stu1, Edition::Stu2, Edition::Stu3, Edition::Stu4];
    let cases = editions.map(|edition| (format!("{edition:?}"), edition));
    check_each(&cases, |&edition| {
        let members = MembersOptions { members: 5, deletions: 7, ..MembersOptions::default() };
        let payer = Payer::smart(|scenario| scenario.members(&Members::new(members)).edition(edition));
        let outcome = payer.export(if edition == Edition::Stu4 { &["--post"] } else { &[] });
        payer.is_whole(&outcome);
        assert_eq!(payer.record()["deleted_resources"]["rows"], 7, "{outcome}");
    });
}

/// The server lists some files with each status request; it is asked a few times more after the first that it lists.
#[test]
fn finished_files_are_fetched_while_the_rest_is_exported() {
    let payer = Payer::provider(|scenario| {
        let scenario = scenario.files((0..6).map(|n| patient_file(&n.to_string(), 10)));
        scenario.running(5).running_as(|running| running.listed = Listed::Finished)
    });
    let outcome = payer.export(&["--max-wait", "300ms"]);
    payer.is_whole(&outcome);
    let first_file = payer.sim.seen(Target::AnyFile)[0].order;
    let last_status = payer.sim.seen(Endpoint::Status).last().expect("status requests").order;
    assert!(first_file < last_status, "file {first_file}, status {last_status}\n{outcome}");
    each_file_is_asked_for_once(&payer);
}

#[test]
fn an_export_of_nothing_is_whole() {
    for personality in [Personality::OneupProvider, Personality::Smart] {
        let payer = Payer::new(personality, |scenario| scenario);
        payer.is_whole(&payer.export(&[]));
        let payer = Payer::new(personality, |scenario| scenario.file(ServedFile::new("Patient", "")));
        payer.is_whole(&payer.export(&[]));
    }
}

#[test]
fn thousands_of_tiny_files_and_a_few_large_ones_all_come() {
    let claim = "{\"resourceType\":\"Claim\",\"id\":\"1\",\"status\":\"active\",\"use\":\"claim\"}\n";
    let payer = Payer::provider(|scenario| {
        let tiny = (0..2000).map(|n| patient_file(&format!("{n:04}"), 1));
        let large = (0..4).map(|n| {
            let gzip = if n % 2 == 0 { Compressed::Never } else { Compressed::IfAccepted(Gzip::ManyMembers) };
            ServedFile::repeated("Claim", claim, 50_000).compressed(gzip)
        });
        let hiccup = Fault::status(503);
        scenario.files(tiny).files(large).fault(Target::AnyFile, When::Nth(700), hiccup).fault(
            "Claim.2002.ndjson",
            When::Nth(1),
            Fault::stall_at(100_000, Duration::from_millis(500)),
        )
    });
    let outcome = payer.export(&["--concurrency", "16"]);
    payer.is_whole(&outcome);
    assert_eq!(payer.record()["totals"]["rows"], 202_000);
}
