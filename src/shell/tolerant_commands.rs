//! What the tolerant reader makes of a command: the scripts that it is given, the texts that it reads, the directory that it goes to.

use super::reader::ends_a_word;
use super::tolerant::Eye;
use super::{Command, Input, Piece, Place, Word};

/// How many commands are told.
const COMMANDS: usize = 1024;

/// How many variables are remembered.
const VALUES: usize = 256;

/// How often the end of a text is looked for in vain.
const ENDLESS: usize = 16;

/// What stands before a command's name and is none.
const PREFIXES: &[&[u8]] = &[
    b"!",
    b"{",
    b"}",
    b"if",
    b"then",
    b"elif",
    b"else",
    b"fi",
    b"while",
    b"until",
    b"do",
    b"done",
    b"time",
    b"coproc",
    b"exec",
    b"command",
    b"builtin",
    b"nocorrect",
    b"noglob",
    b"esac",
];

const SHELLS: &[&[u8]] = &[b"sh", b"bash", b"dash", b"ash", b"ksh", b"mksh", b"zsh", b"fish", b"su"];

impl Eye {
    /// Takes note of a text after this line.
    pub(super) fn heredoc(&mut self, tail: &[u8]) -> usize {
        let strips = tail.first() == Some(&b'-');
        let mut at = usize::from(strips);
        at += tail[at..].iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        let length = tail[at..].iter().position(|byte| ends_a_word(*byte)).unwrap_or(tail.len() - at);
        let end: Vec<u8> = tail[at..at + length].iter().copied().filter(|byte| !matches!(byte, b'\'' | b'"' | b'\\')).collect();
        if length > 0 && self.endless < ENDLESS {
            self.ends.push((end, strips));
        }
        at + length
    }

    /// Goes over the texts after a line. One that a shell may be given, or that is expanded, is looked at by itself.
    pub(super) fn skip_texts(&mut self, rest: &[u8]) -> usize {
        let mut at = 0;
        for (end, strips) in std::mem::take(&mut self.ends) {
            let start = at;
            let mut body = None;
            while at < rest.len() {
                let length = rest[at..].iter().position(|byte| *byte == b'\n').unwrap_or(rest.len() - at);
                let line = &rest[at..at + length];
                let tabs = if strips { line.iter().take_while(|byte| **byte == b'\t').count() } else { 0 };
                let line_start = at;
                at = (at + length + 1).min(rest.len());
                if line[tabs..] == *end {
                    body = Some(line_start);
                    break;
                }
            }
            if let Some(body) = body {
                self.embedded(&rest[start..body]);
            } else {
                // Without its end it is no text.
                self.endless += 1;
                at = start;
            }
        }
        at
    }

    /// Looks at a text that the last command reads.
    fn embedded(&mut self, body: &[u8]) {
        let shell = self.found.iter().rev().take(4).any(|command| command.words.first().is_some_and(is_a_shell));
        if shell {
            self.texts.push(body.to_vec());
        } else if body.windows(2).any(|pair| pair == b"$(") || body.contains(&b'`') {
            // In double quotes only substitutions are commands.
            let mut quoted: Vec<u8> = b": \"".to_vec();
            quoted.extend(body.iter().map(|byte| if *byte == b'"' { b' ' } else { *byte }));
            quoted.push(b'"');
            self.texts.push(quoted);
        }
    }

    /// Takes up the command that was seen until here.
    pub(super) fn finish(&mut self) {
        self.end_word();
        self.frame.redirection = None;
        let mut words = std::mem::take(&mut self.frame.words);
        let files = std::mem::take(&mut self.frame.files);
        let mut assigned = Vec::new();
        let mut start = 0;
        while let Some(word) = words.get(start) {
            if let Some((name, value)) = assignment(word) {
                if let Some(known) = value.known()
                    && self.values.len() < VALUES
                {
                    self.values.push((name.clone(), known));
                }
                assigned.push((name, value));
            } else if !word.known().is_some_and(|text| PREFIXES.contains(&text.as_slice())) {
                break;
            }
            start += 1;
        }
        words.drain(..start);
        if words.is_empty() && files.is_empty() || self.found.len() >= COMMANDS {
            return;
        }
        let place = self.place.clone();
        self.follow(&words);
        self.found.push(Command { words, assigned, files, input: Input::Unknown, place });
    }

    /// Looks at the scripts that a command is given, and goes where it goes.
    fn follow(&mut self, words: &[Word]) {
        let Some(name) = words.first().and_then(Word::known) else { return };
        let rest = &words[1..];
        match name.as_slice() {
            b"eval" => {
                let texts: Vec<Vec<u8>> = rest.iter().map(as_script).collect();
                self.texts.push(texts.join(&b' '));
            }
            b"trap" | b"alias" => self.texts.extend(rest.iter().map(|word| {
                let text = as_script(word);
                let value = text.iter().position(|byte| *byte == b'=').filter(|_| name == b"alias");
                value.map_or(text.clone(), |at| text[at + 1..].to_vec())
            })),
            b"cd" | b"pushd" | b"chdir" => {
                let target = rest.iter().next_back().and_then(Word::known);
                self.place = target.map_or(Place::Unknown, |path| super::place::below(&self.place, &path));
            }
            b"popd" => self.place = Place::Unknown,
            _ if is_a_shell(&words[0]) => {
                let option = |word: &Word| word.known().is_some_and(|text| text.starts_with(b"-") && text.ends_with(b"c"));
                if let Some(script) = rest.iter().position(option).and_then(|at| rest.get(at + 1)) {
                    self.texts.push(as_script(script));
                }
            }
            _ => {}
        }
    }
}

fn is_a_shell(word: &Word) -> bool {
    word.known().is_some_and(|name| {
        let name = name.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
        SHELLS.contains(&name)
    })
}

/// `NAME=value`.
fn assignment(word: &Word) -> Option<(Vec<u8>, Word)> {
    let Some(Piece::Text(text)) = word.pieces.first() else { return None };
    let length = super::expand::name_length(text);
    if length == 0 || text.get(length) != Some(&b'=') {
        return None;
    }
    let mut value = word.clone();
    value.pieces[0] = Piece::Text(text[length + 1..].to_vec());
    Some((text[..length].to_vec(), value))
}

/// A word as a part of a script, with something unknown where it is.
fn as_script(word: &Word) -> Vec<u8> {
    let mut script = Vec::new();
    for piece in &word.pieces {
        match piece {
            Piece::Text(text) | Piece::Glob(text) => script.extend_from_slice(text),
            Piece::Home => script.push(b'~'),
            Piece::Unknown => script.extend_from_slice(b"$0"),
        }
    }
    script
}
