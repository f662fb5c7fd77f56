//! 1upHealth's two documented flows, with the answers that its pages show: each from its token to its lake, and what
//! was asked for on the way.

use lakehaul_sim::{Answer, Authorization, Endpoint, Fault, Origin, Personality, Scenario, Seen, ServedFile, When};
use serde_json::json;

use super::{asked_at_other_origin, filled_in};
use crate::payer::{LAKE, Payer, patients};

const JOB: &str = "f0e2c1a4-9b7d-4c3e-8a51-2d6b0c9e7f13";

/// As it is shown: the place to ask is at the end of a text, under the host of another environment.
fn accepted() -> Fault {
    let job = format!("{{other_origin}}/v1/bison/bulk-data/r4/$export/job/{JOB}");
    let body = format!(
        r#"{{
    "resourceType": "OperationOutcome",
    "id": "8d7c3b2a-1f0e-4d5c-9b8a-7f6e5d4c3b2a",
    "issue": [
        {{
            "severity": "information",
            "code": "informational",
            "details": {{
                "text": "Asynchronous export running. Track job at {job}"
            }}
        }}
    ]
}}"#
    );
    Fault::answer(Answer::new(202).body("application/json", body))
}

/// The finished job, as it is shown.
fn successful(request: &str, resources: u64, files: &[(&str, &str)]) -> Fault {
    let output: Vec<String> = files
        .iter()
        .map(|(resource_type, name)| {
            format!(
                r#"        {{
            "type": "{resource_type}",
            "url": "{{origin}}/v1/bison/bulk-data/r4/$export/file/{name}"
        }}"#
            )
        })
        .collect();
    let (count, output) = (files.len(), output.join(",\n"));
    Fault::manifest(format!(
        r#"{{
    "id": "{JOB}",
    "transactionTime": "2026-01-15T08:30:00.123Z",
    "request": "{{origin}}{request}",
    "requiresAccessToken": true,
    "status": "Successful",
    "resourceCount": {resources},
    "batches": {{
        "running": 0,
        "complete": {count},
        "failed": 0,
        "total": {count}
    }},
    "lastUpdated": "2026-01-15T08:31:07.456Z",
    "output": [
{output}
    ]
}}"#
    ))
}

/// The same while it runs, of which no page tells: without output, under 202 or 200.
fn running(status: u16, complete: u64, total: u64) -> Fault {
    let left = total - complete;
    let batches = json!({"running": left, "complete": complete, "failed": 0, "total": total});
    let body = json!({"id": JOB, "status": "Running", "batches": batches});
    Fault::answer(Answer::new(status).body("application/json", body.to_string())).retry_after(0)
}

/// What was asked for, in order; the output files, which come in any order, sorted.
fn asked(payer: &Payer) -> Vec<String> {
    let line = |seen: &Seen| {
        let who = match seen.authorization {
            Authorization::Token(_) => " (token)",
            _ => "",
        };
        format!("{} {}{who}", seen.method, seen.path)
    };
    let log: Vec<Seen> = payer.sim.log().into_iter().filter(|seen| seen.origin == Origin::Main).collect();
    let is_file = |seen: &&Seen| matches!(seen.endpoint, Endpoint::File(_));
    let mut files: Vec<String> = log.iter().filter(is_file).map(line).collect();
    files.sort();
    let first = log.iter().position(|seen| is_file(&seen)).unwrap_or(log.len());
    let others: Vec<String> = log.iter().filter(|seen| !is_file(seen)).map(line).collect();
    let (before, after) = others.split_at(first.min(others.len()));
    [before, &files, after].concat()
}

#[test]
fn provider_access_is_hauled_as_documented() {
    let payer = Payer::new(Personality::OneupProvider, |scenario: Scenario| {
        scenario
            .file(ServedFile::new("Patient", patients("p", 4)).named("0-patient-1.ndjson"))
            .file(ServedFile::new("Patient", patients("q", 3)).named("1-patient-2.ndjson"))
            .file(ServedFile::new("Coverage", lines("Coverage", 7)).named("2-coverage.ndjson"))
            .file(ServedFile::new("ExplanationOfBenefit", lines("ExplanationOfBenefit", 12)).named("3-eob.ndjson"))
            .fault(Endpoint::KickOff, When::Always, accepted())
            .fault(Endpoint::Status, When::Nth(1), running(202, 0, 4))
            .fault(Endpoint::Status, When::Nth(2), running(200, 3, 4))
            .fault(
                Endpoint::Status,
                When::From(3),
                successful(
                    "/v1/bison/bulk-data/r4/$export",
                    26,
                    &[
                        ("Patient", "0-patient-1.ndjson"),
                        ("Patient", "1-patient-2.ndjson"),
                        ("Coverage", "2-coverage.ndjson"),
                        ("ExplanationOfBenefit", "3-eob.ndjson"),
                    ],
                ),
            )
            .fault(Endpoint::Delete, When::Always, Fault::status(202))
    });
    let outcome = payer.export(&[]);
    // The script answers the kick-off, so that the payer itself has no export.
    payer.is_whole_after(0, &outcome);
    let job = format!("/v1/bison/bulk-data/r4/$export/job/{JOB}");
    let file = |name: &str| format!("GET /v1/bison/bulk-data/r4/$export/file/{name} (token)");
    assert_eq!(
        asked(&payer),
        [
            "POST /auth/realms/dev-portal/protocol/openid-connect/token".to_owned(),
            "GET /v1/bison/bulk-data/r4/$export (token)".to_owned(),
            format!("GET {job} (token)"),
            format!("GET {job} (token)"),
            format!("GET {job} (token)"),
            file("0-patient-1.ndjson"),
            file("1-patient-2.ndjson"),
            file("2-coverage.ndjson"),
            file("3-eob.ndjson"),
            format!("DELETE {job} (token)"),
        ]
    );
    assert_eq!(asked_at_other_origin(&payer), [""; 0], "the host of another environment is not asked");
    outcome.tells("3 of 4 batches").tells("the server lists 4 files").prints("2026-01-15T08:30:00.123Z");

    let record = payer.record();
    assert_eq!(record["transaction_time"], "2026-01-15T08:30:00.123Z");
    assert_eq!(record["export"]["kind"], "oneup-provider");
    assert_eq!(record["export"]["resource_count"], 26);
    assert_eq!((&record["export"]["failed_batches"], &record["export"]["total_batches"]), (&0.into(), &4.into()));
    assert_eq!(payer.place.sorted_rows(LAKE, "Patient").len(), 7);
    let url = filled_in(&payer, "{origin}/v1/bison/bulk-data/r4/$export/file/2-coverage.ndjson");
    assert_eq!(payer.file("2-coverage.ndjson")["url"], url);

    // Finished is finished; what has changed since is another export, from the transaction time on.
    let requests = payer.sim.log().len();
    payer.export(&[]).exits_with(0).prints("already finished").prints("--since last").prints("--new-run");
    assert_eq!(payer.sim.log().len(), requests);
    payer.export(&["--since", "last"]).exits_with(0);
    let kick_offs = payer.sim.seen(Endpoint::KickOff);
    assert_eq!(kick_offs.len(), 2);
    assert_eq!(kick_offs[1].query.as_deref(), Some("_since=2026-01-15T08:30:00.123Z"));
}

#[test]
fn a_payer_to_payer_group_is_hauled_as_documented() {
    const FILES: [(&str, &str, usize); 6] = [
        ("Specimen", "batch-1.ndjson", 2),
        ("Coverage", "batch-2.ndjson", 1),
        ("Patient", "batch-3.ndjson", 1),
        ("ExplanationOfBenefit", "batch-4.ndjson", 9),
        ("Encounter", "batch-5.ndjson", 6),
        ("Observation", "batch-6.ndjson", 12),
    ];
    const GROUP: &str = "cmk1cuald0005l701sdo7gs8c";
    let kick_off = format!("/v1/bison/bulk-data/r4/Group/{GROUP}/$export");
    let payer = Payer::new(Personality::OneupPayer, |scenario: Scenario| {
        let files = FILES.map(|(resource_type, name, count)| {
            ServedFile::new(resource_type, lines(resource_type, count)).named(name)
        });
        scenario
            .files(files)
            .fault(Endpoint::KickOff, When::Always, accepted())
            .fault(Endpoint::Status, When::Nth(1), running(200, 2, 6))
            .fault(
                Endpoint::Status,
                When::From(2),
                successful(&kick_off, 31, &FILES.map(|(resource_type, name, _)| (resource_type, name))),
            )
            .fault(Endpoint::Delete, When::Always, Fault::status(202))
    });
    let outcome = payer.export(&["--group", GROUP]);
    payer.is_whole_after(0, &outcome);
    let job = format!("/v1/bison/bulk-data/r4/$export/job/{JOB}");
    let mut expected = vec![
        "POST /auth/realms/dev-portal/protocol/openid-connect/token".to_owned(),
        format!("GET {kick_off} (token)"),
        format!("GET {job} (token)"),
        format!("GET {job} (token)"),
    ];
    expected.extend(FILES.map(|(_, name, _)| format!("GET /v1/bison/bulk-data/r4/$export/file/{name} (token)")));
    expected.push(format!("DELETE {job} (token)"));
    assert_eq!(asked(&payer), expected);
    assert_eq!(asked_at_other_origin(&payer), [""; 0], "the host of another environment is not asked");

    let record = payer.record();
    assert_eq!(record["totals"]["rows"], 31);
    assert!(record["source"].as_str().is_some_and(|source| source.ends_with(&format!("Group/{GROUP}"))), "{record}");
    let tables: Vec<_> =
        record["tables"].as_array().expect("tables").iter().map(|t| (&t["type"], &t["rows"])).collect();
    let mut types = FILES.map(|(resource_type, _, count)| (resource_type, count));
    types.sort_unstable();
    assert_eq!(tables.len(), types.len());
    for ((name, rows), (resource_type, count)) in tables.iter().zip(types) {
        assert_eq!((name.as_str(), rows.as_u64()), (Some(resource_type), Some(count as u64)));
    }
}

/// Resources of a type, one a line.
fn lines(resource_type: &str, count: usize) -> String {
    let line = |n| format!("{{\"resourceType\":\"{resource_type}\",\"id\":\"{n}\",\"status\":\"active\"}}\n");
    (0..count).map(line).collect()
}
