//! From arguments as typed to what they mean: no option is text any more, and what cannot be meant is refused here,
//! before anything is touched.

mod ask;
mod export;
mod search;
mod matching;
mod session;
mod server;
mod upkeep;

use std::path::{Path, PathBuf};

use lakehaul_load::{Engine, Format, Input, Layout, LoadOptions, LoadRequest};

use crate::args::{EngineArg, LayoutArg, Level, LoadArgs, LoadingArgs, OutputArgs, VerifyArgs};
use crate::exit::Allowed;
use crate::failure::Failure;
use crate::provenance::Provenance;
use crate::secret::SecretVariables;

pub use export::{CancelJob, CheckJob, ExportJob, cancel, check, export};
pub use matching::{MatchJob, matching};
pub use search::{SearchJob, search};
pub use session::{ConnectJob, LoginJob, LoginWay, SystemsJob, connect, login, systems};
pub use upkeep::{VacuumJob, Wish, compact, vacuum};

/// What was given besides the arguments.
#[derive(Debug, Default)]
pub struct Given {
    /// Where the options' values came from.
    pub provenance: Provenance,
    /// Secrets in the environment.
    pub secrets: SecretVariables,
    /// Where logins are kept.
    pub state_folder: Option<PathBuf>,
}

/// A load, and what counts as its success.
#[derive(Debug)]
pub struct LoadJob {
    /// What is asked of the library.
    pub request: LoadRequest,
    /// Which problems do not count.
    pub allowed: Allowed,
}

/// How results and messages look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Manner {
    /// For people or for programs.
    pub form: Form,
    /// No progress, no closing table.
    pub quiet: bool,
    /// What is told on stderr.
    pub level: Level,
}

/// For whom results and messages are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Sentences and tables.
    Text,
    /// One JSON object a line.
    Json,
}

/// `--quiet` leaves only errors, unless `--log` says otherwise.
pub fn manner(args: &OutputArgs) -> Manner {
    Manner {
        form: if args.json { Form::Json } else { Form::Text },
        quiet: args.quiet,
        level: args.log.unwrap_or(if args.quiet { Level::Error } else { Level::Info }),
    }
}

/// `lakehaul load`
pub fn load(args: &LoadArgs) -> Result<LoadJob, Failure> {
    Ok(LoadJob {
        request: LoadRequest {
            lake: destination(args.loading.to.as_deref())?,
            options: loading(&args.loading)?,
            inputs: inputs(&args.paths)?,
        },
        allowed: allowed(&args.loading),
    })
}

fn allowed(args: &LoadingArgs) -> Allowed {
    Allowed { rejects: args.allow_rejects.unwrap_or_default(), partial: args.allow_partial }
}

/// How lines become a lake.
fn loading(args: &LoadingArgs) -> Result<LoadOptions, Failure> {
    let defaults = LoadOptions::default();
    let max_line_bytes = args
        .max_line
        .map(|size| {
            usize::try_from(size.bytes)
                .map_err(|_| Failure::Usage("--max-line is more than this machine can address".to_owned()))
        })
        .transpose()?;
    let annotations = args
        .annotate
        .as_ref()
        .map(|kinds| kinds.join(",").parse())
        .transpose()
        .map_err(|e| Failure::Usage(format!("--annotate: {e}")))?;
    Ok(LoadOptions {
        memory_bytes: args.memory.map_or(defaults.memory_bytes, |size| size.bytes),
        threads: args.threads.map_or(defaults.threads, usize::from),
        max_line_bytes,
        max_depth: args.max_depth.unwrap_or(defaults.max_depth),
        checkpoint: args.checkpoint.map_or(defaults.checkpoint, |span| span.duration),
        annotations,
        layout: args.layout.map(|layout| match layout {
            LayoutArg::Plain => Layout::Plain,
            LayoutArg::Hive => Layout::Hive,
        }),
        format: args.format.map(Format::from),
        keep_json: args.keep_json.then_some(true),
        mode: args.mode.map(|mode| mode.0),
        new_run: args.new_run,
        replace: args.replace,
        engine: match args.engine {
            None | Some(EngineArg::Direct) => Engine::Direct,
            Some(EngineArg::Tape) => Engine::Tape,
        },
        ..defaults
    })
}

/// The lake of a command that writes one.
fn destination(to: Option<&str>) -> Result<String, Failure> {
    let missing = || Failure::Usage("the lake is not named: add --to LAKE (or set LAKEHAUL_TO)".to_owned());
    lake(to.ok_or_else(missing)?)
}

/// The options of `lakehaul verify --roundtrip`.
pub fn roundtrip_options(args: &VerifyArgs) -> LoadOptions {
    let defaults = LoadOptions::default();
    LoadOptions {
        memory_bytes: args.memory.map_or(defaults.memory_bytes, |size| size.bytes),
        threads: args.threads.map_or(defaults.threads, usize::from),
        ..defaults
    }
}

/// `-` is stdin, which can be read only once.
pub fn inputs(paths: &[PathBuf]) -> Result<Vec<Input>, Failure> {
    let is_stdin = |path: &Path| path.as_os_str() == "-";
    if paths.iter().filter(|path| is_stdin(path)).count() > 1 {
        return Err(Failure::Usage("stdin (-) is named twice, and can be read only once".to_owned()));
    }
    let input = |path: &PathBuf| match path.to_str() {
        Some("-") => Input::Stdin,
        Some(url) if lakehaul_load::stores::is_url(url) => Input::Url(url.to_owned()),
        _ => Input::Path(path.clone()),
    };
    Ok(paths.iter().map(input).collect())
}

/// A folder's path, or a place in a store; which stores there are, the library knows.
pub fn lake(text: &str) -> Result<String, Failure> {
    if text.is_empty() {
        return Err(Failure::Usage("the lake's path is empty".to_owned()));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use clap::Parser;

    use super::*;
    use crate::args::{Args, Command};
    use crate::exit::RejectLimit;

    fn load_job(line: &str) -> Result<LoadJob, Failure> {
        match Args::try_parse_from(line.split(' ')).expect("parses").command {
            Command::Load(args) => load(&args),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_option_arrives() {
        let job = load_job(
            "lakehaul load a - --to l --memory 2GiB --threads 3 --max-line 1MB --max-depth 9 --checkpoint 0s --allow-rejects=4 --allow-partial \
             --new-run --annotate references,dates --layout hive --format delta --replace --keep-json --mode 640 --engine tape",
        )
        .expect("is meant");
        assert_eq!(job.request.inputs, [Input::Path("a".into()), Input::Stdin]);
        assert_eq!(job.request.lake, "l");
        assert_eq!(job.allowed, Allowed { rejects: RejectLimit::UpTo(4), partial: true });
        let options = job.request.options;
        assert_eq!((options.memory_bytes, options.threads, options.max_line_bytes), (2 << 30, 3, Some(1_000_000)));
        assert_eq!((options.max_depth, options.layout, options.keep_json), (9, Some(Layout::Hive), Some(true)));
        assert_eq!(options.checkpoint, Duration::ZERO);
        assert_eq!((options.format, options.replace), (Some(Format::Delta), true));
        assert_eq!((options.mode, options.new_run, options.engine), (Some(0o640), true, Engine::Tape));
        assert_eq!(options.annotations.expect("given").to_string(), "dates,references");
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for (line, part) in [
            ("lakehaul load a", "--to LAKE"),
            ("lakehaul load - - --to l", "named twice"),
            ("lakehaul load a --to l --annotate codes", "--annotate: "),
        ] {
            let failure = load_job(line).expect_err(line);
            assert!(failure.to_string().contains(part), "{line}: {failure}");
            assert_eq!(failure.exit().code(), 2);
        }
    }

    #[test]
    fn quiet_leaves_errors_unless_log_says_more() {
        for (line, quiet, level) in [
            ("lakehaul runs l", false, Level::Info),
            ("lakehaul runs l --quiet", true, Level::Error),
            ("lakehaul runs l --quiet --log debug", true, Level::Debug),
            ("lakehaul --log warn runs l", false, Level::Warn),
        ] {
            let args = Args::try_parse_from(line.split(' ')).expect("parses");
            assert_eq!(manner(&args.output), Manner { form: Form::Text, quiet, level }, "{line}");
        }
    }
}
