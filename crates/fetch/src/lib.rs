//! A client for FHIR bulk exports over HTTP/1.1: tokens, kick-off, status requests, manifests, and the bytes of output files;
//! and for the other ways to a payer's data: searches, member match, logins, Patient Connect.
//!
//! ```text
//! ClientOptions → Client → kick_off → PollingLocation → Poller → Manifest → OutputFile → FileStream → Bytes
//!                        → search → SearchPages → SearchPage
//!                        → member_match → MatchAnswer
//!                        → authorization_request → exchange_code → SessionTokens
//! ```
//!
//! It follows the HL7 Bulk Data Access guide (STU1 to STU4 in one tolerant reader), SMART Backend Services and App Launch
//! for tokens, and what 1upHealth's servers do differently. It decompresses nothing, reads no more than the envelope of a
//! Bundle, writes no file, prints nothing and reads no environment but the proxy's. A credential goes to the configured origin and to those the user names,
//! never to another; no secret is shown by any type here.

#![forbid(unsafe_code)]

mod client;
mod profile;
mod origin;
mod secret_url;
mod token;
mod login;
mod discovery;
mod capability;
mod http;
mod transport;
mod retry;
mod kick_off;
mod operation_outcome;
mod status;
mod manifest;
mod output_file;
mod search;
mod member_match;
mod patient_connect;
mod concurrency;
mod clock;
mod event;
mod error;
#[cfg(test)]
mod testing;

pub use capability::Capability;
pub use client::{Client, ClientOptions};
pub use clock::{BoxFuture, Clock, SystemClock};
pub use error::{ErrorKind, FetchError};
pub use event::{FetchEvent, FetchObserver};
pub use kick_off::{Cancelled, ExportParameters, KickOff, Level, Method, PollingLocation};
pub use login::AuthorizationRequest;
pub use manifest::{Batches, Manifest, OutputFile, Role};
pub use member_match::{Consent, ConsentPolicy, MatchAnswer, MatchInputError, Member, MemberMatch};
pub use origin::{Origin, PlainHttp};
pub use output_file::{FileStream, FileVersion, LengthProof};
pub use patient_connect::{Location, System, SystemPages, SystemQuery, UserCode};
pub use profile::Kind;
pub use retry::Patience;
pub use search::{SearchPage, SearchPages, SearchQuery, Searched};
pub use secret_url::SecretUrl;
pub use status::{Poller, Running, Status};
pub use token::{
    Auth, EndpointSource, PrivateKey, SecretStyle, Session, SessionKeeper, SessionTokens, TokenEndpoint, TokenFacts,
};
