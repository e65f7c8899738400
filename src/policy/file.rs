//! Reads one policy file: TOML to rules, with every error at its place.

use std::ops::Range;

use toml::Spanned;

use super::error::PolicyError;
use super::grammar_file;
use super::head_file::{self, duration};
use super::raw::{OneOrMany, RawArgs, RawConditions, RawFile, RawRule, RawTest};
use super::reason::Effect;
use super::rule::{Args, Conditions, Expect, File, Rule, Test};
use super::terms::Risk;
use super::window::Window;
use crate::request::FactName;
use crate::shell;

/// The only version there is.
const VERSION: u32 = 1;

/// Which keys a file may have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FileKind {
    /// `policy.toml` of the system layer.
    SystemHead,
    /// `policy.toml` of the user's layer.
    UserHead,
    /// `policies/<family>.toml`.
    Tool,
    /// A tool file inside gate, which alone may lock rules.
    Embedded,
    /// `.gate.toml`.
    Project,
}

/// What is being read, for errors.
pub(super) struct Source<'a> {
    pub name: &'a str,
    pub text: &'a str,
    pub kind: FileKind,
}

impl Source<'_> {
    pub(super) fn error(&self, span: Range<usize>, message: impl Into<String>) -> PolicyError {
        PolicyError::at(self.name, self.text, span, message)
    }
}

/// Reads a file's bytes.
pub(crate) fn read(name: &str, bytes: &[u8], kind: FileKind) -> Result<File, PolicyError> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let valid = std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default();
        PolicyError::at(name, valid, valid.len()..valid.len(), "this is not UTF-8 from here on")
    })?;
    let source = Source { name, text, kind };
    let raw: RawFile = toml::from_str(text).map_err(|error| {
        let span = error.span().unwrap_or(0..0);
        source.error(span, plain(error.message()))
    })?;
    if *raw.version.get_ref() != VERSION {
        return Err(source
            .error(raw.version.span(), format!("version `{}` is not known", raw.version.get_ref()))
            .hint("this gate reads version 1"));
    }
    only_allowed_keys(&source, &raw)?;
    let head = head_file::head(&source, &raw)?;
    let grammar = raw.tool.as_ref().map(|tool| grammar_file::grammar(&source, tool)).transpose()?;
    let mut tests = Vec::new();
    let mut rules = Vec::new();
    for raw_rule in &raw.rule {
        rules.push(rule(&source, raw_rule, grammar.as_ref(), &mut tests)?);
    }
    for test in &raw.test {
        tests.push(self::test(&source, test)?);
    }
    unique_ids(&source, &raw)?;
    Ok(File { head, grammar, rules, tests })
}

/// Error texts of the TOML reader, in our style.
fn plain(message: &str) -> String {
    let first = message.lines().next().unwrap_or("this is not TOML");
    let mut chars = first.chars();
    match chars.next() {
        Some(initial) => initial.to_lowercase().chain(chars).collect::<String>().trim_end_matches('.').to_owned(),
        None => "this is not TOML".to_owned(),
    }
}

fn only_allowed_keys(source: &Source<'_>, raw: &RawFile) -> Result<(), PolicyError> {
    let refuse = |key: &str, span: Range<usize>, where_it_belongs: &str| {
        Err(source.error(span, format!("`{key}` cannot stand in this file")).hint(where_it_belongs.to_owned()))
    };
    let head = matches!(source.kind, FileKind::SystemHead | FileKind::UserHead);
    let tool = matches!(source.kind, FileKind::Tool | FileKind::Embedded);
    let belongs_head = "it belongs to a layer's `policy.toml`";
    if let (Some(layer), false) = (&raw.layer, head) {
        return refuse("layer", layer.span(), belongs_head);
    }
    if let (Some(state), true) = (&raw.state, source.kind != FileKind::SystemHead) {
        return refuse("state", state.span(), "only the system layer says where the log lives");
    }
    if let (Some(log), false) = (&raw.log, head) {
        return refuse("log", log.span(), belongs_head);
    }
    if let (Some(server), false) = (&raw.server, head) {
        return refuse("server", server.span(), belongs_head);
    }
    if let (Some((name, _)), false) = (raw.names.iter().next(), head) {
        return refuse("names", name.span(), belongs_head);
    }
    if let (Some((name, _)), false) = (raw.terms.iter().next(), head) {
        return refuse("terms", name.span(), belongs_head);
    }
    if let (Some((id, _)), false) = (raw.amend.iter().next(), head) {
        return refuse("amend", id.span(), belongs_head);
    }
    if let (Some(table), false) = (&raw.tool, tool) {
        return refuse("tool", table.span(), "a grammar belongs to `policies/<family>.toml`");
    }
    if let (Some(test), FileKind::Project) = (raw.test.first(), source.kind) {
        return refuse("test", test.span(), "a project's file holds rules only; their `match` and `not_match` are its tests");
    }
    Ok(())
}

fn unique_ids(source: &Source<'_>, raw: &RawFile) -> Result<(), PolicyError> {
    let mut seen = std::collections::BTreeSet::new();
    for rule in &raw.rule {
        let id = &rule.get_ref().id;
        if !seen.insert(id.get_ref()) {
            return Err(source
                .error(id.span(), format!("the id `{}` stands twice", id.get_ref()))
                .hint("records and amends name rules by id, so each needs its own"));
        }
    }
    Ok(())
}

fn args(raw: Option<&RawArgs>) -> Args {
    let list = |patterns: &Option<Vec<Spanned<String>>>| patterns.as_ref().map(|all| all.iter().map(|one| one.get_ref().clone()).collect());
    raw.map_or_else(Args::default, |raw| Args { any: list(&raw.any), all: list(&raw.all), none: list(&raw.none), only: list(&raw.only) })
}

pub(super) fn conditions(source: &Source<'_>, raw: Option<&RawConditions>) -> Result<Conditions, PolicyError> {
    let Some(raw) = raw else {
        return Ok(Conditions::default());
    };
    let named = [
        (FactName::User, &raw.user),
        (FactName::Uid, &raw.uid),
        (FactName::Groups, &raw.groups),
        (FactName::Host, &raw.host),
        (FactName::Cwd, &raw.cwd),
        (FactName::Tty, &raw.tty),
        (FactName::Asker, &raw.asker),
        (FactName::Stdin, &raw.stdin),
        (FactName::KubeContext, &raw.kube_context),
        (FactName::KubeNamespace, &raw.kube_namespace),
        (FactName::GitRemote, &raw.git_remote),
        (FactName::GitBranch, &raw.git_branch),
        (FactName::AwsProfile, &raw.aws_profile),
        (FactName::TfWorkspace, &raw.tf_workspace),
        (FactName::AwsAccount, &raw.aws_account),
        (FactName::GcpProject, &raw.gcp_project),
        (FactName::Script, &raw.script),
    ];
    let mut facts: Vec<(FactName, Vec<String>)> =
        named.into_iter().filter_map(|(name, patterns)| Some((name, patterns.clone()?))).collect();
    facts.extend(raw.env.iter().flatten().map(|(name, patterns)| (FactName::Env(name.clone()), patterns.clone())));
    if let Some(windows) = &raw.time {
        for window in windows {
            Window::parse(window.get_ref())
                .map_err(|why| source.error(window.span(), why).hint("write it as `Mon-Fri 09:00-17:00 Europe/Berlin`"))?;
        }
        facts.push((FactName::Time, windows.iter().map(|window| window.get_ref().clone()).collect()));
    }
    if let Some(calendar) = &raw.freeze {
        let path = calendar.get_ref();
        if !path.starts_with('/') {
            return Err(source.error(calendar.span(), format!("`{path}` is not an absolute path")).hint("name an iCalendar file"));
        }
        facts.push((FactName::Freeze(path.clone()), vec!["yes".to_owned()]));
    }
    Ok(Conditions { options: args(raw.options.as_ref()), operands: args(raw.operands.as_ref()), facts })
}

fn rule(
    source: &Source<'_>,
    raw: &Spanned<RawRule>,
    grammar: Option<&crate::tool::Grammar>,
    tests: &mut Vec<Test>,
) -> Result<Rule, PolicyError> {
    let span = raw.span();
    let raw = raw.get_ref();
    let id = raw.id.get_ref();
    if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_')) {
        return Err(source.error(raw.id.span(), format!("`{id}` is not an id")).hint("use letters, digits, `.`, `-` and `_`"));
    }
    let in_tool_file = matches!(source.kind, FileKind::Tool | FileKind::Embedded);
    let tools = match (&raw.tool, in_tool_file) {
        (Some(tool), true) => {
            return Err(source.error(tool.span(), "`tool` cannot stand here").hint("every rule of this file is for the file's own tool"));
        }
        (None, false) => {
            return Err(source
                .error(raw.id.span(), format!("rule `{id}` does not say for which tool it is"))
                .hint("add `tool = \"NAME\"`, a list of names, or `\"*\"` for all"));
        }
        (Some(tool), false) => tool.get_ref().list(),
        (None, true) => Vec::new(),
    };
    if source.kind == FileKind::Project && raw.effect == Effect::Allow {
        return Err(source
            .error(raw.id.span(), format!("rule `{id}` allows, and a project's file cannot"))
            .hint("it may deny and ask; allow in your own `policy.toml`"));
    }
    if raw.locked && source.kind != FileKind::Embedded {
        return Err(source
            .error(raw.id.span(), format!("rule `{id}` cannot be locked"))
            .hint("only rules inside gate are; rules of the system layer cannot be amended by others anyway"));
    }
    if raw.effect != Effect::Allow && raw.reason.as_deref().is_none_or(|text| text.trim().is_empty()) {
        return Err(source.error(raw.id.span(), format!("rule `{id}` has no `reason`")).hint("say what is at stake: people decide by it"));
    }
    let rule = Rule {
        id: id.clone(),
        tools,
        except: raw.except.clone(),
        effect: raw.effect,
        risk: raw.risk.unwrap_or(if raw.effect == Effect::Allow { Risk::Low } else { Risk::Medium }),
        data: raw.data.clone(),
        words: raw.words.iter().map(OneOrMany::list).collect(),
        options: args(raw.options.as_ref()),
        operands: args(raw.operands.as_ref()),
        statement: args(raw.statement.as_ref()),
        unseen: raw.unseen,
        other_options: raw.other_options,
        when: conditions(source, raw.when.as_ref())?,
        unless: conditions(source, raw.unless.as_ref())?,
        reason: raw.reason.clone().unwrap_or_default(),
        instead: raw.instead.clone(),
        preview: raw.preview.clone(),
        terms: raw.terms.as_ref().map(|terms| terms.get_ref().clone()),
        outcome: raw.outcome,
        stdin: raw.stdin,
        pin: pins(source, &raw.pin)?,
        strip: raw.env.as_ref().map(|env| env.strip.clone()).unwrap_or_default(),
        env_allow: raw.env.as_ref().map(|env| env.allow.clone()).unwrap_or_default(),
        timeout: raw.timeout.as_ref().map(|timeout| duration(source, timeout)).transpose()?,
        locked: raw.locked,
        trust_claimed: raw.trust_claimed,
    };
    grammar_file::can_match(source, raw, &rule, grammar, span)?;
    for (examples, matches) in [(&raw.matches, true), (&raw.not_match, false)] {
        for example in examples {
            let argv = example_argv(source, example)?;
            tests.push(Test {
                span: example.span(),
                argv,
                context: Vec::new(),
                names: Vec::new(),
                expect: Expect::Rule(id.clone(), matches),
            });
        }
    }
    Ok(rule)
}

fn pins(source: &Source<'_>, raw: &[Spanned<String>]) -> Result<Vec<String>, PolicyError> {
    for pin in raw {
        let text = pin.get_ref();
        let operand = text.strip_prefix("@operand:").is_some_and(|which| which == "*" || which.parse::<usize>().is_ok_and(|n| n > 0));
        let option = text.strip_prefix("@option:").is_some_and(|name| !name.is_empty());
        if !operand && !option {
            return Err(source
                .error(pin.span(), format!("`{text}` names nothing to pin"))
                .hint("write `@operand:1`, `@operand:*` or `@option:NAME`"));
        }
    }
    Ok(raw.iter().map(|pin| pin.get_ref().clone()).collect())
}

fn example_argv(source: &Source<'_>, example: &Spanned<OneOrMany>) -> Result<Vec<Vec<u8>>, PolicyError> {
    let argv = match example.get_ref() {
        OneOrMany::One(text) => shell::words(text.as_bytes()).ok_or_else(|| {
            source.error(example.span(), "this is not one plain command").hint("write it as an array, one string for each argument")
        })?,
        OneOrMany::Many(words) => words.iter().map(|word| word.clone().into_bytes()).collect(),
    };
    if argv.first().is_none_or(Vec::is_empty) {
        return Err(source.error(example.span(), "there is no command"));
    }
    Ok(argv)
}

fn test(source: &Source<'_>, raw: &Spanned<RawTest>) -> Result<Test, PolicyError> {
    let span = raw.span();
    let raw = raw.get_ref();
    let mut context = Vec::new();
    for (name, values) in &raw.context {
        let fact =
            FactName::parse(name.get_ref()).ok_or_else(|| source.error(name.span(), format!("`{}` is not a fact", name.get_ref())))?;
        context.push((fact, values.list()));
    }
    Ok(Test {
        span,
        argv: example_argv(source, &raw.argv)?,
        context,
        names: raw.names.clone().into_iter().collect(),
        expect: Expect::Decision(raw.decision, raw.rules.clone()),
    })
}
