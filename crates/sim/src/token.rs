//! The token endpoint (RFC 6749, sections 4.1, 4.4 and 6; SMART Backend Services) and the tokens that it handed out.

use std::collections::HashSet;
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::{Algorithm, Validation};
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::authorization::{Granted, Grants};
use crate::credentials::{Credentials, SigningKey};
use crate::log::Authorization;
use crate::scenario::{ClientAuth, ExpiresIn, Personality, Scenario};
use crate::wire::Request;

/// RFC 7523, section 2.2.
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// SMART App Launch 2.2: an assertion's `exp` is at most five minutes ahead.
const ASSERTION_SECONDS: u64 = 300;

/// All tokens of one server, by number.
pub(crate) struct Tokens {
    issued: Vec<Issued>,
    dice: fastrand::Rng,
    /// Assertions' ids: each is good for once.
    assertion_ids: HashSet<String>,
}

struct Issued {
    text: String,
    /// None lives until it is revoked.
    dies: Option<Instant>,
    revoked: bool,
}

impl Tokens {
    /// With the ready one.
    pub(crate) fn new(ready: &str, seed: u64) -> Tokens {
        let issued = vec![Issued { text: ready.to_owned(), dies: None, revoked: false }];
        Tokens { issued, dice: fastrand::Rng::with_seed(seed ^ 0x746f_6b65_6e73), assertion_ids: HashSet::new() }
    }

    pub(crate) fn texts(&self) -> impl Iterator<Item = &str> {
        self.issued.iter().map(|token| token.text.as_str())
    }

    pub(crate) fn revoke_all(&mut self) {
        for token in &mut self.issued {
            token.revoked = true;
        }
    }

    /// What an `Authorization` header holds.
    pub(crate) fn identify(&self, header: Option<&str>) -> Authorization {
        let Some(header) = header else { return Authorization::None };
        let (scheme, rest) = header.split_once(' ').unwrap_or((header, ""));
        if scheme.eq_ignore_ascii_case("basic") {
            return Authorization::Basic;
        }
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Authorization::Other;
        }
        let known = self.issued.iter().position(|token| token.text == rest.trim());
        known.map_or(Authorization::UnknownToken, Authorization::Token)
    }

    /// The answer to a request without a live token, if it is one.
    pub(crate) fn refusal(&self, authorization: Authorization) -> Option<Answer> {
        let why = match authorization {
            Authorization::Token(index) => {
                let token = &self.issued[index];
                if !token.revoked && token.dies.is_none_or(|dies| Instant::now() < dies) {
                    return None;
                }
                r#"Bearer error="invalid_token", error_description="the token is dead""#
            }
            Authorization::UnknownToken => r#"Bearer error="invalid_token""#,
            Authorization::None | Authorization::Basic | Authorization::Other => "Bearer",
        };
        Some(Answer::operation_outcome(401, "A live access token is needed.").header("WWW-Authenticate", why))
    }

    /// Answers a request to the token endpoint at `url`, of which others may be said to be the same place.
    pub(crate) fn grant(
        &mut self,
        request: &Request,
        scenario: &Scenario,
        credentials: &Credentials,
        urls: &[String],
        grants: &mut Grants,
    ) -> Answer {
        let content_type = request.header("content-type").unwrap_or_default();
        if !content_type.starts_with("application/x-www-form-urlencoded") {
            return refused(400, "invalid_request", "the body is no form");
        }
        let form: Vec<(String, String)> = url::form_urlencoded::parse(&request.body).into_owned().collect();
        let field = |name: &str| form.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        let members = scenario.personality.is_for_patients();
        let machines = !members;
        let members = members || scenario.personality == Personality::Smart;
        let grant_type = field("grant_type").unwrap_or_default();
        match grant_type {
            "client_credentials" if machines => {}
            "authorization_code" | "refresh_token" if members => {}
            _ => return refused(400, "unsupported_grant_type", "this client cannot have a token by that grant_type"),
        }
        let is_public = grant_type != "client_credentials"
            && scenario.doors.public_client
            && field("client_id") == Some(&credentials.client_id)
            && field("client_secret").is_none()
            && request.header("authorization").is_none();
        if !is_public && let Err(why) = self.authenticate(request, field, scenario, credentials, urls) {
            return refused(401, "invalid_client", why);
        }
        let granted = match grant_type {
            "authorization_code" => grants.redeem(field, &scenario.doors),
            "refresh_token" => grants.refresh(field("refresh_token"), &scenario.doors),
            _ => return self.by_credentials(field("scope").unwrap_or_default(), scenario),
        };
        match granted {
            Ok(granted) => self.by_member(&granted, scenario),
            Err(why) => refused(400, "invalid_grant", why),
        }
    }

    fn by_credentials(&mut self, scope: &str, scenario: &Scenario) -> Answer {
        let scope_is_good = match scenario.personality.scope() {
            Some(wanted) => scope == wanted,
            None => scenario.personality.is_oneup() || scope.split(' ').any(|scope| scope.starts_with("system/")),
        };
        if !scope_is_good {
            return refused(400, "invalid_scope", "this client cannot have that scope");
        }
        token_answer(&self.issue(scope, scenario))
    }

    fn by_member(&mut self, granted: &Granted, scenario: &Scenario) -> Answer {
        let mut answer = self.issue(&granted.scope, scenario);
        if let Some(token) = &granted.refresh_token {
            answer["refresh_token"] = token.as_str().into();
        }
        if let Some(patient) = &scenario.doors.patient_in_context {
            answer["patient"] = patient.as_str().into();
        }
        token_answer(&answer)
    }

    /// A new token, and what the answer says of it.
    fn issue(&mut self, scope: &str, scenario: &Scenario) -> Value {
        let text = format!("sim-token-{}-{:016x}{:016x}", self.issued.len(), self.dice.u64(..), self.dice.u64(..));
        let lifetime = scenario.token_lifetime;
        self.issued.push(Issued { text: text.clone(), dies: Instant::now().checked_add(lifetime), revoked: false });
        let mut answer = json!({"access_token": text, "token_type": "Bearer", "scope": scope});
        let expires_in = match scenario.expires_in {
            ExpiresIn::True => Some(lifetime.as_secs()),
            ExpiresIn::Missing => None,
            ExpiresIn::Seconds(seconds) => Some(seconds),
        };
        if let Some(seconds) = expires_in {
            answer["expires_in"] = seconds.into();
        }
        answer
    }

    /// Whether it is a token of this server's that is alive.
    pub(crate) fn is_alive(&self, text: &str) -> bool {
        let place = self.issued.iter().position(|token| token.text == text);
        place.is_some_and(|place| self.refusal(Authorization::Token(place)).is_none())
    }

    fn authenticate<'f>(
        &mut self,
        request: &Request,
        field: impl Fn(&str) -> Option<&'f str>,
        scenario: &Scenario,
        credentials: &Credentials,
        urls: &[String],
    ) -> Result<(), &'static str> {
        let Credentials { client_id, client_secret, .. } = credentials;
        let (used, good) = if let Some(header) = request.header("authorization") {
            let basic = header.strip_prefix("Basic ").and_then(|text| STANDARD.decode(text).ok());
            (ClientAuth::Basic, basic.is_some_and(|pair| basic_matches(&pair, client_id, client_secret)))
        } else if let Some(assertion) = field("client_assertion") {
            if field("client_assertion_type") != Some(ASSERTION_TYPE) {
                return Err("client_assertion_type is another one");
            }
            (ClientAuth::PrivateKeyJwt, self.assertion_is_good(assertion, client_id, urls)?)
        } else {
            let good = field("client_id") == Some(client_id) && field("client_secret") == Some(client_secret);
            (ClientAuth::Form, good)
        };
        if !scenario.client_auth.contains(&used) {
            return Err("this way to authenticate is not accepted here");
        }
        if good { Ok(()) } else { Err("no such client, or another secret") }
    }

    fn assertion_is_good(&mut self, assertion: &str, client_id: &str, urls: &[String]) -> Result<bool, &'static str> {
        let header = jsonwebtoken::decode_header(assertion).map_err(|_| "the assertion is no JWT")?;
        let key = match header.alg {
            Algorithm::RS384 => SigningKey::rsa(),
            Algorithm::ES384 => SigningKey::ec(),
            _ => return Err("the assertion's alg is neither RS384 nor ES384"),
        };
        if header.kid.as_deref() != Some(key.key_id()) {
            return Err("the assertion's kid is unknown");
        }
        let mut validation = Validation::new(key.algorithm());
        validation.leeway = 0;
        validation.set_audience(urls);
        validation.set_issuer(&[client_id]);
        validation.sub = Some(client_id.to_owned());
        validation.set_required_spec_claims(&["exp", "aud", "iss", "sub"]);
        let claims = jsonwebtoken::decode::<Value>(assertion, &key.verifying_key(), &validation)
            .map_err(|_| "the assertion's signature or one of exp, aud, iss, sub is not right")?
            .claims;
        let latest = jsonwebtoken::get_current_timestamp() + ASSERTION_SECONDS;
        if claims["exp"].as_u64().is_none_or(|exp| exp > latest) {
            return Err("the assertion lives for more than five minutes");
        }
        let Some(id) = claims["jti"].as_str() else { return Err("the assertion has no jti") };
        if self.assertion_ids.insert(id.to_owned()) { Ok(true) } else { Err("the assertion's jti was used before") }
    }
}

/// RFC 6749, section 2.3.1: both parts are form-encoded before they are joined. Many clients do not, and servers take
/// it.
fn basic_matches(pair: &[u8], client_id: &str, client_secret: &str) -> bool {
    let encoded = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let spelled = format!("{}:{}", encoded(client_id), encoded(client_secret));
    pair == spelled.as_bytes() || pair == format!("{client_id}:{client_secret}").as_bytes()
}

/// RFC 6749, section 5.1.
fn token_answer(answer: &Value) -> Answer {
    Answer::json(200, answer).header("Cache-Control", "no-store")
}

/// RFC 6749, section 5.2.
fn refused(status: u16, error: &str, why: &str) -> Answer {
    Answer::json(status, &json!({"error": error, "error_description": why})).header("Cache-Control", "no-store")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_header_is_known_for_what_it_is() {
        let tokens = Tokens::new("ready", 1);
        for (header, expected) in [
            (None, Authorization::None),
            (Some("Bearer ready"), Authorization::Token(0)),
            (Some("bearer ready"), Authorization::Token(0)),
            (Some("Bearer other"), Authorization::UnknownToken),
            (Some("Basic cmVhZHk="), Authorization::Basic),
            (Some("Digest x"), Authorization::Other),
            (Some("ready"), Authorization::Other),
        ] {
            assert_eq!(tokens.identify(header), expected, "{header:?}");
        }
    }

    #[test]
    fn a_revoked_token_is_refused() {
        let mut tokens = Tokens::new("ready", 1);
        assert!(tokens.refusal(Authorization::Token(0)).is_none());
        tokens.revoke_all();
        assert_eq!(tokens.refusal(Authorization::Token(0)).unwrap().status, 401);
        assert_eq!(tokens.refusal(Authorization::None).unwrap().status, 401);
    }

    #[test]
    fn basic_is_taken_encoded_and_plain() {
        for (pair, expected) in [("a%2Bb:c%3Ad", true), ("a+b:c:d", true), ("a+b:c", false), ("", false)] {
            assert_eq!(basic_matches(pair.as_bytes(), "a+b", "c:d"), expected, "{pair}");
        }
    }

    #[test]
    fn token_lifetimes_end() {
        let mut tokens = Tokens::new("ready", 1);
        let dies = Instant::now().checked_sub(Duration::from_millis(1));
        tokens.issued.push(Issued { text: "old".to_owned(), dies, revoked: false });
        assert!(tokens.refusal(Authorization::Token(1)).is_some());
    }
}
