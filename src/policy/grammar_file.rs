//! The grammar of a tool file, and whether its rules can ever match.

use std::collections::BTreeMap;
use std::ops::Range;

use toml::Spanned;

use super::error::PolicyError;
use super::file::{FileKind, Source};
use super::raw::{RawLanguage, RawRule, RawRuns, RawTool, RawWord};
use super::reason::Effect;
use super::rule::{Args, Rule};
use crate::tool::{Embed, Grammar, Holder, Language, OptionSpec, Runs, Syntax, Takes, WordSpec};

/// What the file of rules for all tools names as its tool.
pub(super) const EVERY_TOOL: &str = "*";

pub(super) fn grammar(source: &Source<'_>, raw: &Spanned<RawTool>) -> Result<Grammar, PolicyError> {
    let tool = raw.get_ref();
    let names = tool.names.get_ref();
    // One file inside gate holds the rules that every tool has.
    let shared = source.kind == FileKind::Embedded && names.iter().all(|name| name == EVERY_TOOL);
    if names.is_empty() || !shared && names.iter().any(|name| name.is_empty() || name.contains(['/', '*'])) {
        return Err(source.error(tool.names.span(), "a tool needs names without `/` and `*`"));
    }
    let mut words = Vec::new();
    for (path, word) in &tool.word {
        words.push(WordSpec {
            path: path.get_ref().split_ascii_whitespace().map(str::to_owned).collect(),
            names: word.names.clone(),
            options: word_options(source, tool.syntax, word)?,
            stops: word.stops,
            executes: word.executes.clone(),
            runs: word.runs.as_ref().map(|runs| self::runs(source, runs)).transpose()?,
            embeds: embeds(source, &word.embeds)?,
        });
    }
    let bundle = tool.bundle.unwrap_or(matches!(tool.syntax, Syntax::Gnu | Syntax::Posix));
    Ok(Grammar {
        names: names.clone(),
        syntax: tool.syntax,
        abbreviate: tool.abbreviate,
        bundle,
        numeric: tool.numeric,
        negate: tool.negate,
        short_equals: tool.short_equals,
        fold_case: tool.fold_case,
        response_files: tool.response_files,
        options: options(source, tool.syntax, &tool.value, &tool.flag, &tool.optional, &tool.secret)?,
        words,
        executes: tool.executes.clone(),
        target: tool.target,
        runs: tool.runs.as_ref().map(|runs| self::runs(source, runs)).transpose()?,
        embeds: embeds(source, &tool.embeds)?,
    })
}

fn embeds(source: &Source<'_>, raw: &BTreeMap<Spanned<String>, RawLanguage>) -> Result<Vec<Embed>, PolicyError> {
    let one = |(key, language): (&Spanned<String>, &RawLanguage)| {
        let language = match language {
            RawLanguage::Shell => Language::Shell,
            RawLanguage::Postgres => Language::Postgres,
            RawLanguage::Mysql => Language::Mysql,
            RawLanguage::Sqlite => Language::Sqlite,
            RawLanguage::Generic => Language::Generic,
            RawLanguage::Bigquery => Language::Bigquery,
            RawLanguage::Clickhouse => Language::Clickhouse,
            RawLanguage::Snowflake => Language::Snowflake,
        };
        let text = key.get_ref().as_str();
        let of = match text.strip_prefix('@') {
            None => Holder::Option(text.split_ascii_whitespace().map(str::to_owned).collect()),
            Some("operands") => Holder::Operands,
            Some(which) => {
                let number = which.strip_prefix("operand:").and_then(|number| number.parse::<usize>().ok());
                Holder::Operand(number.and_then(|number| number.checked_sub(1)).ok_or_else(|| {
                    source
                        .error(key.span(), format!("`{text}` is no argument"))
                        .hint("write an option's spellings, `@operand:1` or `@operands`")
                })?)
            }
        };
        Ok(Embed { of, language })
    };
    raw.iter().map(one).collect()
}

fn word_options(source: &Source<'_>, syntax: Syntax, word: &RawWord) -> Result<Vec<OptionSpec>, PolicyError> {
    options(source, syntax, &word.value, &word.flag, &word.optional, &word.secret)
}

fn options(
    source: &Source<'_>,
    syntax: Syntax,
    value: &[Spanned<String>],
    flag: &[Spanned<String>],
    optional: &[Spanned<String>],
    secret: &[Spanned<String>],
) -> Result<Vec<OptionSpec>, PolicyError> {
    let kinds =
        [(value, Takes::Value, false), (flag, Takes::Nothing, false), (optional, Takes::Attached, false), (secret, Takes::Value, true)];
    let mut all: Vec<OptionSpec> = Vec::new();
    for (list, takes, secret) in kinds {
        for spellings in list {
            let names: Vec<String> = spellings.get_ref().split_ascii_whitespace().map(str::to_owned).collect();
            let dashed = |name: &String| name.len() > 1 && name.starts_with('-') || matches!(syntax, Syntax::KeyValue | Syntax::Find);
            if names.is_empty() || !names.iter().all(dashed) || names.iter().any(|name| name.contains('=')) {
                return Err(source
                    .error(spellings.span(), format!("`{}` is no option", spellings.get_ref()))
                    .hint("write all spellings of one option in one string: `-n --namespace`"));
            }
            if let Some(twice) = names.iter().find(|name| all.iter().any(|spec| spec.spellings.contains(name))) {
                return Err(source.error(spellings.span(), format!("the option `{twice}` stands twice")));
            }
            all.push(OptionSpec { spellings: names, takes, secret });
        }
    }
    Ok(all)
}

fn runs(source: &Source<'_>, raw: &Spanned<RawRuns>) -> Result<Runs, PolicyError> {
    let runs = raw.get_ref();
    let mut found = Vec::new();
    if runs.after.is_some() {
        found.push(Runs::After { operands: 0, assignments: runs.assignments, from_stdin: runs.from.is_some() });
    }
    if let Some(operands) = runs.after_words.filter(|_| !runs.joined) {
        found.push(Runs::After { operands, assignments: runs.assignments, from_stdin: runs.from.is_some() });
    }
    if let Some(options) = &runs.exec {
        found.push(Runs::Exec(options.clone()));
    }
    if let Some(option) = &runs.script {
        found.push(Runs::Script(option.clone()));
    }
    if runs.joined {
        found.push(Runs::Joined(runs.after_words.unwrap_or(0)));
    }
    let one = found.pop().filter(|_| found.is_empty());
    one.ok_or_else(|| {
        source.error(raw.span(), "`runs` says one thing").hint("one of `after`, `after_words`, `exec`, `script` and `joined`")
    })
}

/// Refuses a rule that no command could ever match: that is a slip of the pen, and a slip here protects nobody.
pub(super) fn can_match(
    source: &Source<'_>,
    raw: &RawRule,
    rule: &Rule,
    grammar: Option<&Grammar>,
    span: Range<usize>,
) -> Result<(), PolicyError> {
    let never = |span: Range<usize>, why: String| Err(source.error(span, why).hint("this rule can never match"));
    if rule.words.iter().any(Vec::is_empty) {
        return never(raw.id.span(), format!("rule `{}` has a word without a spelling", rule.id));
    }
    let lists = [&rule.options, &rule.operands, &rule.statement, &rule.when.options, &rule.when.operands];
    if lists.iter().any(|args| args.any.as_ref().is_some_and(Vec::is_empty))
        || rule.when.facts.iter().any(|(_, patterns)| patterns.is_empty())
    {
        return never(raw.id.span(), format!("rule `{}` wants one element of an empty list", rule.id));
    }
    if lists.iter().any(|args| contradicts(args)) {
        return never(raw.id.span(), format!("rule `{}` wants and forbids the same element", rule.id));
    }
    let Some(grammar) = grammar else {
        return Ok(());
    };
    if rule.statement != Args::default() && grammar.embeds.is_empty() && grammar.words.iter().all(|word| word.embeds.is_empty()) {
        return never(span, format!("rule `{}` speaks of statements, and this tool has no embedded language", rule.id));
    }
    if !grammar.words.is_empty() {
        let mut paths: Vec<Vec<String>> = vec![Vec::new()];
        for (position, alternatives) in rule.words.iter().enumerate() {
            let next: Vec<Vec<String>> = paths
                .iter()
                .flat_map(|path| {
                    alternatives.iter().filter_map(|word| {
                        grammar.next_word(path, word.as_bytes()).map(|full| [path.clone(), vec![full.to_owned()]].concat())
                    })
                })
                .collect();
            if next.is_empty() && position == 0 && rule.effect == Effect::Allow {
                return never(raw.id.span(), format!("rule `{}` allows a word that the grammar does not know", rule.id));
            }
            // Below the last table words are operands, which the rule may name all the same.
            if next.is_empty() {
                break;
            }
            paths = next;
        }
    }
    if source.kind == FileKind::Embedded {
        known_options(source, raw, rule, grammar)?;
    }
    Ok(())
}

fn contradicts(args: &Args) -> bool {
    let wanted = args.all.iter().flatten();
    let forbidden = |element: &String| args.none.iter().flatten().any(|none| none == element);
    wanted.clone().any(forbidden) || args.any.as_ref().is_some_and(|any| !any.is_empty() && any.iter().all(forbidden))
}

/// In gate's own files an option that no grammar knows is a misspelling.
fn known_options(source: &Source<'_>, raw: &RawRule, rule: &Rule, grammar: &Grammar) -> Result<(), PolicyError> {
    let all: Vec<&OptionSpec> = grammar.options.iter().chain(grammar.words.iter().flat_map(|word| &word.options)).collect();
    for args in [&rule.options, &rule.when.options, &rule.unless.options] {
        for pattern in [&args.any, &args.all, &args.none, &args.only].into_iter().flatten().flatten() {
            let name = pattern.split_once('=').map_or(pattern.as_str(), |(name, _)| name);
            if !name.contains('*') && !all.iter().any(|spec| spec.spellings.iter().any(|spelling| spelling == name)) {
                return Err(source.error(raw.id.span(), format!("rule `{}` names `{name}`, which the grammar does not know", rule.id)));
            }
        }
    }
    Ok(())
}
