//! What happens between here and a server, for people and for programs. In comes the client's event, out goes a sentence or
//! an object. URLs are shown as the client redacts them.

use lakehaul_fetch::{Batches, Cancelled, FetchEvent, Running};
use serde_json::{Value, json};

use super::figures;
use crate::args::Level;

/// How much one has to want to know.
pub(crate) fn level(event: &FetchEvent<'_>) -> Level {
    match event {
        FetchEvent::TokenObtained { .. } | FetchEvent::Concurrency { .. } => Level::Debug,
        FetchEvent::Warning(_) => Level::Warn,
        _ => Level::Info,
    }
}

/// For people.
pub(crate) fn sentence(event: &FetchEvent<'_>) -> String {
    match event {
        FetchEvent::TokenObtained { seconds: Some(seconds) } => {
            format!("access token obtained, good for {}", figures::duration(*seconds as f64))
        }
        FetchEvent::TokenObtained { seconds: None } => "access token obtained, for how long is not said".to_owned(),
        FetchEvent::KickOffSent { url } => format!("asking for an export: {url}"),
        FetchEvent::Accepted { location } => {
            format!("the server has begun the export; its status is told at {location}")
        }
        FetchEvent::StatusAnswered { running } => {
            let next = figures::duration(running.next_in.as_secs_f64());
            format!("{}; asked again in {next}", state(running))
        }
        FetchEvent::Retry { attempt, of, wait, why, .. } => {
            format!("{why}; sent again in {} ({attempt} of {of})", figures::duration(wait.as_secs_f64()))
        }
        FetchEvent::Concurrency { host, now } => {
            format!("{host} is asked for {} at a time", figures::counted(*now as u64, "output file", "output files"))
        }
        FetchEvent::Warning(text) => (*text).to_owned(),
        _ => "the server is being asked".to_owned(),
    }
}

/// `the server is exporting: 3 of 6 batches, 45%`
pub fn state(running: &Running) -> String {
    let mut parts = Vec::new();
    if let Some(Batches { complete, failed, total, .. }) = running.batches.filter(|batches| batches.total > 0) {
        parts.push(format!("{} of {}", figures::count(complete), figures::counted(total, "batch", "batches")));
        if failed > 0 {
            parts.push(format!("{} failed", figures::count(failed)));
        }
    }
    parts.extend(running.progress.clone());
    if let Some(manifest) = &running.so_far {
        parts.push(format!("{} listed", figures::counted(manifest.files.len() as u64, "file", "files")));
    }
    let colon = if parts.is_empty() { "" } else { ": " };
    format!("the server is exporting{colon}{}", parts.join(", "))
}

/// For programs: an object with `"event"`.
pub(crate) fn object(event: &FetchEvent<'_>) -> Value {
    match event {
        FetchEvent::TokenObtained { seconds } => json!({"event": "token_obtained", "seconds": seconds}),
        FetchEvent::KickOffSent { url } => json!({"event": "kick_off_sent", "url": url.to_string()}),
        FetchEvent::Accepted { location } => json!({"event": "export_accepted", "location": location.to_string()}),
        FetchEvent::StatusAnswered { running } => json!({
            "event": "export_running",
            "progress": running.progress,
            "batches": running.batches.map(|Batches { running, complete, failed, total }| {
                json!({"running": running, "complete": complete, "failed": failed, "total": total})
            }),
            "files_listed": running.so_far.as_ref().map(|manifest| manifest.files.len()),
            "next_in_seconds": running.next_in.as_secs_f64(),
        }),
        FetchEvent::Retry { what, attempt, of, wait, why } => json!({
            "event": "retry", "what": what, "attempt": attempt, "of": of, "wait_seconds": wait.as_secs_f64(), "why": why,
        }),
        FetchEvent::Concurrency { host, now } => json!({"event": "concurrency", "host": host, "output_files": now}),
        FetchEvent::Warning(text) => json!({"event": "warning", "message": text}),
        _ => json!({"event": "other"}),
    }
}

/// What became of the request to delete an export that is in the lake.
pub fn deleted(cancelled: &Cancelled) -> String {
    match cancelled {
        Cancelled::Done => "all is in the lake, and the server deletes its export".to_owned(),
        Cancelled::Refused { status } => {
            format!(
                "all is in the lake; the server does not delete exports when asked to ({status}), which does no harm"
            )
        }
        Cancelled::Gone => "all is in the lake, and the server has no export any more".to_owned(),
    }
}

/// `done`, `refused` or `gone`, and the status of a refusal.
pub fn outcome(cancelled: &Cancelled) -> (&'static str, Option<u16>) {
    match cancelled {
        Cancelled::Done => ("done", None),
        Cancelled::Refused { status } => ("refused", Some(*status)),
        Cancelled::Gone => ("gone", None),
    }
}
