//! A client's private key, and the assertions that it signs (RFC 7523; SMART App Launch 2.2, "Client Authentication:
//! Asymmetric").
//!
//! In goes the text of a key: PEM (PKCS#8, PKCS#1, SEC1) or JWK, or a JWKS that holds the key. What the key is decides the
//! algorithm: RSA signs RS384, P-384 signs ES384. The key is never shown, and no error quotes the text.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Serialize;
use serde_json::Value;
use url::Url;

use crate::error::{ErrorKind, FetchError};

/// A private key that can sign client assertions.
#[derive(Clone)]
pub struct PrivateKey {
    key: EncodingKey,
    algorithm: Algorithm,
    /// A JWK may say its own.
    key_id: Option<String>,
}

/// At most five minutes are allowed; a minute is left for clocks that do not agree.
const ASSERTION_SECONDS: i64 = 4 * 60;

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    exp: i64,
    jti: String,
}

impl PrivateKey {
    /// Reads a key. Of a JWKS the private key with this `key_id` is taken, or the only private one.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Usage`] for a text that is no such key, with what it is instead as far as that can be told.
    pub fn parse(text: &str, key_id: Option<&str>) -> Result<PrivateKey, FetchError> {
        let read = if text.trim_start().starts_with('{') { from_json(text, key_id) } else { from_pem(text) };
        let key = read.map_err(|why| FetchError::new(ErrorKind::Usage, format!("the private key {why}")))?;
        // Only signing shows whether curve and size will do.
        let probe = Claims { iss: "", sub: "", aud: "", exp: 0, jti: String::new() };
        match jsonwebtoken::encode(&Header::new(key.algorithm), &probe, &key.key) {
            Ok(_) => Ok(key),
            Err(_) if key.algorithm == Algorithm::ES384 => {
                Err(FetchError::new(ErrorKind::Usage, "the private key is damaged, or not on the curve P-384 (ES384)"))
            }
            Err(_) => Err(FetchError::new(
                ErrorKind::Usage,
                "the private key is damaged, or not of 2048 to 8192 bits (RS384)",
            )),
        }
    }

    /// A signed assertion for this token endpoint, good once and for four minutes.
    pub(crate) fn assertion(
        &self,
        client_id: &str,
        endpoint: &Url,
        key_id: Option<&str>,
        jku: Option<&Url>,
        now: Timestamp,
    ) -> Result<String, FetchError> {
        let mut header = Header::new(self.algorithm);
        header.kid = key_id.or(self.key_id.as_deref()).map(str::to_owned);
        header.jku = jku.map(ToString::to_string);
        // Not from the seeded generator: a program that starts again with the same seed must not repeat itself.
        let jti = format!("{:032x}", fastrand::Rng::new().u128(..));
        let exp = now.as_second() + ASSERTION_SECONDS;
        let claims = Claims { iss: client_id, sub: client_id, aud: endpoint.as_str(), exp, jti };
        jsonwebtoken::encode(&header, &claims, &self.key)
            .map_err(|_| FetchError::new(ErrorKind::Usage, "the private key cannot sign"))
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKey({:?})", self.algorithm)
    }
}

/// A clause that fits after "the private key".
type Why = &'static str;

fn from_pem(text: &str) -> Result<PrivateKey, Why> {
    let rsa = |key| PrivateKey { key, algorithm: Algorithm::RS384, key_id: None };
    let ec = |key| PrivateKey { key, algorithm: Algorithm::ES384, key_id: None };
    if text.contains("-----BEGIN ENCRYPTED PRIVATE KEY-----") || text.contains("Proc-Type: 4,ENCRYPTED") {
        return Err("is encrypted: decrypt it first, such as with openssl pkey");
    }
    if let Some(block) = pem_block(text, "PRIVATE KEY") {
        let pem = block.text.as_bytes();
        return EncodingKey::from_rsa_pem(pem)
            .map(rsa)
            .or_else(|_| EncodingKey::from_ec_pem(pem).map(ec))
            .map_err(|_| "is damaged, or neither RSA nor elliptic curve");
    }
    if let Some(block) = pem_block(text, "RSA PRIVATE KEY") {
        return Ok(rsa(EncodingKey::from_rsa_der(&block.der()?)));
    }
    if let Some(block) = pem_block(text, "EC PRIVATE KEY") {
        return Ok(ec(EncodingKey::from_ec_der(&der::pkcs8_p384(&block.der()?))));
    }
    if text.contains("PUBLIC KEY-----") {
        return Err("is the public half");
    }
    Err("is neither PEM nor JSON")
}

struct PemBlock<'a> {
    text: &'a str,
    content: &'a str,
}

impl PemBlock<'_> {
    fn der(&self) -> Result<Vec<u8>, Why> {
        let plain: String = self.content.split_ascii_whitespace().collect();
        STANDARD.decode(plain).map_err(|_| "is damaged PEM")
    }
}

/// A file may hold other blocks before it, such as EC PARAMETERS.
fn pem_block<'a>(text: &'a str, label: &str) -> Option<PemBlock<'a>> {
    let (begin, end) = (format!("-----BEGIN {label}-----"), format!("-----END {label}-----"));
    let start = text.find(&begin)?;
    let length = text[start..].find(&end)?;
    let content = &text[start + begin.len()..start + length];
    Some(PemBlock { text: &text[start..start + length + end.len()], content })
}

fn from_json(text: &str, key_id: Option<&str>) -> Result<PrivateKey, Why> {
    let json: Value = serde_json::from_str(text).map_err(|_| "is not JSON")?;
    let Some(keys) = json.get("keys") else { return from_jwk(&json) };
    let keys = keys.as_array().ok_or("is a JWKS without an array of keys")?;
    let signs = |key: &&Value| key.get("d").is_some() && key.get("use").is_none_or(|used| used == "sig");
    let named = |key: &&Value| key_id.is_none_or(|key_id| key.get("kid").is_some_and(|kid| kid == key_id));
    let mut fitting = keys.iter().filter(signs).filter(named);
    match (fitting.next(), fitting.next(), key_id) {
        (Some(key), None, _) => from_jwk(key),
        (Some(_), Some(_), None) => Err("is one of several in its JWKS: say which with the key id"),
        (Some(_), Some(_), Some(_)) => Err("is one of several in its JWKS with the same key id"),
        (None, _, Some(_)) => Err("is not in its JWKS: none there has that key id and is private"),
        (None, _, None) => Err("is not in its JWKS, which holds no private signing key"),
    }
}

/// RFC 7518, sections 6.2 and 6.3.
fn from_jwk(jwk: &Value) -> Result<PrivateKey, Why> {
    let member = |name: &str| jwk.get(name).and_then(Value::as_str);
    let number = |name: &str| {
        let text = member(name).ok_or("lacks a member that a JWK of its type has")?;
        URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).map_err(|_| "is not base64url")
    };
    let key_id = member("kid").map(str::to_owned);
    if member("kty").is_some() && member("d").is_none() {
        return Err("is the public half");
    }
    match (member("kty"), member("crv")) {
        (Some("RSA"), _) => {
            let numbers = ["n", "e", "d", "p", "q", "dp", "dq", "qi"].map(number);
            let numbers = numbers.into_iter().collect::<Result<Vec<_>, _>>()?;
            let key = EncodingKey::from_rsa_der(&der::pkcs1(&numbers));
            Ok(PrivateKey { key, algorithm: Algorithm::RS384, key_id })
        }
        (Some("EC"), Some("P-384")) => {
            let key = EncodingKey::from_ec_der(&der::pkcs8_p384(&der::sec1(&number("d")?)?));
            Ok(PrivateKey { key, algorithm: Algorithm::ES384, key_id })
        }
        (Some("EC"), _) => Err("is on another curve than P-384 (ES384)"),
        (Some(_), _) => Err("is neither RSA nor elliptic curve"),
        (None, _) => Err("is JSON, but no JWK"),
    }
}

/// As much of DER (ITU-T X.690) as it takes to write a key.
mod der {
    use super::Why;

    const INTEGER: u8 = 0x02;
    const OCTET_STRING: u8 = 0x04;
    const SEQUENCE: u8 = 0x30;
    /// INTEGER 0: the version of PKCS#8 and of PKCS#1 with two primes.
    const VERSION_0: &[u8] = &[INTEGER, 1, 0];
    const VERSION_1: &[u8] = &[INTEGER, 1, 1];
    /// SEQUENCE of id-ecPublicKey (1.2.840.10045.2.1) and secp384r1 (1.3.132.0.34); RFC 5480, section 2.1.1.
    const EC_P384: &[u8] =
        &[SEQUENCE, 16, 6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 5, 0x2b, 0x81, 0x04, 0x00, 0x22];
    const P384_BYTES: usize = 48;

    /// RFC 8017, section A.1.2: modulus, exponents, primes, exponents, coefficient.
    pub(super) fn pkcs1(numbers: &[Vec<u8>]) -> Vec<u8> {
        let integers = numbers.iter().map(|number| integer(number));
        tagged(SEQUENCE, &std::iter::once(VERSION_0.to_vec()).chain(integers).collect::<Vec<_>>().concat())
    }

    /// RFC 5915, section 3: without curve and public key, which PKCS#8 around it and the number itself tell.
    pub(super) fn sec1(number: &[u8]) -> Result<Vec<u8>, Why> {
        let zeros = P384_BYTES.checked_sub(number.len()).ok_or("is too long for P-384")?;
        let octets = [&[0; P384_BYTES][..zeros], number].concat();
        Ok(tagged(SEQUENCE, &[VERSION_1, &tagged(OCTET_STRING, &octets)].concat()))
    }

    /// RFC 5958, section 2, around RFC 5915.
    pub(super) fn pkcs8_p384(sec1: &[u8]) -> Vec<u8> {
        tagged(SEQUENCE, &[VERSION_0, EC_P384, &tagged(OCTET_STRING, sec1)].concat())
    }

    /// Not negative: a first bit that is set gets a zero before it.
    fn integer(number: &[u8]) -> Vec<u8> {
        let zeros = number.iter().take_while(|&&byte| byte == 0).count();
        let plain = &number[zeros..];
        let sign: &[u8] = if plain.first().is_none_or(|byte| byte & 0x80 != 0) { &[0] } else { &[] };
        tagged(INTEGER, &[sign, plain].concat())
    }

    fn tagged(tag: u8, content: &[u8]) -> Vec<u8> {
        let length = content.len().to_be_bytes();
        let plain = &length[length.iter().take_while(|&&byte| byte == 0).count()..];
        let mut der = vec![tag];
        match content.len() {
            0 => der.push(0),
            1..0x80 => der.extend(plain),
            _ => {
                der.push(0x80 | plain.len() as u8);
                der.extend(plain);
            }
        }
        der.extend(content);
        der
    }
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::{DecodingKey, Validation};

    use super::*;

    // Made with openssl for these tests; they open nothing.
    macro_rules! key_file {
        ($name:literal) => {
            include_str!(concat!("test_keys/", $name))
        };
    }

    const JWKS: &str = key_file!("keys.jwks.json");

    /// A member of [`JWKS`], as a JWK of its own.
    fn jwk(index: usize) -> Value {
        serde_json::from_str::<Value>(JWKS).unwrap()["keys"][index].clone()
    }

    /// Signs with the key, and verifies with the public half.
    #[track_caller]
    fn check(text: &str, pick: Option<&str>, algorithm: Algorithm, key_id: Option<&str>) {
        let key = PrivateKey::parse(text, pick).unwrap();
        let endpoint = Url::parse("https://payer.example/token").unwrap();
        let now = Timestamp::now();
        let assertion = key.assertion("me", &endpoint, None, None, now).unwrap();
        let public = match algorithm {
            Algorithm::RS384 => DecodingKey::from_rsa_pem(key_file!("rsa_public.pem").as_bytes()),
            _ => DecodingKey::from_ec_pem(key_file!("ec_public.pem").as_bytes()),
        };
        let mut validation = Validation::new(algorithm);
        validation.set_audience(&[endpoint.as_str()]);
        validation.set_required_spec_claims(&["exp", "aud", "iss", "sub"]);
        let token = jsonwebtoken::decode::<Value>(&assertion, &public.unwrap(), &validation).unwrap();
        assert_eq!(token.header.alg, algorithm);
        assert_eq!(token.header.typ.as_deref(), Some("JWT"));
        assert_eq!(token.header.kid.as_deref(), key_id);
        assert_eq!(token.header.jku, None);
        assert_eq!((&token.claims["iss"], &token.claims["sub"]), (&"me".into(), &"me".into()));
        let life = token.claims["exp"].as_i64().unwrap() - now.as_second();
        assert!((1..=300).contains(&life), "{life}");
        assert_eq!(token.claims["jti"].as_str().unwrap().len(), 32);
        assert_eq!(format!("{key:?}"), format!("PrivateKey({algorithm:?})"));
    }

    #[test]
    fn keys_in_every_form_sign() {
        use Algorithm::{ES384, RS384};
        check(key_file!("rsa_pkcs8.pem"), None, RS384, None);
        check(key_file!("rsa_pkcs1.pem"), None, RS384, None);
        check(&key_file!("rsa_pkcs8.pem").replace('\n', "\r\n"), None, RS384, None);
        check(key_file!("ec_pkcs8.pem"), None, ES384, None);
        assert!(key_file!("ec_sec1.pem").starts_with("-----BEGIN EC PARAMETERS-----"));
        check(key_file!("ec_sec1.pem"), None, ES384, None);
        check(&jwk(1).to_string(), None, RS384, Some("rsa-1"));
        check(&jwk(2).to_string(), None, ES384, Some("ec-1"));
        check(JWKS, Some("rsa-1"), RS384, Some("rsa-1"));
        check(JWKS, Some("ec-1"), ES384, Some("ec-1"));
        check(&serde_json::json!({"keys": [jwk(0), jwk(2), jwk(3)]}).to_string(), None, ES384, Some("ec-1"));
        // A number may come without its leading zeros.
        assert!(PrivateKey::parse(r#"{"kty":"EC","crv":"P-384","d":"AQ"}"#, None).is_ok());
    }

    #[test]
    fn what_the_user_says_goes_into_the_header() {
        let key = PrivateKey::parse(JWKS, Some("ec-1")).unwrap();
        let (endpoint, jku) =
            (Url::parse("https://a.example/t").unwrap(), Url::parse("https://b.example/jwks").unwrap());
        let mut made = Vec::new();
        for _ in 0..2 {
            let assertion = key.assertion("me", &endpoint, Some("mine"), Some(&jku), Timestamp::UNIX_EPOCH).unwrap();
            let header = jsonwebtoken::decode_header(&assertion).unwrap();
            assert_eq!((header.kid.as_deref(), header.jku.as_deref()), (Some("mine"), Some(jku.as_str())));
            let claims = URL_SAFE_NO_PAD.decode(assertion.split('.').nth(1).unwrap()).unwrap();
            let claims: Value = serde_json::from_slice(&claims).unwrap();
            assert_eq!(claims["exp"], 240);
            made.push(claims["jti"].clone());
        }
        assert_ne!(made[0], made[1], "an assertion is good once");
    }

    #[test]
    fn what_is_no_such_key_is_told_apart() {
        #[track_caller]
        fn check(text: &str, pick: Option<&str>, part: &str) {
            let error = PrivateKey::parse(text, pick).unwrap_err();
            assert!(error.kind() == ErrorKind::Usage && error.to_string().contains(part), "{error}");
        }
        let without = |index, member: &str| {
            let mut jwk = jwk(index);
            jwk.as_object_mut().unwrap().remove(member);
            jwk.to_string()
        };
        check("", None, "neither PEM nor JSON");
        check("sesame", None, "neither PEM nor JSON");
        check("{", None, "not JSON");
        check("{}", None, "no JWK");
        check(r#"{"keys":{}}"#, None, "without an array");
        check(r#"{"kty":"oct","k":"AQ"}"#, None, "public half");
        check(r#"{"kty":"OKP","crv":"Ed25519","d":"AQ"}"#, None, "neither RSA nor");
        check(r#"{"kty":"EC","crv":"P-256","d":"AQ"}"#, None, "another curve");
        check(r#"{"kty":"EC","crv":"P-384","d":"!"}"#, None, "base64url");
        check(&format!(r#"{{"kty":"EC","crv":"P-384","d":"{}"}}"#, "A".repeat(68)), None, "too long");
        check(&without(1, "qi"), None, "lacks a member");
        check(&jwk(0).to_string(), None, "public half");
        check(JWKS, None, "one of several");
        check(JWKS, Some("other"), "none there has that key id");
        check(&serde_json::json!({"keys": [jwk(1), jwk(1)]}).to_string(), Some("rsa-1"), "same key id");
        check(&serde_json::json!({"keys": [jwk(0)]}).to_string(), None, "no private signing key");
        check(key_file!("rsa_public.pem"), None, "public half");
        check(key_file!("rsa_encrypted.pem"), None, "encrypted");
        check(key_file!("p256_pkcs8.pem"), None, "P-384");
        check(key_file!("ed25519.pem"), None, "neither RSA nor elliptic");
        check(&key_file!("rsa_pkcs8.pem").replace("MII", "MIJ"), None, "damaged");
        check(&key_file!("rsa_pkcs1.pem").replace("MII", "MIJ"), None, "damaged");
        check("-----BEGIN EC PRIVATE KEY-----\n????\n-----END EC PRIVATE KEY-----", None, "damaged");
    }
}
