//! The pages as templates: compiled in, and escaping everything.

use askama::Template;

use super::assets;
use super::view::{Card, Field, Moment, Row};
use super::viewer::{Glass, May, Viewer};
use crate::policy::Assurance;
use crate::server::model::Wall;
use crate::server::webhook::dead::Dead;

/// What every page has.
#[derive(Clone, Debug)]
pub struct Page<'a> {
    /// Its path, for the navigation.
    pub path: &'static str,
    /// Who looks at it; none before sign-on.
    pub viewer: Option<&'a Viewer>,
    /// The server's time in milliseconds since 1970, so that clocks on the page run by it.
    pub now: i64,
    /// Where the style sheet is.
    pub css: &'static str,
    /// Where the script is.
    pub js: &'static str,
}

impl<'a> Page<'a> {
    /// The frame of a page.
    pub fn new(path: &'static str, viewer: Option<&'a Viewer>, now: Wall) -> Self {
        Self { path, viewer, now: now / 1_000_000, css: assets::css(), js: assets::js() }
    }
}

const PAGES: [(&str, &str); 5] = [
    ("/inbox", "Inbox"),
    ("/history", "History"),
    ("/people", "Who may decide"),
    ("/grants", "Standing grants"),
    ("/settings", "Settings"),
];

/// What the frame asks of each page.
trait Framed {
    /// The pages of the navigation: path and name.
    fn pages(&self) -> &'static [(&'static str, &'static str)] {
        &PAGES
    }
}

/// Requests that wait.
#[derive(Template)]
#[template(path = "serve/inbox.html")]
pub struct Inbox<'a> {
    /// The frame.
    pub page: Page<'a>,
    /// The requests.
    pub rows: Vec<Row>,
    /// Where the next page begins.
    pub next: Option<String>,
    /// How many reviews of broken glass the viewer is asked for.
    pub owed: usize,
}

impl Framed for Inbox<'_> {}

impl Inbox<'_> {
    /// Whether the emergency stop stands.
    fn stopped(&self) -> bool {
        self.page.viewer.is_some_and(|viewer| viewer.stopped.is_some())
    }

    /// How many wait; on one of several pages nobody counted all.
    fn waiting(&self) -> String {
        format!("{}{}", self.rows.len(), if self.next.is_some() { "+" } else { "" })
    }
}

/// Requests that are over.
#[derive(Template)]
#[template(path = "serve/history.html")]
pub struct History<'a> {
    /// The frame.
    pub page: Page<'a>,
    /// The requests.
    pub rows: Vec<Row>,
    /// Where the next page begins.
    pub next: Option<String>,
}

impl Framed for History<'_> {}

/// One request.
#[derive(Template)]
#[template(path = "serve/card.html")]
pub struct CardPage<'a> {
    /// The frame.
    pub page: Page<'a>,
    /// The request.
    pub card: Card,
}

impl Framed for CardPage<'_> {}

impl CardPage<'_> {
    /// What the button says that approves.
    fn approve(&self) -> &'static str {
        match &self.card.may {
            May::Decide { assurance: Assurance::Passkey, .. } => "Approve with a passkey",
            May::Decide { assurance: Assurance::Hardware, .. } => "Approve with a hardware key",
            _ => "Approve",
        }
    }

    /// What came of it.
    fn ended(&self) -> &'static str {
        match self.card.row.state {
            "approved" => "Enough people approved. It may run once.",
            "rejected" => "It does not run.",
            "expired" => "Nobody decided in time, or the approval was not used in time. It does not run.",
            "cancelled" if self.card.drawn.is_some() => "The standing grant was ended, or the requester gave up. It does not run.",
            "cancelled" => "The requester gave up. It does not run.",
            "consumed" => "The approval was used, and cannot be used again.",
            _ => "",
        }
    }
}

/// A team and its members.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Team {
    /// `team sre`.
    pub name: String,
    /// Groups and people: kind or name, and what the issuer calls it.
    pub members: Vec<Field>,
    /// Whether the viewer is in it.
    pub mine: bool,
}

/// Who may decide.
#[derive(Template)]
#[template(path = "serve/people.html")]
pub struct People<'a> {
    /// The frame.
    pub page: Page<'a>,
    /// The teams.
    pub teams: Vec<Team>,
}

impl Framed for People<'_> {}

/// A standing grant in the list of them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GrantRow {
    /// The request that was approved so.
    pub row: Row,
    /// The words of its command, and whether each may be another.
    pub words: Vec<(String, bool)>,
    /// How many uses are left.
    pub left: u32,
    /// Of how many.
    pub uses: u32,
    /// Until when, in milliseconds since 1970, and how long that is.
    pub until: (i64, String),
}

/// Approvals that cover more than one request.
#[derive(Template)]
#[template(path = "serve/grants.html")]
pub struct Grants<'a> {
    /// The frame.
    pub page: Page<'a>,
    /// Those that have not ended, the oldest first.
    pub rows: Vec<GrantRow>,
    /// Where the next page begins.
    pub next: Option<String>,
}

impl Framed for Grants<'_> {}

/// A passkey as its owner sees it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PasskeyView {
    /// The credential's id, in base64url.
    pub id: String,
    /// What its owner calls it.
    pub name: String,
    /// What it is.
    pub about: String,
    /// When it was registered.
    pub at: Moment,
    /// What `gate approvers add` takes.
    pub line: String,
}

/// That somebody decides in another person's place, as the two of them see it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DelegationView {
    /// Its id.
    pub id: String,
    /// Whether the viewer gave it.
    pub given: bool,
    /// The other one.
    pub who: String,
    /// By which slots.
    pub slots: String,
    /// Until when, in milliseconds since 1970, and how long that is.
    pub until: (i64, String),
    /// Why.
    pub reason: String,
}

/// What somebody may give to others for a while.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Giving {
    /// Their slots: what the API takes, and what people read.
    pub slots: Vec<(String, String)>,
    /// People to choose from: `ISSUER#SUBJECT`, and what to call them.
    pub people: Vec<(String, String)>,
    /// How long at most.
    pub longest: String,
}

/// The viewer's own settings.
#[derive(Template)]
#[template(path = "serve/settings.html")]
pub struct Settings<'a> {
    /// The frame.
    pub page: Page<'a>,
    /// The viewer's passkeys.
    pub passkeys: Vec<PasskeyView>,
    /// Whether passkeys can be used at the server's address at all.
    pub possible: bool,
    /// Who decides in whose place.
    pub delegations: Vec<DelegationView>,
    /// What the viewer may give; none where the configuration lets nobody.
    pub giving: Option<Giving>,
}

impl Framed for Settings<'_> {}

/// A review of broken glass that is owed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OwedRow {
    /// The request.
    pub id: String,
    /// Its command on one line.
    pub command: String,
    /// Who broke it.
    pub by: String,
    /// Why.
    pub reason: String,
    /// When.
    pub at: Moment,
}

/// A host that the witness knows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HostRow {
    /// Its log's name and the key's number.
    pub key: String,
    /// Whose it is.
    pub person: String,
    /// `forked`, `back`, `good` or `unseen`.
    pub class: &'static str,
    /// How its log stands, in a word.
    pub stands: &'static str,
    /// The same in a sentence.
    pub about: String,
}

/// The configuration and who confirms it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConfigurationView {
    /// SHA-256 of the one in force.
    pub in_force: String,
    /// SHA-256 of the file's.
    pub file: String,
    /// Who confirmed the file's.
    pub confirmed_by: Vec<String>,
    /// Whether the viewer did.
    pub mine: bool,
}

/// What administrators look after.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Run {
    /// The hosts.
    pub hosts: Vec<HostRow>,
    /// Webhooks that never arrived.
    pub dead: Vec<Dead>,
    /// The configuration.
    pub configuration: ConfigurationView,
}

/// What a few people look after for the whole server.
#[derive(Template)]
#[template(path = "serve/server.html")]
pub struct Server<'a> {
    /// The frame.
    pub page: Page<'a>,
    /// Whether the viewer may stop everything, and lift that.
    pub stops: bool,
    /// Reviews that are owed; none where others give them.
    pub owed: Option<Vec<OwedRow>>,
    /// What administrators see.
    pub run: Option<Run>,
}

impl Framed for Server<'_> {}

impl Server<'_> {
    /// Whether the viewer wants to lift the stop already.
    fn lifts(&self) -> bool {
        let lifted_by = self.page.viewer.and_then(|viewer| Some((&viewer.stopped.as_ref()?.lifted_by, viewer.person.named())));
        lifted_by.is_some_and(|(people, me)| people.contains(&me))
    }
}

/// Something that went wrong.
#[derive(Template)]
#[template(path = "serve/error.html")]
pub struct Failed<'a> {
    /// The frame.
    pub page: Page<'a>,
    /// What.
    pub title: &'static str,
    /// What to do about it.
    pub detail: String,
}

impl Framed for Failed<'_> {}
