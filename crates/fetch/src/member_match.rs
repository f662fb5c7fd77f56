//! `$member-match`: which group of a payer's members is the one whose data another payer may have.
//!
//! In goes a member with a consent, or a `Parameters` resource as it is to be sent; out comes a [`MatchAnswer`]. The
//! operation is HL7 Da Vinci HRex's (`hrex-member-match`); that the answer carries a group's id is 1upHealth's. What is
//! sent is checked before: a consent is the user's to give, and nothing of it is filled in here.

mod answer;
mod parameters;

use std::fmt;
use std::str::FromStr;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::error::{ErrorKind, FetchError};
use crate::http::{Attempts, Credentials, Http, Outgoing};
use crate::operation_outcome::shown;
use crate::profile::Kind;

/// For errors and events.
const WHAT: &str = "member match";
/// The answer of a server that sends back all that it was sent is some 10 kB.
const LIMIT_BYTES: usize = 4 << 20;
/// Of `Consent.policy.uri`, before `regular` or `sensitive` (HRex, consent profile).
const POLICY: &str = "http://hl7.org/fhir/us/davinci-hrex/StructureDefinition-hrex-consent.html#";

/// One member, as another payer knows them.
#[derive(Clone, PartialEq, Eq)]
pub struct Member {
    /// The family name.
    pub family: String,
    /// Given names.
    pub given: Vec<String>,
    /// `YYYY-MM-DD`
    pub birth_date: String,
    /// `male`, `female`, `other` or `unknown`.
    pub gender: Option<String>,
    /// The coverage's identifier at that payer.
    pub member_id: String,
}

/// What a member has consented to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consent {
    /// Whether sensitive data may be sent, too.
    pub policy: ConsentPolicy,
    /// From when on: `YYYY-MM-DD`, or with a time.
    pub start: String,
    /// Until when.
    pub end: String,
}

/// Which data a consent is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConsentPolicy {
    /// Without data that is sensitive by law.
    Regular,
    /// All.
    Sensitive,
    /// Another policy, by its URI.
    Uri(String),
}

/// A `Parameters` resource that may be sent.
#[derive(Clone, PartialEq, Eq)]
pub struct MemberMatch {
    body: Bytes,
    /// Texts of the member's own, which no message may repeat.
    own: Vec<String>,
    member_id: Option<String>,
}

/// Why a member is not asked for: which part, and what is wrong with it; no value is in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{part} {why}")]
pub struct MatchInputError {
    part: &'static str,
    why: &'static str,
}

/// What a payer answers.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum MatchAnswer {
    /// A group that the member is in: it can be exported.
    Group {
        /// `Group.id`
        id: String,
    },
    /// The member was found, and the answer is HRex's own: an identifier, without a group to export.
    Identifier,
    /// The payer knows no such member.
    NoMatch {
        /// The payer's.
        words: String,
    },
    /// The payer knows several.
    Ambiguous {
        /// The payer's.
        words: String,
    },
    /// The payer does not answer the question.
    Refused {
        /// HTTP status.
        status: u16,
        /// The payer's.
        words: String,
    },
}

impl MemberMatch {
    /// The question for one member.
    ///
    /// # Errors
    ///
    /// What is missing, or cannot be what it should be.
    pub fn of(member: &Member, consent: &Consent) -> Result<MemberMatch, MatchInputError> {
        let Member { family, given, birth_date, gender, member_id } = member;
        let mut patient = json!({
            "resourceType": "Patient",
            "name": [{"family": family.trim(), "given": given}],
            "birthDate": birth_date,
        });
        if given.is_empty() {
            patient["name"] = json!([{"family": family.trim()}]);
        }
        if let Some(gender) = gender {
            patient["gender"] = gender.as_str().into();
        }
        let coverage = json!({
            "resourceType": "Coverage",
            "identifier": [{"value": member_id.trim()}],
        });
        let consent = json!({
            "resourceType": "Consent",
            "status": "active",
            "policy": [{"uri": consent.policy.uri()}],
            "provision": {"type": "permit", "period": {"start": consent.start, "end": consent.end}},
        });
        let part = |name: &str, resource: Value| json!({"name": name, "resource": resource});
        MemberMatch::from_parameters(json!({
            "resourceType": "Parameters",
            "parameter": [
                part("MemberPatient", patient),
                part("CoverageToMatch", coverage),
                part("Consent", consent),
            ],
        }))
    }

    /// The question as it is to be sent. Names of parameters may be in any case; a resource without `resourceType` gets it.
    ///
    /// # Errors
    ///
    /// For what the operation cannot be asked with: not exactly one each of `MemberPatient`, `CoverageToMatch` and
    /// `Consent`, more than one `CoverageToLink`, a patient without name or birth date, a coverage without identifier, a
    /// consent that is not active, has no policy, permits nothing or has no period.
    pub fn from_parameters(parameters: Value) -> Result<MemberMatch, MatchInputError> {
        parameters::checked(parameters)
    }

    /// What is sent.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// The first identifier of the coverage that is to be matched.
    pub fn member_id(&self) -> Option<&str> {
        self.member_id.as_deref()
    }

    /// A server's words, without what the member has told.
    fn without_own(&self, words: &str) -> String {
        let mut words = words.to_owned();
        for own in &self.own {
            words = words.replace(own.as_str(), "…");
        }
        shown(&words)
    }
}

impl ConsentPolicy {
    /// As it is sent.
    fn uri(&self) -> String {
        match self {
            ConsentPolicy::Regular => format!("{POLICY}regular"),
            ConsentPolicy::Sensitive => format!("{POLICY}sensitive"),
            ConsentPolicy::Uri(uri) => uri.clone(),
        }
    }
}

impl FromStr for ConsentPolicy {
    type Err = MatchInputError;

    fn from_str(text: &str) -> Result<ConsentPolicy, MatchInputError> {
        match text.trim() {
            "regular" => Ok(ConsentPolicy::Regular),
            "sensitive" => Ok(ConsentPolicy::Sensitive),
            text if url::Url::parse(text).is_ok() => Ok(ConsentPolicy::Uri(text.to_owned())),
            _ => Err(MatchInputError {
                part: "the consent's policy",
                why: "is neither regular nor sensitive nor a policy's URI",
            }),
        }
    }
}

impl fmt::Debug for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Member")
    }
}

impl fmt::Debug for MemberMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MemberMatch")
    }
}

/// Asks for one member. The question changes nothing at the server, so it is asked again where no answer came.
///
/// Errors: [`ErrorKind::Usage`] for a kind of server that has no such operation, [`ErrorKind::Auth`], and all that keeps a
/// request from being answered.
pub(crate) async fn send(http: &Http, question: &MemberMatch) -> Result<MatchAnswer, FetchError> {
    let url = http.place().member_match_url().ok_or_else(|| {
        let message = format!("a server of kind {} has no $member-match", http.place().kind());
        FetchError::new(ErrorKind::Usage, message)
    })?;
    let json = match http.place().kind() {
        Kind::OneupPayer => "application/json",
        _ => "application/fhir+json",
    };
    let outgoing = Outgoing {
        method: Method::POST,
        url,
        headers: HeaderMap::from_iter([
            (ACCEPT, HeaderValue::from_static("application/fhir+json, application/json")),
            (CONTENT_TYPE, HeaderValue::from_static(json)),
        ]),
        body: Some(question.body.clone()),
        credentials: Credentials::Bearer,
        attempts: Attempts::UntilAnswered,
        what: WHAT,
    };
    let answer = http.send_whole(&outgoing, LIMIT_BYTES).await?;
    let read = answer::read(answer.status, &answer.body);
    let own = |words: String| question.without_own(&words);
    Ok(match read {
        MatchAnswer::NoMatch { words } => MatchAnswer::NoMatch { words: own(words) },
        MatchAnswer::Ambiguous { words } => MatchAnswer::Ambiguous { words: own(words) },
        MatchAnswer::Refused { status, words } => MatchAnswer::Refused { status, words: own(words) },
        answer => answer,
    })
}

/// Whether a status says that nobody, or more than one, was found, rather than that the question is wrong.
fn is_about_members(status: StatusCode) -> bool {
    matches!(status, StatusCode::NOT_FOUND | StatusCode::UNPROCESSABLE_ENTITY)
}

#[cfg(test)]
mod tests;
