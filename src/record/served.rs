//! What the server's own log says of what happened there, as drafts.

use serde_json::{Map, Value, json};

use super::body::{Draft, MAX_BODY};
use super::disclosure;
use super::kind::Kind;
use super::value::{argv_value, bytes_value, integer};
use super::{hex, sha256};
use crate::approval::{Answer, Approver, Standing, Submitted, terms_value};
use crate::policy::{Assurance, Channel};
use crate::request::RequestId;

/// What a record may need beside its own fields: header, and digests of what is concealed.
const ROOM: usize = 4096;

/// What is nested deeper is told as text.
const DEEPEST: u8 = 6;

/// Where something stands among all that happened at the server, and how it is told.
#[derive(Clone, Copy, Debug)]
pub struct Happened<'a> {
    /// Its number, from 1.
    pub number: u64,
    /// When, in nanoseconds since 1970.
    pub at: i64,
    /// What: `request.created`, `login`, …
    pub what: &'a str,
    /// Whatever else there is to say.
    pub data: &'a Value,
    /// Random bytes that are stored nowhere: what salts digests comes from them.
    pub salt: &'a [u8; 16],
}

/// The request that something happened to.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The server's id of it: `req_` and a ULID.
    pub id: &'a str,
    /// What was asked.
    pub submitted: &'a Submitted,
    /// Who asked, as the server proved it: the way, the name, and the person, if it is somebody's.
    pub requester: (&'a str, &'a str, Option<&'a Approver>),
    /// The request whose approvals stand for it, where it is a use of a standing grant, and which use.
    pub grant: Option<(&'a str, u32)>,
}

/// One person's answer.
#[derive(Clone, Copy, Debug)]
pub struct Answered<'a> {
    /// Who.
    pub approver: &'a Approver,
    /// What they said.
    pub answer: Answer,
    /// How surely it was them.
    pub assurance: Assurance,
    /// By which way.
    pub channel: Channel,
    /// When, in nanoseconds since 1970.
    pub at: i64,
    /// The slots that they may fill.
    pub slots: &'a [String],
    /// Why, in their words.
    pub comment: &'a str,
    /// What they let run beyond the one request.
    pub standing: Option<&'a Standing>,
    /// What shows it to others.
    pub evidence: Option<&'a Value>,
}

/// People are asked.
pub fn created(happened: Happened<'_>, asked: Asked<'_>) -> Draft {
    let mut draft = about(Kind::Request, happened, asked);
    draft.fields.insert("terms".into(), terms_value(&asked.submitted.said().terms));
    fitting(draft, happened)
}

/// A person answered.
pub fn reviewed(happened: Happened<'_>, asked: Asked<'_>, answered: Answered<'_>) -> Draft {
    let mut draft = about(Kind::Review, happened, asked);
    let mut review = person(answered);
    review.insert("answer".into(), answered.answer.word().into());
    review.insert("slots".into(), answered.slots.into());
    if let Some(standing) = answered.standing {
        review.insert("standing".into(), standing.value());
    }
    if let Some(evidence) = answered.evidence {
        review.insert("evidence".into(), plain(evidence));
    }
    if !answered.comment.is_empty() {
        draft.disclosures.push(disclosure::conceal(
            &mut review,
            "comment",
            answered.comment.into(),
            seed(happened, Kind::Review, "comment"),
        ));
    }
    draft.fields.insert("review".into(), Value::Object(review));
    fitting(draft, happened)
}

/// It is decided: `approved`, `rejected`, `expired` or `cancelled`, by these answers.
pub fn decided(happened: Happened<'_>, asked: Asked<'_>, result: &str, answers: &[Answered<'_>]) -> Draft {
    let mut draft = about(Kind::Decision, happened, asked);
    let rules: Vec<Value> = asked
        .submitted
        .said()
        .rules
        .iter()
        .map(|rule| json!({ "id": rule.id, "layer": rule.layer, "effect": rule.effect, "risk": rule.risk }))
        .collect();
    let mut said = Map::from_iter([
        ("effect".to_owned(), Value::from("ask")),
        ("result".to_owned(), Value::from(result)),
        ("rules".to_owned(), rules.into()),
    ]);
    if let Some((request, nth)) = asked.grant {
        said.insert("grant".into(), json!({ "request": request, "use": nth }));
    }
    let approvals: Vec<&Answered<'_>> = answers.iter().filter(|one| one.answer == Answer::Approve).collect();
    if let Some(rejected) = answers.iter().find(|one| one.answer == Answer::Reject) {
        said.insert("by".into(), rejected.approver.to_string().into());
    }
    if !approvals.is_empty() {
        said.insert("approvers".into(), approvals.iter().map(|one| Value::Object(person(**one))).collect());
    }
    if let Some(least) = approvals.iter().map(|one| one.assurance).min() {
        said.insert("assurance".into(), least.word().into());
    }
    draft.fields.insert("decision".into(), Value::Object(said));
    fitting(draft, happened)
}

/// Something else became of it.
pub fn changed(happened: Happened<'_>, asked: Asked<'_>) -> Draft {
    let kind = if happened.what.starts_with("break_glass") { Kind::BreakGlass } else { Kind::RequestState };
    let mut draft = told(kind, happened);
    draft.request = request_id(asked.id);
    draft.fields.insert("digest".into(), asked.submitted.digest().to_string().into());
    server(&mut draft.fields, happened, Some(asked));
    fitting(draft, happened)
}

/// Something happened that is of no request, or of one that is not kept any more.
pub fn other(happened: Happened<'_>) -> Draft {
    let kind = match happened.what.split('.').next().unwrap_or_default() {
        "login" => Kind::Login,
        "logout" => Kind::Logout,
        "break_glass" => Kind::BreakGlass,
        "stop" => Kind::Stop,
        "config" => Kind::ConfigChange,
        _ => Kind::Server,
    };
    fitting(told(kind, happened), happened)
}

/// Something happened that no record can hold as it is.
pub fn untellable(happened: Happened<'_>) -> Draft {
    let data = happened.data.to_string();
    let mut fields = Map::from_iter([("whole".to_owned(), json!({ "sha256": hex(&sha256(&[data.as_bytes()])), "len": data.len() }))]);
    server(&mut fields, happened, None);
    Draft::new(Kind::Server, None, fields)
}

fn told(kind: Kind, happened: Happened<'_>) -> Draft {
    let mut fields = Map::from_iter([("what".to_owned(), Value::from(happened.what)), ("data".to_owned(), plain(happened.data))]);
    server(&mut fields, happened, None);
    let person = ["person", "approver", "by"].iter().find_map(|name| happened.data.get(name));
    if let Some((issuer, subject)) = person.and_then(|who| Some((who.get("issuer")?.as_str()?, who.get("subject")?.as_str()?))) {
        let who = Approver { issuer: issuer.to_owned(), subject: subject.to_owned() };
        fields.insert("actor".into(), json!({ "user": who.to_string() }));
    }
    Draft::new(kind, None, fields)
}

/// A draft with who, where and what. What the host says of itself is claimed; who asked is proved, and stands below `server`.
fn about(kind: Kind, happened: Happened<'_>, asked: Asked<'_>) -> Draft {
    let said = asked.submitted.said();
    let mut fields = Map::new();
    let mut actor = Map::from_iter([("uid".to_owned(), said.uid.into()), ("asker".to_owned(), said.asker.as_str().into())]);
    if !said.user.is_empty() {
        actor.insert("user".into(), said.user.as_str().into());
    }
    fields.insert("actor".into(), Value::Object(actor));
    fields.insert("host".into(), json!({ "name": said.host }));
    fields.insert("gate".into(), json!({ "version": env!("CARGO_PKG_VERSION") }));
    fields.insert("risk".into(), said.risk.word().into());
    fields.insert("digest".into(), asked.submitted.digest().to_string().into());
    let rules: Vec<&str> = said.rules.iter().map(|rule| rule.id.as_str()).collect();
    fields.insert("policy".into(), json!({ "rules": rules }));
    server(&mut fields, happened, Some(asked));
    let mut draft = Draft::new(kind, request_id(asked.id), fields);
    let command = command(happened, asked, &mut draft);
    draft.fields.insert("cmd".into(), command);
    draft
}

fn command(happened: Happened<'_>, asked: Asked<'_>, draft: &mut Draft) -> Value {
    let said = asked.submitted.said();
    let name = said.program.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    let mut command = Map::from_iter([
        ("program".to_owned(), bytes_value(name)),
        ("path".to_owned(), bytes_value(&said.program)),
        ("sha256".to_owned(), said.program_sha256.as_str().into()),
    ]);
    let (argv, blob) = argv_value(said.argv.iter().map(|word| word.shown.as_slice()));
    draft.blobs.extend(blob);
    let mut line = Map::from_iter([("argv".to_owned(), argv)]);
    if let Some(cwd) = &said.cwd {
        line.insert("cwd".into(), bytes_value(cwd));
    }
    draft.disclosures.push(disclosure::conceal_line(&mut command, line, seed(happened, draft.kind, "line")));
    Value::Object(command)
}

fn server(fields: &mut Map<String, Value>, happened: Happened<'_>, asked: Option<Asked<'_>>) {
    let mut server = Map::from_iter([("event".to_owned(), integer(happened.number)), ("at".to_owned(), integer(happened.at))]);
    if let Some(Asked { id, requester: (way, name, person), .. }) = asked {
        server.insert("request".into(), id.into());
        let mut requester = Map::from_iter([("way".to_owned(), Value::from(way)), ("name".to_owned(), Value::from(name))]);
        if let Some(person) = person {
            requester.insert("issuer".into(), person.issuer.as_str().into());
            requester.insert("subject".into(), person.subject.as_str().into());
        }
        server.insert("requester".into(), Value::Object(requester));
    }
    fields.insert("server".into(), Value::Object(server));
}

fn person(answered: Answered<'_>) -> Map<String, Value> {
    Map::from_iter([
        ("issuer".to_owned(), Value::from(answered.approver.issuer.as_str())),
        ("subject".to_owned(), answered.approver.subject.as_str().into()),
        ("channel".to_owned(), answered.channel.word().into()),
        ("assurance".to_owned(), answered.assurance.word().into()),
        ("at".to_owned(), integer(answered.at)),
        ("other_person".to_owned(), (answered.assurance > Assurance::Confirm).into()),
    ])
}

/// A ULID and a UUID are the same sixteen bytes, and records spell them as a UUID.
fn request_id(id: &str) -> Option<RequestId> {
    const ALPHABET: &[u8] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    let ulid = id.strip_prefix("req_").filter(|ulid| ulid.len() == 26 && ulid.as_bytes()[0] <= b'7')?;
    let number = ulid.bytes().try_fold(0_u128, |number, byte| {
        let digit = ALPHABET.iter().position(|known| *known == byte.to_ascii_uppercase())?;
        Some(number << 5 | u128::try_from(digit).ok()?)
    })?;
    RequestId::parse(&format!("{number:032x}"))
}

/// A seed of its own for each thing that one record commits to: erasing one tells nothing of another.
fn seed(happened: Happened<'_>, kind: Kind, what: &str) -> [u8; 16] {
    let hash = sha256(&[happened.salt, &happened.number.to_be_bytes(), kind.word().as_bytes(), b" ", what.as_bytes()]);
    std::array::from_fn(|at| hash[at])
}

/// A value as records may hold it: no nulls, no fractions, plain names, not deep.
fn plain(value: &Value) -> Value {
    shallow(value, 0)
}

fn shallow(value: &Value, depth: u8) -> Value {
    let name = |name: &str| name.chars().map(|c| if c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.') { c } else { '_' }).collect();
    match value {
        Value::Null => Value::from("none"),
        Value::Bool(_) | Value::String(_) => value.clone(),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => integer(number),
            (None, Some(number)) => integer(number),
            (None, None) => number.to_string().into(),
        },
        Value::Array(_) | Value::Object(_) if depth == DEEPEST => value.to_string().into(),
        Value::Array(all) => all.iter().map(|one| shallow(one, depth + 1)).collect(),
        Value::Object(all) => {
            let members = all.iter().filter(|(_, one)| !one.is_null());
            Value::Object(members.map(|(key, one)| (name(key), shallow(one, depth + 1))).collect())
        }
    }
}

/// The draft, or, where that does not fit into an entry, what it was about and the SHA-256 of what it would have said.
fn fitting(draft: Draft, happened: Happened<'_>) -> Draft {
    let whole = Value::Object(draft.fields.clone()).to_string();
    if whole.len() <= MAX_BODY - ROOM {
        return draft;
    }
    let mut fields = Map::new();
    for name in ["what", "digest", "risk"] {
        fields.extend(draft.fields.get(name).map(|value| (name.to_owned(), value.clone())));
    }
    if let Some(result) = draft.fields.get("decision").and_then(|decision| decision.get("result")) {
        fields.insert("decision".into(), json!({ "effect": "ask", "result": result }));
    }
    server(&mut fields, happened, None);
    fields.insert("whole".into(), json!({ "sha256": hex(&sha256(&[whole.as_bytes()])), "len": whole.len() }));
    Draft { fields, disclosures: Vec::new(), blobs: Vec::new(), ..draft }
}
