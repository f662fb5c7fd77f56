//! The same for programs: one JSON object a line. On stderr events, each with `"event"`; on stdout a command's result.
//! Names are those of the run record where it has them; new members may come, none change their meaning.

use lakehaul_load::{Event, LoadSummary, Problem, TableSummary};
use serde_json::{Value, json};

use super::pace::Pace;
use super::server;
use crate::exit::Exit;
use crate::signals::Signal;

/// An event of the load.
pub fn event(event: &Event<'_>) -> String {
    match event {
        Event::Planned { run, files, bytes, .. } => {
            json!({"event": "planned", "run": run, "files": files, "bytes": bytes})
        }
        Event::FileStarted { output_file, bytes } => {
            json!({"event": "file_started", "name": output_file, "bytes": bytes})
        }
        Event::FileFinished { file } => tagged("file_finished", json!(file)),
        Event::FilesListed { files } => json!({"event": "files_listed", "files": files}),
        Event::PagesBegin => json!({"event": "pages_begin"}),
        Event::MemberAsked { line, of } => json!({"event": "member_asked", "member": line, "of": of}),
        Event::GroupStarted { group, number, of } => {
            json!({"event": "group_started", "group": group, "number": number, "of": of})
        }
        Event::Server(event) => server::object(event),
        Event::ExportDeleted { cancelled } => {
            let (outcome, status) = server::outcome(cancelled);
            json!({"event": "export_deleted", "outcome": outcome, "status": status})
        }
        Event::PartVerified { path, bytes } => json!({"event": "part_verified", "path": path, "bytes": bytes}),
        Event::PartTakenOver { path, bytes } => json!({"event": "part_taken_over", "path": path, "bytes": bytes}),
        Event::StrayRemoved { path, bytes } => json!({"event": "stray_removed", "path": path, "bytes": bytes}),
        Event::FileCompared { output_file } => json!({"event": "file_compared", "name": output_file}),
        Event::Publishing { parts, rows, bytes } => {
            json!({"event": "publishing", "parts": parts, "rows": rows, "bytes": bytes})
        }
        Event::Warning(warning) => json!({"event": "warning", "message": warning.to_string()}),
        _ => json!({"event": "other"}),
    }
    .to_string()
}

/// How the load gets on.
pub fn pace(pace: &Pace) -> String {
    json!({
        "event": "progress",
        "files": pace.files, "files_finished": pace.files_finished,
        "bytes": pace.bytes, "bytes_read": pace.bytes_read, "content_bytes": pace.content_bytes,
        "lines": pace.lines, "rows": pace.rows, "rejected": pace.rejected,
        "seconds": pace.seconds, "seconds_left": pace.seconds_left(),
    })
    .to_string()
}

/// What keeps a run from being complete, with the exit code that it alone would give.
pub fn problem(problem: &Problem, exit: Exit, advice: &str) -> String {
    let mut value = tagged("problem", json!(problem));
    value["message"] = json!(problem.to_string());
    value["advice"] = json!(advice);
    value["exit"] = json!(exit.code());
    value.to_string()
}

/// A signal has come, and what is done about it.
pub fn interrupted(signal: Signal, message: &str) -> String {
    json!({"event": "interrupted", "signal": signal.name(), "message": message}).to_string()
}

/// What ended a command.
pub fn error(message: &str, hint: Option<&str>, exit: Exit) -> String {
    json!({"event": "error", "message": message, "hint": hint, "exit": exit.code()}).to_string()
}

/// The result of a load.
pub fn summary(summary: &LoadSummary, lake: &str, exit: Exit, peak_memory_bytes: Option<u64>) -> String {
    json!({
        "run": summary.run, "status": summary.status, "exit": exit.code(), "already_complete": summary.already_complete,
        "transaction_time": summary.transaction_time, "deleted_resources": summary.deleted_resources,
        "lake": lake, "seconds": summary.seconds, "peak_memory_bytes": peak_memory_bytes,
        "totals": summary.totals,
        "tables": summary.tables.iter().map(table).collect::<Vec<_>>(),
        "output_files": summary.files,
        "problems": summary.problems,
        "warnings": summary.warnings.iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
    .to_string()
}

fn table(table: &TableSummary) -> Value {
    json!({
        "type": table.resource_type, "lines": table.lines, "rows": table.rows, "rejected": table.rejected,
        "content_bytes": table.content_bytes, "bytes": table.bytes, "files": table.files, "work_seconds": table.work_seconds,
    })
}

/// An object with `"event"` in it.
fn tagged(event: &str, mut object: Value) -> Value {
    object["event"] = json!(event);
    object
}
