//! Who calls the API: proved before a handler sees the request.

use std::sync::Arc;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::problem::Problem;
use crate::approval::{Approver, sha256};
use crate::key::Vkey;
use crate::policy::Assurance;
use crate::server::app::{App, kept_as};
use crate::server::duties::{self, ActsFor};
use crate::server::identity::tokens::{self, Scope};
use crate::server::identity::{self, SignedOn, groups_now, session};
use crate::server::listen::{ClientName, Peer};
use crate::server::model::{Requester, Wall};
use crate::server::store::Item;
use crate::text::hex;

/// What a body may be long at most.
const LONGEST_BODY: usize = 512 * 1024;

/// How far a host's clock may be from the server's, in seconds.
const CLOCKS: u64 = 300;

/// Somebody who signed on.
#[derive(Clone, Debug)]
pub struct Person {
    /// Who.
    pub approver: Approver,
    /// What to call them; never used to decide anything.
    pub name: String,
    /// The slots that they may fill now.
    pub slots: Vec<String>,
    /// How surely it is them.
    pub assurance: Assurance,
    /// When that was proved.
    pub proved: Wall,
    /// Whether this sign-on may decide.
    pub decides: bool,
    /// The most that counts by this sign-on, whatever is shown with it.
    pub most: Assurance,
    /// In whose place they may decide, too.
    pub acts_for: Vec<ActsFor>,
}

impl Person {
    /// A person with a session.
    pub fn signed_on(on: SignedOn, now: Wall) -> Self {
        let assurance = on.assurance(now);
        // Who does not say when they proved it proved it at no time that is fresh.
        Self {
            approver: on.person,
            name: on.name,
            slots: on.slots,
            assurance,
            proved: on.proved.unwrap_or_default(),
            decides: true,
            most: Assurance::Hardware,
            acts_for: Vec::new(),
        }
    }
}

/// Who calls: as a requester, as a person, or as both.
#[derive(Clone, Debug, Default)]
pub struct Caller {
    /// Whose requests these are.
    pub requester: Option<Requester>,
    /// Who looks at them.
    pub person: Option<Person>,
}

impl Caller {
    /// The requester, or the problem that there is none.
    pub fn requester(&self) -> Result<&Requester, Problem> {
        self.requester.as_ref().ok_or_else(|| Problem::unauthenticated("a host or a login has to ask this"))
    }

    /// The person, or the problem that there is none.
    pub fn person(&self) -> Result<&Person, Problem> {
        self.person.as_ref().ok_or_else(|| Problem::unauthenticated("a person has to sign on for this"))
    }

    /// The person who may decide by this sign-on, or the problem that there is none.
    pub fn decider(&self) -> Result<&Person, Problem> {
        match &self.person {
            Some(person) if person.decides => Ok(person),
            None if self.requester.as_ref().is_none_or(|requester| requester.way != "login") => self.person(),
            _ => Err(Problem::forbidden("this login may ask, and not decide; `gate login --decide` makes one that may")),
        }
    }
}

/// Proves who calls, and hands that on. Nobody at all is refused.
pub(super) async fn authenticate(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, LONGEST_BODY).await else {
        return Problem::too_large().into_response();
    };
    let client = parts.extensions.get::<Peer>().and_then(|peer| peer.certificate.clone());
    let proved = async { with_others(&app, caller(&app, client.as_ref(), &parts, &body).await?).await };
    match proved.await {
        Ok(caller) => {
            let proof = Proof { headers: parts.headers.clone(), client };
            let mut request = Request::from_parts(parts, Body::from(body));
            request.extensions_mut().insert(caller.clone());
            request.extensions_mut().insert(proof);
            let mut answer = next.run(request).await;
            // What one caller may see is kept for no other.
            answer.headers_mut().entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
            // Whoever writes down what was answered may say to whom.
            answer.extensions_mut().insert(caller);
            answer
        }
        Err(problem) => problem.into_response(),
    }
}

/// The caller with those in whose place they may decide.
async fn with_others(app: &App, mut caller: Caller) -> Result<Caller, Problem> {
    if let Some(person) = &mut caller.person {
        person.acts_for = duties::acts_for(app, &person.approver).await?;
    }
    Ok(caller)
}

/// What somebody showed, to be looked at again while an answer to them goes on.
#[derive(Clone)]
pub(super) struct Proof {
    headers: HeaderMap,
    client: Option<ClientName>,
}

impl Proof {
    /// Who it shows now; nobody where the login, the session or the host's key has ended meanwhile.
    pub(super) async fn again(&self, app: &App) -> Option<Caller> {
        let caller = match authorization(&self.headers).ok()? {
            // The signature was of another moment; whose key it is may have changed.
            Some(("Gate-Host", signed)) => {
                let requester = known_host(app, &Vkey::parse(part(signed, "key")?).ok()?, app.now().ok()?).await.ok()??;
                Caller { requester: Some(requester), person: None }
            }
            given => plainly(app, self.client.as_ref(), &Method::GET, &self.headers, given).await.ok()?,
        };
        with_others(app, caller).await.ok()
    }
}

async fn caller(app: &App, client: Option<&ClientName>, parts: &Parts, body: &Bytes) -> Result<Caller, Problem> {
    let (method, headers) = (&parts.method, &parts.headers);
    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
    match authorization(headers)? {
        Some(("Gate-Host", signed)) => host(app, method, target, signed, body).await,
        given => plainly(app, client, method, headers, given).await,
    }
}

/// The scheme and what it is given. Two of them are none: a proxy may have looked at the other one.
fn authorization(headers: &HeaderMap) -> Result<Option<(&str, &str)>, Problem> {
    let unknown = || Problem::unauthenticated("the header `Authorization` is of no kind that is known here, or there twice");
    let mut all = headers.get_all(header::AUTHORIZATION).iter();
    match (all.next(), all.next()) {
        (None, _) => Ok(None),
        (Some(one), None) => one.to_str().ok().and_then(|one| one.split_once(' ')).map(Some).ok_or_else(unknown),
        _ => Err(unknown()),
    }
}

/// Everybody who shows the same with each call.
async fn plainly(
    app: &App,
    client: Option<&ClientName>,
    method: &Method,
    headers: &HeaderMap,
    given: Option<(&str, &str)>,
) -> Result<Caller, Problem> {
    match given {
        Some(("Bearer", token)) if token.starts_with(tokens::PREFIX) => login(app, token).await,
        Some(("Bearer", token)) => {
            let requester = identity::requester(&app.identity, token, app.now()?).await.map_err(not_proved)?;
            Ok(Caller { requester: Some(requester), person: None })
        }
        None => match certified(app, client) {
            Some(requester) => Ok(Caller { requester: Some(requester), person: None }),
            None => browser(app, method, headers).await,
        },
        _ => Err(Problem::unauthenticated("the header `Authorization` is of no kind that is known here")),
    }
}

/// A browser with a session; what changes something has to come from the server's own page.
async fn browser(app: &App, method: &Method, headers: &HeaderMap) -> Result<Caller, Problem> {
    let now = app.now()?;
    let session = session::read(&app.identity, &*app.store, headers, now).await.map_err(|error| signed_off(&error))?;
    let session = session.ok_or_else(|| Problem::unauthenticated("the header `Authorization` is missing, and nobody is signed on"))?;
    if method == Method::GET {
        return Ok(Caller { requester: None, person: Some(Person::signed_on(session.into_signed_on(), now)) });
    }
    if !session.vouches(&app.identity, headers, None) {
        return Err(Problem::forbidden("this did not come from the server's own page"));
    }
    // Groups are those of the moment of the decision.
    let on = groups_now(&app.identity, &*app.store, session.into_signed_on(), now).await.map_err(|error| signed_off(&error))?;
    Ok(Caller { requester: None, person: Some(Person::signed_on(on, now)) })
}

/// A command line that a person let act as them: it asks as them, and decides where they let it.
async fn login(app: &App, token: &str) -> Result<Caller, Problem> {
    let now = app.now()?;
    let login = tokens::check(&app.identity, &*app.store, token, now).await.map_err(not_proved)?;
    let login = login.ok_or_else(|| Problem::unauthenticated("this login is not known, or has ended; `gate login` makes a new one"))?;
    let name = login.person.named();
    let requester = Requester { way: "login".to_owned(), name, person: Some(login.person.clone()), job: None };
    let person = match login.scope {
        Scope::Request => None,
        Scope::Decide => {
            let on = tokens::decider(&app.identity, &*app.store, &login, now).await.map_err(|error| signed_off(&error))?;
            // Whoever sent the code of a device login may have been somebody else than whoever typed it.
            let most = if login.device { Assurance::SecondPerson } else { Assurance::Hardware };
            Some(Person { most, ..Person::signed_on(on, now) })
        }
    };
    Ok(Caller { requester: Some(requester), person })
}

/// A machine with a certificate whose name the configuration has.
fn certified(app: &App, client: Option<&ClientName>) -> Option<Requester> {
    let name = client?.to_string();
    let known = app.settings.clients.iter().find(|known| known.name == name)?;
    Some(Requester { way: "mtls".to_owned(), name, person: known.person.as_deref().and_then(Approver::parse), job: None })
}

fn not_proved(error: identity::Error) -> Problem {
    match error {
        identity::Error::Store(_) | identity::Error::System(_) | identity::Error::Unreachable(_) => Problem::unavailable(),
        other => Problem::unauthenticated(crate::text::escape(other.to_string().as_bytes())),
    }
}

fn signed_off(error: &identity::Error) -> Problem {
    match error {
        identity::Error::Ended => Problem::unauthenticated(error.to_string()),
        _ => Problem::unavailable(),
    }
}

/// The bytes that a host's log key signs for a call at a moment: seconds since 1970, with a fraction.
pub fn host_signs(method: &str, target: &str, at: &str, body: &[u8]) -> String {
    format!("gate-host-request-v1\n{method}\n{target}\n{at}\n{}\n", hex(&sha256(body)))
}

/// `NAME="VALUE"` of a header.
fn part<'a>(signed: &'a str, name: &str) -> Option<&'a str> {
    signed.split(", ").find_map(|part| part.strip_prefix(name)?.strip_prefix("=\"")?.strip_suffix('"'))
}

/// A host that signs with its log's key, which an operator or a login has made known.
async fn host(app: &App, method: &Method, target: &str, signed: &str, body: &Bytes) -> Result<Caller, Problem> {
    let refused = || Problem::unauthenticated("the host's signature does not hold");
    let part = |name: &str| part(signed, name).ok_or_else(refused);
    let (name, at, signature) = (part("key")?, part("at")?, part("signature")?);
    let key = Vkey::parse(name).map_err(|_| refused())?;
    let signature = STANDARD.decode(signature).map_err(|_| refused())?;
    if !key.public().verifies(host_signs(method.as_str(), target, at, body).as_bytes(), &signature) {
        return Err(refused());
    }
    let now = app.now()?;
    // The fraction only keeps two equal calls apart.
    let seconds: u64 = at.split('.').next().and_then(|seconds| seconds.parse().ok()).ok_or_else(refused)?;
    if seconds.abs_diff(u64::try_from(now / 1_000_000_000).unwrap_or_default()) > CLOCKS {
        return Err(Problem::unauthenticated("the host's clock and the server's are more than 5 minutes apart"));
    }
    let Some(requester) = known_host(app, &key, now).await? else {
        return Err(Problem::unauthenticated(
            "this host's key is not known here; `gate login` makes it known, or `[[host]]` in the server's configuration",
        ));
    };
    // What only reads may be read again; what changes something is taken once.
    if method != Method::GET {
        let seen = Item {
            kind: "host_seen",
            key: kept_as(&signature),
            owner: String::new(),
            handle: String::new(),
            data: String::new(),
            expires: now.saturating_add(2 * i64::try_from(CLOCKS).unwrap_or_default() * 1_000_000_000),
        };
        if !app.store.put_new(seen, now).await? {
            return Err(Problem::unauthenticated("this very call came before"));
        }
    }
    Ok(Caller { requester: Some(requester), person: None })
}

async fn known_host(app: &App, key: &Vkey, now: Wall) -> Result<Option<Requester>, Problem> {
    let vkey = key.to_string();
    let requester = |person| Requester { way: "host".to_owned(), name: key.short(), person, job: None };
    if let Some(host) = app.settings.hosts.iter().find(|host| host.key == vkey) {
        return Ok(Some(requester(host.person.as_deref().and_then(Approver::parse))));
    }
    let known = app.store.item("host_key", &vkey, now).await?;
    Ok(known.and_then(|item| Approver::parse(&item.owner)).map(|person| requester(Some(person))))
}
