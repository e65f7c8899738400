//! The thread's part: makes the request, follows it, and takes it back when told to.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Duration;

use reqwest::Method;
use tokio::sync::mpsc::UnboundedReceiver;

use super::http::{self, Call, Failed, Problem};
use super::view::{State, View};
use super::{Client, End, News, Order, PATIENCE, Submission, since_boot, target};
use crate::sys::wake::Bell;

/// How long the server may keep an answer back while nothing changes, and how long the answer may take then.
const POLL: &str = "?wait=25";
const POLL_PATIENCE: Duration = Duration::from_secs(40);

/// An answer that nothing changed is not kept back if it comes this soon.
const AT_ONCE: Duration = Duration::from_secs(1);

/// How long a server that never answered is tried.
const FIRST_CONTACT: Duration = Duration::from_secs(10);

/// How long a request is tried to be taken back.
const FAREWELL: Duration = Duration::from_secs(3);

/// Tells the one who waits, and wakes them.
pub(super) struct Teller {
    news: Sender<News>,
    bell: Arc<Bell>,
}

impl Teller {
    pub(super) fn new(news: Sender<News>, bell: Arc<Bell>) -> Self {
        Self { news, bell }
    }

    pub(super) fn say(&self, news: News) {
        // Nobody listens only where nobody waits any more.
        let _ = self.news.send(news);
        self.bell.ring();
    }
}

/// Follows the request until it is decided or an order comes.
pub(super) async fn work(
    client: &Client,
    submission: Submission,
    teller: Teller,
    mut orders: UnboundedReceiver<Order>,
    kept: impl FnOnce(&str),
) {
    let known = RefCell::new(submission.id.clone());
    let order = tokio::select! {
        order = orders.recv() => order,
        () = follow(client, &submission, &teller, &known, kept) => orders.recv().await,
    };
    if order == Some(Order::Cancel) {
        let _ = tokio::time::timeout(FAREWELL, take_back(client, &submission, known.into_inner())).await;
    }
}

/// Cancels it. Where the answer to its making is not there yet, making it again tells which one it is.
async fn take_back(client: &Client, submission: &Submission, known: Option<String>) -> Result<(), Failed> {
    let id = match known {
        Some(id) => id,
        None => client.create(submission).await?.id,
    };
    client.cancel(&id).await
}

async fn follow(client: &Client, submission: &Submission, teller: &Teller, known: &RefCell<Option<String>>, kept: impl FnOnce(&str)) {
    let began = since_boot();
    let mut kept = Some(kept);
    let mut view: Option<View> = None;
    let (mut failures, mut lost) = (0, false);
    loop {
        let answered = match &view {
            Some(view) => changed(client, view).await,
            None => first(client, submission).await.map(Some),
        };
        match answered.and_then(|now| now.map(|now| ours(now, submission, view.as_ref())).transpose()) {
            Ok(now) => {
                failures = 0;
                if std::mem::take(&mut lost) {
                    teller.say(News::Back);
                }
                let Some(now) = now else { continue };
                if let Some(kept) = kept.take() {
                    kept(&now.id);
                    known.replace(Some(now.id.clone()));
                }
                let over = now.state != State::Pending;
                teller.say(News::Stands(now.clone()));
                if over {
                    return;
                }
                view = Some(now);
            }
            Err(failed @ (Failed::Lost(_) | Failed::Busy(..))) => {
                let pause = http::pause(failures, &failed);
                // What waits there already is worth waiting for.
                if view.is_none() && submission.id.is_none() && since_boot().saturating_sub(began).saturating_add(pause) > FIRST_CONTACT {
                    return teller.say(News::Failed(End::Unreachable(format!("cannot be asked: {}", failed.words()))));
                }
                if view.is_some() && !lost {
                    lost = true;
                    teller.say(News::Lost(failed.words()));
                }
                tokio::time::sleep(pause).await;
                failures += 1;
            }
            Err(Failed::No(problem)) if problem.is_conflict() => return teller.say(News::Failed(End::Conflict(problem.words))),
            Err(failed) => return teller.say(News::Failed(End::Unreachable(failed.words()))),
        }
    }
}

/// The first look: at the one that waits already, else at the one that is made now.
async fn first(client: &Client, submission: &Submission) -> Result<View, Failed> {
    let Some(id) = &submission.id else { return client.create(submission).await };
    let call = Call { method: Method::GET, target: target(id, ""), headers: Vec::new(), body: None, patience: PATIENCE };
    match client.ask(&call).await {
        // A server that was set up anew does not know it.
        Err(Failed::No(problem)) if problem.status == 404 => client.create(submission).await,
        other => other?.view(),
    }
}

/// Waits for a change; none where there was none for a while.
async fn changed(client: &Client, view: &View) -> Result<Option<View>, Failed> {
    let headers = vec![("if-none-match", format!("\"{}\"", view.version))];
    let call = Call { method: Method::GET, target: target(&view.id, POLL), headers, body: None, patience: POLL_PATIENCE };
    let began = since_boot();
    let reply = client.ask(&call).await?;
    let now =
        if reply.status == 304 { None } else { Some(reply.view()?).filter(|now| (now.version, now.state) != (view.version, view.state)) };
    if now.is_none() && since_boot().saturating_sub(began) < AT_ONCE {
        // A server that keeps nothing back is not to be asked as fast as it answers.
        tokio::time::sleep(AT_ONCE).await;
    }
    Ok(now)
}

/// An answer about another request is none.
fn ours(now: View, submission: &Submission, before: Option<&View>) -> Result<View, Failed> {
    let same = now.digest == submission.digest && before.is_none_or(|before| before.id == now.id);
    if same { Ok(now) } else { Err(Failed::No(Problem::strange("it answers about another request"))) }
}
