//! `$member-match` (Da Vinci HRex): which request is a good one, and what its answer looks like.

use serde_json::{Value, json};

use crate::answer::Answer;
use crate::scenario::Scenario;
use crate::wire::Request;

/// What a member comes to.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum MatchAnswer {
    /// 200 with the id of a group, as 1upHealth answers.
    Group {
        /// The group's id.
        id: String,
        /// Where the answer has it.
        at: GroupAt,
    },
    /// 200 with a `MemberIdentifier`, as the guide has it.
    Identifier(String),
    /// 422: nobody is such a member.
    NoMatch,
    /// 422: several are.
    Ambiguous,
    /// This status with an OperationOutcome.
    Refused {
        /// The HTTP status.
        status: u16,
        /// `issue[0].details.text`.
        text: String,
    },
    /// Anything.
    Answer(Answer),
}

/// Where an answer has the group's id; no document says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupAt {
    /// A member `groupId` of the body.
    TopLevel,
    /// A parameter `groupId` with a `valueString`.
    ValueString,
    /// A parameter `GroupId` with a `valueId`.
    ValueId,
    /// A parameter `groupId` with a `valueReference` to `Group/…`.
    ValueReference,
    /// The id of a contained Group.
    Contained,
}

/// The answer; the error is that to a request that is none.
pub(crate) fn answer(request: &Request, scenario: &Scenario) -> Result<Answer, Answer> {
    let body = parameters(request).map_err(|why| outcome(400, "invalid", &why))?;
    Ok((scenario.doors.matcher)(&body).answer())
}

impl MatchAnswer {
    fn answer(self) -> Answer {
        match self {
            MatchAnswer::Group { id, at } => fhir(200, &at.parameters(&id)),
            MatchAnswer::Identifier(value) => {
                let member_number = json!({"coding": [
                    {"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "UMB"}
                ]});
                let identifier = json!({"type": member_number, "system": "http://example.org/members", "value": value});
                let parameter = json!([{"name": "MemberIdentifier", "valueIdentifier": identifier}]);
                fhir(200, &json!({"resourceType": "Parameters", "parameter": parameter}))
            }
            MatchAnswer::NoMatch => outcome(422, "not-found", "No match found."),
            MatchAnswer::Ambiguous => outcome(422, "multiple-matches", "More than one member matches."),
            MatchAnswer::Refused { status, text } => outcome(status, "processing", &text),
            MatchAnswer::Answer(answer) => answer,
        }
    }
}

impl GroupAt {
    fn parameters(self, id: &str) -> Value {
        let with = |parameter: Value| json!({"resourceType": "Parameters", "parameter": [parameter]});
        match self {
            GroupAt::TopLevel => json!({"resourceType": "Parameters", "groupId": id}),
            GroupAt::ValueString => with(json!({"name": "groupId", "valueString": id})),
            GroupAt::ValueId => with(json!({"name": "GroupId", "valueId": id})),
            GroupAt::ValueReference => {
                with(json!({"name": "groupId", "valueReference": {"reference": format!("Group/{id}")}}))
            }
            GroupAt::Contained => {
                let group = json!({"resourceType": "Group", "id": id, "type": "person", "actual": true});
                json!({"resourceType": "Parameters", "contained": [group]})
            }
        }
    }
}

/// The body of a good request; otherwise what is wrong with it.
fn parameters(request: &Request) -> Result<Value, String> {
    let content_type = request.header("content-type").unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    if !matches!(media_type, "application/fhir+json" | "application/json") {
        return Err("The body's type is neither application/fhir+json nor application/json.".to_owned());
    }
    let body: Value = serde_json::from_slice(&request.body).map_err(|_| "The body is no JSON.".to_owned())?;
    if body["resourceType"] != "Parameters" {
        return Err("The body is no Parameters resource.".to_owned());
    }
    let none = Vec::new();
    let all = body["parameter"].as_array().unwrap_or(&none);
    for (name, fewest) in [("MemberPatient", 1), ("CoverageToMatch", 1), ("Consent", 1), ("CoverageToLink", 0)] {
        let named: Vec<&Value> = all.iter().filter(|parameter| parameter["name"] == name).collect();
        if named.len() > 1 || named.len() < fewest {
            let wanted = if fewest == 1 { "exactly one" } else { "at most one" };
            return Err(format!("There has to be {wanted} parameter {name}; there are {}.", named.len()));
        }
        for parameter in named {
            let resource_type = &parameter["resource"]["resourceType"];
            let expected = match name {
                "MemberPatient" => "Patient",
                "Consent" => "Consent",
                _ => "Coverage",
            };
            if resource_type != expected {
                return Err(format!("The resource of {name} has no resourceType {expected}."));
            }
            if name == "Consent" {
                consent(&parameter["resource"])?;
            }
        }
    }
    Ok(body)
}

/// What the guide asks of a Consent.
fn consent(consent: &Value) -> Result<(), String> {
    if consent["status"] != "active" {
        return Err("The Consent is not active.".to_owned());
    }
    let policies = consent["policy"].as_array();
    let known = |policy: &Value| {
        let uri = policy["uri"].as_str().unwrap_or_default();
        uri.ends_with("hrex-consent.html#regular") || uri.ends_with("hrex-consent.html#sensitive")
    };
    if !policies.is_some_and(|policies| policies.iter().any(known)) {
        return Err("The Consent has no policy uri of HRex, #regular or #sensitive.".to_owned());
    }
    let provision = &consent["provision"];
    if provision["type"] != "permit" {
        return Err("The Consent's provision is no permit.".to_owned());
    }
    let period = &provision["period"];
    if !period["start"].is_string() || !period["end"].is_string() {
        return Err("The Consent's provision has no period with start and end.".to_owned());
    }
    Ok(())
}

fn outcome(status: u16, code: &str, text: &str) -> Answer {
    let issue = json!([{"severity": "error", "code": code, "details": {"text": text}}]);
    fhir(status, &json!({"resourceType": "OperationOutcome", "issue": issue}))
}

fn fhir(status: u16, body: &Value) -> Answer {
    Answer::new(status).body("application/fhir+json", body.to_string())
}
