//! Reads one policy file: TOML to rules, with every error at its place.

use std::ops::Range;
use std::time::Duration;

use toml::Spanned;

use super::error::PolicyError;
use super::grammar_file;
use super::raw::{OneOrMany, RawAmend, RawArgs, RawConditions, RawEmbedded, RawFile, RawMode, RawRule, RawTerms, RawTest};
use super::reason::Effect;
use super::rule::{Amend, Args, Conditions, Embedded, Expect, File, Head, Rule, TermsPart, Test};
use super::terms::{Escalation, Justification, Risk};
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
    let head = head(&source, &raw)?;
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

fn head(source: &Source<'_>, raw: &RawFile) -> Result<Head, PolicyError> {
    let mut head = Head::default();
    if let Some(layer) = &raw.layer {
        let layer = layer.get_ref();
        head.embedded = layer.embedded.map(|embedded| match embedded {
            RawEmbedded::On => Embedded::On,
            RawEmbedded::DenyOnly => Embedded::DenyOnly,
            RawEmbedded::Off => Embedded::Off,
        });
        head.unmatched = layer.unmatched;
        head.opaque = layer.opaque;
        head.observe = layer.mode.map(|mode| mode == RawMode::Observe);
        head.outcome = layer.outcome;
        for directory in &layer.trusted_programs {
            let text = directory.get_ref();
            let home = text == "~" || text.starts_with("~/");
            if !(text.starts_with('/') || home && source.kind == FileKind::UserHead) {
                return Err(source.error(directory.span(), format!("`{text}` is not an absolute path")));
            }
            head.trusted_programs.push(text.clone());
        }
    }
    if let Some(state) = &raw.state {
        let state = state.get_ref();
        if let Some(dir) = &state.dir {
            if !dir.get_ref().starts_with('/') {
                return Err(source.error(dir.span(), format!("`{}` is not an absolute path", dir.get_ref())));
            }
            head.state_dir = Some(dir.get_ref().clone());
        }
        head.user_may_move = state.user_may_move;
    }
    head.names = raw.names.iter().map(|(name, patterns)| (name.get_ref().clone(), patterns.clone())).collect();
    for (name, terms) in &raw.terms {
        head.terms.push((name.get_ref().clone(), terms_part(source, terms)?));
    }
    for (id, amend) in &raw.amend {
        head.amends.push(self::amend(source, id, amend)?);
    }
    Ok(head)
}

fn terms_part(source: &Source<'_>, raw: &Spanned<RawTerms>) -> Result<TermsPart, PolicyError> {
    let raw = raw.get_ref();
    let duration = |text: &Option<Spanned<String>>| text.as_ref().map(|text| self::duration(source, text)).transpose();
    if let Some(threshold) = raw.threshold.as_ref().filter(|threshold| *threshold.get_ref() == 0) {
        return Err(source.error(threshold.span(), "a threshold of 0 would approve by nobody").hint("1 is the least"));
    }
    if let Some(channels) = raw.channels.as_ref().filter(|channels| channels.get_ref().is_empty()) {
        return Err(source.error(channels.span(), "without a channel nobody can be asked"));
    }
    let escalate = raw.escalate.as_ref().map(|steps| {
        steps
            .iter()
            .map(|step| Ok(Escalation { after: self::duration(source, &step.after)?, approvers: step.approvers.clone() }))
            .collect::<Result<Vec<_>, PolicyError>>()
    });
    Ok(TermsPart {
        approvers: raw.approvers.clone(),
        threshold: raw.threshold.as_ref().map(|threshold| *threshold.get_ref()),
        assurance: raw.assurance,
        fresh: duration(&raw.fresh)?,
        within: duration(&raw.within)?,
        valid: duration(&raw.valid)?,
        channels: raw.channels.as_ref().map(|channels| channels.get_ref().clone()),
        justification: raw.justification.as_ref().map(|wanted| match wanted.as_str() {
            "none" => Justification::None,
            "text" => Justification::Text,
            pattern => Justification::Pattern(pattern.to_owned()),
        }),
        escalate: escalate.transpose()?,
    })
}

/// `90s`, `5m`, `2h`, `1d`; never zero.
fn duration(source: &Source<'_>, text: &Spanned<String>) -> Result<Duration, PolicyError> {
    let bad = || source.error(text.span(), format!("`{}` is not a duration", text.get_ref())).hint("write it as `90s`, `5m`, `2h` or `1d`");
    let (number, unit) = text.get_ref().split_at(text.get_ref().len().saturating_sub(1));
    let factor = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86400,
        _ => return Err(bad()),
    };
    let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let count: u64 = if digits { number.parse().map_err(|_| bad())? } else { return Err(bad()) };
    let seconds = count.checked_mul(factor).filter(|seconds| (1..=366 * 86400).contains(seconds)).ok_or_else(bad)?;
    Ok(Duration::from_secs(seconds))
}

fn amend(source: &Source<'_>, id: &Spanned<String>, raw: &Spanned<RawAmend>) -> Result<Amend, PolicyError> {
    let amend = raw.get_ref();
    let disable = amend.disable.unwrap_or(false);
    if !disable && amend.effect.is_none() && amend.terms.is_none() {
        return Err(source
            .error(id.span(), "this amend changes nothing")
            .hint("give it `disable`, `effect` or `terms`; `when` and `unless` say where that holds"));
    }
    Ok(Amend {
        id: id.get_ref().clone(),
        disable,
        effect: amend.effect,
        terms: amend.terms.as_ref().map(|terms| terms.get_ref().clone()),
        when: conditions(source, amend.when.as_ref())?,
        unless: conditions(source, amend.unless.as_ref())?,
    })
}

fn args(raw: Option<&RawArgs>) -> Args {
    let list = |patterns: &Option<Vec<Spanned<String>>>| patterns.as_ref().map(|all| all.iter().map(|one| one.get_ref().clone()).collect());
    raw.map_or_else(Args::default, |raw| Args { any: list(&raw.any), all: list(&raw.all), none: list(&raw.none), only: list(&raw.only) })
}

fn conditions(source: &Source<'_>, raw: Option<&RawConditions>) -> Result<Conditions, PolicyError> {
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
