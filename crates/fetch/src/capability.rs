//! What a server says that it can do, for a look before an export starts.
//!
//! Servers understate: one that names no export operation may well have it. So nothing here ends an export.

use serde_json::Value;

use crate::discovery::{self, CapabilityStatement, Document};
use crate::error::FetchError;
use crate::http::{Credentials, Http};
use crate::operation_outcome::shown;

/// What a server says of itself. Texts are shortened to one line.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capability {
    /// The status with which `metadata` was answered; the next four are empty unless it is a `CapabilityStatement`.
    pub metadata_status: u16,
    /// Such as `4.0.1`.
    pub fhir_version: Option<String>,
    /// Name and version.
    pub software: Option<String>,
    /// As they follow the base URL: `$export`, `Patient/$export`, `Group/[id]/$export`.
    pub export_operations: Vec<String>,
    /// The statement names the Bulk Data guide.
    pub instantiates_bulk_data: bool,
    /// The status with which `.well-known/smart-configuration` was answered; the rest is empty unless it is there.
    pub smart_status: u16,
    /// How clients may authenticate, such as `private_key_jwt`.
    pub auth_methods: Vec<String>,
    /// How assertions may be signed, such as `RS384`.
    pub signing_algorithms: Vec<String>,
    /// Scopes that can be asked for.
    pub scopes: Vec<String>,
}

/// Asks for both documents; for the statement with the access token, if it is refused without.
///
/// Errors: why no answer came, or no token.
pub(crate) async fn ask(http: &Http) -> Result<Capability, FetchError> {
    let mut statement = discovery::capability_statement(http).await?;
    if matches!(statement.0.status.as_u16(), 401 | 403) {
        statement = discovery::capability_statement_with(http, Credentials::Bearer).await?;
    }
    let smart = discovery::smart_configuration(http).await?.0;
    let metadata = &statement.0;
    let software = ["/software/name", "/software/version"].into_iter().filter_map(|part| text(metadata, part));
    let software = software.collect::<Vec<_>>().join(" ");
    let guides = [metadata.strings("/instantiates"), metadata.strings("/implementationGuide")].concat();
    Ok(Capability {
        metadata_status: metadata.status.as_u16(),
        fhir_version: text(metadata, "/fhirVersion"),
        software: (!software.is_empty()).then_some(software),
        export_operations: export_operations(&statement),
        instantiates_bulk_data: guides.iter().any(|guide| guide.contains("/bulkdata") || guide.contains("/bulk-data")),
        smart_status: smart.status.as_u16(),
        auth_methods: texts(&smart, "/token_endpoint_auth_methods_supported"),
        signing_algorithms: texts(&smart, "/token_endpoint_auth_signing_alg_values_supported"),
        scopes: texts(&smart, "/scopes_supported"),
    })
}

fn text(document: &Document, pointer: &str) -> Option<String> {
    document.json.pointer(pointer).and_then(Value::as_str).map(shown).filter(|text| !text.is_empty())
}

fn texts(document: &Document, pointer: &str) -> Vec<String> {
    document.strings(pointer).iter().map(|text| shown(text)).collect()
}

/// Operations are named `export` (or `patient-export`, `group-export`), or only defined as such (Bulk Data Access, section
/// "Server capability documentation").
fn export_operations(statement: &CapabilityStatement) -> Vec<String> {
    let array =
        |value: &'_ Value, member: &str| value.get(member).and_then(Value::as_array).cloned().unwrap_or_default();
    let exports = |element: &Value| {
        array(element, "operation").into_iter().filter(|operation| {
            let says = |member: &str, parts: [&str; 2]| {
                operation
                    .get(member)
                    .and_then(Value::as_str)
                    .is_some_and(|it| parts.iter().any(|part| it.ends_with(part)))
            };
            says("name", ["export", "-export"]) || says("definition", ["/export", "-export"])
        })
    };
    // The system's operations may be named for the type that they are of.
    let of_system = |operation: Value| {
        let told =
            ["name", "definition"].map(|member| operation.get(member).and_then(Value::as_str).unwrap_or_default());
        match told {
            told if told.iter().any(|it| it.ends_with("patient-export")) => "Patient/$export",
            told if told.iter().any(|it| it.ends_with("group-export")) => "Group/[id]/$export",
            _ => "$export",
        }
    };
    let mut found = Vec::new();
    for rest in statement.rests() {
        found.extend(exports(rest).map(of_system));
        for resource in array(rest, "resource") {
            if exports(&resource).next().is_some() {
                match resource.get("type").and_then(Value::as_str) {
                    Some("Patient") => found.push("Patient/$export"),
                    Some("Group") => found.push("Group/[id]/$export"),
                    _ => {}
                }
            }
        }
    }
    found.sort_unstable();
    found.dedup();
    found.into_iter().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::client::ClientOptions;
    use crate::profile::Kind;
    use crate::testing::{Listener, PaperClock, Reply};
    use crate::token::Auth;

    async fn asked(answer: impl Fn(&str, &str) -> Reply + Send + Sync + 'static) -> Capability {
        let server = Listener::start(move |seen| answer(&seen.path, seen.authorization())).await;
        let mut options = ClientOptions::new(Kind::Smart, server.url("/fhir/"));
        options.auth = Auth::Token("t".into());
        ask(&Http::new(options, PaperClock::new(), Arc::new(())).unwrap()).await.unwrap()
    }

    #[tokio::test]
    async fn both_documents_are_read() {
        let capability = asked(|path, authorization| {
            assert_eq!(authorization, "");
            match path {
                "/fhir/metadata" => Reply::new(
                    200,
                    r#"{"fhirVersion":"4.0.1","software":{"name":"HAPI\n","version":"7"},
                        "instantiates":["http://hl7.org/fhir/uv/bulkdata/CapabilityStatement/bulk-data"],
                        "rest":[{"operation":[{"name":"export"},{"name":"import"}],
                            "resource":[{"type":"Patient","operation":[{"name":"export"}]},
                                {"type":"Group","operation":[{"name":"x","definition":"http://h/group-export"}]},
                                {"type":"Claim","operation":[{"name":"export"}]},
                                {"type":"Coverage"}]}]}"#,
                ),
                _ => Reply::new(
                    200,
                    r#"{"token_endpoint_auth_methods_supported":["private_key_jwt",7],
                        "token_endpoint_auth_signing_alg_values_supported":["RS384"],
                        "scopes_supported":["system/*.rs"]}"#,
                ),
            }
        })
        .await;
        let strings = |texts: &[&str]| texts.iter().map(ToString::to_string).collect::<Vec<_>>();
        let expected = Capability {
            metadata_status: 200,
            fhir_version: Some("4.0.1".to_owned()),
            software: Some("HAPI 7".to_owned()),
            export_operations: strings(&["$export", "Group/[id]/$export", "Patient/$export"]),
            instantiates_bulk_data: true,
            smart_status: 200,
            auth_methods: strings(&["private_key_jwt"]),
            signing_algorithms: strings(&["RS384"]),
            scopes: strings(&["system/*.rs"]),
        };
        assert_eq!(capability, expected);
    }

    #[tokio::test]
    async fn operations_of_the_system_may_be_named_for_a_type() {
        let capability = asked(|_, _| {
            let names =
                r#"[{"name":"patient-export"},{"name":"e","definition":"http://h/OperationDefinition/group-export"}]"#;
            Reply::new(200, format!(r#"{{"rest":[{{"operation":{names}}}]}}"#))
        })
        .await;
        assert_eq!(capability.export_operations, ["Group/[id]/$export", "Patient/$export"]);
    }

    #[tokio::test]
    async fn a_server_may_have_neither_or_ask_who_wants_to_know() {
        let nothing = asked(|_, _| Reply::new(404, "")).await;
        assert_eq!((nothing.metadata_status, nothing.smart_status), (404, 404));
        assert_eq!((nothing.fhir_version, nothing.export_operations), (None, Vec::new()));
        for absurd in ["", "<html>", "[]", r#"{"rest":{},"fhirVersion":4,"scopes_supported":"x","software":[]}"#] {
            let capability = asked(move |_, _| Reply::new(200, absurd)).await;
            assert_eq!((capability.metadata_status, capability.fhir_version, capability.software), (200, None, None));
        }
        let known = asked(|path, authorization| match (path, authorization) {
            ("/fhir/metadata", "Bearer t") => Reply::new(200, r#"{"fhirVersion":"4.0.1"}"#),
            ("/fhir/metadata", "") => Reply::new(403, ""),
            (_, "") => Reply::new(404, ""),
            _ => Reply::new(599, ""),
        })
        .await;
        assert_eq!((known.metadata_status, known.smart_status), (200, 404));
        assert_eq!(known.fhir_version.as_deref(), Some("4.0.1"));
    }
}
