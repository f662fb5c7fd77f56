//! `lakehaul search` as meant.

use lakehaul_fetch::{Kind, SearchQuery, Searched};
use lakehaul_load::{Earlier, SearchRequest};

use super::{Given, allowed, ask, destination, loading, session};
use crate::args::{SearchArgs, WhatArgs};
use crate::exit::Allowed;
use crate::failure::Failure;

/// What every payer has, at the least (CMS Interoperability and Patient Access, as 1upHealth lists it).
const DEFAULT_TYPES: [&str; 6] =
    ["ExplanationOfBenefit", "Coverage", "Organization", "Patient", "Practitioner", "Location"];

/// Searches, and what counts as their success.
pub struct SearchJob {
    /// What is asked of the library.
    pub request: SearchRequest,
    /// Which problems do not count.
    pub allowed: Allowed,
}

/// `lakehaul search`
pub fn search(args: &SearchArgs, given: &Given) -> Result<SearchJob, Failure> {
    let lake = destination(args.loading.to.as_deref())?;
    let options = loading(&args.loading)?;
    let queries = queries(&args.what)?;
    let profile = args.profile.as_deref();
    let (mut client, subject) = session::client(&args.server, &args.session, profile, &Kind::SEARCH, given)?;
    client.concurrency = args.concurrency.map_or(client.concurrency, usize::from);
    let request = SearchRequest {
        client,
        subject,
        queries,
        lake,
        options,
        earlier: if args.fresh { Earlier::Forget } else { Earlier::TakeUp },
        max_duration: args.max_duration.map(|span| span.duration),
    };
    Ok(SearchJob { request, allowed: allowed(&args.loading) })
}

fn queries(args: &WhatArgs) -> Result<Vec<SearchQuery>, Failure> {
    let parameters: Vec<(String, String)> = args
        .param
        .iter()
        .map(|text| match text.split_once('=') {
            Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
            // What follows may name a patient.
            _ => Err(Failure::Usage("--param is NAME=VALUE, like _count=100".to_owned())),
        })
        .collect::<Result<_, _>>()?;
    let query = |searched| SearchQuery { searched, parameters: parameters.clone() };
    match (&args.patient, args.everything) {
        (Some(patient), true) if args.types.is_empty() => {
            Ok(vec![query(Searched::Everything { patient: patient.clone() })])
        }
        (Some(_), true) => {
            let why = "--everything is all types; to have some of them only, say --param _type=TYPE,…";
            Err(Failure::Usage(why.to_owned()))
        }
        (None, true) => Err(Failure::Usage("--everything is about one patient: add --patient ID".to_owned())),
        (Some(_), false) => {
            let why = "--patient goes with --everything; to search by patient, say --param patient=ID";
            Err(Failure::Usage(why.to_owned()))
        }
        (None, false) => {
            let named: Vec<String> = if args.types.is_empty() {
                DEFAULT_TYPES.map(str::to_owned).to_vec()
            } else {
                args.types.iter().map(|name| ask::resource_type(name, "--type")).collect::<Result<_, _>>()?
            };
            let mut queries: Vec<SearchQuery> = Vec::new();
            for name in named {
                // Twice is once.
                if !queries.iter().any(|query| query.searched.name() == name) {
                    queries.push(query(Searched::Type(name)));
                }
            }
            Ok(queries)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn what(types: &[&str], param: &[&str], patient: Option<&str>, everything: bool) -> WhatArgs {
        WhatArgs {
            types: types.iter().map(|&name| name.to_owned()).collect(),
            param: param.iter().map(|&text| text.to_owned()).collect(),
            patient: patient.map(str::to_owned),
            everything,
        }
    }

    #[test]
    fn what_is_searched_for() {
        let names = |args: &WhatArgs| {
            let queries = queries(args).unwrap();
            queries.iter().map(|query| query.searched.name().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(names(&what(&[], &[], None, false)), DEFAULT_TYPES);
        assert_eq!(names(&what(&["Claim", "Patient", "Claim"], &[], None, false)), ["Claim", "Patient"]);
        assert_eq!(names(&what(&[], &["_type=Claim"], Some("42"), true)), ["everything"]);
        let parameters = queries(&what(&["Claim"], &["a=b=c", "d="], None, false)).unwrap().remove(0).parameters;
        assert_eq!(parameters, [("a".to_owned(), "b=c".to_owned()), ("d".to_owned(), String::new())]);
        for (args, part) in [
            (what(&[], &["secret"], None, false), "NAME=VALUE"),
            (what(&[], &[], None, true), "--patient"),
            (what(&[], &[], Some("42"), false), "--everything"),
            (what(&["Claim"], &[], Some("42"), true), "_type"),
            (what(&["Clam"], &[], None, false), "Clam"),
        ] {
            let why = queries(&args).unwrap_err().to_string();
            assert!(why.contains(part) && !why.contains("secret"), "{why}");
        }
    }
}
