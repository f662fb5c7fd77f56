//! What a [`Sim`](crate::Sim) is to be: whose server it resembles, what its export holds, and what goes wrong.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::fault::{Fault, RetryAfter, Rule, Target, When};
use crate::members::Members;
use crate::served_file::{Count, FileAccess, ServedFile};

mod course;
mod access;
mod doors;

pub use access::{ClientAuth, Door, ExpiresIn, Tls};
pub use course::{Edition, ExportEnd, Host, KickOffAnswer, Listed, LocationIn, Running};
pub(crate) use doors::Doors;
pub use doors::{BundleLayout, Login, NextLink, Total};

/// Whose server it resembles: paths, token endpoint, the form of its answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Personality {
    /// 1upHealth Provider Access: system-level export, scope `bulk-data|user/*.rs`.
    OneupProvider,
    /// 1upHealth Payer-to-Payer: Group export only, scope `member-match|read`.
    OneupPayer,
    /// 1upHealth's population export for partners: the realm is the tenant; POST and DELETE are answered 403; PUT on
    /// the polling location retries a failed export.
    OneupPopulation,
    /// Any server after the Bulk Data Access guide with SMART Backend Services.
    Smart,
    /// 1upHealth Patient Access: the member's login at `/oauth2/authorize/test`, search below `/r4`; no export.
    OneupPatient,
    /// 1upHealth Patient Connect: systems, users and their codes beside login and search below `/r4`; no export.
    OneupConnect,
}

impl Personality {
    /// All of them.
    pub const ALL: [Personality; 6] = [
        Personality::OneupProvider,
        Personality::OneupPayer,
        Personality::OneupPopulation,
        Personality::Smart,
        Personality::OneupPatient,
        Personality::OneupConnect,
    ];

    /// 1upHealth's answers, not a SMART server's.
    pub(crate) fn is_oneup(self) -> bool {
        self != Personality::Smart
    }

    /// What the token endpoint demands, to the letter.
    pub(crate) fn scope(self) -> Option<&'static str> {
        match self {
            Personality::OneupProvider => Some("bulk-data|user/*.rs"),
            Personality::OneupPayer => Some("member-match|read"),
            _ => None,
        }
    }

    /// A member logs in, and there is no export.
    pub(crate) fn is_for_patients(self) -> bool {
        matches!(self, Personality::OneupPatient | Personality::OneupConnect)
    }

    /// Of a login that asks for no scope.
    pub(crate) fn member_scope(self) -> &'static str {
        match self {
            Personality::OneupConnect => "user/*.*",
            Personality::OneupPatient => "patient/*.read user/*.read launch/patient openid",
            _ => "patient/*.rs",
        }
    }
}

type Edit = Arc<dyn Fn(&mut Value) + Send + Sync>;

/// What a [`Sim`](crate::Sim) is to be. Begins with what the personality does by itself; each method changes one thing.
#[derive(Clone)]
pub struct Scenario {
    pub(crate) personality: Personality,
    pub(crate) seed: u64,
    pub(crate) port: u16,
    pub(crate) tenant: String,
    pub(crate) client: Option<(String, String)>,
    pub(crate) client_auth: Vec<ClientAuth>,
    pub(crate) door: Door,
    pub(crate) token_lifetime: Duration,
    pub(crate) expires_in: ExpiresIn,
    pub(crate) token_endpoint_at: Host,
    pub(crate) edition: Edition,
    pub(crate) kick_off: KickOffAnswer,
    pub(crate) running: Running,
    pub(crate) ending: ExportEnd,
    pub(crate) resource_count: Count,
    pub(crate) transaction_time: String,
    pub(crate) page_size: Option<usize>,
    pub(crate) organized_by: Option<String>,
    pub(crate) edit: Option<Edit>,
    pub(crate) files: Vec<ServedFile>,
    pub(crate) access: FileAccess,
    pub(crate) tls: Option<Tls>,
    pub(crate) doors: Doors,
    pub(crate) rules: Vec<Rule>,
}

impl Scenario {
    /// An export without files that is done at the first status request, asked for with a token that lives five
    /// minutes; Patient Connect's lives two hours.
    pub fn new(personality: Personality) -> Scenario {
        let oneup = personality.is_oneup();
        let kick_off = if oneup {
            KickOffAnswer { status: 202, location: LocationIn::DetailsText, host: Host::OtherOrigin }
        } else {
            KickOffAnswer { status: 202, location: LocationIn::ContentLocation, host: Host::Here }
        };
        let auth = if personality.is_for_patients() {
            vec![ClientAuth::Form, ClientAuth::Basic]
        } else if oneup {
            vec![ClientAuth::Form]
        } else {
            vec![ClientAuth::Form, ClientAuth::Basic, ClientAuth::PrivateKeyJwt]
        };
        Scenario {
            personality,
            seed: 1,
            port: 0,
            tenant: "bison".to_owned(),
            client: None,
            client_auth: auth,
            door: Door::Token,
            token_lifetime: Duration::from_secs(if personality == Personality::OneupConnect { 7200 } else { 300 }),
            expires_in: ExpiresIn::True,
            token_endpoint_at: Host::Here,
            edition: Edition::Stu3,
            kick_off,
            running: Running {
                requests: 0,
                status: 202,
                word: Some("Running".to_owned()),
                listed: Listed::Nothing,
                retry_after: None,
            },
            ending: ExportEnd::Successful,
            resource_count: Count::True,
            transaction_time: "2026-01-02T03:04:05.678Z".to_owned(),
            page_size: None,
            organized_by: None,
            edit: None,
            files: Vec::new(),
            access: FileAccess::Token,
            tls: None,
            doors: Doors::default(),
            rules: Vec::new(),
        }
    }

    /// What ids, tokens and chances are drawn from; 1 unless set.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Scenario {
        self.seed = seed;
        self
    }

    /// The main listener's port; any that is free unless set.
    #[must_use]
    pub fn port(mut self, port: u16) -> Scenario {
        self.port = port;
        self
    }

    /// 1upHealth's tenant or customer, in its paths; `bison` unless set.
    #[must_use]
    pub fn tenant(mut self, tenant: &str) -> Scenario {
        tenant.clone_into(&mut self.tenant);
        self
    }

    /// The credentials that are accepted, instead of ones from the seed.
    #[must_use]
    pub fn client(mut self, id: &str, secret: &str) -> Scenario {
        self.client = Some((id.to_owned(), secret.to_owned()));
        self
    }

    /// How a client may authenticate.
    #[must_use]
    pub fn client_auth(mut self, accepted: &[ClientAuth]) -> Scenario {
        self.client_auth = accepted.to_vec();
        self
    }

    /// Whether a token is needed at all.
    #[must_use]
    pub fn door(mut self, door: Door) -> Scenario {
        self.door = door;
        if door == Door::Open {
            self.access = FileAccess::Open;
        }
        self
    }

    /// How long a token lives.
    #[must_use]
    pub fn token_lifetime(mut self, lifetime: Duration) -> Scenario {
        self.token_lifetime = lifetime;
        self
    }

    /// What the token endpoint says about it.
    #[must_use]
    pub fn expires_in(mut self, expires_in: ExpiresIn) -> Scenario {
        self.expires_in = expires_in;
        self
    }

    /// Which origin's token endpoint `smart-configuration` and `metadata` name.
    #[must_use]
    pub fn token_endpoint_at(mut self, host: Host) -> Scenario {
        self.token_endpoint_at = host;
        self
    }

    /// Which edition of the guide a SMART server follows; [`Edition::Stu3`] unless set.
    #[must_use]
    pub fn edition(mut self, edition: Edition) -> Scenario {
        self.edition = edition;
        self
    }

    /// How a kick-off is answered. Unless set: 1upHealth 202 with a text that names the other origin; SMART 202 with
    /// `Content-Location`.
    #[must_use]
    pub fn kick_off(mut self, status: u16, location: LocationIn, host: Host) -> Scenario {
        self.kick_off = KickOffAnswer { status, location, host };
        self
    }

    /// So many status requests find the export running. A faulty answer is none of them.
    #[must_use]
    pub fn running(mut self, requests: u32) -> Scenario {
        self.running.requests = requests;
        self
    }

    /// What those answers are: for instance `|running| running.status = 200`.
    #[must_use]
    pub fn running_as(mut self, change: impl FnOnce(&mut Running)) -> Scenario {
        change(&mut self.running);
        self
    }

    /// `Retry-After` of those answers.
    #[must_use]
    pub fn retry_after(mut self, after: impl Into<RetryAfter>) -> Scenario {
        self.running.retry_after = Some(after.into());
        self
    }

    /// How the export ends.
    #[must_use]
    pub fn ending(mut self, ending: ExportEnd) -> Scenario {
        self.ending = ending;
        self
    }

    /// 1upHealth's `resourceCount`.
    #[must_use]
    pub fn resource_count(mut self, count: Count) -> Scenario {
        self.resource_count = count;
        self
    }

    /// The manifest's; a fixed moment unless set.
    #[must_use]
    pub fn transaction_time(mut self, time: &str) -> Scenario {
        time.clone_into(&mut self.transaction_time);
        self
    }

    /// So many entries a page, joined by `link[relation=next]`.
    #[must_use]
    pub fn page_size(mut self, entries: usize) -> Scenario {
        self.page_size = Some(entries.max(1));
        self
    }

    /// `outputOrganizedBy`; the files' header lines are the caller's.
    #[must_use]
    pub fn organized_by(mut self, resource_type: &str) -> Scenario {
        self.organized_by = Some(resource_type.to_owned());
        self
    }

    /// Changes each manifest, and each page of one, before it is sent. Its URLs begin with `{origin}` or
    /// `{other_origin}`, which are filled in after that; `{plain_origin}` too.
    #[must_use]
    pub fn edit_manifest(mut self, edit: impl Fn(&mut Value) + Send + Sync + 'static) -> Scenario {
        self.edit = Some(Arc::new(edit));
        self
    }

    /// One more output file.
    #[must_use]
    pub fn file(mut self, file: ServedFile) -> Scenario {
        self.files.push(file);
        self
    }

    /// More output files.
    #[must_use]
    pub fn files(mut self, files: impl IntoIterator<Item = ServedFile>) -> Scenario {
        self.files.extend(files);
        self
    }

    /// All files of synthetic members, and their `transactionTime`.
    #[must_use]
    pub fn members(self, members: &Members) -> Scenario {
        let files = (0..members.files().len()).map(|place| ServedFile::generated(members, place));
        self.transaction_time(&members.transaction_time().to_string()).files(files)
    }

    /// Changes all files added so far.
    #[must_use]
    pub fn each_file(mut self, change: impl FnMut(ServedFile) -> ServedFile) -> Scenario {
        self.files = self.files.into_iter().map(change).collect();
        self
    }

    /// What files ask of `Authorization`, and so `requiresAccessToken`; [`FileAccess::Token`] unless set.
    #[must_use]
    pub fn file_access(mut self, access: FileAccess) -> Scenario {
        self.access = access;
        self
    }

    /// Over TLS.
    #[must_use]
    pub fn tls(mut self, tls: Tls) -> Scenario {
        self.tls = Some(tls);
        self
    }

    /// One more rule. Where several fire at a request, the first that was added decides.
    #[must_use]
    pub fn fault(mut self, target: impl Into<Target>, when: When, fault: Fault) -> Scenario {
        self.rules.push(Rule::new(target, when, fault));
        self
    }
}

/// Without the client's secret.
impl fmt::Debug for Scenario {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Scenario")
            .field("personality", &self.personality)
            .field("seed", &self.seed)
            .field("files", &self.files)
            .field("rules", &self.rules)
            .finish_non_exhaustive()
    }
}
