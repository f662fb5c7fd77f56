//! Who the one client is: an id, a secret, private keys, a ready token; and their checks at the token endpoint.

use std::fmt;
use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey};
use rcgen::{KeyPair, RsaKeySize};
use serde_json::{Value, json};

/// What a client needs to be let in. Made up; `Debug` hides it all the same.
#[derive(Clone)]
pub struct Credentials {
    /// `client_id`.
    pub client_id: String,
    /// `client_secret`.
    pub client_secret: String,
    /// A bearer token that lives until it is revoked; token 0 of the log.
    pub token: String,
}

/// A key pair for `private_key_jwt` (SMART App Launch 2.2, asymmetric authentication).
///
/// Two of them are made once in a process and are the same for every [`Sim`](crate::Sim) in it.
pub struct SigningKey {
    algorithm: Algorithm,
    id: &'static str,
    pair: KeyPair,
}

impl Credentials {
    /// From the seed, unless the scenario names a client.
    pub(crate) fn new(client: Option<(String, String)>, seed: u64) -> Credentials {
        let mut dice = fastrand::Rng::with_seed(seed ^ 0x0063_7265_6465_6e74);
        let mut text = |prefix: &str| format!("{prefix}-{:016x}{:016x}", dice.u64(..), dice.u64(..));
        let token = text("sim-token-0");
        let (client_id, client_secret) =
            client.unwrap_or_else(|| ("lakehaul-sim-client".to_owned(), text("sim-secret")));
        Credentials { client_id, client_secret, token }
    }

    /// For RS384, 2048 bits.
    pub fn rsa_key(&self) -> &'static SigningKey {
        SigningKey::rsa()
    }

    /// For ES384, P-384.
    pub fn ec_key(&self) -> &'static SigningKey {
        SigningKey::ec()
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Credentials").field("client_id", &self.client_id).finish_non_exhaustive()
    }
}

impl SigningKey {
    pub(crate) fn rsa() -> &'static SigningKey {
        static KEY: OnceLock<SigningKey> = OnceLock::new();
        KEY.get_or_init(|| {
            let pair = KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA384, RsaKeySize::_2048);
            let pair = pair.expect("the provider makes RSA keys");
            SigningKey { algorithm: Algorithm::RS384, id: "sim-rsa-1", pair }
        })
    }

    pub(crate) fn ec() -> &'static SigningKey {
        static KEY: OnceLock<SigningKey> = OnceLock::new();
        KEY.get_or_init(|| {
            let pair = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).expect("the provider makes P-384 keys");
            SigningKey { algorithm: Algorithm::ES384, id: "sim-ec-1", pair }
        })
    }

    /// The `kid` under which the server knows it.
    pub fn key_id(&self) -> &'static str {
        self.id
    }

    /// PKCS #8, PEM.
    pub fn private_pem(&self) -> String {
        self.pair.serialize_pem()
    }

    /// A private JWK (RFC 7517) with `kid` and `alg`.
    pub fn private_jwk(&self) -> String {
        let der = self.pair.serialized_der();
        // PKCS #8 (RFC 5958): version, algorithm, and in an octet string the key of RFC 8017 or RFC 5915.
        let fields = der_fields(der).and_then(|key| der_fields(key.get(2)?)).expect("rcgen writes PKCS #8");
        let mut jwk = json!({"kid": self.id, "key_ops": ["sign"]});
        let mut set = |name: &str, value: Value| jwk[name] = value;
        if self.algorithm == Algorithm::RS384 {
            set("kty", "RSA".into());
            set("alg", "RS384".into());
            for (name, value) in ["n", "e", "d", "p", "q", "dp", "dq", "qi"].iter().zip(&fields[1..]) {
                // A DER integer has a zero in front where its first bit is set; a JWK has not.
                let first = value.iter().position(|&byte| byte != 0).unwrap_or(value.len());
                set(name, URL_SAFE_NO_PAD.encode(&value[first..]).into());
            }
        } else {
            // SEC 1, section 2.3.3: 4, x, y.
            let (x, y) = self.pair.public_key_raw()[1..].split_at(48);
            set("kty", "EC".into());
            set("alg", "ES384".into());
            set("crv", "P-384".into());
            for (name, value) in [("d", fields[1]), ("x", x), ("y", y)] {
                set(name, URL_SAFE_NO_PAD.encode(value).into());
            }
        }
        jwk.to_string()
    }

    pub(crate) fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    pub(crate) fn verifying_key(&self) -> DecodingKey {
        let pem = self.pair.public_key_pem();
        let key = if self.algorithm == Algorithm::RS384 {
            DecodingKey::from_rsa_pem(pem.as_bytes())
        } else {
            DecodingKey::from_ec_pem(pem.as_bytes())
        };
        key.expect("rcgen's public key is one")
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("SigningKey").field("id", &self.id).finish_non_exhaustive()
    }
}

/// The contents of the fields of the one constructed value that `der` begins with.
fn der_fields(der: &[u8]) -> Option<Vec<&[u8]>> {
    let (mut inside, _) = der_value(der)?;
    let mut fields = Vec::new();
    while !inside.is_empty() {
        let (field, rest) = der_value(inside)?;
        fields.push(field);
        inside = rest;
    }
    Some(fields)
}

/// The first value's content, and what follows it (X.690, section 8.1).
fn der_value(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&first, after) = der.get(1..)?.split_first()?;
    let (length, content) = if first < 0x80 {
        (usize::from(first), after)
    } else {
        let (length, content) = after.split_at_checked(usize::from(first & 0x7f))?;
        (length.iter().fold(0, |sum, &byte| sum << 8 | usize::from(byte)), content)
    };
    content.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jwk_is_its_pem() {
        for key in [SigningKey::rsa(), SigningKey::ec()] {
            let jwk: Value = serde_json::from_str(&key.private_jwk()).unwrap();
            let part = |name: &str| URL_SAFE_NO_PAD.decode(jwk[name].as_str().unwrap()).unwrap();
            let claims = json!({"sub": "me", "exp": 4_000_000_000_u64});
            let pem = key.private_pem();
            let (signing, verifying) = if key.algorithm() == Algorithm::RS384 {
                assert_eq!(part("n").len(), 256);
                assert_eq!(part("e"), [1, 0, 1]);
                for half in ["p", "q"] {
                    assert_eq!(part(half).len(), 128, "{half}");
                }
                let verifying = DecodingKey::from_rsa_raw_components(&part("n"), &part("e"));
                (jsonwebtoken::EncodingKey::from_rsa_pem(pem.as_bytes()).unwrap(), verifying)
            } else {
                assert_eq!(part("d").len(), 48);
                let text = |name: &str| jwk[name].as_str().unwrap().to_owned();
                let verifying = DecodingKey::from_ec_components(&text("x"), &text("y")).unwrap();
                (jsonwebtoken::EncodingKey::from_ec_pem(pem.as_bytes()).unwrap(), verifying)
            };
            let header = jsonwebtoken::Header::new(key.algorithm());
            let token = jsonwebtoken::encode(&header, &claims, &signing).unwrap();
            let validation = jsonwebtoken::Validation::new(key.algorithm());
            for verifying in [verifying, key.verifying_key()] {
                assert!(jsonwebtoken::decode::<Value>(&token, &verifying, &validation).is_ok(), "{key:?}");
            }
        }
    }

    #[test]
    fn nothing_secret_is_in_debug() {
        let credentials = Credentials::new(None, 1);
        let debug = format!("{credentials:?} {:?}", credentials.rsa_key());
        assert!(!debug.contains(&credentials.client_secret) && !debug.contains(&credentials.token));
        assert!(debug.contains(&credentials.client_id));
    }
}
