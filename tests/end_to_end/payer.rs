//! A simulated payer, a folder for a lake, and `lakehaul export` from the one into the other.
//!
//! What a command needs to know of the payer is in its environment, so that any argument of a test overrides it. It is
//! impatient: an attempt that fails is repeated at once, and soon given up.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use lakehaul_sim::{Personality, Role, Scenario, ServedFile, Sim};
use serde_json::Value;

use crate::lakehaul::{Outcome, Place, outcome};

/// Where every test's lake is, in its [`Place`].
pub(crate) const LAKE: &str = "lake";

/// No export of a test takes so long, however busy the machine is.
const TOO_LONG: Duration = Duration::from_secs(120);

/// A payer, and a place for what is exported from it.
pub(crate) struct Payer {
    pub(crate) sim: Sim,
    pub(crate) place: Place,
    personality: Personality,
}

/// A command that has been started; it is killed when this is dropped.
pub(crate) struct Started {
    child: Child,
}

impl Payer {
    pub(crate) fn new(personality: Personality, scene: impl FnOnce(Scenario) -> Scenario) -> Payer {
        let sim = Sim::start(scene(Scenario::new(personality))).expect("the payer starts");
        Payer { sim, place: Place::new(), personality }
    }

    /// A SMART server: its counts, pages and framings are the guide's.
    pub(crate) fn smart(scene: impl FnOnce(Scenario) -> Scenario) -> Payer {
        Payer::new(Personality::Smart, scene)
    }

    /// 1upHealth's Provider Access.
    pub(crate) fn provider(scene: impl FnOnce(Scenario) -> Scenario) -> Payer {
        Payer::new(Personality::OneupProvider, scene)
    }

    /// The binary with an environment that names this payer: `check`, `export`, `cancel` and their arguments.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let credentials = self.sim.credentials();
        let kind = match self.personality {
            Personality::OneupProvider => "oneup-provider",
            Personality::OneupPayer => "oneup-payer",
            Personality::OneupPopulation => "oneup-population",
            Personality::OneupPatient => "oneup-patient",
            Personality::OneupConnect => "oneup-connect",
            _ => "smart",
        };
        let mut command = self.place.command(arguments);
        command
            .env("LAKEHAUL_TO", LAKE)
            .env("LAKEHAUL_KIND", kind)
            .env("LAKEHAUL_BASE_URL", self.sim.base_url())
            .env("LAKEHAUL_CLIENT_ID", credentials.client_id)
            .env("LAKEHAUL_CLIENT_SECRET", credentials.client_secret)
            .env("LAKEHAUL_THREADS", "2")
            .env("LAKEHAUL_RETRIES", "6")
            .env("LAKEHAUL_MAX_WAIT", "100ms")
            .env("LAKEHAUL_IDLE_TIMEOUT", "5s");
        let of_members = [Personality::OneupPatient, Personality::OneupConnect].contains(&self.personality);
        if self.personality != Personality::Smart && !of_members {
            command.env("LAKEHAUL_TENANT", "bison");
        }
        if self.personality == Personality::OneupPayer {
            command.env("LAKEHAUL_GROUP", "g1");
        }
        command
    }

    /// `lakehaul export`, to its end.
    #[track_caller]
    pub(crate) fn export(&self, arguments: &[&str]) -> Outcome {
        self.finish(&mut self.command(&[&["export"], arguments].concat()))
    }

    /// A command to its end, which is killed if that does not come.
    #[track_caller]
    #[expect(clippy::unused_self, reason = "it reads as what is done with this payer")]
    pub(crate) fn finish(&self, command: &mut Command) -> Outcome {
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts");
        let id = child.id();
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || sender.send(child.wait_with_output()));
        receiver.recv_timeout(TOO_LONG).map_or_else(
            |_| {
                let killed = Command::new("kill").args(["-9", &id.to_string()]).status();
                panic!("the command has not ended after {TOO_LONG:?}; killed: {killed:?}");
            },
            |output| outcome(output.expect("the binary ends")),
        )
    }

    /// `lakehaul export`, which goes on while the test does.
    pub(crate) fn start(&self, arguments: &[&str]) -> Started {
        Self::started(&mut self.command(&[&["export"], arguments].concat()))
    }

    /// A command, which goes on while the test does.
    pub(crate) fn started(command: &mut Command) -> Started {
        command.stdout(Stdio::null()).stderr(Stdio::null());
        Started { child: command.spawn().expect("the binary starts") }
    }

    /// The lake's run records, oldest first; none, if nothing is published.
    pub(crate) fn records(&self) -> Vec<Value> {
        let Ok(folder) = std::fs::read_dir(self.place.path(LAKE).join("_lake/runs")) else { return Vec::new() };
        let paths = folder.map(|entry| entry.expect("an entry").path());
        let json = paths.filter(|path| path.extension().is_some_and(|extension| extension == "json"));
        let read = |path| std::fs::read(path).expect("a record can be read");
        let mut records: Vec<Value> =
            json.map(|path| serde_json::from_slice(&read(path)).expect("a record is JSON")).collect();
        records.sort_by_key(|record| record["started"].as_str().map(str::to_owned));
        records
    }

    /// The newest run record.
    #[track_caller]
    pub(crate) fn record(&self) -> Value {
        self.records().pop().expect("a run is published")
    }

    /// A file's account in the newest run record.
    #[track_caller]
    pub(crate) fn file(&self, name: &str) -> Value {
        let record = self.record();
        let files = record["output_files"].as_array().expect("a list of files");
        files.iter().find(|file| file["name"] == name).unwrap_or_else(|| panic!("{name} is not in {record}")).clone()
    }

    /// The kinds of the newest run's problems.
    #[track_caller]
    pub(crate) fn problems(&self) -> Vec<String> {
        let record = self.record();
        let problems = record["problems"].as_array().expect("a list of problems");
        problems.iter().map(|problem| problem["kind"].as_str().expect("a kind").to_owned()).collect()
    }

    /// Exit code 0 after one kick-off; each file in the run record is what the payer sent, the lake is what its run records
    /// say, and the payer was asked for nothing but what it documents, never too early, without a token at another origin.
    #[track_caller]
    pub(crate) fn is_whole(&self, outcome: &Outcome) {
        self.is_whole_after(1, outcome);
    }

    /// The same after so many kick-offs.
    #[track_caller]
    pub(crate) fn is_whole_after(&self, kick_offs: usize, outcome: &Outcome) {
        outcome.exits_with(0);
        let record = self.record();
        assert_eq!(record["status"], "complete", "{record}");
        assert_eq!(record["problems"], Value::Array(Vec::new()), "{outcome}");
        let model = self.sim.model();
        let files = record["output_files"].as_array().expect("a list of files");
        let by_name: HashMap<_, _> =
            files.iter().map(|file| (file["name"].as_str().unwrap_or_default(), file)).collect();
        for facts in &model.files {
            let file = by_name.get(&*facts.name).unwrap_or_else(|| panic!("{} is not in {record}", facts.name));
            let figures = ["lines", "blank", "rejected", "content_bytes"].map(|name| file[name].as_u64());
            let truth = [facts.lines, facts.blank, facts.bad, facts.content_bytes].map(Some);
            assert_eq!(figures, truth, "lines, blank, rejected, content_bytes of {}\n{outcome}", facts.name);
            let sorted = match facts.role {
                Role::Output => "resources",
                Role::Outcome => "outcomes",
                Role::Deleted => "deletions",
            };
            assert_eq!(file[sorted], facts.resources(), "{sorted} of {}\n{outcome}", facts.name);
        }
        assert_eq!(files.len(), model.files.len(), "{record}");
        assert_eq!(record["totals"]["rows"], model.resources(), "{record}");
        self.place.run(&["verify", LAKE]).exits_with(0);
        assert_eq!(self.parts(), self.recorded_parts(), "parts in the lake, and in its run records");
        assert_eq!(self.sim.export_count(), kick_offs, "kick-offs\n{outcome}");
        self.is_well_behaved();
    }

    /// The payer was asked for nothing but what it documents, never too early, without a token at another origin.
    #[track_caller]
    pub(crate) fn is_well_behaved(&self) {
        let none = Vec::<String>::new();
        let shown = |seen: Vec<lakehaul_sim::Seen>| -> Vec<String> {
            seen.iter().map(|seen| format!("{:?} {} {}", seen.origin, seen.method, seen.path)).collect()
        };
        assert_eq!(shown(self.sim.unscripted()), none, "requests that the payer does not document");
        assert_eq!(shown(self.sim.early_polls()), none, "status requests before their time");
        assert_eq!(shown(self.sim.tokens_seen_at_other_origin()), none, "secrets at another origin");
    }

    /// A reader of the lake finds nothing: no run record, no Parquet file under a table's name.
    #[track_caller]
    pub(crate) fn nothing_is_published(&self) {
        assert_eq!(self.records(), Vec::<Value>::new());
        assert_eq!(self.parts(), BTreeSet::new());
    }

    /// What a reader of the lake finds: all files in folders whose names are a table's.
    fn parts(&self) -> BTreeSet<String> {
        let names = |path: &Path| -> Vec<String> {
            let entries = std::fs::read_dir(path).into_iter().flatten();
            entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("a plain name")).collect()
        };
        let lake = self.place.path(LAKE);
        let tables = names(&lake).into_iter().filter(|name| !name.starts_with(['_', '.']));
        tables
            .flat_map(|table| names(&lake.join(&table)).into_iter().map(move |name| format!("{table}/{name}")))
            .collect()
    }

    fn recorded_parts(&self) -> BTreeSet<String> {
        let records = self.records();
        let tables = |record: &Value| {
            let tables = record["tables"].as_array().expect("a list of tables").clone();
            tables.into_iter().chain(record.get("deleted_resources").cloned())
        };
        let files =
            records.iter().flat_map(tables).flat_map(|table| table["files"].as_array().expect("its parts").clone());
        files.map(|file| file["path"].as_str().expect("a path").to_owned()).collect()
    }
}

impl Started {
    /// SIGKILL; then it is gone.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("it has not ended by itself");
        self.child.wait().expect("it ends");
    }
}

impl Started {
    /// SIGKILL, unless it has ended before it could be killed.
    pub(crate) fn kill_or_gone(self) {
        drop(self);
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        // An error says that it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `count` patients, one a line, with ids that begin with `prefix`.
pub(crate) fn patients(prefix: &str, count: usize) -> String {
    let line = |n| format!("{{\"resourceType\":\"Patient\",\"id\":\"{prefix}-{n:05}\",\"gender\":\"female\"}}\n");
    (0..count).map(line).collect()
}

/// A file of them, named `{name}.ndjson`.
pub(crate) fn patient_file(name: &str, count: usize) -> ServedFile {
    ServedFile::new("Patient", patients(name, count)).named(&format!("{name}.ndjson"))
}
