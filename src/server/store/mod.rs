//! Where the server keeps what it must not lose. One trait, so that several replicas may share another database later.

use std::fmt;
use std::pin::Pin;
use std::time::Duration;

use serde_json::Value;

use super::model::{Event, Kept, KeptReview, State, Wall};

mod duties;
mod group;
mod memo;
mod rows;
mod schema;
mod sqlite;
mod standing;
pub use sqlite::Sqlite;
pub use standing::Granted;

/// Why the store cannot answer.
#[derive(Debug)]
pub struct Unavailable(pub String);

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the store cannot be used: {}", self.0)
    }
}

/// What came of creating a request.
#[derive(Clone, Debug)]
pub enum Created {
    /// It is new.
    New(Kept),
    /// The same key of the same requester waits already, or was approved and not used yet.
    Again(Kept),
    /// Nothing may be asked now.
    Stopped,
    /// The same was rejected, cancelled or used a moment ago; it may be asked again then.
    Cooling(Wall),
    /// The requester has as many waiting as they may.
    TooMany,
}

/// How much a requester may ask, and how soon again.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Limits {
    /// How long a key stays taken after a rejection.
    pub rejected: Duration,
    /// How long after the requester gave up.
    pub cancelled: Duration,
    /// How long after the approval was used.
    pub consumed: Duration,
    /// How many of one requester may wait at once; 0 for any number.
    pub waiting: usize,
}

/// The item that stands while an emergency stop lasts; its key is empty.
pub const STOP: &str = "stop";

/// Items of approvals by break-glass whose review is owed; their key is the request's id.
pub const BREAK_GLASS: &str = "break_glass";

/// Items of standing grants; their key is the id of the request that was approved so.
pub const GRANT: &str = "grant";

/// What came of changing a request.
#[derive(Clone, Debug)]
pub enum Changed {
    /// It changed; this is how it stands now.
    To(Kept),
    /// It was not in a state for that; this is how it stands.
    Not(Kept),
    /// There is no such request.
    Missing,
}

/// What a review does to its request, worked out by the caller's pure rule inside the transaction.
#[derive(Clone, Debug)]
pub enum Effect {
    /// It counts, and the request waits on.
    Waits,
    /// It was enough: approved, to be used until then.
    Approved {
        /// The end.
        until: Wall,
    },
    /// It rejects the request.
    Rejected,
    /// It does not count, and is not kept: why.
    Refused(&'static str),
}

/// Which requests to list, the newest first.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only those in these states; empty for all.
    pub states: Vec<State>,
    /// Only those of this requester (way, name).
    pub requester: Option<(String, String)>,
    /// Only those of which [`crate::approval::Said::alike`] says this.
    pub alike: Option<String>,
    /// Only those older than this id.
    pub before: Option<String>,
    /// At most so many.
    pub limit: usize,
}

/// Something small that is kept under a key until a time: a session, a sign-on under way, a token, a nonce.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Item {
    /// Which kind: keys are looked up within it.
    pub kind: &'static str,
    /// SHA-256 of what the other side holds, in hex, or a name.
    pub key: String,
    /// Whose it is, for finding all of one person: `ISSUER#SUBJECT`, or nothing.
    pub owner: String,
    /// A second handle, such as the provider's `sid`, or nothing.
    pub handle: String,
    /// JSON.
    pub data: String,
    /// After this it is as good as gone.
    pub expires: Wall,
}

/// An answer that takes a while.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, Unavailable>> + Send + 'a>>;

/// The pure rule by which a review is judged; it may be asked again where a transaction has to be repeated.
pub type Judge = Box<dyn Fn(&Kept, &KeptReview) -> Effect + Send + Sync>;

/// How a request changes: the event's kind and data, or none to leave it as it is.
pub type Change = Box<dyn Fn(&mut Kept) -> Option<(&'static str, Value)> + Send + Sync>;

/// An item after it was changed, with the event that tells of it.
#[derive(Clone, Debug)]
pub struct Amended {
    /// The item now; none where it is dropped.
    pub item: Option<Item>,
    /// The event's kind.
    pub kind: &'static str,
    /// What else the event tells.
    pub data: Value,
}

/// How an item changes, or comes to be; none to leave everything as it is.
pub type Amend = Box<dyn Fn(Option<&Item>) -> Option<Amended> + Send + Sync>;

/// What keeps all this. Each call is one transaction that is on disk when it returns.
pub trait Store: Send + Sync + 'static {
    /// Adds a request unless its key is taken or everything is stopped, with the event `request.created`.
    fn create(&self, request: Kept) -> Answer<'_, Created> {
        self.create_within(request, Limits::default())
    }
    /// The same within limits; what came before it is put down in its plan.
    fn create_within(&self, request: Kept, limits: Limits) -> Answer<'_, Created>;
    /// Reads one.
    fn request(&self, id: &str) -> Answer<'_, Option<Kept>>;
    /// Lists them.
    fn list(&self, filter: Filter) -> Answer<'_, Vec<Kept>>;
    /// How many are in a state, as last written.
    fn count(&self, state: State) -> Answer<'_, u64>;
    /// Adds a review to a pending request. `judge` sees the request as it stands inside the transaction, this review not among its reviews.
    fn review(&self, id: &str, review: KeptReview, judge: Judge) -> Answer<'_, Reviewed>;
    /// Changes a request inside a transaction at a moment.
    fn change(&self, id: &str, at: Wall, change: Change) -> Answer<'_, Changed>;
    /// Requests that are pending or approved and ran out before `now`: written down as expired, with events; their ids.
    fn expire(&self, now: Wall, limit: usize) -> Answer<'_, Vec<String>>;
    /// Pending requests of which something is due to be told, the longest due first.
    fn due(&self, now: Wall, limit: usize) -> Answer<'_, Vec<Kept>>;
    /// Stops everything: all requests that wait, or wait to be used, are rejected with this review, and from then on none is created
    /// while the item [`STOP`] stands. The ids of the rejected; none if it stands already.
    fn stop(&self, stop: Item, review: KeptReview) -> Answer<'_, Option<Vec<String>>>;
    /// Changes an item inside a transaction, with an event: whether it was changed, and the item as it is then.
    fn amend(&self, kind: &'static str, key: &str, at: Wall, amend: Amend) -> Answer<'_, (bool, Option<Item>)>;
    /// Adds an event that is of no request's state.
    fn event(&self, kind: &'static str, at: Wall, data: Value) -> Answer<'_, u64>;
    /// Events after a number, the oldest first.
    fn events(&self, after: u64, limit: usize) -> Answer<'_, Vec<Event>>;
    /// How far a reader of events has come.
    fn cursor(&self, reader: &str) -> Answer<'_, u64>;
    /// Notes how far it has come.
    fn advance(&self, reader: &str, seq: u64) -> Answer<'_, ()>;
    /// Keeps an item; one with the same kind and key is replaced.
    fn put(&self, item: Item) -> Answer<'_, ()>;
    /// Keeps an item unless there is one that has not run out: whether it was kept.
    fn put_new(&self, item: Item, now: Wall) -> Answer<'_, bool>;
    /// Keeps an item if what is kept under its kind and key has this data, or, where none is given, if nothing is kept: whether it was kept.
    fn swap(&self, before: Option<&str>, item: Item) -> Answer<'_, bool>;
    /// Reads an item that has not run out.
    fn item(&self, kind: &'static str, key: &str, now: Wall) -> Answer<'_, Option<Item>>;
    /// Takes an item out: of several takers one gets it.
    fn take(&self, kind: &'static str, key: &str, now: Wall) -> Answer<'_, Option<Item>>;
    /// All items of a kind, of one owner if given, that have not run out.
    fn items(&self, kind: &'static str, owner: Option<&str>, now: Wall) -> Answer<'_, Vec<Item>>;
    /// Drops all items of a kind with this owner (and handle, if given): how many.
    fn drop_items(&self, kind: &'static str, owner: &str, handle: Option<&str>) -> Answer<'_, usize>;
    /// Drops all items that ran out: how many.
    fn sweep(&self, now: Wall) -> Answer<'_, usize>;
}

/// What came of a review.
#[derive(Clone, Debug)]
pub enum Reviewed {
    /// It was kept; this is how the request stands now.
    Kept(Kept),
    /// The request is over, or the approver said so already: this is how it stands.
    Late(Kept),
    /// It does not count: why.
    Refused(&'static str),
    /// There is no such request.
    Missing,
}
