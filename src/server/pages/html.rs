//! The pages as templates: compiled in, and escaping everything.

use askama::Template;

use super::assets;
use super::view::{Card, Field, Moment, Row};
use super::viewer::{May, Viewer};
use crate::policy::Assurance;
use crate::server::model::Wall;

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
}

impl Framed for Inbox<'_> {}

impl Inbox<'_> {
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

/// Approvals that cover more than one request: there are none.
#[derive(Template)]
#[template(path = "serve/grants.html")]
pub struct Grants<'a> {
    /// The frame.
    pub page: Page<'a>,
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
}

impl Framed for Settings<'_> {}

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
