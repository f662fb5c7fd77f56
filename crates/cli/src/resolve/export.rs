//! `lakehaul export` and `lakehaul cancel` as meant.

use lakehaul_fetch::{ClientOptions, ExportParameters, Kind};
use lakehaul_load::{AfterExport, Earlier, ExportRequest, LoadOptions, RawFiles, Since};

use super::{Given, allowed, ask, destination, lake, loading, server};
use crate::args::{CancelArgs, ExportArgs};
use crate::exit::Allowed;
use crate::failure::Failure;
use crate::secret::Stdin;

/// An export, and what counts as its success.
pub struct ExportJob {
    /// What is asked of the library.
    pub request: ExportRequest,
    /// Which problems do not count.
    pub allowed: Allowed,
}

/// An export that is to be stopped.
pub struct CancelJob {
    /// The lake with the unfinished run.
    pub lake: String,
    /// The server that has it.
    pub client: ClientOptions,
}

/// `lakehaul export`, `lakehaul check`
pub fn export(args: &ExportArgs, given: &Given) -> Result<ExportJob, Failure> {
    export_of(args, &Kind::EXPORT, given, &mut Stdin::default())
}

/// The same at a server of some kinds.
pub(super) fn export_of(
    args: &ExportArgs,
    kinds: &[Kind],
    given: &Given,
    stdin: &mut Stdin,
) -> Result<ExportJob, Failure> {
    let lake = destination(args.loading.to.as_deref())?;
    let options = loading(&args.loading)?;
    let client = exporting(args, server::client(&args.server, kinds, given, stdin)?);
    let (parameters, since) = ask::parameters(&args.ask, &given.provenance, stdin)?;
    let request = ExportRequest {
        client,
        parameters,
        since,
        lake,
        options,
        earlier: if args.fresh { Earlier::Forget } else { Earlier::TakeUp },
        afterwards: if args.keep_export { AfterExport::Keep } else { AfterExport::Delete },
        raw: if args.keep_raw { RawFiles::Kept } else { RawFiles::Streamed },
        max_duration: args.max_duration.map(|span| span.duration),
    };
    Ok(ExportJob { request, allowed: allowed(&args.loading) })
}

fn exporting(args: &ExportArgs, client: ClientOptions) -> ClientOptions {
    ClientOptions { concurrency: args.concurrency.map_or(client.concurrency, usize::from), ..client }
}

/// `lakehaul cancel`
pub fn cancel(args: &CancelArgs, given: &Given) -> Result<CancelJob, Failure> {
    let lake = destination(args.to.as_deref())?;
    Ok(CancelJob { lake, client: server::client(&args.server, &Kind::EXPORT, given, &mut Stdin::default())? })
}

/// What `lakehaul check` looks at, each part on its own: what is wrong with one does not hide what is wrong with another.
pub struct CheckJob {
    /// The server, and who asks.
    pub client: Result<ClientOptions, Failure>,
    /// What is asked for.
    pub parameters: Result<(ExportParameters, Since), Failure>,
    /// The lake; none: it is not named.
    pub lake: Option<Result<String, Failure>>,
    /// How lines become a lake.
    pub options: Result<LoadOptions, Failure>,
}

/// `lakehaul check`
pub fn check(args: &ExportArgs, given: &Given) -> CheckJob {
    let mut stdin = Stdin::default();
    CheckJob {
        client: server::client(&args.server, &Kind::EXPORT, given, &mut stdin).map(|client| exporting(args, client)),
        parameters: ask::parameters(&args.ask, &given.provenance, &mut stdin),
        lake: args.loading.to.as_deref().map(lake),
        options: loading(&args.loading),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use clap::Parser;

    use super::*;
    use crate::args::{Args, Command};
    use crate::exit::RejectLimit;

    fn job(line: &str) -> Result<ExportJob, Failure> {
        match Args::try_parse_from(line.split(' ')).expect("parses").command {
            Command::Export(args) => export(&args, &Given::default()),
            other => panic!("{other:?}"),
        }
    }

    const LINE: &str = "lakehaul export --kind oneup-provider --tenant bison --no-auth";

    #[test]
    fn every_option_arrives() {
        let given = "--to l --fresh --keep-export --keep-raw --max-duration 2h --concurrency 5 --checkpoint 5min --new-run --memory 2GiB \
                     --allow-partial --allow-rejects=4 --since last --type Patient";
        let ExportJob { request, allowed } = job(&format!("{LINE} {given}")).expect("is meant");
        assert_eq!(
            (request.lake.as_str(), request.earlier, request.afterwards),
            ("l", Earlier::Forget, AfterExport::Keep)
        );
        assert_eq!((request.raw, request.since), (RawFiles::Kept, Since::Last));
        assert_eq!((request.max_duration, request.client.concurrency), (Some(Duration::from_secs(7200)), 5));
        assert_eq!((request.options.new_run, request.options.memory_bytes), (true, 2 << 30));
        assert_eq!(request.options.checkpoint, Duration::from_secs(300));
        assert_eq!(allowed, Allowed { rejects: RejectLimit::UpTo(4), partial: true });
        assert_eq!(request.parameters.types, ["Patient"]);

        let ExportJob { request, allowed } = job(&format!("{LINE} --to l")).expect("is meant");
        assert_eq!((request.earlier, request.afterwards), (Earlier::TakeUp, AfterExport::Delete));
        assert_eq!((request.raw, request.since, request.max_duration), (RawFiles::Streamed, Since::Ever, None));
        assert_eq!(request.options.checkpoint, LoadOptions::CHECKPOINT);
        assert_eq!((request.options.new_run, allowed), (false, Allowed::default()));
    }

    #[test]
    fn a_lake_is_named() {
        let failure = job(LINE).map(|_| ()).expect_err("no lake");
        assert!(failure.to_string().contains("--to LAKE"), "{failure}");
    }
}
