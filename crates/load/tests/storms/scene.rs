//! Lakes in temporary folders, small inputs with a line of every kind, and what the environment asks of these tests.

use std::fmt::Display;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use lakehaul_fetch::{Auth, ClientOptions, ExportParameters, Kind, Level, SecretStyle};
use lakehaul_load::{
    AfterExport, Clock, Earlier, ExportRequest, Input, LoadError, LoadOptions, LoadRequest, LoadSummary, Observer,
    RawFiles, Silent, Since, SystemClock, export, load,
};
use lakehaul_sim::{Personality, Sim};

/// What the environment says, if it says anything.
#[expect(clippy::disallowed_methods, reason = "whoever runs the tests chooses how many of them run")]
pub(crate) fn asked_for(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Says how to repeat a case whose check fails, from wherever it fails.
pub(crate) struct Repeat<T: Display>(pub(crate) T);

#[expect(clippy::print_stderr, reason = "a test that fails says how to repeat it")]
impl<T: Display> Drop for Repeat<T> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("to repeat it: {}", self.0);
        }
    }
}

/// A folder with inputs and a lake.
pub(crate) struct Scene {
    folder: tempfile::TempDir,
    /// Paths below the folder, in the order of the command line.
    pub(crate) inputs: Vec<&'static str>,
}

impl Scene {
    /// Plain, compressed and mixed files, by a manifest and without one, with lines of every kind.
    pub(crate) fn of_everything() -> Scene {
        let scene = Scene { folder: tempfile::tempdir().unwrap(), inputs: vec!["m.json", "loose"] };
        let manifest = r#"{"transactionTime":"2026-01-01T00:00:00Z","output":[
            {"type":"Patient","url":"sub/p.ndjson","count":12},{"type":"Claim","url":"sub/c.ndjson.gz"}],
            "deleted":[{"type":"Bundle","url":"sub/d.ndjson"}],
            "error":[{"type":"OperationOutcome","url":"sub/e.ndjson"}]}"#;
        let deleted = |id| {
            format!(
                r#"{{"resourceType":"Bundle","type":"transaction","entry":[{{"request":{{"method":"DELETE","url":"Patient/{id}"}}}}]}}"#
            )
        };
        let outcome = r#"{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"processing"}]}"#;
        let mut claims: Vec<String> = (0..14).map(claim).collect();
        claims[3] = "{broken".to_owned();
        claims[7] = String::new();
        claims[8] = format!(r#"{{"resourceType":"Claim","id":"{}"}}"#, "x".repeat(900));
        claims.push(r#"{"resourceType":"Claim","id":"late","prognosis":[{"text":"a path of its own"}]}"#.to_owned());
        let mixed = (30..44).map(|id| if id % 3 == 0 { patient(id) } else { claim(id) });
        let more = (50..58).map(patient).chain([" \t".to_owned(), r#"{"resourceType":"Nonsense"}"#.to_owned()]);
        scene.write("m.json", manifest.as_bytes());
        scene.write("sub/p.ndjson", &[&b"\xef\xbb\xbf"[..], &lines((0..12).map(patient), "\n")].concat());
        scene.write("sub/c.ndjson.gz", &gzip(&lines((20..28).map(claim), "\n")));
        scene.write("sub/d.ndjson", &lines((0..3).map(deleted), "\n"));
        scene.write("sub/e.ndjson", &lines([outcome.to_owned(), "no JSON at all".to_owned()], "\n"));
        scene.write("loose/Claim.ndjson", &lines(claims, "\r\n"));
        scene.write("loose/mixed.ndjson.zst", &zstd::encode_all(&lines(mixed, "\n")[..], 1).unwrap());
        // The last line has no end.
        scene.write("loose/more.ndjson", lines(more, "\n").trim_ascii_end());
        scene
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    /// Loads all of it into a lake of this name.
    pub(crate) fn load(&self, lake: &str, options: LoadOptions) -> Result<LoadSummary, LoadError> {
        let inputs = self.inputs.iter().map(|name| Input::Path(self.path(name))).collect();
        let lake = self.path(lake).to_str().unwrap().to_owned();
        load(&LoadRequest { inputs, lake, options }, &SystemClock, &Silent)
    }
}

/// Every chunk is a checkpoint, and chunks are small.
pub(crate) fn saving_always(threads: usize) -> LoadOptions {
    LoadOptions {
        threads,
        checkpoint: Duration::ZERO,
        chunk_bytes: 600,
        max_line_bytes: Some(800),
        ..LoadOptions::default()
    }
}

/// What is asked of a simulated payer.
pub(crate) fn request(sim: &Sim, personality: Personality, lake: &Path, options: LoadOptions) -> ExportRequest {
    let kind = match personality {
        Personality::OneupProvider => Kind::OneupProvider,
        Personality::OneupPayer => Kind::OneupPayer,
        Personality::OneupPopulation => Kind::OneupPopulation,
        _ => Kind::Smart,
    };
    let credentials = sim.credentials();
    let mut client = ClientOptions::new(kind, sim.base_url().parse().unwrap());
    client.tenant = kind.needs_tenant().then(|| "bison".to_owned());
    client.auth = Auth::ClientSecret {
        client_id: credentials.client_id,
        secret: credentials.client_secret.into(),
        style: SecretStyle::Form,
    };
    client.patience.max_wait = Duration::from_millis(2);
    let mut parameters = ExportParameters::default();
    if personality == Personality::OneupPayer {
        parameters.level = Level::Group("g1".to_owned());
    }
    ExportRequest {
        client,
        parameters,
        since: Since::Ever,
        lake: lake.to_str().unwrap().to_owned(),
        options,
        earlier: Earlier::TakeUp,
        afterwards: AfterExport::Delete,
        raw: RawFiles::Streamed,
        max_duration: None,
    }
}

/// Whom nobody tells anything.
pub(crate) fn nobody() -> Arc<dyn Observer> {
    Arc::new(Silent)
}

pub(crate) fn haul(request: &ExportRequest, observer: &Arc<dyn Observer>) -> Result<LoadSummary, LoadError> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    export(request, &clock, observer)
}

pub(crate) fn patient(id: u32) -> String {
    format!(r#"{{"resourceType":"Patient","id":"p{id}","birthDate":"1970-01-{:02}","active":true}}"#, id % 28 + 1)
}

pub(crate) fn claim(id: u32) -> String {
    format!(r#"{{"resourceType":"Claim","id":"c{id}","total":{{"value":{id}.5,"currency":"USD"}}}}"#)
}

/// The lines with this end behind each.
pub(crate) fn lines(lines: impl IntoIterator<Item = String>, end: &str) -> Vec<u8> {
    lines.into_iter().map(|line| line + end).collect::<String>().into_bytes()
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}
