//! `lakehaul demo`: a simulated payer that misbehaves, an export from it into a lake, and what to try next. A story in few
//! lines on stderr, the result on stdout. Nothing leaves the machine.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;

use lakehaul_fetch::{Auth, ClientOptions, ExportParameters, FetchEvent, Kind, SecretStyle};
use lakehaul_load::{
    AfterExport, Clock, Earlier, ErrorKind, Event, ExportRequest, Format, LoadOptions, Observer, RawFiles, Since,
    SystemClock,
};
use lakehaul_sim::members::{Members, MembersOptions, Split};
use lakehaul_sim::{At, Endpoint, Fault, Scenario, Sim, Target, When};
use url::Url;

use super::closing::{End, close};
use super::sim;
use crate::args::DemoArgs;
use crate::exit::{Allowed, Exit};
use crate::failure::Failure;
use crate::report::summary::{Origin, shell_word};
use crate::report::{Reporter, figures, server};
use crate::resolve::{self, Form, Manner};
use crate::signals::{Again, Notice, Watch};

const LAKE: &str = "lakehaul-demo";
/// What no payer is called, so that a lake of the demo's can be told from any other by its ledger.
const TENANT: &str = "demo";
const MEMBERS: u32 = 300;
/// The payer is gone with the process: there is nothing to take up.
const ANEW: Again = "run it again: it begins anew";

pub(super) fn run(args: &DemoArgs, manner: Manner) -> Result<Exit, Failure> {
    let lake = resolve::lake(args.to.as_deref().unwrap_or(LAKE))?;
    let told = manner.form == Form::Text && !manner.quiet;
    let replaced = make_room(&lake, args.to.is_some())?;

    let members = Members::new(MembersOptions {
        members: args.members.unwrap_or(MEMBERS).into(),
        split: Split::Files(2),
        ..MembersOptions::default()
    });
    let sim = sim::start(misbehaving(sim::scenario(Kind::OneupProvider, &members, &[])))?;
    if told {
        let mut err = std::io::stderr().lock();
        // Stderr may be gone; the result still comes.
        let _ = writeln!(
            err,
            "{}A payer is simulated on this machine: {}, all made up, in {}. It does not behave well.\n",
            if replaced { "The lake of the last demo is replaced. " } else { "" },
            figures::counted(members.options().members, "member", "members"),
            figures::counted(members.files().len() as u64, "output file", "output files"),
        );
    }
    let format = args.format.map(Format::from).unwrap_or_default();
    let request = request(&sim, &lake, format)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let reporter = Arc::new(Reporter::to_stderr(manner));
    let story: Arc<dyn Observer> = if told { Arc::new(Story::default()) } else { Arc::clone(&reporter) as _ };
    let watch = Watch::new(&request.options.interrupt, ANEW, {
        let reporter = Arc::clone(&reporter);
        move |notice| match (notice, told) {
            (Notice::Saving(_), true) => drop(writeln!(std::io::stderr(), "{notice}")),
            (notice, _) => reporter.notice(notice),
        }
    });
    let export = || lakehaul_load::export(&request, &clock, &story);
    let summary = if told { export() } else { reporter.during(export) };
    let summary = summary.map_err(watch.failure(format!("export into {lake}")))?;
    if told {
        let _ = writeln!(std::io::stderr(), "\n{}\n", Seen::of(&sim));
    }
    let exit = close(&summary, &End { lake: &lake, origin: Origin::Server, allowed: Allowed::default() }, manner)?;
    if told {
        let mut out = std::io::stdout().lock();
        Failure::unless_left(out.write_all(what_next(&lake, format).as_bytes()).and_then(|()| out.flush()), exit)?;
    }
    Ok(exit)
}

/// Each fault once, and each in another place.
fn misbehaving(scenario: Scenario) -> Scenario {
    scenario
        .tenant(TENANT)
        .fault(Endpoint::Status, When::Nth(2), Fault::status(503).retry_after(1))
        .fault("ExplanationOfBenefit.0001.ndjson", When::Nth(1), Fault::reset_at(At::Body(1_000_000)))
        .fault("Observation.0001.ndjson", When::Nth(1), Fault::truncate_at(At::Body(300_000)))
        .fault("Claim.0002.ndjson", When::Nth(1), Fault::status(503).retry_after(1))
        .fault(Target::AnyFile, When::Nth(14), Fault::revoke_tokens())
}

fn request(sim: &Sim, lake: &str, format: Format) -> Result<ExportRequest, Failure> {
    let credentials = sim.credentials();
    let base_url = Url::parse(&sim.base_url()).map_err(|error| Failure::Usage(error.to_string()))?;
    Ok(ExportRequest {
        client: ClientOptions {
            tenant: Some(TENANT.to_owned()),
            auth: Auth::ClientSecret {
                client_id: credentials.client_id,
                secret: credentials.client_secret.into(),
                style: SecretStyle::Form,
            },
            ..ClientOptions::new(Kind::OneupProvider, base_url)
        },
        parameters: ExportParameters::default(),
        since: Since::Ever,
        lake: lake.to_owned(),
        options: LoadOptions { format: Some(format), ..LoadOptions::default() },
        earlier: Earlier::Forget,
        afterwards: AfterExport::Delete,
        raw: RawFiles::Streamed,
        max_duration: None,
    })
}

/// A new lake, or one of an earlier demo in the demo's own place, which is removed; true in that case.
fn make_room(lake: &str, named: bool) -> Result<bool, Failure> {
    let path = Path::new(lake);
    let there = || Failure::Usage(format!("{lake} is there already; the demo makes a new lake: name one with --to"));
    if lakehaul_load::stores::is_url(lake) {
        return match lakehaul_load::runs(lake) {
            Ok(_) => Err(there()),
            // No lake is there.
            Err(error) if error.kind() == ErrorKind::Usage => Ok(false),
            Err(error) => Err(Failure::to(format!("look at {lake}"))(error)),
        };
    }
    match std::fs::read_dir(path).map(Iterator::count) {
        Err(_) if !path.exists() => return Ok(false),
        Err(_) => return Err(there()),
        Ok(0) => return Ok(false),
        Ok(_) if named || !is_a_demo(path, lake) => return Err(there()),
        Ok(_) => {}
    }
    std::fs::remove_dir_all(path)
        .map_err(|error| Failure::Usage(format!("the lake of the last demo, {lake}, cannot be removed: {error}")))?;
    Ok(true)
}

/// Only demos have written to it, and nothing is in it but what a lake is made of.
fn is_a_demo(path: &Path, lake: &str) -> bool {
    let ours = format!("{} 127.0.0.1/{TENANT}", Kind::OneupProvider);
    let (Ok(runs), Ok(unfinished)) = (lakehaul_load::runs(lake), lakehaul_load::unfinished(lake)) else { return false };
    let sources: BTreeSet<String> =
        runs.into_iter().map(|run| run.source).chain(unfinished.into_iter().map(|(_, source)| source)).collect();
    let is_part =
        |file: &Path| file.extension().is_some_and(|extension| extension == "parquet") || file.ends_with("_delta_log");
    let lakes_own = |folder: &Path| {
        folder.is_dir()
            && (folder.ends_with("_lake")
                || std::fs::read_dir(folder).is_ok_and(|files| files.flatten().all(|file| is_part(&file.path()))))
    };
    sources.iter().eq([&ours])
        && std::fs::read_dir(path).is_ok_and(|entries| entries.flatten().all(|entry| lakes_own(&entry.path())))
}

/// Tells what happens, in few lines on stderr.
#[derive(Debug, Default)]
struct Story {
    tokens: AtomicU32,
}

impl Story {
    fn line(&self, event: &Event<'_>) -> Option<(&'static str, String)> {
        Some(match event {
            Event::Server(FetchEvent::TokenObtained { .. }) => match self.tokens.fetch_add(1, Relaxed) {
                0 => ("token", "obtained with the client's secret".to_owned()),
                _ => ("token", "had died early: one new token for all connections".to_owned()),
            },
            Event::Server(FetchEvent::Accepted { .. }) => ("kick-off", "accepted".to_owned()),
            Event::Server(FetchEvent::StatusAnswered { running }) => ("status", server::state(running)),
            Event::Server(FetchEvent::Retry { wait, why, .. }) => {
                ("fault", format!("{why}: ridden out, next try in {}", figures::duration(wait.as_secs_f64())))
            }
            Event::FilesListed { files } => {
                let files = figures::counted(*files as u64, "output file", "output files");
                ("files", format!("{files} stream from the socket into columns; no NDJSON touches the disk"))
            }
            Event::Publishing { rows, bytes, .. } => {
                let rows = figures::counted(*rows, "row", "rows");
                ("publish", format!("{rows} in {} of Parquet become visible together", figures::bytes(*bytes)))
            }
            Event::ExportDeleted { cancelled } => ("clean up", server::deleted(cancelled)),
            Event::Warning(warning) => ("warning", warning.to_string()),
            _ => return None,
        })
    }
}

impl Observer for Story {
    fn event(&self, event: Event<'_>) {
        if let Some((what, text)) = self.line(&event) {
            // Stderr may be gone; the result still comes.
            let _ = writeln!(std::io::stderr(), "  {what:<10}{text}");
        }
    }
}

/// What the payer saw of it.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    requests: u64,
    busy: u64,
    broken: u64,
    resumed: u64,
    refused: u64,
    tokens: u64,
}

impl Seen {
    fn of(sim: &Sim) -> Seen {
        let log = sim.log();
        let count =
            |wanted: &dyn Fn(&lakehaul_sim::Seen) -> bool| log.iter().filter(|seen| wanted(seen)).count() as u64;
        Seen {
            requests: log.len() as u64,
            busy: count(&|seen| seen.status == 503),
            broken: count(&|seen| matches!(seen.endpoint, Endpoint::File(_)) && seen.status == 200 && !seen.finished),
            resumed: count(&|seen| seen.status == 206),
            refused: count(&|seen| seen.status == 401),
            tokens: sim.tokens().len() as u64,
        }
    }
}

impl std::fmt::Display for Seen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let count = figures::counted;
        write!(
            f,
            "What the payer saw: {}; {} told to come back later (503), {} broken off and {} taken up at the byte (206),\n\
             {} with a dead token (401), {} handed out. None of it is in the lake twice, and none is missing:",
            count(self.requests, "request", "requests"),
            count(self.busy, "was", "were"),
            count(self.broken, "file", "files"),
            count(self.resumed, "file", "files"),
            figures::count(self.refused),
            count(self.tokens, "token", "tokens"),
        )
    }
}

fn what_next(lake: &str, format: Format) -> String {
    let word = shell_word(lake);
    let lake = lake.trim_end_matches('/').replace('\'', "''");
    let table = |name: &str| match format {
        Format::Parquet => format!("'{lake}/{name}/*.parquet'"),
        Format::Delta => format!("delta_scan('{lake}/{name}')"),
    };
    let [benefits, patients, conditions, observations] =
        ["ExplanationOfBenefit", "Patient", "Condition", "Observation"].map(table);
    format!(
        "
Three questions, for DuckDB:

  -- Who cost the most?
  SELECT p.id, p.gender, p.birthDate, sum(i.net.__value_numeric) AS billed
  FROM {benefits} e, unnest(e.item) t(i), {patients} p
  WHERE e.patient.reference = 'Patient/' || p.id GROUP BY ALL ORDER BY billed DESC LIMIT 5;

  -- What do they have?
  SELECT c.code.coding[1].display AS condition, count(*) AS times, count(DISTINCT c.subject.reference) AS members
  FROM {conditions} c GROUP BY ALL ORDER BY times DESC LIMIT 5;

  -- Where does a row come from?
  SELECT id, __run, __output_file, __line FROM {observations} LIMIT 3;

Also:  lakehaul verify {word}    lakehaul cat {word} Patient | head -1    lakehaul schema {word} --dialect duckdb

With a real payer:

  export LAKEHAUL_CLIENT_SECRET_COMMAND='pass show 1up'   # or …_FILE; never an argument
  lakehaul check  --kind oneup-provider --tenant TENANT --client-id ID --to lake
  lakehaul export --kind oneup-provider --tenant TENANT --client-id ID --to lake
"
    )
}

#[cfg(test)]
mod tests {
    use lakehaul_load::{RunRecord, RunStatus, Totals};

    use super::*;

    /// A folder with a run record of this source.
    fn lake(folder: &Path, source: &str) -> String {
        let record = RunRecord {
            run: "20261122T074157Z-1f2e3d4c".to_owned(),
            status: RunStatus::Complete,
            source: source.to_owned(),
            transaction_time: None,
            started: String::new(),
            finished: String::new(),
            plan: String::new(),
            output_files: vec![],
            tables: vec![],
            deleted_resources: None,
            export: None,
            search: None,
            totals: Totals::default(),
            problems: vec![],
        };
        let lake = folder.join("lake");
        std::fs::create_dir_all(lake.join("_lake/runs")).expect("made");
        std::fs::create_dir_all(lake.join("Patient")).expect("made");
        std::fs::write(lake.join("Patient/part-1.parquet"), "").expect("written");
        let text = serde_json::to_string(&record).expect("plain data");
        std::fs::write(lake.join(format!("_lake/runs/{}.json", record.run)), text).expect("written");
        lake.display().to_string()
    }

    #[test]
    fn only_a_lake_of_the_demos_is_replaced() {
        const OURS: &str = "oneup-provider 127.0.0.1/demo";
        let folder = tempfile::tempdir().expect("a folder");
        let new = folder.path().join("new").display().to_string();
        assert!(matches!(make_room(&new, false), Ok(false)));
        std::fs::create_dir(&new).expect("made");
        assert!(matches!(make_room(&new, true), Ok(false)), "an empty folder is room");

        let ours = lake(folder.path(), OURS);
        assert!(make_room(&ours, true).is_err(), "a lake that was named is left alone");
        std::fs::write(Path::new(&ours).join("notes.txt"), "").expect("written");
        assert!(make_room(&ours, false).is_err(), "there is something else in it");
        std::fs::remove_file(Path::new(&ours).join("notes.txt")).expect("removed");
        std::fs::write(Path::new(&ours).join("Patient/notes.txt"), "").expect("written");
        assert!(make_room(&ours, false).is_err(), "there is something else in a table");
        std::fs::remove_file(Path::new(&ours).join("Patient/notes.txt")).expect("removed");
        assert!(matches!(make_room(&ours, false), Ok(true)));
        assert!(!Path::new(&ours).exists());

        for source in ["oneup-provider 127.0.0.1/bison", "export/manifest.json"] {
            let other = lake(folder.path(), source);
            let failure = make_room(&other, false).expect_err("it is a real one");
            assert!(failure.to_string().contains("name one with --to"), "{failure}");
            assert!(Path::new(&other).exists());
        }
    }
}
