//! What a SMART server says about itself: `smart-configuration` and the `CapabilityStatement`.
//! 1upHealth's gateway has neither; Patient Connect has the first alone.

use serde_json::json;

use crate::answer::Answer;
use crate::route::Site;
use crate::scenario::{ClientAuth, Door, Personality, Scenario};

/// SMART App Launch 2.2, section "Conformance".
pub(crate) fn smart_configuration(scenario: &Scenario, site: &Site) -> Answer {
    let is_there = matches!(scenario.personality, Personality::Smart | Personality::OneupConnect);
    if !is_there || scenario.door == Door::Open {
        return Answer::operation_outcome(404, "There is no such document.");
    }
    let methods = scenario.client_auth.iter().map(|method| match method {
        ClientAuth::Form => "client_secret_post",
        ClientAuth::Basic => "client_secret_basic",
        ClientAuth::PrivateKeyJwt => "private_key_jwt",
    });
    let grants: &[&str] = if scenario.personality == Personality::Smart {
        &["client_credentials", "authorization_code", "refresh_token"]
    } else {
        &["authorization_code", "refresh_token"]
    };
    Answer::json(
        200,
        &json!({
            "authorization_endpoint": authorization_endpoint(site),
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint": token_endpoint(scenario, site),
            "grant_types_supported": grants,
            "token_endpoint_auth_methods_supported": methods.collect::<Vec<_>>(),
            "token_endpoint_auth_signing_alg_values_supported": ["RS384", "ES384"],
            "scopes_supported": ["system/*.rs"],
            "capabilities": ["client-confidential-asymmetric", "client-confidential-symmetric", "permission-v2"],
        }),
    )
}

/// FHIR R4, `CapabilityStatement`, with the export operations of the Bulk Data guide.
pub(crate) fn metadata(scenario: &Scenario, site: &Site) -> Answer {
    if scenario.personality != Personality::Smart {
        return Answer::operation_outcome(404, "There is no such document.");
    }
    let operation = |level: &str| {
        let definition = format!("http://hl7.org/fhir/uv/bulkdata/OperationDefinition/{level}");
        json!([{"name": "export", "definition": definition}])
    };
    let mut rest = json!({
        "mode": "server",
        "resource": [
            {"type": "Patient", "operation": operation("patient-export")},
            {"type": "Group", "operation": operation("group-export")},
        ],
        "operation": operation("export"),
    });
    if scenario.door == Door::Token {
        let uris = "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris";
        rest["security"] = json!({
            "service": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/restful-security-service",
                "code": "SMART-on-FHIR"}]}],
            "extension": [{"url": uris, "extension": [
                {"url": "token", "valueUri": token_endpoint(scenario, site)},
                {"url": "authorize", "valueUri": authorization_endpoint(site)},
            ]}],
        });
    }
    let statement = json!({
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": scenario.transaction_time,
        "kind": "instance",
        "fhirVersion": "4.0.1",
        "format": ["application/fhir+json"],
        "instantiates": ["http://hl7.org/fhir/uv/bulkdata/CapabilityStatement/bulk-data"],
        "rest": [rest],
    });
    Answer::new(200).body("application/fhir+json", statement.to_string())
}

fn authorization_endpoint(site: &Site) -> Option<String> {
    site.authorize_path().map(|path| format!("{{origin}}{path}"))
}

fn token_endpoint(scenario: &Scenario, site: &Site) -> String {
    format!("{}{}", scenario.token_endpoint_at.placeholder(), site.token_path())
}
