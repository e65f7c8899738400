use serde::{Deserialize, Serialize};

/// How a tool reads its arguments.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Syntax {
    /// Options anywhere until `--` (`getopt_long(3)`).
    #[default]
    Gnu,
    /// Options end at the first operand (POSIX.1-2017, XBD 12.2).
    Posix,
    /// Long options with one dash, as Go's `flag` reads them.
    SingleDash,
    /// `key=value` words, as dd reads them.
    KeyValue,
    /// Start points, then an expression, as find reads them.
    Find,
    /// Every argument is an operand, as echo and `[` read them.
    Plain,
}

/// Whether an option has a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Takes {
    /// Never, but `=true` may be attached.
    Nothing,
    /// Always: attached or the next argument.
    Value,
    /// Only when attached.
    Attached,
}

/// One option under all its spellings.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct OptionSpec {
    /// `-f`, `--force`; `of` for key-value tools.
    pub spellings: Vec<String>,
    /// Whether it has a value.
    pub takes: Takes,
    /// Its value is shown to nobody.
    pub secret: bool,
}

/// A subcommand.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct WordSpec {
    /// The words that lead to it.
    pub path: Vec<String>,
    /// Other spellings of the last one.
    pub names: Vec<String>,
    /// The options that it adds.
    pub options: Vec<OptionSpec>,
    /// Options end at the first operand after it: what follows belongs to what it runs.
    pub stops: bool,
    /// Options by which it runs other code, beside those of the tool.
    pub executes: Vec<String>,
    /// What it runs.
    pub runs: Option<Runs>,
    /// The languages that its arguments hold.
    pub embeds: Vec<Embed>,
}

/// Which arguments hold a text in another language.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Embed {
    /// Where it stands.
    pub of: Holder,
    /// What it is written in.
    pub language: Language,
}

/// An argument that holds a text.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Holder {
    /// The value of an option, by its spellings.
    Option(Vec<String>),
    /// This operand, counted from 0.
    Operand(usize),
    /// Every operand.
    Operands,
}

/// Which live target a tool acts on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TargetKind {
    /// The context and namespace of a kubeconfig.
    Kubeconfig,
    /// A repository's branch and remotes.
    Git,
    /// An AWS profile.
    Aws,
    /// A terraform workspace.
    Terraform,
    /// A gcloud configuration's project.
    Gcloud,
}

/// Where a wrapper's inner command stands.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Runs {
    /// It begins after so many operands; before it `VAR=x` words are skipped where `assignments` says so.
    After {
        /// How many operands are the wrapper's own.
        operands: usize,
        /// Whether `VAR=x` words come before the command.
        assignments: bool,
        /// Whether it gets more arguments than can be seen: those that the wrapper reads.
        from_stdin: bool,
    },
    /// After each of these options, until `;` or `+`.
    Exec(Vec<String>),
    /// The value of this option is a shell script; without it the first operand is a script file.
    Script(String),
    /// The operands after so many of the wrapper's own, joined by spaces, are a script.
    Joined(usize),
}

/// A language inside an argument.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Language {
    /// A shell script, which is followed into the commands that it runs.
    Shell,
    /// SQL as `PostgreSQL` reads it, and psql's backslash commands.
    Postgres,
    /// SQL as `MySQL` reads it.
    Mysql,
    /// SQL as `SQLite` reads it, and the shell's dot commands.
    Sqlite,
    /// SQL as most read it.
    Generic,
    /// SQL as `BigQuery` reads it.
    Bigquery,
    /// SQL as `ClickHouse` reads it.
    Clickhouse,
    /// SQL as Snowflake reads it.
    Snowflake,
}

/// How one family of tools reads its arguments.
#[expect(clippy::struct_excessive_bools, reason = "tools differ in that many ways, each on its own")]
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Grammar {
    /// The program names; the first is the family's.
    pub names: Vec<String>,
    /// The overall shape.
    pub syntax: Syntax,
    /// Unique prefixes of long options count.
    pub abbreviate: bool,
    /// `-ab` is `-a -b`.
    pub bundle: bool,
    /// `-5` is a flag.
    pub numeric: bool,
    /// `--no-x` is known where `--x` is.
    pub negate: bool,
    /// `-n=x` gives the value `x`, as Go's pflag reads it.
    pub short_equals: bool,
    /// Subcommands are words in any case.
    pub fold_case: bool,
    /// An operand that begins with `@` names a file that holds more arguments.
    pub response_files: bool,
    /// The options that stand anywhere.
    pub options: Vec<OptionSpec>,
    /// The subcommands.
    pub words: Vec<WordSpec>,
    /// Options and variables by which the tool runs other code; `*` is any run of characters.
    pub executes: Vec<String>,
    /// The live target.
    pub target: Option<TargetKind>,
    /// What it runs.
    pub runs: Option<Runs>,
    /// The languages that its arguments hold.
    pub embeds: Vec<Embed>,
}

impl Grammar {
    /// What is taken of a tool that no file describes: every option is unknown.
    pub fn unknown() -> Self {
        Self { bundle: true, ..Self::default() }
    }

    /// The subcommand with this path.
    pub(crate) fn word(&self, path: &[String]) -> Option<&WordSpec> {
        self.words.iter().find(|spec| spec.path == path)
    }

    /// The full name of the next word below `path` that `typed` spells, if there is one.
    pub(crate) fn next_word(&self, path: &[String], typed: &[u8]) -> Option<&str> {
        let is = |word: &String| word.as_bytes() == typed || self.fold_case && word.as_bytes().eq_ignore_ascii_case(typed);
        self.words.iter().find_map(|spec| {
            let (last, before) = spec.path.split_last()?;
            if before.len() == path.len() {
                (before == path && (is(last) || spec.names.iter().any(is))).then_some(last.as_str())
            } else {
                // A longer path makes its own first words known even where they have no table.
                let implied = spec.path.get(path.len()).filter(|_| spec.path.starts_with(path))?;
                is(implied).then_some(implied.as_str())
            }
        })
    }
}
