use super::arg::{Arg, Certainty, Part};
use super::command::Inner;
use super::grammar::{Grammar, OptionSpec, Runs, Syntax, Takes, WordSpec};
use super::inner;
use crate::shell::Shell;

/// One occurrence of an option.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Opt<'a> {
    /// As typed, without its value.
    pub raw: Vec<u8>,
    /// What the grammar says of it; none for an unknown one.
    pub spec: Option<&'a OptionSpec>,
    /// Its value.
    pub value: Option<Arg<'a>>,
    /// `--no-x` of a tool that negates.
    pub negated: bool,
    /// It stood before the first word, or belongs to the whole tool.
    pub global: bool,
}

impl Opt<'_> {
    /// Whether `name` is one of its spellings.
    pub fn is(&self, name: &str) -> bool {
        match self.spec {
            Some(spec) => spec.spellings.iter().any(|spelling| spelling == name),
            None => self.raw == name.as_bytes(),
        }
    }

    /// Whether an unknown bundle could hold the short option `name`.
    pub(crate) fn could_be(&self, name: &str) -> bool {
        let short = match name.as_bytes() {
            [b'-', letter] if *letter != b'-' => *letter,
            _ => return false,
        };
        self.spec.is_none() && self.raw.first() == Some(&b'-') && self.raw.get(1) != Some(&b'-') && self.raw[1..].contains(&short)
    }
}

/// One way in which a tool may read its arguments.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Reading<'a> {
    /// Whether the script file that it is given was read; none where it is given none.
    pub script: Option<bool>,
    /// Words are words in any case.
    pub fold_case: bool,
    /// The table of its subcommand.
    pub word: Option<&'a WordSpec>,
    /// The subcommand's words; one that the grammar does not know ends them.
    pub words: Vec<Arg<'a>>,
    /// Whether all words are in the grammar.
    pub words_known: bool,
    /// The options in order.
    pub options: Vec<Opt<'a>>,
    /// The operands in order.
    pub operands: Vec<Arg<'a>>,
    /// Statements of an embedded language, as labels; `None` where no such option is present.
    pub statements: Option<Vec<super::sql::Statement>>,
    /// The commands that it would run.
    pub inner: Vec<Inner<'a>>,
    /// Why what it would run cannot be told.
    pub opaque: Option<&'static str>,
    /// More unknown options than can be tried: words and operands may be values instead.
    pub loose: bool,
}

impl Reading<'_> {
    /// Whether every option is one that the grammar knows, and nothing could turn out to be another.
    pub fn options_known(&self) -> bool {
        !self.loose
            && self.options.iter().all(|option| option.spec.is_some())
            && self.operands.iter().chain(&self.words).all(|arg| arg.certainty != Certainty::Anything)
    }
}

/// Which shell reads a script that this program is given.
pub fn shell_of(name: &[u8]) -> Shell {
    if name == b"bash" { Shell::Bash } else { Shell::Posix }
}

/// The most unknown options for which both ways are tried.
const TRIED: usize = 6;

/// Every way in which the tool `name` may read `args` (without the program's name): one where all options are known.
pub fn readings<'a>(grammar: &'a Grammar, name: &[u8], args: &[Arg<'a>]) -> Vec<Reading<'a>> {
    let shell = shell_of(name);
    let mut reader = Reader::new(grammar, 0);
    reader.read(args);
    let unknown = reader.unknown;
    let mut first = reader.finish(shell);
    if unknown > TRIED {
        first.loose = true;
        return vec![first];
    }
    let mut all = vec![first];
    for choices in 1..1_u32 << unknown {
        let mut reader = Reader::new(grammar, choices);
        reader.read(args);
        let reading = reader.finish(shell);
        if !all.contains(&reading) {
            all.push(reading);
        }
    }
    all
}

pub(super) struct Reader<'a> {
    pub(super) grammar: &'a Grammar,
    /// Bit k: the k-th unknown option takes the next argument as its value.
    choices: u32,
    unknown: usize,
    path: Vec<String>,
    words_done: bool,
    pub(super) reading: Reading<'a>,
}

pub(super) enum Next {
    Nothing,
    Value,
}

impl<'a> Reader<'a> {
    fn new(grammar: &'a Grammar, choices: u32) -> Self {
        Self {
            grammar,
            choices,
            unknown: 0,
            path: Vec::new(),
            words_done: grammar.words.is_empty(),
            reading: Reading { words_known: true, fold_case: grammar.fold_case, ..Reading::default() },
        }
    }

    fn finish(mut self, shell: Shell) -> Reading<'a> {
        inner::follow(self.grammar, shell, &mut self.reading);
        self.reading
    }

    fn read(&mut self, args: &[Arg<'a>]) {
        match self.grammar.syntax {
            Syntax::KeyValue => self.read_pairs(args),
            Syntax::Find => self.read_find(args),
            Syntax::Plain => args.iter().for_each(|arg| self.operand(plain(arg))),
            Syntax::Gnu | Syntax::Posix | Syntax::SingleDash => self.read_options(args),
        }
    }

    fn read_options(&mut self, args: &[Arg<'a>]) {
        let stops = self.grammar.syntax == Syntax::Posix;
        let mut dashes = false;
        let mut at = 0;
        while let Some(arg) = args.get(at) {
            at += 1;
            let text: &[u8] = &arg.text;
            if let Some((name, value)) = value_to_come(arg) {
                self.long(&Arg::inside(name));
                if let Some(option) = self.reading.options.last_mut() {
                    option.value = Some(value);
                }
            } else if arg.certainty != Certainty::Known || text.len() < 2 || text[0] != b'-' {
                self.operand(arg.clone());
                let stops = stops || self.reading.word.is_some_and(|word| word.stops);
                if stops && self.words_done && !self.reading.operands.is_empty() {
                    break;
                }
            } else if text == b"--" {
                dashes = true;
                break;
            } else if self.grammar.numeric && text[1..].iter().all(u8::is_ascii_digit) {
                self.known(text.to_vec(), numeric_flag(), None);
            } else {
                at += self.option(arg, args.get(at));
            }
        }
        for arg in args.get(at..).unwrap_or_default() {
            // What stands behind `--` is no option, whatever a glob finds; of the command that a wrapper runs it may be one.
            let own = dashes && self.grammar.runs.is_none() && self.reading.word.is_none_or(|word| word.runs.is_none());
            let certainty =
                if own && arg.certainty == Certainty::Anything && !arg.shape.is_empty() { Certainty::Several } else { arg.certainty };
            self.operand(Arg { certainty, ..arg.clone() });
        }
    }

    /// Reads one option, and gives how many of the following arguments it took.
    fn option(&mut self, arg: &Arg<'a>, following: Option<&Arg<'a>>) -> usize {
        let long = arg.text.starts_with(b"--") || self.grammar.syntax == Syntax::SingleDash;
        let next = if long { self.long(arg) } else { self.short(arg) };
        match (next, following) {
            (Next::Value, Some(value)) => {
                if let Some(option) = self.reading.options.last_mut() {
                    option.value = Some(value.clone());
                }
                1
            }
            _ => 0,
        }
    }

    fn long(&mut self, arg: &Arg<'a>) -> Next {
        let text: &[u8] = &arg.text;
        let equals = text.iter().position(|byte| *byte == b'=');
        let name = &text[..equals.unwrap_or(text.len())];
        let value = equals.map(|at| arg.from(at + 1));
        if let Some(spec) = self.find_long(name) {
            let wants_next = spec.takes == Takes::Value && value.is_none();
            self.known(name.to_vec(), spec, value);
            return if wants_next { Next::Value } else { Next::Nothing };
        }
        if let Some(spec) = self.find_negated(name) {
            self.known(name.to_vec(), spec, value);
            if let Some(option) = self.reading.options.last_mut() {
                option.negated = true;
            }
            return Next::Nothing;
        }
        let attached = value.is_some();
        self.unknown(name.to_vec(), value, attached)
    }

    fn short(&mut self, arg: &Arg<'a>) -> Next {
        let text: &[u8] = &arg.text;
        if !self.grammar.bundle {
            return match self.find(text) {
                Some(spec) => {
                    let wants_next = spec.takes == Takes::Value;
                    self.known(text.to_vec(), spec, None);
                    if wants_next { Next::Value } else { Next::Nothing }
                }
                None => self.unknown(text.to_vec(), None, false),
            };
        }
        let mut parsed = Vec::new();
        let mut next = Next::Nothing;
        let mut at = 1;
        while at < text.len() {
            let name = [b'-', text[at]];
            at += 1;
            let Some(spec) = self.find(&name) else {
                return self.unknown(text.to_vec(), None, false);
            };
            let rest = at < text.len();
            match spec.takes {
                Takes::Nothing if rest && text[at] == b'=' && self.grammar.short_equals => {
                    parsed.push((name, spec, Some(arg.from(at + 1))));
                    at = text.len();
                }
                // A shell's `-c` takes the next operand: what is attached to it are more flags.
                Takes::Value if rest && matches!(&self.grammar.runs, Some(Runs::Script(option)) if option.as_bytes() == name) => {
                    return self.unknown(text.to_vec(), None, false);
                }
                Takes::Value | Takes::Attached if rest => {
                    let skip = usize::from(self.grammar.short_equals && text[at] == b'=');
                    parsed.push((name, spec, Some(arg.from(at + skip))));
                    at = text.len();
                }
                Takes::Value => {
                    parsed.push((name, spec, None));
                    next = Next::Value;
                }
                Takes::Nothing | Takes::Attached => parsed.push((name, spec, None)),
            }
        }
        for (name, spec, value) in parsed {
            self.known(name.to_vec(), spec, value);
        }
        next
    }

    pub(super) fn known(&mut self, raw: Vec<u8>, spec: &'a OptionSpec, value: Option<Arg<'a>>) {
        let global = self.grammar.options.iter().any(|own| std::ptr::eq(own, spec));
        self.reading.options.push(Opt { raw, spec: Some(spec), value, negated: false, global });
    }

    pub(super) fn unknown(&mut self, raw: Vec<u8>, value: Option<Arg<'a>>, attached: bool) -> Next {
        self.reading.options.push(Opt { raw, spec: None, value, negated: false, global: self.path.is_empty() });
        if attached {
            return Next::Nothing;
        }
        let takes = self.unknown < TRIED && self.choices >> self.unknown & 1 == 1;
        self.unknown += 1;
        if takes { Next::Value } else { Next::Nothing }
    }

    fn word_options(&self) -> impl Iterator<Item = &'a OptionSpec> + use<'a> {
        self.reading.word.into_iter().flat_map(|word| &word.options)
    }

    pub(super) fn find(&self, name: &[u8]) -> Option<&'a OptionSpec> {
        let spelled = |spec: &&OptionSpec| spec.spellings.iter().any(|spelling| spelling.as_bytes() == name);
        self.word_options().find(spelled).or_else(|| self.grammar.options.iter().find(spelled))
    }

    fn find_long(&self, name: &[u8]) -> Option<&'a OptionSpec> {
        if let Some(exact) = self.find(name) {
            return Some(exact);
        }
        if self.grammar.syntax == Syntax::SingleDash {
            // Go's flag package takes one dash and two for the same.
            return name.strip_prefix(b"-").filter(|rest| rest.starts_with(b"-")).and_then(|rest| self.find(rest));
        }
        if !self.grammar.abbreviate || name.len() < 3 {
            return None;
        }
        let begins = |spec: &&OptionSpec| spec.spellings.iter().any(|spelling| spelling.as_bytes().starts_with(name));
        let mut candidates = self.word_options().chain(&self.grammar.options).filter(begins);
        let only = candidates.next();
        if candidates.next().is_some() { None } else { only }
    }

    fn find_negated(&self, name: &[u8]) -> Option<&'a OptionSpec> {
        let rest = name.strip_prefix(b"--no-").filter(|_| self.grammar.negate)?;
        self.find_long(&[b"--", rest].concat())
    }

    pub(super) fn operand(&mut self, mut arg: Arg<'a>) {
        if self.grammar.response_files && arg.is_known() && arg.text.starts_with(b"@") {
            arg.certainty = Certainty::Anything;
        }
        if self.words_done {
            self.reading.operands.push(arg);
            return;
        }
        if arg.is_known()
            && let Some(full) = self.grammar.next_word(&self.path, &arg.text)
        {
            self.path.push(full.to_owned());
            let name = Arg { text: full.as_bytes().to_vec().into(), ..arg };
            self.reading.words.push(name);
            if let Some(spec) = self.grammar.word(&self.path) {
                self.reading.word = Some(spec);
            }
            let goes_on = self.grammar.words.iter().any(|spec| spec.path.len() > self.path.len() && spec.path.starts_with(&self.path));
            self.words_done = !goes_on;
            return;
        }
        self.words_done = true;
        if self.path.is_empty() {
            self.reading.words_known = false;
            self.reading.words.push(arg);
        } else {
            self.reading.operands.push(arg);
        }
    }

    fn read_pairs(&mut self, args: &[Arg<'a>]) {
        for arg in args {
            let equals = arg.text.iter().position(|byte| *byte == b'=').filter(|at| *at > 0 && arg.is_known());
            match equals {
                Some(at) => match self.find(&arg.text[..at]) {
                    Some(spec) => self.known(arg.text[..at].to_vec(), spec, Some(arg.from(at + 1))),
                    None => {
                        self.unknown(arg.text[..at].to_vec(), Some(arg.from(at + 1)), true);
                    }
                },
                None if arg.is_known() && arg.text.starts_with(b"-") => match self.find(&arg.text) {
                    Some(spec) => self.known(arg.text.to_vec(), spec, None),
                    None => {
                        self.unknown(arg.text.to_vec(), None, true);
                    }
                },
                None => self.operand(arg.clone()),
            }
        }
    }
}

/// `--option=` with a value that is only known when it runs.
fn value_to_come<'a>(arg: &Arg<'a>) -> Option<(Vec<u8>, Arg<'a>)> {
    let (Part::Text(first), rest) = arg.shape.split_first()? else { return None };
    let equals = first.iter().position(|byte| *byte == b'=').filter(|_| first.starts_with(b"--"))?;
    // A glob may find several.
    if rest.iter().any(|part| matches!(part, Part::Name | Part::Letter)) {
        return None;
    }
    let shape = [&[Part::Text(first[equals + 1..].to_vec())], rest].concat();
    Some((first[..=equals].to_vec(), Arg { certainty: Certainty::Value, shape, ..Arg::inside(Vec::new()) }))
}

/// An argument of a tool that knows no options: what is not split is one operand.
fn plain<'a>(arg: &Arg<'a>) -> Arg<'a> {
    let certainty = match arg.certainty {
        Certainty::Anything if arg.shape.iter().any(|part| matches!(part, Part::Name | Part::Letter)) => Certainty::Several,
        Certainty::Anything if !arg.shape.is_empty() => Certainty::Value,
        other => other,
    };
    Arg { certainty, ..arg.clone() }
}

fn numeric_flag() -> &'static OptionSpec {
    static FLAG: OptionSpec = OptionSpec { spellings: Vec::new(), takes: Takes::Nothing, secret: false };
    &FLAG
}
