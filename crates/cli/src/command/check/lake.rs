//! The last step of a check: the lake, without making one. Whether it can be written, is held, and fits the options.

use std::io;
use std::path::{Path, PathBuf};

use lakehaul_load::{ErrorKind, LoadError, LoadOptions};

use super::{Finding, Grade};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::report::figures;

const ABOUT: &str = "lake";

/// `lake`: its name, or why it has none. `options`: how it would be loaded.
pub(super) fn findings(lake: Option<Result<String, Failure>>, options: Option<&LoadOptions>) -> Vec<Finding> {
    let lake = match lake {
        None => return vec![Finding::warning(ABOUT, "it is not named, so it was not looked at", "add --to LAKE")],
        Some(Err(failure)) => return vec![Finding::failure(ABOUT, &failure)],
        Some(Ok(lake)) => lake,
    };
    if lakehaul_load::stores::is_url(&lake) {
        return in_store(lake, options);
    }
    let path = Path::new(&lake);
    if path.exists() && !path.is_dir() {
        let grade = Grade::Problem(Exit::Usage);
        let mend = Some("a lake is a folder: choose another path".to_owned());
        return vec![Finding { about: ABOUT, grade, what: format!("{lake} is a file"), mend }];
    }
    let there = path.join("_lake").is_dir();
    // The nearest folder that is there.
    let existing = std::path::absolute(path).unwrap_or_else(|_| PathBuf::from(path));
    let existing = existing.ancestors().find(|folder| folder.is_dir()).unwrap_or(path);
    if let Err(error) = try_to_write(existing) {
        let what = match there {
            true => format!("{lake} cannot be written: {error}"),
            false => format!("{lake} cannot be made, as {} cannot be written: {error}", existing.display()),
        };
        let mend = Some("the folder must be writable by you; or choose another with --to".to_owned());
        return vec![Finding { about: ABOUT, grade: Grade::Problem(Exit::Destination), what, mend }];
    }
    if !there {
        let what = format!("{lake} does not exist yet; it will be made, and {} can be written", existing.display());
        return vec![Finding::ok(ABOUT, what)];
    }
    look_unless_held(lake, options)
}

/// A lake in a store.
fn in_store(lake: String, options: Option<&LoadOptions>) -> Vec<Finding> {
    match lakehaul_load::runs(&lake) {
        Err(error) if error.kind() == ErrorKind::Usage => match lakehaul_load::stores::try_to_write(&lake) {
            Ok(()) => {
                let what = format!("{lake} is no lake yet; it will be made, and the store can be written there");
                vec![Finding::ok(ABOUT, what)]
            }
            Err(error) => vec![Finding::failure(ABOUT, &Failure::to(format!("write to {lake}"))(error))],
        },
        Err(error) => vec![Finding::failure(ABOUT, &Failure::to(format!("read {lake}"))(error))],
        Ok(_) => look_unless_held(lake, options),
    }
}

fn look_unless_held(lake: String, options: Option<&LoadOptions>) -> Vec<Finding> {
    let looked =
        lakehaul_load::held(&lake).and_then(|held| if held { Ok(None) } else { look(&lake, options).map(Some) });
    match looked {
        Ok(Some(findings)) => findings,
        Ok(None) => vec![Finding::failure(ABOUT, &Failure::to("write to it")(LoadError::LakeHeld { lake }))],
        Err(error) => vec![Finding::failure(ABOUT, &Failure::to(format!("read {lake}"))(error))],
    }
}

/// Leaves nothing behind.
fn try_to_write(folder: &Path) -> io::Result<()> {
    tempfile::tempfile_in(folder).map(|_| ())
}

fn look(lake: &str, options: Option<&LoadOptions>) -> Result<Vec<Finding>, LoadError> {
    let runs = lakehaul_load::runs(lake)?;
    let has = lakehaul_load::settings(lake)?;
    let kept = if has.keep_json { ", with a __json column" } else { "" };
    let mut findings = vec![Finding::ok(
        ABOUT,
        format!(
            "{lake} can be written; {}, format {}, layout {}, annotations {}{kept}",
            figures::counted(runs.len() as u64, "finished run", "finished runs"),
            has.format.name(),
            has.layout.name(),
            has.annotations
        ),
    )];
    for (run, source) in lakehaul_load::unfinished(lake)? {
        let what = format!("run {run} of {source} has not finished");
        findings.push(Finding::warning(
            ABOUT,
            what,
            "the command that began it takes it up; `lakehaul cancel` gives it up",
        ));
    }
    let fixed = |what: &'static str, has: String, asked: String| {
        Finding::failure(ABOUT, &Failure::to("load into it")(LoadError::SettingFixed { what, has, asked }))
    };
    // Until something is published nothing is fixed.
    if let (Some(options), false) = (options, runs.is_empty()) {
        if let Some(asked) = options.annotations.filter(|asked| *asked != has.annotations) {
            findings.push(fixed("the annotations ", has.annotations.to_string(), asked.to_string()));
        }
        if let Some(asked) = options.layout.filter(|asked| *asked != has.layout) {
            findings.push(fixed("the layout ", has.layout.name().to_owned(), asked.name().to_owned()));
        }
        if let Some(asked) = options.format.filter(|asked| *asked != has.format) {
            findings.push(fixed("the format ", has.format.name().to_owned(), asked.name().to_owned()));
        }
        if options.keep_json == Some(true) && !has.keep_json {
            findings.push(fixed("", "no __json column".to_owned(), "one".to_owned()));
        }
    }
    Ok(findings)
}
