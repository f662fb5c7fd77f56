//! The doors beside the bulk export: search, the member's login, `$member-match`, and Patient Connect's own calls.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::member_match::{GroupAt, MatchAnswer};
use crate::members::{Members, Role};
use crate::scenario::Scenario;
use crate::served_file::ServedFile;

/// What the next page's URL looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NextLink {
    /// With scheme and host: the main origin's.
    Absolute,
    /// Path and query alone.
    Relative,
    /// The same page at the other origin.
    OtherOrigin,
    /// The URL of the page that it is in: a client that follows it never ends.
    ToItself,
}

/// The white space of a search's Bundle. The resources in it stay as they were given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BundleLayout {
    /// None.
    Compact,
    /// Lines and indentation.
    Indented,
}

/// What `Bundle.total` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Total {
    /// How many resources match.
    True,
    /// Nothing.
    Missing,
    /// So many more than match.
    Off(u64),
}

/// What the member does at the authorize endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Login {
    /// Consents at once: `code`, and `state` as it was given.
    Consents,
    /// Consents, but `state` is another one.
    WrongState,
    /// Consents, but `state` is missing.
    NoState,
    /// `error=access_denied`.
    Denies,
    /// `state` alone.
    NoCode,
}

pub(crate) type Matcher = Arc<dyn Fn(&Value) -> MatchAnswer + Send + Sync>;

/// The settings of all these doors.
#[derive(Clone)]
pub(crate) struct Doors {
    /// Each one resource's text.
    pub(crate) resources: Vec<String>,
    pub(crate) search_page_size: usize,
    pub(crate) next_link: NextLink,
    pub(crate) bundle_layout: BundleLayout,
    pub(crate) search_total: Total,
    /// Severity, code and text of each OperationOutcome on a search's first page.
    pub(crate) entry_outcomes: Vec<(String, String, String)>,

    pub(crate) login: Login,
    pub(crate) code_lifetime: Duration,
    /// None: until it is used, where it is used up.
    pub(crate) refresh_lifetime: Option<Duration>,
    pub(crate) rotate_refresh: bool,
    pub(crate) public_client: bool,
    pub(crate) patient_in_context: Option<String>,

    pub(crate) matcher: Matcher,
    /// Each group's id, and the places of its output files.
    pub(crate) groups: Vec<(String, Vec<usize>)>,

    pub(crate) systems: usize,
    pub(crate) systems_wrapped: bool,
    pub(crate) user_calls: Option<u32>,
    pub(crate) user_calls_retry_after: u64,
}

impl Default for Doors {
    fn default() -> Self {
        Doors {
            resources: Vec::new(),
            search_page_size: 50,
            next_link: NextLink::Absolute,
            bundle_layout: BundleLayout::Compact,
            search_total: Total::True,
            entry_outcomes: Vec::new(),
            login: Login::Consents,
            code_lifetime: Duration::from_secs(300),
            refresh_lifetime: None,
            rotate_refresh: true,
            public_client: false,
            patient_in_context: None,
            matcher: Arc::new(|_| MatchAnswer::Group { id: "group-1".to_owned(), at: GroupAt::TopLevel }),
            groups: Vec::new(),
            systems: 0,
            systems_wrapped: false,
            user_calls: None,
            user_calls_retry_after: 1,
        }
    }
}

/// Search.
impl Scenario {
    /// More resources that a search finds, each the JSON text of one. The text is sent byte for byte.
    #[must_use]
    pub fn resources(mut self, resources: impl IntoIterator<Item = String>) -> Scenario {
        self.doors.resources.extend(resources);
        self
    }

    /// A search finds the resources of these members, all of which are held in memory; lines of theirs that are no
    /// resources are left out.
    #[must_use]
    pub fn searchable(mut self, members: &Members) -> Scenario {
        for (place, file) in members.files().iter().enumerate() {
            if file.role != Role::Output {
                continue;
            }
            let (mut lines, mut line) = (members.open(place), Vec::new());
            while lines.next_into(&mut line) {
                let text = std::str::from_utf8(&line).unwrap_or_default().trim_start_matches('\u{feff}').trim();
                if crate::search::facts(text).is_some() {
                    self.doors.resources.push(text.to_owned());
                }
                line.clear();
            }
        }
        self
    }

    /// So many resources a page, unless `_count` asks for fewer; 50 unless set.
    #[must_use]
    pub fn search_page_size(mut self, resources: usize) -> Scenario {
        self.doors.search_page_size = resources.max(1);
        self
    }

    /// What `link[relation=next]` is; [`NextLink::Absolute`] unless set.
    #[must_use]
    pub fn next_link(mut self, next_link: NextLink) -> Scenario {
        self.doors.next_link = next_link;
        self
    }

    /// White space between a Bundle's members; [`BundleLayout::Compact`] unless set.
    #[must_use]
    pub fn bundle_layout(mut self, layout: BundleLayout) -> Scenario {
        self.doors.bundle_layout = layout;
        self
    }

    /// What `Bundle.total` says; [`Total::True`] unless set.
    #[must_use]
    pub fn search_total(mut self, total: Total) -> Scenario {
        self.doors.search_total = total;
        self
    }

    /// One more entry of mode `outcome`, an OperationOutcome, on the first page of each search.
    #[must_use]
    pub fn entry_outcome(mut self, severity: &str, code: &str, text: &str) -> Scenario {
        self.doors.entry_outcomes.push((severity.to_owned(), code.to_owned(), text.to_owned()));
        self
    }
}

/// The member's login, and the tokens that follow from it.
impl Scenario {
    /// What the member does; [`Login::Consents`] unless set.
    #[must_use]
    pub fn login(mut self, login: Login) -> Scenario {
        self.doors.login = login;
        self
    }

    /// How long a code lives; five minutes unless set.
    #[must_use]
    pub fn code_lifetime(mut self, lifetime: Duration) -> Scenario {
        self.doors.code_lifetime = lifetime;
        self
    }

    /// How long a refresh token lives; without end unless set.
    #[must_use]
    pub fn refresh_lifetime(mut self, lifetime: Duration) -> Scenario {
        self.doors.refresh_lifetime = Some(lifetime);
        self
    }

    /// Whether a refresh gives a new refresh token, with which the old one dies (the default), or gives none and
    /// leaves the old one alive.
    #[must_use]
    pub fn rotate_refresh(mut self, rotate: bool) -> Scenario {
        self.doors.rotate_refresh = rotate;
        self
    }

    /// The client needs no secret for a code or a refresh token.
    #[must_use]
    pub fn public_client(mut self) -> Scenario {
        self.doors.public_client = true;
        self
    }

    /// `patient` of the token answers that follow from a login.
    #[must_use]
    pub fn patient_in_context(mut self, id: &str) -> Scenario {
        self.doors.patient_in_context = Some(id.to_owned());
        self
    }
}

/// `$member-match` and groups.
impl Scenario {
    /// What the members of good requests come to, each told the whole `Parameters`; unless set, all are in `group-1`.
    #[must_use]
    pub fn match_members(mut self, matcher: impl Fn(&Value) -> MatchAnswer + Send + Sync + 'static) -> Scenario {
        self.doors.matcher = Arc::new(matcher);
        self
    }

    /// A group with output files of its own, which its export has alone. Once there is any group, the kick-off of one
    /// that is not there is answered 404; without, each group has all files.
    #[must_use]
    pub fn group(mut self, id: &str, files: impl IntoIterator<Item = ServedFile>) -> Scenario {
        let first = self.files.len();
        self.files.extend(files);
        let places = (first..self.files.len()).collect();
        self.doors.groups.push((id.to_owned(), places));
        self
    }
}

/// Patient Connect's systems and users.
impl Scenario {
    /// So many systems, invented from the seed.
    #[must_use]
    pub fn systems(mut self, systems: usize) -> Scenario {
        self.doors.systems = systems;
        self
    }

    /// Whether systems come inside `{"results": […]}` or as a bare array (the default).
    #[must_use]
    pub fn systems_wrapped(mut self, wrapped: bool) -> Scenario {
        self.doors.systems_wrapped = wrapped;
        self
    }

    /// After so many calls about users comes 429, until its `Retry-After` is over; then as many more are answered.
    #[must_use]
    pub fn user_calls(mut self, calls: u32) -> Scenario {
        self.doors.user_calls = Some(calls);
        self
    }

    /// That `Retry-After`; one second unless set.
    #[must_use]
    pub fn user_calls_retry_after(mut self, seconds: u64) -> Scenario {
        self.doors.user_calls_retry_after = seconds;
        self
    }
}
