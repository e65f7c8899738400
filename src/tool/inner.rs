use super::arg::{Arg, Certainty};
use super::command::Inner;
use super::grammar::{Embed, Grammar, Holder, Language, Runs};
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
pub(super) fn follow(grammar: &Grammar, shell: Shell, reading: &mut Reading<'_>) {
    embedded(&grammar.embeds, reading);
    if let Some(word) = reading.word {
        embedded(&word.embeds, reading);
    }
    match reading.word.and_then(|word| word.runs.as_ref()).or(grammar.runs.as_ref()) {
        Some(Runs::After { operands, assignments, from_stdin }) => after(reading, *operands, *assignments, *from_stdin),
        Some(Runs::Script(option)) => script_option(reading, option, shell),
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
    let mut assigned = Vec::new();
    if assignments {
        let given = reading.operands[start..].iter().take_while(|arg| arg.is_known() && assigns(&arg.text));
        assigned.extend(given.filter_map(|arg| {
            let at = arg.text.iter().position(|byte| *byte == b'=')?;
            Some((arg.text[..at].to_vec(), Some(arg.text[at + 1..].to_vec())))
        }));
        start += assigned.len();
    }
    let mut command = reading.operands.split_off(start);
    if !command.is_empty() {
        if from_stdin {
            command.push(Arg { certainty: Certainty::Anything, ..Arg::inside(Vec::new()) });
        }
        reading.inner.push(Inner { assigned, ..Inner::plain(command) });
    }
}

fn assigns(text: &[u8]) -> bool {
    text.iter().position(|byte| *byte == b'=').is_some_and(|at| at > 0)
}

fn script_option(reading: &mut Reading<'_>, option: &str, shell: Shell) {
    let mut scripts = reading.options.iter().filter(|given| given.is(option));
    match (scripts.next(), scripts.next()) {
        (Some(Opt { value: Some(script), .. }), None) if script.is_known() => {
            run(reading, &script.text.clone(), shell);
            // What follows are the script's `$0`, `$1`, …, which are unknown to it.
            reading.operands.clear();
        }
        (None, _) => {}
        _ => reading.opaque = Some("a script that is only known when it runs"),
    }
}

fn joined(reading: &mut Reading<'_>, own: usize) {
    if reading.operands.len() <= own {
        return;
    }
    let script = reading.operands.split_off(own);
    let texts: Vec<&[u8]> = script.iter().take_while(|arg| arg.is_known()).map(|arg| &*arg.text).collect();
    let text = texts.join(&b' ');
    if texts.len() == script.len() && reading.operands.iter().all(Arg::is_known) {
        run(reading, &text, Shell::Posix);
        return;
    }
    reading.opaque = Some("a script that is only known when it runs");
    let (Script::Static(seen) | Script::Opaque { seen, .. }) = shell::read(&text, Shell::Posix);
    reading.inner.extend(seen.iter().flat_map(|command| Inner::of(command, true)));
}

impl Reading<'_> {
    /// The script file that a shell is given instead of a script, as far as it stands in the argv itself.
    pub fn script_file(&self, grammar: &Grammar) -> Option<Vec<u8>> {
        let Some(Runs::Script(option)) = &grammar.runs else { return None };
        let file = self.operands.first().filter(|file| file.is_known() && file.place.is_some() && !file.text.is_empty())?;
        (!self.options.iter().any(|given| given.is(option))).then(|| file.text.to_vec())
    }

    /// Takes in what the script file runs.
    pub fn follow_script(&mut self, bytes: Option<&[u8]>, shell: Shell) {
        self.script = Some(bytes.is_some());
        if let Some(bytes) = bytes {
            run(self, bytes, shell);
        }
    }
}

/// Adds what a shell script runs, or what is seen of it where that cannot be told.
fn run(reading: &mut Reading<'_>, script: &[u8], shell: Shell) {
    let (commands, guessed) = match shell::read(script, shell) {
        Script::Static(commands) => (commands, false),
        Script::Opaque { why, seen } => {
            reading.opaque = Some(why);
            (seen, true)
        }
    };
    reading.inner.extend(commands.iter().flat_map(|command| Inner::of(command, guessed)));
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
            (Language::Shell, Some(script)) => run(reading, &script, Shell::Posix),
            (Language::Shell, None) => reading.opaque = Some("a script that is only known when it runs"),
            (language, text) => {
                let read = text.map_or_else(|| vec![sql::Statement::unknown()], |text| sql::read(language, &text));
                reading.statements.get_or_insert_default().extend(read);
            }
        }
    }
}
