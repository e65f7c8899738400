use super::arg::{Arg, Certainty};
use super::grammar::{Embed, Grammar, Holder, Language, Runs};
use super::read::{Opt, Reading};
use super::sql;
use crate::shell::{self, Script};

/// An argument of `-exec`: what holds `{}` is only known when it runs, but is one argument and no option, unless it begins as one.
/// `{}` by itself is a start point, or a path below one.
pub(super) fn placeholder<'a>(arg: &Arg<'a>, roots: &[Vec<u8>]) -> Arg<'a> {
    let holds = arg.text.windows(2).any(|pair| pair == b"{}");
    let certainty = match arg.certainty {
        Certainty::Known if holds && arg.text.starts_with(b"-") => Certainty::Anything,
        Certainty::Known if holds => Certainty::Value,
        other => other,
    };
    let roots = if &*arg.text == b"{}" { roots.to_vec() } else { Vec::new() };
    Arg { certainty, roots, ..arg.clone() }
}

/// Finds the commands and statements inside what was read.
pub(super) fn follow(grammar: &Grammar, reading: &mut Reading<'_>) {
    embedded(&grammar.embeds, reading);
    if let Some(word) = reading.word {
        embedded(&word.embeds, reading);
    }
    match reading.word.and_then(|word| word.runs.as_ref()).or(grammar.runs.as_ref()) {
        Some(Runs::After { operands, assignments, from_stdin }) => after(reading, *operands, *assignments, *from_stdin),
        Some(Runs::Script(option)) => script_option(reading, option),
        Some(Runs::Joined(own)) => joined(reading, *own),
        Some(Runs::Exec(_)) | None => {}
    }
}

fn after(reading: &mut Reading<'_>, own: usize, assignments: bool, from_stdin: bool) {
    let mut start = own.min(reading.operands.len());
    if reading.operands[..start].iter().any(Arg::is_many) {
        reading.opaque = Some("where the command that it runs begins is only known when it runs");
        return;
    }
    if assignments {
        start += reading.operands[start..].iter().take_while(|arg| arg.is_known() && assigns(&arg.text)).count();
    }
    let mut command = reading.operands.split_off(start);
    if !command.is_empty() {
        if from_stdin {
            command.push(Arg { certainty: Certainty::Anything, ..Arg::inside(Vec::new()) });
        }
        reading.inner.push(command);
    }
}

fn assigns(text: &[u8]) -> bool {
    text.iter().position(|byte| *byte == b'=').is_some_and(|at| at > 0)
}

fn script_option(reading: &mut Reading<'_>, option: &str) {
    let mut scripts = reading.options.iter().filter(|given| given.is(option));
    match (scripts.next(), scripts.next()) {
        (Some(Opt { value: Some(script), .. }), None) if script.is_known() => match shell::read(&script.text) {
            Script::Static(commands) => {
                let inner: Vec<Vec<Arg<'_>>> = commands.into_iter().map(|words| words.into_iter().map(Arg::inside).collect()).collect();
                reading.inner.extend(inner);
                // What follows are the script's `$0`, `$1`, …, which a static script cannot use.
                reading.operands.clear();
            }
            Script::Opaque(why) => reading.opaque = Some(why),
        },
        (None, _) => {}
        _ => reading.opaque = Some("a script that is only known when it runs"),
    }
}

fn joined(reading: &mut Reading<'_>, own: usize) {
    if reading.operands.len() <= own {
        return;
    }
    let script = reading.operands.split_off(own);
    if !script.iter().chain(&reading.operands).all(|arg| arg.is_known()) {
        reading.opaque = Some("a script that is only known when it runs");
        return;
    }
    let texts: Vec<&[u8]> = script.iter().map(|arg| &*arg.text).collect();
    run(reading, &texts.join(&b' '));
}

/// Adds what a shell script runs.
fn run(reading: &mut Reading<'_>, script: &[u8]) {
    match shell::read(script) {
        Script::Static(commands) => {
            reading.inner.extend(commands.into_iter().map(|words| words.into_iter().map(Arg::inside).collect::<Vec<_>>()));
        }
        Script::Opaque(why) => reading.opaque = Some(why),
    }
}

/// Reads the texts in other languages that its arguments hold.
fn embedded(embeds: &[Embed], reading: &mut Reading<'_>) {
    let mut texts: Vec<(Language, Option<Vec<u8>>)> = Vec::new();
    let known = |arg: &Arg<'_>| arg.is_known().then(|| arg.text.to_vec());
    for embed in embeds {
        match &embed.of {
            Holder::Option(spellings) => {
                let given = reading.options.iter().filter(|option| spellings.iter().any(|name| option.is(name)));
                texts.extend(given.map(|option| (embed.language, option.value.as_ref().and_then(known))));
            }
            Holder::Operand(at) => {
                let hidden = reading.operands.iter().take(at + 1).any(Arg::is_many);
                let text = reading.operands.get(*at).map(|arg| if hidden { None } else { known(arg) });
                texts.extend(text.or(hidden.then_some(None)).map(|text| (embed.language, text)));
            }
            Holder::Operands => texts.extend(reading.operands.iter().map(|arg| (embed.language, known(arg)))),
        }
    }
    for (language, text) in texts {
        match (language, text) {
            (Language::Shell, Some(script)) => run(reading, &script),
            (Language::Shell, None) => reading.opaque = Some("a script that is only known when it runs"),
            (language, text) => {
                let read = text.map_or_else(|| vec![sql::Statement::unknown()], |text| sql::read(language, &text));
                reading.statements.get_or_insert_default().extend(read);
            }
        }
    }
}
