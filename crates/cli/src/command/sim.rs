//! `lakehaul sim`: the simulated payer alone. Its address, its made-up credentials and a command to try go to stdout; then
//! it serves until the process is interrupted.

use std::io::Write;
use std::time::Duration;

use lakehaul_fetch::Kind;
use lakehaul_sim::members::{BadLines, Members, MembersOptions, Split};
use lakehaul_sim::{
    At, Endpoint, ExpiresIn, ExportEnd, Fault, Framing, GroupAt, MatchAnswer, Personality, Scenario, ServedFile, Sim,
    Target, When,
};
use serde_json::json;

use crate::args::{FaultArg, SimArgs};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::report::figures;
use crate::resolve::{Form, Manner};

/// Whose data it serves, in the paths of a gateway.
const TENANT: &str = "bison";
/// Any group has all members, and every member that is asked for is in this one.
const GROUP: &str = "all-members";
/// A search finds what is held in memory: this is some 750 MB.
const MOST_SEARCHED_MEMBERS: u32 = 10_000;
/// A few pages of them, for a patient to choose from.
const SYSTEMS: usize = 100;

pub(super) fn run(args: &SimArgs, manner: Manner) -> Result<Exit, Failure> {
    let kind = args.kind.unwrap_or(Kind::OneupProvider);
    if kind == Kind::Smart && args.faults.contains(&FaultArg::FailedBatch) {
        return Err(Failure::Usage("a server of kind smart tells of no batches, so none can fail".to_owned()));
    }
    if !kind.exports() {
        if let Some(fault) =
            [FaultArg::FailedBatch, FaultArg::BadLines].iter().find(|fault| args.faults.contains(fault))
        {
            let what = if *fault == FaultArg::FailedBatch { "batches" } else { "lines" };
            return Err(Failure::Usage(format!("a server of kind {kind} has no export, so it has no {what} to spoil")));
        }
        if args.members.is_some_and(|members| members > MOST_SEARCHED_MEMBERS) {
            let why = format!(
                "a server of kind {kind} can have {MOST_SEARCHED_MEMBERS} members at most: they are held in memory"
            );
            return Err(Failure::Usage(why));
        }
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

/// A server that exports these members, or lets them be searched.
pub(super) fn scenario(kind: Kind, members: &Members, faults: &[FaultArg]) -> Scenario {
    let personality = match kind {
        Kind::OneupProvider => Personality::OneupProvider,
        Kind::OneupPayer => Personality::OneupPayer,
        Kind::OneupPopulation => Personality::OneupPopulation,
        Kind::OneupPatient => Personality::OneupPatient,
        Kind::OneupConnect => Personality::OneupConnect,
        _ => Personality::Smart,
    };
    let scenario = Scenario::new(personality).seed(members.options().seed);
    let scenario = if kind.exports() { exported(scenario, members) } else { scenario.searchable(members) };
    let scenario = match kind {
        Kind::OneupPayer => {
            scenario.match_members(|_| MatchAnswer::Group { id: GROUP.to_owned(), at: GroupAt::TopLevel })
        }
        Kind::OneupConnect => scenario.systems(SYSTEMS),
        _ => scenario,
    };
    faults.iter().fold(scenario, |scenario, fault| match fault {
        FaultArg::Busy => scenario.fault(Target::Any, When::Chance(0.1), Fault::status(503).retry_after(1)),
        // Every type's first file is longer than that, and so is a page of its resources.
        FaultArg::Resets => scenario.fault(Target::EachFile, When::Nth(1), Fault::reset_at(At::Body(20_000))).fault(
            Endpoint::SearchPage,
            When::Nth(1),
            Fault::reset_at(At::Body(20_000)),
        ),
        FaultArg::ShortTokens => scenario.token_lifetime(Duration::from_secs(2)).expires_in(ExpiresIn::Missing),
        FaultArg::FailedBatch => scenario.ending(ExportEnd::Partial(1)),
        // They are among the members' lines.
        FaultArg::BadLines => scenario,
    })
}

fn exported(scenario: Scenario, members: &Members) -> Scenario {
    // With a length, so that a client can ask for the rest of a file.
    let files = (0..members.files().len()).map(|at| ServedFile::generated(members, at).framing(Framing::Length));
    scenario.transaction_time(&members.transaction_time().to_string()).running(2).retry_after(1).files(files)
}

/// What asks this server, as one would type it.
fn command(kind: Kind, sim: &Sim) -> String {
    let credentials = sim.credentials();
    let tenant = if kind.needs_tenant() { format!("--tenant {TENANT} ") } else { String::new() };
    let group = if kind == Kind::OneupPayer { format!("--group {GROUP} ") } else { String::new() };
    let verb = if kind.exports() { "export" } else { "search" };
    // Nobody has logged in yet, and the ready token needs no login.
    let secret = if logs_in(kind) {
        format!("LAKEHAUL_TOKEN={}", credentials.token)
    } else {
        format!("LAKEHAUL_CLIENT_SECRET={}", credentials.client_secret)
    };
    let client = if logs_in(kind) { String::new() } else { format!("--client-id {} ", credentials.client_id) };
    format!("{secret} lakehaul {verb} --kind {kind} --base-url {} {tenant}{group}{client}--to lake", sim.base_url())
}

/// What logs a member in, as one would type it.
fn login(kind: Kind, sim: &Sim) -> Option<String> {
    let credentials = sim.credentials();
    logs_in(kind).then(|| {
        format!(
            "LAKEHAUL_CLIENT_SECRET={} lakehaul login --kind {kind} --base-url {} --client-id {}{}",
            credentials.client_secret,
            sim.base_url(),
            credentials.client_id,
            if kind == Kind::OneupConnect { " --user somebody" } else { "" }
        )
    })
}

/// Tokens come from a member's login alone.
fn logs_in(kind: Kind) -> bool {
    matches!(kind, Kind::OneupPatient | Kind::OneupConnect)
}

fn match_url(kind: Kind, sim: &Sim) -> Option<String> {
    (kind == Kind::OneupPayer).then(|| format!("{}/v1/{TENANT}/member-match/$member-match", sim.base_url()))
}

fn text(kind: Kind, members: &Members, sim: &Sim) -> String {
    let credentials = sim.credentials();
    let tenant = kind.needs_tenant().then_some(TENANT).map(str::to_owned);
    let authorize = sim.authorize_url().filter(|_| kind == Kind::OneupPatient);
    let token = logs_in(kind).then_some(credentials.token.clone());
    let lines: String = [
        ("kind", Some(kind.to_string())),
        ("base URL", Some(sim.base_url())),
        ("tenant", tenant),
        ("login URL", authorize),
        ("token URL", Some(sim.token_url())),
        ("FHIR base", Some(sim.fhir_base())),
        ("match URL", match_url(kind, sim)),
        ("client id", Some(credentials.client_id.clone())),
        ("client secret", Some(credentials.client_secret.clone())),
        ("ready token", token),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some(format!("  {name:<13}  {}\n", value?)))
    .collect();
    let files = figures::counted(members.files().len() as u64, "output file", "output files");
    let files = if kind.exports() { format!(" in {files}") } else { String::new() };
    let commands: String =
        login(kind, sim).into_iter().chain([command(kind, sim)]).map(|command| format!("  {command}\n")).collect();
    format!(
        "A simulated payer serves {}{files} until it is interrupted (Ctrl-C). All is made up, the secret too.\n\n\
         {lines}\nTry it:\n{commands}",
        figures::counted(members.options().members, "member", "members"),
    )
}

fn object(kind: Kind, sim: &Sim) -> serde_json::Value {
    let credentials = sim.credentials();
    let mut object = json!({
        "kind": kind.name(), "base_url": sim.base_url(), "tenant": kind.needs_tenant().then_some(TENANT),
        "token_url": sim.token_url(), "fhir_base": sim.fhir_base(), "client_id": credentials.client_id,
        "client_secret": credentials.client_secret, "command": command(kind, sim),
    });
    if let Some(login) = login(kind, sim) {
        object["authorize_url"] = sim.authorize_url().into();
        object["token"] = credentials.token.into();
        object["login"] = login.into();
    }
    if let Some(url) = match_url(kind, sim) {
        object["member_match_url"] = url.into();
    }
    object
}
