//! What is sent: paths, headers, forms and parameters, as the documents show them.

use lakehaul_sim::{Authorization, Door, Endpoint, Personality, ServedFile, Target};
use serde_json::{Value, json};

use super::super::{Case, WHOLE, check, two_files};
use super::{body, only};
use crate::payer::{Payer, patients};
use Personality::{OneupPayer, OneupPopulation, OneupProvider};

#[test]
fn requests_are_what_the_documents_show() {
    check(&[
        Case {
            name: "a scope with a pipe is one value of the form",
            personality: OneupProvider,
            then: |payer, outcome| {
                payer.is_whole(outcome);
                let token = only(&payer.sim, Endpoint::Token);
                assert_eq!(token.path, "/auth/realms/dev-portal/protocol/openid-connect/token");
                let form = body(&token);
                for field in
                    ["grant_type=client_credentials", "scope=bulk-data%7Cuser%2F*.rs", "client_id=", "client_secret="]
                {
                    assert_eq!(form.matches(field).count(), 1, "{form}");
                }
            },
            ..WHOLE
        },
        Case {
            name: "and so is the other one",
            personality: OneupPayer,
            then: |payer, outcome| {
                payer.is_whole(outcome);
                assert!(body(&only(&payer.sim, Endpoint::Token)).contains("scope=member-match%7Cread"));
            },
            ..WHOLE
        },
        Case {
            name: "the population's realm is the tenant, and no scope is asked for",
            personality: OneupPopulation,
            then: |payer, outcome| {
                payer.is_whole(outcome);
                let token = only(&payer.sim, Endpoint::Token);
                assert_eq!(token.path, "/auth/realms/bison/protocol/openid-connect/token");
                assert!(!body(&token).contains("scope"), "{}", body(&token));
            },
            ..WHOLE
        },
        Case {
            name: "a dollar sign stays one",
            personality: OneupProvider,
            then: |payer, outcome| {
                payer.is_whole(outcome);
                assert_eq!(only(&payer.sim, Endpoint::KickOff).path, "/v1/bison/bulk-data/r4/$export");
                assert!(only(&payer.sim, Endpoint::Status).path.starts_with("/v1/bison/bulk-data/r4/$export/job/"));
                assert_eq!(only(&payer.sim, "a.ndjson").path, "/v1/bison/bulk-data/r4/$export/file/a.ndjson");
            },
            ..WHOLE
        },
        Case {
            name: "a group's id is a segment of the path",
            personality: OneupPayer,
            arguments: &["--group", "cmk1cuald0005l701sdo7gs8c"],
            then: |payer, outcome| {
                payer.is_whole(outcome);
                let path = only(&payer.sim, Endpoint::KickOff).path;
                assert_eq!(path, "/v1/bison/bulk-data/r4/Group/cmk1cuald0005l701sdo7gs8c/$export");
            },
            ..WHOLE
        },
        Case {
            name: "headers of kick-off, status and file",
            then: |payer, outcome| {
                payer.is_whole(outcome);
                let kick_off = only(&payer.sim, Endpoint::KickOff);
                assert_eq!(kick_off.method, "GET");
                assert_eq!(kick_off.accept.as_deref(), Some("application/fhir+json"));
                assert_eq!(kick_off.prefer.as_deref(), Some("respond-async"));
                assert_eq!(only(&payer.sim, Endpoint::Status).accept.as_deref(), Some("application/json"));
                let file = only(&payer.sim, "a.ndjson");
                assert_eq!(file.accept.as_deref(), Some("application/fhir+ndjson"));
                assert!(file.accept_encoding.is_some_and(|accepted| accepted.contains("gzip")));
                assert!(matches!(file.authorization, Authorization::Token(_)));
                assert!(file.user_agent.is_some_and(|agent| agent.starts_with("lakehaul/")));
            },
            ..WHOLE
        },
        Case {
            name: "file URLs are asked as they are",
            scene: |scenario| {
                scenario
                    .file(ServedFile::new("Patient", patients("a", 3)).named("%24a%2fb~;c=1,d@e!f('g')*+%7C.ndjson"))
            },
            then: |payer, outcome| {
                outcome.exits_with(0);
                payer.is_well_behaved();
                let path = only(&payer.sim, Target::AnyFile).path;
                assert!(path.ends_with("/%24a%2fb~;c=1,d@e!f('g')*+%7C.ndjson"), "{path}");
            },
            ..WHOLE
        },
    ]);
}

#[test]
fn parameters_are_sent_as_the_guide_has_them() {
    const PARAMETERS: &[&str] = &[
        "--type",
        "Patient,Claim",
        "--since",
        "2026-01-31T00:00:00Z",
        "--until",
        "2026-02-28T00:00:00Z",
        "--elements",
        "id,Patient.name",
        "--type-filter",
        "Claim?status=active,draft",
        "--include-associated-data",
        "LatestProvenanceResources",
        "--organize-output-by",
        "Patient",
        "--output-format",
        "application/fhir+ndjson",
        "--allow-partial-manifests",
        "--param",
        "_x=a b&c",
        "--group",
        "g/1",
    ];
    let payer = Payer::smart(two_files);
    payer.is_whole(&payer.export(PARAMETERS));
    let kick_off = only(&payer.sim, Endpoint::KickOff);
    assert_eq!(kick_off.path, "/fhir/Group/g%2F1/$export");
    assert_eq!(kick_off.method, "GET");
    let query = kick_off.query.expect("parameters");
    for part in [
        "_type=Patient,Claim",
        "_since=2026-01-31T00:00:00Z",
        "_until=2026-02-28T00:00:00Z",
        "_elements=id,Patient.name",
        "_typeFilter=Claim%3Fstatus%3Dactive,draft",
        "includeAssociatedData=LatestProvenanceResources",
        "organizeOutputBy=Patient",
        "_outputFormat=application/fhir%2Bndjson",
        "allowPartialManifests=true",
        "_x=a%20b%26c",
    ] {
        let parts: Vec<&str> = query.split('&').filter(|sent| *sent == part).collect();
        assert_eq!(parts.len(), 1, "{part} in {query}");
    }

    let payer = Payer::smart(two_files);
    payer.is_whole(&payer.export(&[PARAMETERS, &["--patient", "p1,Patient/p2"]].concat()));
    let kick_off = only(&payer.sim, Endpoint::KickOff);
    assert_eq!((kick_off.method.as_str(), &kick_off.query), ("POST", &None));
    let sent: Value = serde_json::from_str(&body(&kick_off)).expect("a resource");
    assert_eq!(sent["resourceType"], "Parameters");
    let sent = sent["parameter"].as_array().expect("parameters");
    for parameter in [
        json!({"name": "_type", "valueString": "Patient,Claim"}),
        json!({"name": "_since", "valueInstant": "2026-01-31T00:00:00Z"}),
        json!({"name": "_typeFilter", "valueString": "Claim?status=active,draft"}),
        json!({"name": "allowPartialManifests", "valueBoolean": true}),
        json!({"name": "patient", "valueReference": {"reference": "Patient/p1"}}),
        json!({"name": "patient", "valueReference": {"reference": "Patient/p2"}}),
        json!({"name": "_x", "valueString": "a b&c"}),
    ] {
        assert!(sent.contains(&parameter), "{parameter} in {sent:?}");
    }
}

#[test]
fn a_server_that_is_open_is_asked_without_a_token() {
    let payer = Payer::smart(|scenario| two_files(scenario).door(Door::Open).running(1));
    let mut command = payer.command(&["export", "--no-auth"]);
    command.env_remove("LAKEHAUL_CLIENT_SECRET");
    let outcome = crate::lakehaul::outcome(command.output().expect("the binary starts"));
    payer.is_whole(&outcome);
    assert!(payer.sim.log().iter().all(|seen| !seen.carries_secret));
    assert_eq!(payer.sim.seen(Endpoint::SmartConfiguration).len(), 0, "nothing has to be discovered");
}
