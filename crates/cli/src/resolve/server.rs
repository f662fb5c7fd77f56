//! Whom to ask, as whom, how patiently.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::Path;

use lakehaul_fetch::{Auth, ClientOptions, Kind, Patience, PlainHttp, PrivateKey, SecretStyle};
use lakehaul_load::LoadError;
use secrecy::ExposeSecret;
use url::Url;

use super::Given;
use crate::args::{ClientArgs, PatienceArgs, SecretStyleArg, ServerArgs};
use crate::failure::Failure;
use crate::provenance::{Provenance, Source};
use crate::secret::{self, Credential, Stdin};

/// A client that has not asked anything yet.
/// `kinds`: those that the command is for.
pub(super) fn client(
    args: &ServerArgs,
    kinds: &[Kind],
    given: &Given,
    stdin: &mut Stdin,
) -> Result<ClientOptions, Failure> {
    let client = place(args, kinds)?;
    let auth = auth(&args.client, given, stdin)?.ok_or_else(|| nobody(&args.client))?;
    Ok(ClientOptions { auth, ..client })
}

/// Nothing was said of who asks.
pub(super) fn nobody(args: &ClientArgs) -> Failure {
    let why = match args.client_id {
        Some(_) => {
            "how the client proves who it is was not told: set LAKEHAUL_CLIENT_SECRET, or add --client-secret-file FILE, \
                 --private-key-file FILE, or one of the options …-command"
        }
        None => {
            "who asks was not told: add --client-id ID and --client-secret-file FILE or --private-key-file FILE, or \
                 --token-file FILE, or --no-auth for an open server"
        }
    };
    Failure::Usage(why.to_owned())
}

/// The same, without who asks.
pub(super) fn place(args: &ServerArgs, kinds: &[Kind]) -> Result<ClientOptions, Failure> {
    let names = kinds.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(", ");
    if let Some(kind) = args.kind.filter(|kind| !kinds.contains(kind)) {
        let why = format!("this command is not for a server of kind {kind}, but for the kinds {names}");
        return Err(Failure::Usage(why));
    }
    let Some(kind) = args.kind else {
        let why = format!("the server is not named: add a PROFILE of the config file, or --kind KIND ({names})");
        return Err(Failure::Usage(why));
    };
    let base_url = match (args.base_url.as_deref(), kind.default_base_url()) {
        (Some(text), _) | (None, Some(text)) => url(text, "--base-url")?,
        (None, None) => {
            let why = format!("a server of kind {kind} can be anywhere: add --base-url URL, its FHIR base");
            return Err(Failure::Usage(why));
        }
    };
    if kind.needs_tenant() && args.tenant.is_none() {
        let why = format!("a server of kind {kind} has many tenants: add --tenant NAME, the payer's name in its URLs");
        return Err(Failure::Usage(why));
    }
    Ok(ClientOptions {
        tenant: args.tenant.clone(),
        token_url: args.token_url.as_deref().map(|text| url(text, "--token-url")).transpose()?,
        scope: args.client.scope.clone(),
        trusted_origins: args
            .trust_origin
            .iter()
            .map(|text| text.parse().map_err(|error| Failure::Usage(format!("--trust-origin: {error}"))))
            .collect::<Result<_, _>>()?,
        plain_http: if args.allow_http { PlainHttp::Allowed } else { PlainHttp::LoopbackOnly },
        ca_certificates: args.ca_cert.iter().map(|path| ca_certificates(path)).collect::<Result<_, _>>()?,
        patience: patience(&args.patience),
        // Programs that failed together must not come back together.
        seed: RandomState::new().build_hasher().finish(),
        ..ClientOptions::new(kind, base_url)
    })
}

/// Who asks; none: nothing was said of how that is proved.
pub(super) fn auth(args: &ClientArgs, given: &Given, stdin: &mut Stdin) -> Result<Option<Auth>, Failure> {
    let Some(chosen) = secret::choose(args, &given.secrets, &given.provenance)? else { return Ok(None) };
    check_companions(&given.provenance, chosen.credential)?;
    let secret = chosen.read(stdin)?;
    let client_id = || {
        let missing = || Failure::Usage(format!("{} is given, but not whose: add --client-id ID", chosen.name()));
        args.client_id.clone().ok_or_else(missing)
    };
    Ok(Some(match chosen.credential {
        None => Auth::None,
        Some(Credential::Token) => Auth::Token(secret),
        Some(Credential::ClientSecret) => Auth::ClientSecret {
            client_id: client_id()?,
            secret,
            style: match args.client_secret_style {
                None | Some(SecretStyleArg::Form) => SecretStyle::Form,
                Some(SecretStyleArg::Basic) => SecretStyle::Basic,
            },
        },
        Some(Credential::PrivateKey) => Auth::PrivateKeyJwt {
            client_id: client_id()?,
            key: PrivateKey::parse(secret.expose_secret(), args.key_id.as_deref()).map_err(|error| {
                Failure::to(format!("read the private key of {}", chosen.name()))(LoadError::from(error))
            })?,
            key_id: args.key_id.clone(),
            jku: args.jku.as_deref().map(|text| url(text, "--jku")).transpose()?,
        },
    }))
}

/// An argument that has no effect was meant to have one. What comes from a profile may be there for another occasion.
fn check_companions(provenance: &Provenance, credential: Option<Credential>) -> Result<(), Failure> {
    use Credential::{ClientSecret, PrivateKey};
    let companions: [(&str, &[Credential], &str); 4] = [
        ("key-id", &[PrivateKey], "a private key"),
        ("jku", &[PrivateKey], "a private key"),
        ("client-secret-style", &[ClientSecret], "a client secret"),
        ("scope", &[ClientSecret, PrivateKey], "a client secret or a private key"),
    ];
    for (option, with, named) in companions {
        let fits = credential.is_some_and(|credential| with.contains(&credential));
        if !fits && provenance.source(option) == Source::Argument {
            return Err(Failure::Usage(format!("--{option} goes with {named}, and there is none")));
        }
    }
    Ok(())
}

fn patience(args: &PatienceArgs) -> Patience {
    let defaults = Patience::default();
    Patience {
        retries: args.retries.unwrap_or(defaults.retries),
        max_wait: args.max_wait.map_or(defaults.max_wait, |span| span.duration),
        idle_timeout: args.idle_timeout.map_or(defaults.idle_timeout, |span| span.duration),
    }
}

/// The error does not repeat the text: a URL can carry a password.
pub(super) fn url(text: &str, option: &str) -> Result<Url, Failure> {
    Url::parse(text).map_err(|error| Failure::Usage(format!("{option} is no URL, like https://host/path: {error}")))
}

fn ca_certificates(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(|error| Failure::Usage(format!("--ca-cert: cannot read {}: {error}", path.display())))
}

#[cfg(test)]
mod tests;
