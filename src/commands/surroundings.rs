//! What a command needs of the machine before it can decide: who, where, the layers, the log's place.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::approval::Stamp;
use crate::audit::{Log, Place};
use crate::config::{Config, Refused};
use crate::embedded;
use crate::error::{Error, note};
use crate::policy::{Needs, Policy, Target};
use crate::request::{Argv, Context, Fact, FactName, Inner, Place as ProgramPlace, Program, RequestId, base_name};
use crate::sys::{asker, clock, context, random, resolve, target};
use crate::text;
use crate::tool::without_passwords;

/// Where this system takes messages for its log.
const SYSLOG: &str = "/dev/log";

/// What was captured and loaded for one command.
pub struct Surroundings {
    /// Who, where; facts are added when rules ask.
    pub context: Context,
    /// The layers' files and places.
    pub config: Config,
    /// The layers as one policy.
    pub policy: Policy,
}

impl Surroundings {
    /// Captures the cheap part of the context and loads the policy.
    pub fn capture() -> Result<Self, Error> {
        let environment = context::environment();
        let mut context =
            context::who_and_where(&environment).map_err(|error| Error::internal(format!("the surroundings cannot be read: {error}")))?;
        context.environment = environment;
        context.stdin = resolve::stdin();
        let mut config = Config::load(&context).map_err(refused)?;
        for skipped in &config.skipped {
            note(skipped);
        }
        let policy = Policy::load(std::mem::take(&mut config.layers), embedded::tools())?;
        Ok(Self { context, config, policy })
    }

    /// Where this user's log is.
    pub fn place(&self) -> Result<Place, Error> {
        let directory = self.config.state().map_err(refused)?.to_owned();
        let plain = |text: &str| -> String { text.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_')).collect() };
        let host = plain(&self.context.host);
        let name = format!("gate.local/{}", if host.is_empty() { "host" } else { &host });
        Ok(Place { directory, name, log_key: self.policy.log_settings().key })
    }

    /// Opens the log to append to it, as the layers' settings have it.
    pub fn open_log(&self, place: &Place, now: Stamp, boot_id: &str) -> Result<Log, crate::audit::Error> {
        let log = Log::open(place, now, boot_id)?;
        let log = match self.policy.log_budget() {
            Some(budget) => log.bounded(budget, note),
            None => log,
        };
        Ok(if self.policy.announces() { log.announced(Path::new(SYSLOG), note) } else { log })
    }

    /// Captures what rules that may match ask about, and nothing else.
    pub fn complete(&mut self, argv: &Argv, program: &Program) -> Result<(), Error> {
        let mut needs: Needs = self.policy.needs(argv, program, &self.context)?;
        if self.read_scripts(&needs) {
            needs = self.policy.needs(argv, program, &self.context)?;
        }
        // An agent that left no variable is known by the processes above.
        if needs.facts.contains(&FactName::Asker) {
            self.look_up();
        }
        for name in &needs.facts {
            let fact = fact(name, &self.context, &needs.target);
            self.context.facts.insert(name.clone(), fact);
        }
        for name in &needs.inner {
            let found = inner(name, &self.context, &self.policy);
            self.context.inner.insert(name.clone(), found);
        }
        self.context.words = needs.words;
        Ok(())
    }

    /// Reads the script files that a shell is given; whether there is one more now.
    pub fn read_scripts(&mut self, needs: &Needs) -> bool {
        let mut more = false;
        for name in &needs.scripts {
            if !self.context.scripts.contains_key(name)
                && let Some(script) = target::script(name, &self.context)
            {
                self.context.scripts.insert(name.clone(), script);
                more = true;
            }
        }
        more
    }

    /// Captures the processes above, and looks for an agent among them that left no other mark.
    pub fn look_up(&mut self) {
        self.context.ancestry = context::ancestry();
        self.context.asker = asker::of(&self.context.environment, &self.context.ancestry);
    }
}

/// A live fact, without the passwords that URLs of remotes may hold.
pub(super) fn fact(name: &FactName, context: &Context, target: &Target) -> Fact {
    match target::fact(name, context, target) {
        Fact::Known { values, files } => Fact::Known { values: values.iter().map(|value| without_passwords(value)).collect(), files },
        other => other,
    }
}

/// What an inner command's program is, where it is found.
pub(super) fn inner(name: &[u8], context: &Context, policy: &Policy) -> Inner {
    let typed = || base_name(name).to_vec();
    match resolve::find(OsStr::from_bytes(name), context.environment.get("PATH")) {
        Ok(found) => {
            let place = match policy.distrusts(&found.program) {
                Some(why) => ProgramPlace::Untrusted(why.to_owned()),
                None => ProgramPlace::Trusted,
            };
            Inner { place, real: found.program.real_name().to_vec() }
        }
        // A path that leads nowhere from here may lead somewhere from where it runs, or when.
        Err(_) if name.contains(&b'/') => {
            Inner { place: ProgramPlace::Untrusted(format!("`{}` is not there yet", text::escape(name))), real: typed() }
        }
        // What is not there cannot run; its name is judged all the same.
        Err(_) => Inner { place: ProgramPlace::Unresolved, real: typed() },
    }
}

/// A configuration error with its exit code.
pub fn refused(refused: Refused) -> Error {
    match refused {
        Refused::Policy(error) => error.into(),
        Refused::Unsafe(text, hint) => Error::config(text::visible(&text)).hint(hint),
        Refused::NoState(text) => Error::internal(text),
    }
}

/// A log error, which stops everything.
pub fn log_failed(error: &crate::audit::Error) -> Error {
    let failed = Error::internal(text::visible(&error.to_string()));
    match error.hint_text() {
        Some(hint) => failed.hint(hint),
        None => failed,
    }
}

/// Now, on both clocks.
pub fn now() -> Result<Stamp, Error> {
    clock::now().map_err(|error| Error::internal(format!("the clock cannot be read: {error}")))
}

/// Random bytes.
pub fn random<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    random::fill(&mut bytes).map_err(|error| Error::internal(format!("no random bytes: {error}")))?;
    Ok(bytes)
}

/// A new request's id.
pub fn request_id(now: Stamp) -> Result<RequestId, Error> {
    Ok(RequestId::new(u64::try_from(now.wall / 1_000_000).unwrap_or_default(), &random()?))
}
