//! Standing grants from a terminal: giving one with an approval, listing them, ending one.

use clap::Args;

use super::{Reviewer, columns, print};
use crate::approval::WantedStanding;
use crate::audit::ascii_json;
use crate::channel::approver::{Beyond, Granted, Told};
use crate::commands::login::At;
use crate::commands::surroundings::now;
use crate::error::{Error, note};
use crate::exit_codes;
use crate::text;

/// What an approval lets run beyond the one request.
#[derive(Debug, Default, Args)]
pub(super) struct More {
    /// Let it run so often in all, this time included, without being asked again
    #[arg(long, value_name = "N", requires = "lasting")]
    uses: Option<u32>,
    /// For so long: 30m, 8h, 2d
    #[arg(long = "for", id = "lasting", value_name = "SPAN", requires = "uses")]
    lasting: Option<String>,
    /// Let any other plain word stand in the place of this one
    #[arg(long, value_name = "WORD", requires = "uses")]
    any: Vec<String>,
}

/// Lists approvals that are good for more runs than one, or ends one
#[derive(Debug, Args)]
pub struct GrantsArgs {
    #[command(flatten)]
    at: At,
    /// End this one: the id of the request that was approved so, or the beginning or the end of it
    #[arg(long, value_name = "ID")]
    end: Option<String>,
    /// Print the server's JSON object
    #[arg(long, conflicts_with = "end")]
    json: bool,
}

impl More {
    /// What is wanted of this request; none where it is for one run. An error where its terms allow no such thing.
    pub(super) fn wanted(&self, told: &Told) -> Result<Option<WantedStanding>, Error> {
        let (Some(uses), Some(lasting)) = (self.uses, &self.lasting) else { return Ok(None) };
        let shown = |typed: &str| text::escape(typed.as_bytes());
        let usage = |what: String| Error::new(exit_codes::USAGE, what);
        let seconds = text::span(lasting).and_then(|seconds| u32::try_from(seconds).ok());
        let seconds =
            seconds.ok_or_else(|| usage(format!("`{}` is no length of time", shown(lasting))).hint("write it as `30m`, `8h` or `2d`"))?;
        let said = told.submitted().said();
        let mut open = Vec::new();
        for word in &self.any {
            let before = open.len();
            let places = said.argv.iter().enumerate().skip(1).filter(|(_, one)| !one.hidden && one.shown == word.as_bytes());
            open.extend(places.map(|(at, _)| at));
            if open.len() == before {
                return Err(usage(format!("no word after the program is `{}`", shown(word))).hint("`gate show` shows the words"));
            }
        }
        open.sort_unstable();
        open.dedup();
        let wanted = WantedStanding { uses, seconds, open };
        let at = now()?.wall;
        let standing = wanted.from(at).ok_or_else(|| usage(format!("`--uses {uses}` cannot be: it is 2 to 1000")))?;
        if let Err(why) = standing.permitted(&said.terms, at) {
            let hint = said.terms.standing.map_or_else(
                || "`standing` below the policy's terms allows it".to_owned(),
                |most| format!("they allow {} uses in {}", most.uses, text::duration(most.longest)),
            );
            return Err(Error::new(exit_codes::REFUSED, why.0).hint(hint));
        }
        standing.fits(told.submitted()).map_err(|why| Error::new(exit_codes::REFUSED, why.0).hint("approve it for this one run"))?;
        Ok(Some(wanted))
    }
}

/// What an approver is asked for, in words.
pub(super) fn beyond(told: &Told, wanted: &WantedStanding) -> Beyond {
    let lasts = text::duration(std::time::Duration::from_secs(wanted.seconds.into()));
    let mut words = vec![format!("You approve more than this run: {} runs in all, within {lasts} from now.", wanted.uses)];
    words.extend(open_words(told, wanted.open.iter().copied()));
    words.push(
        "The same asker, place and environment. Files that the command opens by itself, and what a preview shows, may be others by then."
            .to_owned(),
    );
    Beyond { uses: wanted.uses, words }
}

fn open_words(told: &Told, open: impl Iterator<Item = usize>) -> Vec<String> {
    let word = |at: usize| told.submitted().said().argv.get(at).map(|word| text::quote(&word.shown)).unwrap_or_default();
    open.map(|at| format!("In the place of {} (word {}) any other plain word of its kind may stand.", word(at), at + 1)).collect()
}

fn moment(at: i64) -> String {
    jiff::Timestamp::from_second(at / 1_000_000_000).map_or_else(|_| "?".to_owned(), |at| at.to_string())
}

/// Lists them, or ends one.
pub fn grants(args: &GrantsArgs) -> Result<u8, Error> {
    let reviewer = Reviewer::new(&args.at)?;
    if let Some(typed) = &args.end {
        let id = super::part(typed)?;
        let id = if id.len() == 26 { format!("req_{id}") } else { reviewer.standing(typed)? };
        reviewer.server.end_grant(&id).map_err(|why| reviewer.failed(why))?;
        note("it is ended: the next run is asked about again");
        return Ok(0);
    }
    let (all, value) = reviewer.server.grants().map_err(|why| reviewer.failed(why))?;
    if args.json {
        return print(&format!("{}\n", ascii_json(&value)));
    }
    if all.is_empty() {
        return print("no approval is good for more than its one run\n");
    }
    let now = now()?.wall;
    print(&all.iter().map(|one| listed(one, now, columns())).collect::<Vec<_>>().concat())
}

impl Reviewer {
    /// The id of the standing grant that somebody named by a part of it.
    fn standing(&self, typed: &str) -> Result<String, Error> {
        let (all, _) = self.server.grants().map_err(|why| self.failed(why))?;
        super::one_of(typed, all.iter().map(|one| one.told.id()), "stands")
    }
}

/// One of the list, on three lines or more.
fn listed(one: &Granted, now: i64, columns: usize) -> String {
    let told = &one.told;
    let said = told.submitted().said();
    let (uses, left) = one.uses;
    let head = format!(
        "{}  {left} of {uses} left  until {}  {} on {}",
        told.id(),
        moment(one.until),
        text::quote(said.asker.as_bytes()),
        text::quote(said.host.as_bytes())
    );
    let by: Vec<&str> = told.reviews().iter().map(|review| review.name.as_str()).collect();
    let command = text::ellipsis(&told.subject(now).command(), columns.saturating_sub(5).max(20));
    let open = open_words(told, one.open.iter().filter_map(|at| usize::try_from(*at).ok()));
    let more: Vec<String> = [command].into_iter().chain(open).chain([format!("given by {}", by.join(", "))]).collect();
    format!("{}\n    {}\n", text::ellipsis(&head, columns.max(60)), more.join("\n    "))
}
