//! The second step of a check: the token, and what the server says that it can do.

use std::sync::Arc;

use lakehaul_fetch::{Auth, Capability, Client, ClientOptions, EndpointSource, Kind, Level, SecretStyle, TokenFacts};

use super::{Finding, connect};
use crate::report::{Reporter, figures};

/// Retries that a look is worth; an export is more patient.
const RETRIES: u32 = 2;

/// `level`: whose data would be asked for, if that is known.
pub(super) fn findings(mut options: ClientOptions, level: Option<&Level>, reporter: &Arc<Reporter>) -> Vec<Finding> {
    options.patience.retries = options.patience.retries.min(RETRIES);
    let client = match connect(options.clone(), reporter) {
        Ok(client) => client,
        Err(error) => return vec![Finding::fetch("settings", &error)],
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return vec![Finding::warning("server", format!("could not be asked: {error}"), "try again")],
    };
    runtime.block_on(ask(&client, &options, level))
}

async fn ask(client: &Client, options: &ClientOptions, level: Option<&Level>) -> Vec<Finding> {
    let mut findings = match client.authorize().await {
        Ok(facts) => token(&facts, options),
        Err(error) => {
            let unknown = Finding::warning("server", "was not asked what it can do", "get a token first");
            return vec![Finding::fetch("token", &error), unknown];
        }
    };
    match client.capability().await {
        Ok(capability) => findings.extend(server(&capability, options, level)),
        Err(error) => findings.push(Finding::fetch("server", &error)),
    }
    findings
}

fn token(facts: &TokenFacts, options: &ClientOptions) -> Vec<Finding> {
    let Some(endpoint) = &facts.endpoint else {
        let what = match options.auth {
            Auth::None => "none is asked for, as the server is said to be open",
            _ => "a ready one is given; whether the server takes it will show when it is asked, and it is not renewed",
        };
        return vec![Finding::ok("token", what)];
    };
    let source = match endpoint.source {
        EndpointSource::Configured => "as --token-url says",
        EndpointSource::Kind => "the kind's own",
        EndpointSource::SmartConfiguration => "from .well-known/smart-configuration",
        _ => "from the server's CapabilityStatement",
    };
    let lives = match facts.seconds {
        Some(seconds) => format!("it lives {}", figures::duration(seconds as f64)),
        None => "how long it lives is not said".to_owned(),
    };
    let granted = facts.scopes.as_ref().map(|scopes| format!(", for {scopes}")).unwrap_or_default();
    let mut findings = vec![Finding::ok("token", format!("obtained at {} ({source}); {lives}{granted}", endpoint.url))];
    let asked = options.scope.as_deref().or(options.kind.default_scope()).unwrap_or_default();
    if let Some(scopes) = &facts.scopes {
        let scopes: Vec<&str> = scopes.split_whitespace().collect();
        let missing: Vec<&str> = asked.split_whitespace().filter(|asked| !scopes.contains(asked)).collect();
        if !missing.is_empty() {
            let what = format!("{} was asked for and is not among its scopes", missing.join(" "));
            findings.push(Finding::warning(
                "token",
                what,
                "if an export is refused, have the client registered for it",
            ));
        }
    }
    findings
}

fn server(capability: &Capability, options: &ClientOptions, level: Option<&Level>) -> Vec<Finding> {
    let status = capability.metadata_status;
    if status != 200 {
        return vec![match options.kind {
            Kind::Smart => Finding::warning(
                "server",
                format!("it has no CapabilityStatement (metadata is answered with {status})"),
                "look whether --base-url is the FHIR base; the server may export all the same",
            ),
            _ => Finding::ok(
                "server",
                format!("it answers; what it can do it does not say (metadata: {status}), as is usual"),
            ),
        }];
    }
    let version = capability.fhir_version.as_deref();
    let software = capability.software.as_ref().map(|name| format!(" ({name})")).unwrap_or_default();
    let named = match capability.export_operations.as_slice() {
        [] => String::new(),
        operations => format!("; it exports by {}", operations.join(", ")),
    };
    let what = format!("FHIR {}{software}{named}", version.unwrap_or("of a version that it does not say"));
    let mut findings = vec![Finding::ok("server", what)];
    if version.is_some_and(|version| !version.starts_with("4.0")) {
        let what = "it is not FHIR R4 (4.0), which is what the lake's tables are made for";
        findings.push(Finding::warning("server", what, "look whether the server has an R4 base URL"));
    }
    let needed = match level {
        Some(Level::System) => "$export",
        Some(Level::Patient) => "Patient/$export",
        Some(Level::Group(_)) => "Group/[id]/$export",
        None => return findings,
    };
    if !capability.export_operations.iter().any(|operation| operation == needed) {
        let what = format!("it does not name {needed}, which would be asked for");
        findings.push(Finding::warning("server", what, "servers understate; else choose with --group or --patient"));
    }
    findings.extend(authentication(capability, &options.auth));
    findings
}

fn authentication(capability: &Capability, auth: &Auth) -> Option<Finding> {
    let (method, mend) = match auth {
        Auth::PrivateKeyJwt { .. } => ("private_key_jwt", "look whether the client is registered for a secret instead"),
        Auth::ClientSecret { style: SecretStyle::Form, .. } => {
            ("client_secret_post", "try --client-secret-style basic")
        }
        Auth::ClientSecret { style: SecretStyle::Basic, .. } => {
            ("client_secret_basic", "try --client-secret-style form")
        }
        _ => return None,
    };
    let methods = &capability.auth_methods;
    if methods.is_empty() || methods.iter().any(|known| known == method) {
        return None;
    }
    let what = format!("it names {} as ways to authenticate, and not {method}", methods.join(", "));
    Some(Finding::warning("server", what, mend))
}
