//! The authorize endpoint (RFC 6749, section 4.1; RFC 7636), and the codes and refresh tokens that it leads to.

use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

use crate::answer::Answer;
use crate::scenario::{Doors, Login, Personality, Scenario};
use crate::wire::Request;

/// All codes and refresh tokens of one server.
pub(crate) struct Grants {
    codes: Vec<Code>,
    refresh_tokens: Vec<RefreshToken>,
    dice: fastrand::Rng,
}

struct Code {
    text: String,
    dies: Option<Instant>,
    used: bool,
    /// Where the code was sent; None for a code that came without a redirect.
    redirect_uri: Option<String>,
    challenge: Option<String>,
    scope: String,
}

struct RefreshToken {
    text: String,
    dies: Option<Instant>,
    dead: bool,
    scope: String,
}

/// What a good code or refresh token comes to.
pub(crate) struct Granted {
    pub(crate) scope: String,
    /// None where the old one stays.
    pub(crate) refresh_token: Option<String>,
}

impl Grants {
    pub(crate) fn new(seed: u64) -> Grants {
        let dice = fastrand::Rng::with_seed(seed ^ 0x6c6f_6769_6e73);
        Grants { codes: Vec::new(), refresh_tokens: Vec::new(), dice }
    }

    /// Codes and refresh tokens, for looking whether one leaked.
    pub(crate) fn texts(&self) -> impl Iterator<Item = &str> {
        let codes = self.codes.iter().map(|code| code.text.as_str());
        codes.chain(self.refresh_tokens.iter().map(|token| token.text.as_str()))
    }

    /// A code that came without a redirect.
    pub(crate) fn code_by_itself(&mut self, scope: &str, doors: &Doors) -> String {
        self.code(None, None, scope.to_owned(), doors)
    }

    fn code(
        &mut self,
        redirect_uri: Option<String>,
        challenge: Option<String>,
        scope: String,
        doors: &Doors,
    ) -> String {
        let text = format!("sim-code-{:016x}{:016x}", self.dice.u64(..), self.dice.u64(..));
        let dies = Instant::now().checked_add(doors.code_lifetime);
        self.codes.push(Code { text: text.clone(), dies, used: false, redirect_uri, challenge, scope });
        text
    }

    /// Answers at the authorize endpoint: the member is there, and does what the scenario says.
    pub(crate) fn authorize(&mut self, request: &Request, scenario: &Scenario, client_id: &str) -> Answer {
        let query = request.query.as_deref().unwrap_or_default();
        let pairs: Vec<(String, String)> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let field = |name: &str| pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
        // Nobody is sent to a place that nobody vouches for.
        if field("client_id").as_deref() != Some(client_id) {
            return page(400, "There is no such client.");
        }
        let Some(redirect_uri) = field("redirect_uri").filter(|uri| url::Url::parse(uri).is_ok()) else {
            return page(400, "The redirect_uri is missing or no URL.");
        };
        let state = field("state");
        let response_type = field("response_type");
        let may_lack_it = scenario.personality == Personality::OneupPatient;
        let method_is_good = field("code_challenge_method").as_deref() == Some("S256");
        let error = if response_type.as_deref() != Some("code") && !(may_lack_it && response_type.is_none()) {
            Some("unsupported_response_type")
        } else if field("code_challenge").is_some() && !method_is_good {
            Some("invalid_request")
        } else if scenario.doors.login == Login::Denies {
            Some("access_denied")
        } else {
            None
        };
        let mut answer = url::form_urlencoded::Serializer::new(String::new());
        if let Some(error) = error {
            answer.append_pair("error", error);
        } else if scenario.doors.login != Login::NoCode {
            let scope = field("scope").unwrap_or_else(|| scenario.personality.member_scope().to_owned());
            let code = self.code(Some(redirect_uri.clone()), field("code_challenge"), scope, &scenario.doors);
            answer.append_pair("code", &code);
        }
        match (scenario.doors.login, state) {
            (Login::NoState, _) | (_, None) => {}
            (Login::WrongState, Some(_)) => {
                answer.append_pair("state", "another-state");
            }
            (_, Some(state)) => {
                answer.append_pair("state", &state);
            }
        }
        let mark = if redirect_uri.contains('?') { '&' } else { '?' };
        Answer::new(302).header("Location", format!("{redirect_uri}{mark}{}", answer.finish()))
    }

    /// Takes a code; the error says what is wrong.
    pub(crate) fn redeem<'f>(
        &mut self,
        field: impl Fn(&str) -> Option<&'f str>,
        doors: &Doors,
    ) -> Result<Granted, &'static str> {
        let text = field("code").ok_or("there is no code")?;
        let code = self.codes.iter_mut().find(|code| code.text == text).ok_or("there is no such code")?;
        if code.used {
            return Err("the code was used before");
        }
        if code.dies.is_some_and(|dies| Instant::now() >= dies) {
            return Err("the code has expired");
        }
        // Even a bad attempt uses it up.
        code.used = true;
        if let Some(redirect_uri) = field("redirect_uri")
            && code.redirect_uri.as_deref() != Some(redirect_uri)
        {
            return Err("the redirect_uri is another one");
        }
        if let Some(challenge) = &code.challenge {
            let verifier = field("code_verifier").ok_or("the code_verifier is missing")?;
            if URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes())) != *challenge {
                return Err("the code_verifier does not fit the code_challenge");
            }
        }
        let scope = code.scope.clone();
        let refresh_token = Some(self.refresh_token(&scope, doors));
        Ok(Granted { scope, refresh_token })
    }

    /// Takes a refresh token; the error says what is wrong.
    pub(crate) fn refresh(&mut self, text: Option<&str>, doors: &Doors) -> Result<Granted, &'static str> {
        let text = text.ok_or("there is no refresh_token")?;
        let token = self.refresh_tokens.iter_mut().find(|token| token.text == text);
        let token = token.ok_or("there is no such refresh token")?;
        if token.dead || token.dies.is_some_and(|dies| Instant::now() >= dies) {
            return Err("the refresh token is dead");
        }
        let scope = token.scope.clone();
        if !doors.rotate_refresh {
            return Ok(Granted { scope, refresh_token: None });
        }
        token.dead = true;
        let refresh_token = Some(self.refresh_token(&scope, doors));
        Ok(Granted { scope, refresh_token })
    }

    fn refresh_token(&mut self, scope: &str, doors: &Doors) -> String {
        let text = format!("sim-refresh-{:016x}{:016x}", self.dice.u64(..), self.dice.u64(..));
        let dies = doors.refresh_lifetime.and_then(|lifetime| Instant::now().checked_add(lifetime));
        self.refresh_tokens.push(RefreshToken { text: text.clone(), dies, dead: false, scope: scope.to_owned() });
        text
    }
}

/// For the member's eyes.
fn page(status: u16, text: &str) -> Answer {
    let body = format!("<!DOCTYPE html>\n<html><head><title>Log in</title></head><body>{text}</body></html>\n");
    Answer::new(status).body("text/html; charset=utf-8", body)
}
