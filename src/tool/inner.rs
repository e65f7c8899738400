use super::arg::{Arg, Certainty};
use super::grammar::{Grammar, Runs};
use super::read::{Opt, Reading};
use super::sql;
use crate::shell::{self, Script, Shell};

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
    match &grammar.runs {
        Some(Runs::After { operands, assignments, from_stdin }) => after(reading, *operands, *assignments, *from_stdin),
        Some(Runs::Script(option)) => script_option(reading, option),
        Some(Runs::Joined) => joined(reading),
        Some(Runs::Exec(_)) | None => {}
    }
    if !grammar.embeds.is_empty() {
        reading.statements = statements(grammar, &reading.options);
    }
}

fn after(reading: &mut Reading<'_>, own: usize, assignments: bool, from_stdin: bool) {
    let mut start = own.min(reading.operands.len());
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
        // What follows are the script's `$0`, `$1`, …, which a script of known words cannot use.
        (Some(Opt { value: Some(script), .. }), None) if script.is_known() => read_script(reading, &script.text.clone()),
        (None, _) => {}
        _ => reading.opaque = Some("a script that is only known when it runs"),
    }
}

fn joined(reading: &mut Reading<'_>) {
    if reading.operands.is_empty() {
        return;
    }
    if !reading.operands.iter().all(Arg::is_known) {
        reading.opaque = Some("a script that is only known when it runs");
        return;
    }
    let texts: Vec<&[u8]> = reading.operands.iter().map(|arg| &*arg.text).collect();
    let script = texts.join(&b' ');
    read_script(reading, &script);
}

/// Finds a script's commands; one of which more is to be known than its argv is not followed.
fn read_script(reading: &mut Reading<'_>, script: &[u8]) {
    let plain = |commands: &[shell::Command]| commands.iter().map(shell::Command::plain).collect::<Option<Vec<_>>>();
    match shell::read(script, Shell::Posix) {
        Script::Static(commands) => match plain(&commands) {
            Some(commands) => {
                reading.inner.extend(commands.into_iter().map(|words| words.into_iter().map(Arg::inside).collect::<Vec<_>>()));
                reading.operands.clear();
            }
            None => reading.opaque = Some("a script of which more is to be known than its words"),
        },
        Script::Opaque { why, .. } => reading.opaque = Some(why),
    }
}

fn statements(grammar: &Grammar, options: &[Opt<'_>]) -> Option<Vec<sql::Statement>> {
    let mut found = None;
    for option in options {
        let embedded = grammar.embeds.iter().find(|(spellings, _)| spellings.iter().any(|name| option.is(name)));
        if let Some((_, language)) = embedded {
            let all = found.get_or_insert_with(Vec::new);
            match &option.value {
                Some(value) if value.is_known() => all.extend(sql::read(*language, &value.text)),
                _ => all.push(sql::Statement::unknown()),
            }
        }
    }
    found
}
