//! Looks into scripts that cannot be told for what may run. It is often wrong, and never refuses: what it sees may only make an answer
//! stricter. It goes over the text once, without recursion, and over what `eval` and its like are given once more.

use super::reader::ends_a_word;
use super::{Command, Input, Piece, Place, Redirection, Word};

/// How many bytes are looked at, texts inside of texts included.
const BYTES: usize = 256 * 1024;

/// How many commands are told.
const COMMANDS: usize = 1024;

/// How many variables are remembered.
const VALUES: usize = 256;

/// How often the end of a text is looked for in vain.
const ENDLESS: usize = 16;

/// How deep substitutions are kept apart.
const FRAMES: usize = 256;

/// What stands before a command's name and is none.
const PREFIXES: &[&[u8]] = &[
    b"!", b"{", b"}", b"if", b"then", b"elif", b"else", b"fi", b"while", b"until", b"do", b"done", b"time", b"coproc", b"exec", b"command",
    b"builtin", b"nocorrect", b"noglob", b"esac",
];

const SHELLS: &[&[u8]] = &[b"sh", b"bash", b"dash", b"ash", b"ksh", b"mksh", b"zsh", b"fish", b"su"];

/// What can be recognised in a script.
pub(super) fn see(script: &[u8]) -> Vec<Command> {
    let mut eye = Eye { left: BYTES, place: Place::Here, ..Eye::default() };
    eye.texts.push(script.to_vec());
    while let Some(text) = eye.texts.pop() {
        let length = text.len().min(eye.left);
        eye.left -= length;
        eye.look(&text[..length]);
    }
    eye.found
}

/// A command as it is being seen, and what it stands in.
#[derive(Default)]
struct Frame {
    word: Option<Seen>,
    words: Vec<Word>,
    files: Vec<Redirection>,
    redirection: Option<(bool, bool)>,
    /// The word that is being seen stands in double quotes.
    quoted: bool,
    closes: u8,
}

/// A word, or what braces make of it.
#[derive(Clone)]
struct Seen {
    variants: Vec<Word>,
}

#[derive(Default)]
struct Eye {
    found: Vec<Command>,
    /// What variables were last seen to be set to.
    values: Vec<(Vec<u8>, Vec<u8>)>,
    place: Place,
    /// Texts that are yet to be looked at.
    texts: Vec<Vec<u8>>,
    left: usize,
    frame: Frame,
    around: Vec<Frame>,
    /// Where the texts after the current line end: their ends, as long as the line goes on.
    ends: Vec<(Vec<u8>, bool)>,
    /// How many such texts had no end.
    endless: usize,
}

impl Eye {
    fn look(&mut self, text: &[u8]) {
        let mut at = 0;
        while let Some(&byte) = text.get(at) {
            at += if self.frame.quoted { self.quoted(&text[at..], byte) } else { self.bare(&text[at..], byte) };
        }
        while let Some(around) = self.around.pop() {
            self.finish();
            self.frame = around;
        }
        self.frame.quoted = false;
        self.finish();
        self.frame = Frame::default();
        self.ends.clear();
    }

    fn quoted(&mut self, rest: &[u8], byte: u8) -> usize {
        match byte {
            b'"' => {
                self.frame.quoted = false;
                1
            }
            b'\\' => match rest.get(1) {
                Some(b'\n') => 2,
                Some(escaped @ (b'$' | b'`' | b'"' | b'\\')) => {
                    self.text(&[*escaped]);
                    2
                }
                _ => {
                    self.text(b"\\");
                    1
                }
            },
            b'$' => self.dollar(rest),
            b'`' => self.backquote(),
            0 => 1,
            _ => {
                self.text(&[byte]);
                1
            }
        }
    }

    fn bare(&mut self, rest: &[u8], byte: u8) -> usize {
        match byte {
            b' ' | b'\t' | b'\r' => self.end_word(),
            b'\n' => {
                self.finish();
                return 1 + self.skip_texts(&rest[1..]);
            }
            b'#' if self.frame.word.is_none() => return rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len()),
            b';' | b'|' => self.finish(),
            b'&' if matches!(rest.get(1), Some(b'>')) => return 1,
            b'&' => self.finish(),
            b'(' => {
                self.finish();
                self.open(b')');
            }
            b')' => self.close(b')'),
            b'`' => return self.backquote(),
            b'\'' => {
                let length = rest[1..].iter().position(|byte| *byte == b'\'').unwrap_or(rest.len() - 1);
                self.text(&rest[1..=length]);
                return (length + 2).min(rest.len());
            }
            b'"' => {
                self.text(b"");
                self.frame.quoted = true;
            }
            b'\\' => match rest.get(1) {
                Some(b'\n') => return 2,
                Some(escaped) => {
                    self.text(&[*escaped]);
                    return 2;
                }
                None => {}
            },
            b'$' => return self.dollar(rest),
            b'<' | b'>' => return self.redirection(rest),
            b'*' | b'?' => self.piece(&Piece::Glob(vec![byte]), false),
            b'~' if self.frame.word.is_none() && rest.get(1).is_none_or(|after| *after == b'/' || ends_a_word(*after)) => {
                self.piece(&Piece::Home, false);
            }
            b'{' => return self.braces(rest),
            0 => {}
            _ => self.text(&[byte]),
        }
        1
    }

    fn word(&mut self) -> &mut Seen {
        self.frame.word.get_or_insert_with(|| Seen { variants: vec![Word::default()] })
    }

    fn text(&mut self, text: &[u8]) {
        for word in &mut self.word().variants {
            match word.pieces.last_mut() {
                Some(Piece::Text(last)) => last.extend_from_slice(text),
                _ => word.pieces.push(Piece::Text(text.to_vec())),
            }
        }
    }

    fn piece(&mut self, piece: &Piece, splits: bool) {
        for word in &mut self.word().variants {
            word.pieces.push(piece.clone());
            word.splits |= splits;
        }
    }

    fn open(&mut self, closes: u8) {
        if self.around.len() < FRAMES {
            let inner = Frame { closes, ..Frame::default() };
            self.around.push(std::mem::replace(&mut self.frame, inner));
        }
    }

    fn close(&mut self, with: u8) {
        self.finish();
        if self.frame.closes == with
            && let Some(around) = self.around.pop()
        {
            self.frame = around;
        }
    }

    fn backquote(&mut self) -> usize {
        if self.frame.closes == b'`' {
            self.frame.quoted = false;
            self.close(b'`');
        } else {
            let splits = !self.frame.quoted;
            self.piece(&Piece::Unknown, splits);
            self.open(b'`');
        }
        1
    }

    fn dollar(&mut self, rest: &[u8]) -> usize {
        let splits = !self.frame.quoted;
        match rest.get(1) {
            Some(b'(') => {
                self.piece(&Piece::Unknown, splits);
                if self.around.len() >= FRAMES {
                    self.frame.quoted = false;
                    self.finish();
                }
                self.open(b')');
                2
            }
            Some(b'\'') if splits => {
                let (text, length) = unescaped(&rest[2..]);
                self.text(&text);
                length + 2
            }
            Some(b'"') if splits => 1,
            Some(b'{') => {
                let name = super::expand::name_length(&rest[2..]);
                if name > 0 && rest.get(2 + name) == Some(&b'}') {
                    self.variable(&rest[2..2 + name]);
                    return name + 3;
                }
                // What is in it may hold substitutions, and is looked at as if it were a part of the word.
                self.piece(&Piece::Unknown, splits);
                2
            }
            Some(first) if first.is_ascii_alphabetic() || *first == b'_' => {
                let name = super::expand::name_length(&rest[1..]);
                self.variable(&rest[1..=name]);
                name + 1
            }
            Some(b'0'..=b'9' | b'@' | b'*' | b'#' | b'?' | b'$' | b'!' | b'-') => {
                self.piece(&Piece::Unknown, splits);
                2
            }
            _ => {
                self.text(b"$");
                1
            }
        }
    }

    /// A variable is what the script set it to, if it did.
    fn variable(&mut self, name: &[u8]) {
        let quoted = self.frame.quoted;
        if name == b"IFS" && !quoted {
            self.end_word();
            return;
        }
        let value = self.values.iter().rev().find(|(set, _)| set == name).map(|(_, value)| value.clone());
        match value {
            // A value that is long and is said often would become longer than any text.
            Some(value) if quoted && value.len() <= self.left => {
                self.left -= value.len();
                self.text(&value);
            }
            Some(value) if value.len() <= self.left => {
                self.left -= value.len();
                let mut parts = value.split(|byte| byte.is_ascii_whitespace());
                self.text(parts.next().unwrap_or_default());
                for part in parts {
                    self.end_word();
                    self.text(part);
                }
            }
            _ if name == b"HOME" => self.piece(&Piece::Home, false),
            _ => self.piece(&Piece::Unknown, !quoted),
        }
    }

    fn redirection(&mut self, rest: &[u8]) -> usize {
        if rest.get(1) == Some(&b'(') {
            self.piece(&Piece::Unknown, false);
            self.open(b')');
            return 2;
        }
        // A number before it is no argument.
        let number = |word: &Seen| word.variants[0].known().is_some_and(|text| text.iter().all(u8::is_ascii_digit));
        if self.frame.word.as_ref().is_some_and(number) {
            self.frame.word = None;
        }
        self.end_word();
        match rest {
            [b'<', b'<', b'<', ..] => {
                self.frame.redirection = None;
                3
            }
            [b'<', b'<', tail @ ..] => 2 + self.heredoc(tail),
            [b'<' | b'>', b'&', after, ..] if after.is_ascii_digit() || *after == b'-' => 3,
            [b'<', b'>', ..] | [b'>', b'|' | b'&', ..] => {
                self.frame.redirection = Some((true, false));
                2
            }
            [b'>', b'>', ..] => {
                self.frame.redirection = Some((true, true));
                2
            }
            [sign, ..] => {
                self.frame.redirection = Some((*sign == b'>', false));
                1
            }
            [] => 1,
        }
    }

    /// Takes note of a text after this line.
    fn heredoc(&mut self, tail: &[u8]) -> usize {
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
    fn skip_texts(&mut self, rest: &[u8]) -> usize {
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
            match body {
                Some(body) => self.embedded(&rest[start..body]),
                // Without its end it is no text.
                None => {
                    self.endless += 1;
                    at = start;
                }
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

    /// `{a,b}` is two words; every other brace is itself.
    fn braces(&mut self, rest: &[u8]) -> usize {
        let inside = rest[1..].iter().position(|byte| ends_a_word(*byte) || matches!(byte, b'{' | b'}' | b'$' | b'`' | b'\'' | b'"' | b'\\'));
        let Some(length) = inside.filter(|length| rest[length + 1] == b'}' && rest[1..=*length].contains(&b',')) else {
            self.text(b"{");
            return 1;
        };
        let parts: Vec<&[u8]> = rest[1..=length].split(|byte| *byte == b',').collect();
        let word = self.word();
        if word.variants.len() * parts.len() <= 64 {
            let variants = std::mem::take(&mut word.variants);
            for before in variants {
                for part in &parts {
                    let mut variant = before.clone();
                    variant.pieces.push(Piece::Text(part.to_vec()));
                    word.variants.push(variant);
                }
            }
        }
        length + 2
    }

    fn end_word(&mut self) {
        let Some(seen) = self.frame.word.take() else { return };
        for mut word in seen.variants {
            merge(&mut word);
            match self.frame.redirection.take() {
                Some((writes, appends)) => self.frame.files.push(Redirection { writes, appends, to: word }),
                None => self.frame.words.push(word),
            }
        }
    }

    /// Takes up the command that was seen until here.
    fn finish(&mut self) {
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
                let target = rest.iter().rev().next().and_then(Word::known);
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

fn merge(word: &mut Word) {
    let mut pieces: Vec<Piece> = Vec::with_capacity(word.pieces.len());
    for piece in word.pieces.drain(..) {
        match (pieces.last_mut(), piece) {
            (Some(Piece::Text(last)), Piece::Text(text)) => last.extend_from_slice(&text),
            (_, piece) => pieces.push(piece),
        }
    }
    word.pieces = pieces;
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

/// The inside of `$'…'`, and how long it is with its end.
fn unescaped(rest: &[u8]) -> (Vec<u8>, usize) {
    let mut text = Vec::new();
    let mut at = 0;
    while let Some(&byte) = rest.get(at) {
        at += 1;
        match byte {
            b'\'' => break,
            b'\\' => {
                let Some(&escape) = rest.get(at) else { break };
                at += 1;
                let (radix, most) = match escape {
                    b'x' => (16, 2),
                    b'u' => (16, 4),
                    b'U' => (16, 8),
                    b'0'..=b'7' => {
                        at -= 1;
                        (8, 3)
                    }
                    _ => {
                        text.push(match escape {
                            b'n' => b'\n',
                            b't' => b'\t',
                            other => other,
                        });
                        continue;
                    }
                };
                let digits: Vec<u32> = rest[at..].iter().take(most).map_while(|byte| char::from(*byte).to_digit(radix)).collect();
                at += digits.len();
                let value = digits.iter().fold(0_u32, |value, digit| value.wrapping_mul(radix) | digit);
                match char::from_u32(value) {
                    Some('\0') | None => {}
                    Some(letter) => text.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes()),
                }
            }
            _ => text.push(byte),
        }
    }
    (text, at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn sees(script: &str, argv: &[&str]) {
        let found = see(script.as_bytes());
        let wanted: Vec<Option<Vec<u8>>> = argv.iter().map(|word| Some(word.as_bytes().to_vec())).collect();
        let seen = |command: &Command| command.words.iter().map(Word::known).eq(wanted.iter().cloned());
        assert!(found.iter().any(seen), "{script:?} was seen as {found:#?}");
    }

    #[test]
    fn what_hides_a_command_is_looked_through() {
        for script in [
            "eval 'rm -rf /'",
            "eval \"rm\" -rf /",
            "eval \"eval 'rm -rf /'\"",
            "bash -c 'sh -ec \"rm -rf /\"'",
            "trap 'rm -rf /' EXIT",
            "alias ls='rm -rf /'",
            "f() { rm -rf /; }",
            "a=r; b=m; $a$b -rf /",
            "X='rm -rf /'; $X",
            "X='rm -rf /'; eval \"$X\"",
            "rm${IFS}-rf$IFS/",
            "{rm,-rf,/}",
            "$'\\x72\\155' -rf $'\\u002f'",
            "r\\m -r''f \"/\"",
            "r\\\nm -rf /",
            "r\0m -rf /",
            "echo $(( $(rm -rf /) ))",
            "echo \"${X:-`rm -rf /`}\"",
            "cat <<E\n\"$(rm -rf /)\"\nE",
            "bash <<'E'\nrm -rf /\nE",
            "x <<E\nrm -rf /",
            "if ! time exec rm -rf /; then",
            "case x in x) rm -rf /;; esac",
            "diff <(rm -rf /) x",
            "X=1 2>/dev/null rm -rf / >&2",
            "rm -rf /\r\nls",
            "coproc { rm -rf /; }",
            "((((((rm -rf /",
        ] {
            sees(script, &["rm", "-rf", "/"]);
        }
        sees("cd /x && rm y | (z", &["z"]);
    }

    #[test]
    fn a_text_that_is_only_written_is_no_command() {
        let found = see(b"cat > README <<'E'\nrm -rf /\nE\n. x");
        assert_eq!(found.len(), 2, "{found:#?}");
    }

    #[test]
    fn bombs_are_seen_through_in_no_time() {
        let start = std::time::Instant::now();
        let parts = [
            "( ", "$(", "\"$(", "`", "\"`", "'", "\"", "${", "a <<E\n", "X=1;$X;", "{a,b}", "X=\"$X$X\";", "X=a$X$X ;", "eval '", "eval \"", "<(", "a;", "\\",
            "bash -c '", "trap a b c;", "{a,b}$X", "a\\\n", "$'\\x41", "eval $X;", "X='$X eval $X';eval $X;",
        ];
        for part in parts {
            see(part.repeat(64 * 1024 / part.len()).as_bytes());
        }
        assert!(start.elapsed() < std::time::Duration::from_secs(5), "{:?}", start.elapsed());
    }
}
