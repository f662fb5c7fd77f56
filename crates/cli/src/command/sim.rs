//! `lakehaul sim`: the simulated payer alone. Its address, its made-up credentials and a command to try go to stdout; then
//! it serves until the process is interrupted.

use std::io::Write;
use std::time::Duration;

use lakehaul_fetch::Kind;
use lakehaul_sim::members::{BadLines, Members, MembersOptions, Split};
use lakehaul_sim::{At, ExpiresIn, ExportEnd, Fault, Framing, Personality, Scenario, ServedFile, Sim, Target, When};
use serde_json::json;

use crate::args::{FaultArg, SimArgs};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::report::figures;
use crate::resolve::{Form, Manner};

/// Whose data it serves, in the paths of a gateway.
const TENANT: &str = "bison";
/// Any group has all members.
const GROUP: &str = "all-members";

pub(super) fn run(args: &SimArgs, manner: Manner) -> Result<Exit, Failure> {
    let kind = args.kind.unwrap_or(Kind::OneupProvider);
    if kind == Kind::Smart && args.faults.contains(&FaultArg::FailedBatch) {
        return Err(Failure::Usage("a server of kind smart tells of no batches, so none can fail".to_owned()));
    }
    let members = Members::new(MembersOptions {
        seed: args.seed.unwrap_or(1),
        members: args.members.unwrap_or(100).into(),
        split: Split::Files(args.files.unwrap_or(2).into()),
        bad_lines: if args.faults.contains(&FaultArg::BadLines) { BadLines::Exactly(5) } else { BadLines::None },
        ..MembersOptions::default()
    });
    let sim = start(scenario(kind, &members, &args.faults).tenant(TENANT).port(args.port.unwrap_or(0)))?;
    let mut out = std::io::stdout().lock();
    match manner.form {
        Form::Json => writeln!(out, "{}", object(kind, &sim))?,
        Form::Text => out.write_all(text(kind, &members, &sim).as_bytes())?,
    }
    out.flush()?;
    drop(out);
    loop {
        // The payer has threads of its own; a signal ends them all.
        std::thread::park();
    }
}

pub(super) fn start(scenario: Scenario) -> Result<Sim, Failure> {
    Sim::start(scenario).map_err(|error| Failure::Usage(format!("the simulated payer cannot listen: {error}")))
}

/// A server that exports these members.
pub(super) fn scenario(kind: Kind, members: &Members, faults: &[FaultArg]) -> Scenario {
    let personality = match kind {
        Kind::OneupProvider => Personality::OneupProvider,
        Kind::OneupPayer => Personality::OneupPayer,
        Kind::OneupPopulation => Personality::OneupPopulation,
        _ => Personality::Smart,
    };
    // With a length, so that a client can ask for the rest of a file.
    let files = (0..members.files().len()).map(|at| ServedFile::generated(members, at).framing(Framing::Length));
    let scenario = Scenario::new(personality)
        .seed(members.options().seed)
        .transaction_time(&members.transaction_time().to_string())
        .running(2)
        .retry_after(1)
        .files(files);
    faults.iter().fold(scenario, |scenario, fault| match fault {
        FaultArg::Busy => scenario.fault(Target::Any, When::Chance(0.1), Fault::status(503).retry_after(1)),
        // Every type's first file is longer than that.
        FaultArg::Resets => scenario.fault(Target::EachFile, When::Nth(1), Fault::reset_at(At::Body(20_000))),
        FaultArg::ShortTokens => scenario.token_lifetime(Duration::from_secs(2)).expires_in(ExpiresIn::Missing),
        FaultArg::FailedBatch => scenario.ending(ExportEnd::Partial(1)),
        // They are among the members' lines.
        FaultArg::BadLines => scenario,
    })
}

/// What asks this server, as one would type it.
fn command(kind: Kind, sim: &Sim) -> String {
    let credentials = sim.credentials();
    let tenant = if kind.needs_tenant() { format!("--tenant {TENANT} ") } else { String::new() };
    let group = if kind == Kind::OneupPayer { format!("--group {GROUP} ") } else { String::new() };
    format!(
        "LAKEHAUL_CLIENT_SECRET={} lakehaul export --kind {kind} --base-url {} {tenant}{group}--client-id {} --to lake",
        credentials.client_secret,
        sim.base_url(),
        credentials.client_id
    )
}

fn text(kind: Kind, members: &Members, sim: &Sim) -> String {
    let credentials = sim.credentials();
    let tenant = if kind.needs_tenant() { format!("  tenant         {TENANT}\n") } else { String::new() };
    format!(
        "A simulated payer serves {} in {} until it is interrupted (Ctrl-C). All is made up, the secret too.\n\n  \
         kind           {kind}\n  base URL       {}\n{tenant}  token URL      {}\n  FHIR base      {}\n  \
         client id      {}\n  client secret  {}\n\nTry it:\n  {}\n",
        figures::counted(members.options().members, "member", "members"),
        figures::counted(members.files().len() as u64, "output file", "output files"),
        sim.base_url(),
        sim.token_url(),
        sim.fhir_base(),
        credentials.client_id,
        credentials.client_secret,
        command(kind, sim),
    )
}

fn object(kind: Kind, sim: &Sim) -> serde_json::Value {
    let credentials = sim.credentials();
    json!({
        "kind": kind.name(), "base_url": sim.base_url(), "tenant": kind.needs_tenant().then_some(TENANT),
        "token_url": sim.token_url(), "fhir_base": sim.fhir_base(), "client_id": credentials.client_id,
        "client_secret": credentials.client_secret, "command": command(kind, sim),
    })
}
