//! `lakehaul vacuum`: what nothing refers to goes to stdout; then it is removed, if somebody says so.

use std::io::{self, BufRead, IsTerminal, Write};
use std::time::Duration;

use lakehaul_load::{Stray, SystemClock, Vacuum};
use serde_json::{Value, json};

use crate::args::VacuumArgs;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::report::plain::plain;
use crate::report::table::{Sums, Table};
use crate::report::{Reporter, figures};
use crate::resolve::{self, Form, Manner, VacuumJob, Wish};

pub(super) fn run(args: &VacuumArgs, manner: Manner) -> Result<Exit, Failure> {
    let VacuumJob { request, wish } = resolve::vacuum(args)?;
    let lake = &request.lake;
    let failed = || Failure::to(format!("vacuum {lake}"));
    let vacuum = lakehaul_load::vacuum(&request, &SystemClock).map_err(failed())?;
    // A reader of the list who has left has not said yes.
    if manner.form == Form::Text && !(manner.quiet && wish == Wish::Remove) {
        print(&text(&vacuum, lake, request.older_than))?;
    }
    let removed = !vacuum.strays.is_empty() && is_wanted(wish, manner)?;
    if removed {
        vacuum.remove(&Reporter::to_stderr(manner)).map_err(failed())?;
    }
    let told = match manner.form {
        Form::Json => object(&vacuum, removed),
        Form::Text if vacuum.strays.is_empty() || (manner.quiet && removed) => return Ok(Exit::Complete),
        Form::Text if removed => "All of it is removed.\n".to_owned(),
        Form::Text => "Nothing was removed.\n".to_owned(),
    };
    Failure::unless_left(print(&told), Exit::Complete)
}

fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush())
}

/// Whether it is to be removed: by an option, or by whoever sits there.
fn is_wanted(wish: Wish, manner: Manner) -> Result<bool, Failure> {
    match wish {
        Wish::Remove => return Ok(true),
        Wish::Look => return Ok(false),
        Wish::Ask => {}
    }
    let mut err = io::stderr();
    if manner.form == Form::Json || !io::stdin().is_terminal() || !err.is_terminal() {
        let why = "nothing was removed, as nobody can be asked here: add --yes, or --dry-run to look only";
        return Err(Failure::Usage(why.to_owned()));
    }
    write!(err, "Remove it? [y/N] ")?;
    err.flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(["y", "yes"].contains(&answer.trim().to_lowercase().as_str()))
}

fn text(vacuum: &Vacuum, lake: &str, older_than: Duration) -> String {
    listing(&vacuum.strays, &vacuum.young, lake, older_than)
}

fn listing(strays: &[Stray], young: &[Stray], lake: &str, older_than: Duration) -> String {
    let mut text = String::new();
    if strays.is_empty() {
        text.push_str(&format!(
            "{lake} has nothing that nothing refers to and that is older than {}.\n",
            age(older_than)
        ));
    } else {
        let mut table = Table::new(&["path", "why", "files", "bytes", "age"], 2);
        for stray in strays {
            table.row([
                plain(&stray.path),
                plain(&stray.why),
                figures::count(stray.files),
                figures::bytes(stray.bytes),
                stray.age.map_or_else(|| "–".to_owned(), age),
            ]);
        }
        let sum = |figure: fn(&Stray) -> u64| strays.iter().map(figure).sum();
        let (files, bytes) = (sum(|stray| stray.files), sum(|stray| stray.bytes));
        table.row([lake.to_owned(), String::new(), figures::count(files), figures::bytes(bytes), String::new()]);
        text.push_str(&table.render(Sums::LastRow));
    }
    let unknown = young.iter().filter(|stray| stray.age.is_none()).count();
    let young = young.len() - unknown;
    if young > 0 {
        let what = figures::counted(young as u64, "more stays", "more stay");
        text.push_str(&format!("{what}: younger than {}.\n", age(older_than)));
    }
    if unknown > 0 {
        let what = figures::counted(unknown as u64, "more stays", "more stay");
        text.push_str(&format!("{what}: their age is not known.\n"));
    }
    text
}

/// `8 days`, or hours and less.
fn age(age: Duration) -> String {
    const DAY: u64 = 24 * 60 * 60;
    match age.as_secs() / DAY {
        0 => figures::duration(age.as_secs_f64()),
        days => figures::counted(days, "day", "days"),
    }
}

fn object(vacuum: &Vacuum, removed: bool) -> String {
    let list = |strays: &[Stray]| strays.iter().map(stray_object).collect::<Vec<_>>();
    let object = json!({"removed": removed, "strays": list(&vacuum.strays), "young": list(&vacuum.young)});
    format!("{object}\n")
}

fn stray_object(stray: &Stray) -> Value {
    json!({
        "path": stray.path, "files": stray.files, "bytes": stray.bytes, "why": stray.why,
        "age_seconds": stray.age.map(|age| age.as_secs()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strays_read_well() {
        let stray = |path: &str, why: &str, hours: Option<u64>| Stray {
            path: path.to_owned(),
            bytes: 1_234_567,
            files: 2,
            age: hours.map(|hours| Duration::from_secs(hours * 60 * 60)),
            why: why.to_owned(),
        };
        let strays = [
            stray("Patient/part-\u{1b}[2J1.parquet", "no record names it", Some(200)),
            stray("_lake/staging/20261001T000000Z-compact/", "a compaction that died, and begins anew", Some(13)),
        ];
        let young = [stray("Claim/a", "", Some(1)), stray("Claim/b", "", Some(2)), stray("Claim/c", "", None)];
        let week = Duration::from_secs(7 * 24 * 60 * 60);
        insta::assert_snapshot!("strays", listing(&strays, &young, "lake", week));
        insta::assert_snapshot!("strays_none", listing(&[], &young[..1], "lake", Duration::from_secs(7200)));
        insta::assert_snapshot!("stray_object", stray_object(&strays[1]));
    }
}
