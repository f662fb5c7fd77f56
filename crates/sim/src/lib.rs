//! A payer in a box: a real HTTP server on loopback that behaves as 1upHealth's bulk export, as its doors for patients,
//! or as any SMART server, with a script of what goes wrong.
//!
//! In goes a [`Scenario`]: whose server it resembles, which output files its export holds, which [`Fault`]s happen
//! where and when. Out comes a running [`Sim`], which answers on 127.0.0.1, logs each request, and knows the truth
//! about its files. It never reaches beyond loopback, never writes a file, and needs no memory for the bytes that it
//! repeats or generates.
//!
//! ```
//! use lakehaul_sim::{Endpoint, Fault, Personality, Scenario, ServedFile, Sim, When};
//!
//! let sim = Sim::start(
//!     Scenario::new(Personality::OneupProvider)
//!         .file(ServedFile::new("Patient", "{\"resourceType\":\"Patient\",\"id\":\"1\"}\n"))
//!         .file(ServedFile::repeated("Claim", "{\"resourceType\":\"Claim\",\"id\":\"1\"}\n", 1_000_000))
//!         .running(3)
//!         .fault(Endpoint::Status, When::First(2), Fault::status(503).retry_after(1))
//!         .fault("Claim.2.ndjson", When::Nth(1), Fault::reset_at(100_000)),
//! )?;
//!
//! // … run a client against `sim.base_url()` with `sim.credentials()`, then look at what it did:
//! assert_eq!(sim.model().resources(), 1_000_001);
//! assert_eq!(sim.export_count(), 0);
//! assert!(sim.early_polls().is_empty());
//! assert!(sim.tokens_seen_at_other_origin().is_empty());
//! assert!(sim.unscripted().is_empty());
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! # Personalities
//!
//! | [`Personality`] | kick-off | scope | of its own |
//! |---|---|---|---|
//! | `OneupProvider` | GET or POST `/v1/bison/bulk-data/r4/$export` | `bulk-data\|user/*.rs` | polling location in an OperationOutcome's text, under another host; `batches`, `resourceCount` |
//! | `OneupPayer` | `…/Group/{id}/$export` alone | `member-match\|read` | the same; `$member-match` |
//! | `OneupPopulation` | GET `/v1/bison/bulk-export/bulk-data/r4/$export`, `…/{ResourceType}` | any | the realm is the tenant; POST and DELETE 403; PUT retries |
//! | `Smart` | `/fhir/$export`, `/fhir/Patient/$export`, `/fhir/Group/{id}/$export` | any with `system/` | `Content-Location`, `X-Progress`, `count`, DELETE, pages, discovery, `private_key_jwt`; search, login, `$member-match` |
//! | `OneupPatient` | none | any, by a login | login at `/oauth2/authorize/test`; search below `/r4` |
//! | `OneupConnect` | none | any, by a login or a user's code | the same at `/oauth2/authorize`; systems, users, codes |
//!
//! `_type` chooses among the files; other parameters are logged and change nothing. A request that no personality
//! documents is answered 599 and listed by [`Sim::unscripted`]. What the real servers leave open can be chosen:
//!
//! | what | by |
//! |---|---|
//! | kick-off: status, place of the polling location, host | [`Scenario::kick_off`] |
//! | running answers: number, status, word, files listed early, `Retry-After` | [`Scenario::running`], [`Scenario::running_as`], [`Scenario::retry_after`] |
//! | success, failure, failed batches | [`Scenario::ending`] |
//! | manifest: edition, counts, pages, anything | [`Scenario::edition`], [`Scenario::resource_count`], [`ServedFile::count`], [`Scenario::page_size`], [`Scenario::edit_manifest`] |
//! | tokens: lifetime, `expires_in`, ways to authenticate, none at all | [`Scenario::token_lifetime`], [`Scenario::expires_in`], [`Scenario::client_auth`], [`Scenario::door`] |
//! | files: bytes, name, type, list | [`ServedFile::new`], [`ServedFile::repeated`], [`ServedFile::generated`], [`ServedFile::streamed`], [`ServedFile::named`], [`ServedFile::declared_as`], [`ServedFile::role`] |
//! | files: framing, gzip, ranges, `ETag` | [`ServedFile::framing`], [`ServedFile::compressed`], [`ServedFile::ranges`], [`ServedFile::validator`] |
//! | files: other origin, tokens demanded or refused, URLs that expire | [`ServedFile::place`], [`Scenario::file_access`], [`ServedFile::access`], [`ServedFile::signed`] |
//! | search: resources, pages, their URLs, white space, total, outcomes | [`Scenario::resources`], [`Scenario::searchable`], [`Scenario::search_page_size`], [`Scenario::next_link`], [`Scenario::bundle_layout`], [`Scenario::search_total`], [`Scenario::entry_outcome`] |
//! | login: what the member does, lifetimes of codes and refresh tokens | [`Scenario::login`], [`Scenario::code_lifetime`], [`Scenario::refresh_lifetime`], [`Scenario::rotate_refresh`], [`Scenario::public_client`], [`Scenario::patient_in_context`] |
//! | `$member-match`: the answer, where it has the group, a group's files | [`Scenario::match_members`], [`GroupAt`], [`Scenario::group`] |
//! | Patient Connect: systems, how often users may be asked about | [`Scenario::systems`], [`Scenario::systems_wrapped`], [`Scenario::user_calls`], [`Scenario::user_calls_retry_after`] |
//! | TLS: good, wrong name, expired | [`Scenario::tls`], [`Sim::ca_pem`] |
//!
//! # Doors beside the export
//!
//! | [`Endpoint`] | request | personalities |
//! |---|---|---|
//! | `Search` | GET `{base}/{ResourceType}`; `_count`, `_id`, `patient` | `OneupPatient`, `OneupConnect`, `Smart` |
//! | `Everything` | GET `{base}/Patient/{id}/$everything` | the same |
//! | `SearchPage` | GET `{base}?_getpages=…`, as a page before it says | the same |
//! | `Authorize` | GET [`Sim::authorize_url`]: 302 to the `redirect_uri` with `code` and `state` | the same |
//! | `Token` | `authorization_code` with PKCE, `refresh_token` | the same |
//! | `MemberMatch` | POST `/v1/{tenant}/member-match/$member-match`, `/fhir/Patient/$member-match` | `OneupPayer`, `Smart` |
//! | `Systems` | POST `/api/search`, GET `/api/systems/{zip}`, `/api/all-systems` | `OneupConnect` |
//! | `User`, `AuthCode` | POST `/user-management/v1/user`, `…/user/auth-code` | `OneupConnect` |
//! | `Connect` | GET `/connect/system/clinical/{id}` | `OneupConnect` |
//!
//! # Faults
//!
//! `scenario.fault(target, when, fault)`, or while it runs [`Sim::set_faults`] and [`Sim::add_fault`]. A target is an
//! [`Endpoint`], a file's name, or [`Target::AnyFile`], [`Target::EachFile`], [`Target::Any`]; [`When`] is one of
//! `Always`, `First(n)`,
//! `Nth(n)`, `From(n)`, `Chance(p)`. Of several rules the first that fires decides; all count. [`Fault::and`] joins
//! two faults.
//!
//! | what the client meets | fault |
//! |---|---|
//! | a status, with a body, `Retry-After`, any header | [`Fault::status`], [`Fault::body`], [`Fault::retry_after`], [`Fault::header`] |
//! | an OperationOutcome; HTML with 200; nothing with 200; any answer | [`Fault::operation_outcome`], [`Fault::html`], [`Fault::empty`], [`Fault::answer`] |
//! | a manifest as hostile as one likes | [`Fault::manifest`] |
//! | a redirect to itself, another origin, plain http, with userinfo | [`Fault::redirect`], [`RedirectTo`] |
//! | the connection reset, or ended in good order, at a byte or before any answer | [`Fault::reset_at`], [`Fault::truncate_at`], [`Fault::no_answer`], [`At`] |
//! | silence before the headers, or at a byte | [`Fault::stall_headers`], [`Fault::stall_at`] |
//! | a trickle | [`Fault::drip`] |
//! | a damaged byte | [`Fault::flip_at`] |
//! | a 206 that is not what was asked for | [`Fault::wrong_range`], [`WrongRange`] |
//! | tokens that died; signed URLs that died; a search's pages that died | [`Fault::revoke_tokens`], [`Fault::expire_signed_urls`], [`Fault::expire_cursors`] |
//! | a file that became another one | [`Fault::replace_file`], [`ServedFile::replaced_by`] |
//!
//! A fault that replaces an answer comes before the token is looked at and leaves the export as it was; one that
//! spoils the way of an answer comes after all has been done that the request asked for: a kick-off whose answer is
//! reset did start an export.
//!
//! # The other origin
//!
//! A second listener, [`Sim::other_origin`], answers all that the main one does without asking for a token, so that a
//! client that follows a redirect or a foreign URL gets on, and what it sends along is seen. Only files that are
//! [placed there](Place::OtherOrigin) keep to their [`FileAccess`] there too.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod server;
mod scenario;
mod served_file;
mod fault;
mod log;
mod model;
mod credentials;
pub mod members;
mod payer;
mod origins;
mod route;
mod search;
mod authorization;
mod member_match;
mod patient_connect;
mod script;
mod token;
mod export;
mod manifest;
mod discovery;
mod file_answer;
mod signed_url;
mod answer;
mod body;
mod wire;
mod tls;

pub use answer::{Answer, Framing};
pub use body::Gzip;
pub use credentials::{Credentials, SigningKey};
pub use fault::{At, Fault, Hangup, RedirectTo, RetryAfter, Rule, Target, When, WrongRange};
pub use log::{Authorization, Origin, RequestBody, Seen};
pub use member_match::{GroupAt, MatchAnswer};
pub use model::{FileFacts, Model};
pub use route::Endpoint;
pub use scenario::{
    BundleLayout, ClientAuth, Door, Edition, ExpiresIn, ExportEnd, Host, KickOffAnswer, Listed, LocationIn, Login,
    NextLink, Personality, Running, Scenario, Tls, Total,
};
pub use served_file::{Compressed, Count, FileAccess, Place, Ranges, Role, ServedFile, Signed, Validator};
pub use server::Sim;
