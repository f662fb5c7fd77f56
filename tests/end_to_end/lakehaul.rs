//! Runs the binary, in an environment that has nothing of the user's.

use std::ffi::OsStr;
use std::fmt;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

/// How a command ended, and what it said.
pub(crate) struct Outcome {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A folder of one test's own: its inputs, its lake, its config folder.
pub(crate) struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    pub(crate) fn new() -> Place {
        Place { folder: tempfile::tempdir().expect("a folder for the test") }
    }

    /// A path in the folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file, and the folders above it.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("a file is in a folder")).expect("folders can be made");
        std::fs::write(&path, content).expect("a file can be written");
        path
    }

    /// The binary, run in this folder; its config folder is `config/`.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lakehaul"));
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env_clear()
            .env("XDG_CONFIG_HOME", self.path("config"))
            .stdin(Stdio::null());
        command
    }

    /// Runs the binary to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Outcome {
        finish(&mut self.command(arguments))
    }

    /// Runs it with variables set.
    pub(crate) fn run_with(&self, variables: &[(&str, &str)], arguments: &[&str]) -> Outcome {
        finish(self.command(arguments).envs(variables.iter().copied()))
    }

    /// Runs it with something on stdin.
    pub(crate) fn run_on(&self, stdin: &[u8], arguments: &[&str]) -> Outcome {
        let mut command = self.command(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary starts");
        let mut pipe = child.stdin.take().expect("stdin is a pipe");
        let input = stdin.to_vec();
        // From a thread, for the binary may not want all of it before it speaks.
        let writer = std::thread::spawn(move || pipe.write_all(&input));
        let output = child.wait_with_output().expect("the binary ends");
        writer.join().expect("the writer does not panic").expect("all is read");
        outcome(output)
    }

    /// The run records of a lake, oldest first, as `runs --json` has them.
    pub(crate) fn records(&self, lake: &str) -> Vec<Value> {
        let outcome = self.run(&["runs", lake, "--json"]);
        outcome.exits_with(0);
        outcome.stdout.lines().map(|line| serde_json::from_str(line).expect("a record is JSON")).collect()
    }

    /// A table's resources, sorted, so that two lakes can be compared.
    pub(crate) fn sorted_rows(&self, lake: &str, resource_type: &str) -> Vec<String> {
        let outcome = self.run(&["cat", lake, resource_type]);
        outcome.exits_with(0);
        let mut rows: Vec<_> = outcome.stdout.lines().map(str::to_owned).collect();
        rows.sort();
        rows
    }

    /// The quarantine index of a lake's newest run.
    pub(crate) fn quarantine(&self, lake: &str) -> Vec<Value> {
        let records = self.records(lake);
        let run = records.last().expect("a run")["run"].as_str().expect("a name").to_owned();
        let index = self.path(lake).join("_lake/quarantine").join(run).join("index.ndjson");
        let text = std::fs::read_to_string(index).expect("an index of what was rejected");
        text.lines().map(|line| serde_json::from_str(line).expect("the index is JSON")).collect()
    }
}

impl Outcome {
    #[track_caller]
    pub(crate) fn exits_with(&self, code: i32) -> &Outcome {
        assert_eq!(self.code, Some(code), "{self}");
        self
    }

    /// Stderr has a sentence with these words in it.
    #[track_caller]
    pub(crate) fn tells(&self, part: &str) -> &Outcome {
        assert!(self.stderr.contains(part), "stderr should say {part:?}\n{self}");
        self
    }

    #[track_caller]
    pub(crate) fn prints(&self, part: &str) -> &Outcome {
        assert!(self.stdout.contains(part), "stdout should say {part:?}\n{self}");
        self
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "exit code {:?}\n-- stdout\n{}\n-- stderr\n{}", self.code, self.stdout, self.stderr)
    }
}

fn finish(command: &mut Command) -> Outcome {
    outcome(command.output().expect("the binary starts"))
}

pub(crate) fn outcome(output: std::process::Output) -> Outcome {
    Outcome {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).expect("stdout is text"),
        stderr: String::from_utf8(output.stderr).expect("stderr is text"),
    }
}

/// A path of the repository.
pub(crate) fn repository(path: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path).to_string_lossy().into_owned()
}

/// The corpus's manifest; none, and a word about it, where it is not there.
#[expect(clippy::print_stderr, reason = "a test that checks nothing has to say so")]
pub(crate) fn corpus() -> Option<String> {
    let manifest = repository("../shared/corpus/synthea/manifest.json");
    let there = Path::new(&manifest).is_file();
    if !there {
        eprintln!("skipped: the corpus ../shared/corpus/synthea is not there");
    }
    there.then_some(manifest)
}

/// A path as an argument.
pub(crate) fn text(path: &(impl AsRef<OsStr> + ?Sized)) -> &str {
    path.as_ref().to_str().expect("the test's paths are text")
}
