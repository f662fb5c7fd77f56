//! What an export asks for: the parameters of its kick-off.

use jiff::Timestamp;
use jiff::civil::Date;
use lakehaul_fetch::{ExportParameters, Level, Method};
use lakehaul_load::Since;
use lakehaul_schema::ElementTable;

use crate::args::AskArgs;
use crate::failure::Failure;
use crate::provenance::Provenance;
use crate::secret::Stdin;

/// Parameters that have options of their own, which know more about them.
const OWN_OPTIONS: [(&str, &str); 10] = [
    ("_since", "--since"),
    ("_until", "--until"),
    ("_type", "--type"),
    ("_elements", "--elements"),
    ("_typeFilter", "--type-filter"),
    ("_outputFormat", "--output-format"),
    ("patient", "--patient"),
    ("includeAssociatedData", "--include-associated-data"),
    ("organizeOutputBy", "--organize-output-by"),
    ("allowPartialManifests", "--allow-partial-manifests"),
];

/// The parameters but for the time, and from when on.
pub(super) fn parameters(
    args: &AskArgs,
    provenance: &Provenance,
    stdin: &mut Stdin,
) -> Result<(ExportParameters, Since), Failure> {
    let (level, patients) = level(args, provenance, stdin)?;
    let mut type_filters = args.type_filter.clone();
    if let Some(path) = &args.type_filter_file {
        type_filters.extend(lines(&stdin.text(path, "--type-filter-file")?));
    }
    let since = match args.since.as_deref() {
        None => Since::Ever,
        Some("last") => Since::Last,
        Some(time) => Since::Time(instant(time, "--since", ", or last")?),
    };
    let parameters = ExportParameters {
        level,
        // Only a POST can name patients (Bulk Data Access, "Query Parameters"), and a URL ends up in logs.
        method: if args.post || !patients.is_empty() { Method::Post } else { Method::Get },
        since: None,
        until: args.until.as_deref().map(|time| instant(time, "--until", "")).transpose()?,
        types: args.types.iter().map(|name| resource_type(name, "--type")).collect::<Result<_, _>>()?,
        elements: args.elements.clone(),
        type_filters,
        patients,
        include_associated_data: args.include_associated_data.clone(),
        organize_output_by: args
            .organize_output_by
            .as_deref()
            .map(|name| resource_type(name, "--organize-output-by"))
            .transpose()?,
        output_format: args.output_format.clone(),
        allow_partial_manifests: args.allow_partial_manifests,
        extra: args.param.iter().map(|text| parameter(text)).collect::<Result<_, _>>()?,
    };
    Ok((parameters, since))
}

/// Whose data, and the patients that are named. Without a value, and as `true` or `all` in the environment or the config
/// file, `--patient` means all of them.
fn level(args: &AskArgs, provenance: &Provenance, stdin: &mut Stdin) -> Result<(Level, Vec<String>), Failure> {
    let given: Option<Vec<String>> = match args.patient.as_deref() {
        None => None,
        Some([word]) if matches!(word.as_str(), "" | "false" | "none") => None,
        Some([word]) if matches!(word.as_str(), "true" | "all") => Some(Vec::new()),
        Some(ids) => Some(ids.iter().map(|id| id.trim().to_owned()).filter(|id| !id.is_empty()).collect()),
    };
    let all_patients = given.as_ref().is_some_and(Vec::is_empty) && args.patient_file.is_none();
    let mut patients = given.unwrap_or_default();
    if let Some(path) = &args.patient_file {
        let from_file = lines(&stdin.text(path, "--patient-file")?);
        if from_file.is_empty() {
            return Err(Failure::Usage(format!("--patient-file: {} names no patient", path.display())));
        }
        patients.extend(from_file);
    }
    let level = match &args.group {
        None if patients.is_empty() && !all_patients => Level::System,
        None => Level::Patient,
        Some(id) if !all_patients => Level::Group(id.clone()),
        // Of a group and of all patients the one that was said more strongly.
        Some(id) => match provenance.source("group").rank().cmp(&provenance.source("patient").rank()) {
            std::cmp::Ordering::Less => Level::Group(id.clone()),
            std::cmp::Ordering::Greater => Level::Patient,
            std::cmp::Ordering::Equal => {
                let why = "--group and --patient without an ID ask for two different exports; leave one out";
                return Err(Failure::Usage(why.to_owned()));
            }
        },
    };
    Ok((level, patients))
}

/// Those that are not blank.
fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

/// A FHIR instant, or a date, which some servers want.
fn instant(text: &str, option: &str, also: &str) -> Result<String, Failure> {
    if text.parse::<Timestamp>().is_ok() || (text.len() == 10 && text.parse::<Date>().is_ok()) {
        return Ok(text.to_owned());
    }
    Err(Failure::Usage(format!(
        "{option}: {text} is neither an instant like 2026-01-31T00:00:00Z nor a date like 2026-01-31{also}"
    )))
}

pub(super) fn resource_type(name: &str, option: &str) -> Result<String, Failure> {
    let name = name.trim();
    if ElementTable::r4().resource(name).is_none() {
        return Err(Failure::Usage(format!("{option}: {name} is no resource type of FHIR R4")));
    }
    Ok(name.to_owned())
}

/// The error does not repeat the value: it may name a patient.
fn parameter(text: &str) -> Result<(String, String), Failure> {
    let Some((name, value)) = text.split_once('=').filter(|(name, _)| !name.is_empty()) else {
        return Err(Failure::Usage("--param is a name and a value, like --param _foo=bar".to_owned()));
    };
    if let Some((_, option)) = OWN_OPTIONS.into_iter().find(|(own, _)| *own == name) {
        return Err(Failure::Usage(format!("--param: {name} has an option of its own, {option}")));
    }
    Ok((name.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::{Args, Command};

    fn asked(line: &str) -> Result<(ExportParameters, Since), Failure> {
        let words = ["lakehaul", "export"].into_iter().chain(line.split(' ').filter(|word| !word.is_empty()));
        match Args::try_parse_from(words).expect("parses").command {
            Command::Export(args) => parameters(&args.ask, &Provenance::default(), &mut Stdin::default()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_option_arrives() {
        let line = "--group 7 --type Patient,Claim --type Coverage --since 2026-01-31 --until 2026-02-01T00:00:00+01:00 \
                    --elements id,Patient.name --type-filter Claim?status=active,draft --type-filter Patient?_id=1 \
                    --include-associated-data A,B --organize-output-by Patient --output-format ndjson \
                    --allow-partial-manifests --post --param a=b=c --param d=";
        let (parameters, since) = asked(line).expect("is meant");
        let expected = ExportParameters {
            level: Level::Group("7".into()),
            method: Method::Post,
            since: None,
            until: Some("2026-02-01T00:00:00+01:00".into()),
            types: vec!["Patient".into(), "Claim".into(), "Coverage".into()],
            elements: vec!["id".into(), "Patient.name".into()],
            type_filters: vec!["Claim?status=active,draft".into(), "Patient?_id=1".into()],
            patients: vec![],
            include_associated_data: vec!["A".into(), "B".into()],
            organize_output_by: Some("Patient".into()),
            output_format: Some("ndjson".into()),
            allow_partial_manifests: true,
            extra: vec![("a".into(), "b=c".into()), ("d".into(), String::new())],
        };
        assert_eq!(parameters, expected);
        assert_eq!(since, Since::Time("2026-01-31".into()));
        assert_eq!(asked("--since last").expect("is meant").1, Since::Last);
        assert_eq!(asked("").expect("is meant"), (ExportParameters::default(), Since::Ever));
    }

    #[test]
    fn whose_data() {
        #[track_caller]
        fn check(line: &str, level: Level, patients: &[&str], method: Method) {
            let (parameters, _) = asked(line).expect(line);
            assert_eq!((parameters.level, parameters.method), (level, method), "{line}");
            assert_eq!(parameters.patients, patients, "{line}");
        }
        check("", Level::System, &[], Method::Get);
        check("--patient", Level::Patient, &[], Method::Get);
        check("--patient=all", Level::Patient, &[], Method::Get);
        check("--patient=false", Level::System, &[], Method::Get);
        check("--patient=", Level::System, &[], Method::Get);
        check("--patient 1 2", Level::Patient, &["1", "2"], Method::Post);
        check("--patient 1,Patient/2 --patient 3", Level::Patient, &["1", "Patient/2", "3"], Method::Post);
        check("acme --patient --post", Level::Patient, &[], Method::Post);
        check("--group g --patient 1", Level::Group("g".into()), &["1"], Method::Post);
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("ids");
        std::fs::write(&file, "1\n\n 2 \r\n").expect("written");
        check(&format!("--patient-file {}", file.display()), Level::Patient, &["1", "2"], Method::Post);
        check(
            &format!("--patient 0 --patient-file {}", file.display()),
            Level::Patient,
            &["0", "1", "2"],
            Method::Post,
        );
        std::fs::write(&file, "\n").expect("written");
        let error = asked(&format!("--patient-file {}", file.display())).expect_err("nobody").to_string();
        assert!(error.contains("names no patient"), "{error}");
    }

    #[test]
    fn filters_come_from_a_file_too() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("filters");
        std::fs::write(&file, "Patient?_id=1,2\nClaim?status=active\n").expect("written");
        let line = format!("--type-filter Coverage?a=b --type-filter-file {}", file.display());
        let (parameters, _) = asked(&line).expect("is meant");
        assert_eq!(parameters.type_filters, ["Coverage?a=b", "Patient?_id=1,2", "Claim?status=active"]);
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for (line, part) in [
            ("--since yesterday", "--since: yesterday is neither an instant"),
            ("--since yesterday", ", or last"),
            ("--until last", "--until: last is neither"),
            ("--since 2026-13-01", "neither"),
            ("--since 2026-01-01T00:00:00", "neither"),
            ("--type Patiant", "--type: Patiant is no resource type"),
            ("--organize-output-by x", "--organize-output-by: x is no"),
            ("--param sesame", "is a name and a value"),
            ("--param =sesame", "is a name and a value"),
            ("--param _since=2026", "an option of its own, --since"),
            ("--group 1 --patient", "two different exports"),
            ("--patient-file /nowhere/ids", "--patient-file: cannot read /nowhere/ids"),
            ("--type-filter-file /nowhere/f", "--type-filter-file: cannot read /nowhere/f"),
        ] {
            let failure = asked(line).expect_err(line);
            assert!(failure.to_string().contains(part), "{line}: {failure}");
            assert!(!failure.to_string().contains("sesame"), "{failure}");
            assert_eq!(failure.exit().code(), 2);
        }
    }
}
