//! The shape of a policy file as TOML has it; every key is here, and unknown ones are errors.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, SeqAccess, Visitor};
use toml::Spanned;

use super::reason::{Effect, StdinRule};
use super::terms::{Assurance, Channel, Risk};
use crate::tool::{Syntax, TargetKind};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawFile {
    pub version: Spanned<u32>,
    pub layer: Option<Spanned<RawLayer>>,
    pub state: Option<Spanned<RawState>>,
    pub log: Option<Spanned<super::log_keys::RawLog>>,
    pub server: Option<Spanned<super::server_keys::RawServer>>,
    #[serde(default)]
    pub names: BTreeMap<Spanned<String>, Vec<String>>,
    #[serde(default)]
    pub terms: BTreeMap<Spanned<String>, Spanned<RawTerms>>,
    #[serde(default)]
    pub amend: BTreeMap<Spanned<String>, Spanned<RawAmend>>,
    pub tool: Option<Spanned<RawTool>>,
    #[serde(default)]
    pub rule: Vec<Spanned<RawRule>>,
    #[serde(default)]
    pub test: Vec<Spanned<RawTest>>,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(rename_all = "kebab-case")]
pub(super) enum RawEmbedded {
    On,
    DenyOnly,
    Off,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(rename_all = "lowercase")]
pub(super) enum RawMode {
    Enforce,
    Observe,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLayer {
    pub embedded: Option<RawEmbedded>,
    pub unmatched: Option<Effect>,
    pub opaque: Option<Effect>,
    pub mode: Option<RawMode>,
    pub outcome: Option<bool>,
    #[serde(default)]
    pub trusted_programs: Vec<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawState {
    pub dir: Option<Spanned<String>>,
    pub user_may_move: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTerms {
    pub approvers: Option<Vec<String>>,
    pub threshold: Option<Spanned<u32>>,
    pub assurance: Option<Assurance>,
    pub fresh: Option<Spanned<String>>,
    pub within: Option<Spanned<String>>,
    pub valid: Option<Spanned<String>>,
    pub channels: Option<Spanned<Vec<Channel>>>,
    pub justification: Option<String>,
    pub escalate: Option<Vec<RawEscalation>>,
    #[serde(default)]
    pub break_glass: Vec<Spanned<String>>,
    pub standing: Option<RawStanding>,
    pub dev: Option<Spanned<bool>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawStanding {
    pub longest: Spanned<String>,
    pub uses: Option<Spanned<u32>>,
    pub patterns: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawEscalation {
    pub after: Spanned<String>,
    pub approvers: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawAmend {
    pub disable: Option<bool>,
    pub effect: Option<Effect>,
    pub terms: Option<Spanned<String>>,
    pub when: Option<RawConditions>,
    pub unless: Option<RawConditions>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawWord {
    #[serde(default)]
    pub names: Vec<String>,
    #[serde(default)]
    pub value: Vec<Spanned<String>>,
    #[serde(default)]
    pub flag: Vec<Spanned<String>>,
    #[serde(default)]
    pub optional: Vec<Spanned<String>>,
    #[serde(default)]
    pub secret: Vec<Spanned<String>>,
    #[serde(default)]
    pub stops: bool,
    #[serde(default)]
    pub executes: Vec<String>,
    pub runs: Option<Spanned<RawRuns>>,
    #[serde(default)]
    pub embeds: BTreeMap<Spanned<String>, RawLanguage>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRuns {
    pub after: Option<RawAfter>,
    pub after_words: Option<usize>,
    #[serde(default)]
    pub assignments: bool,
    pub exec: Option<Vec<String>>,
    pub script: Option<String>,
    #[serde(default)]
    pub joined: bool,
    pub from: Option<RawFrom>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum RawFrom {
    Stdin,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum RawAfter {
    Options,
}

#[derive(Deserialize, Clone, Copy)]
pub(super) enum RawLanguage {
    #[serde(rename = "sh")]
    Shell,
    #[serde(rename = "sql:postgres")]
    Postgres,
    #[serde(rename = "sql:mysql")]
    Mysql,
    #[serde(rename = "sql:sqlite")]
    Sqlite,
    #[serde(rename = "sql:generic")]
    Generic,
    #[serde(rename = "sql:bigquery")]
    Bigquery,
    #[serde(rename = "sql:clickhouse")]
    Clickhouse,
    #[serde(rename = "sql:snowflake")]
    Snowflake,
}

#[expect(clippy::struct_excessive_bools, reason = "each is a key of the file")]
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTool {
    pub names: Spanned<Vec<String>>,
    #[serde(default)]
    pub syntax: Syntax,
    #[serde(default)]
    pub abbreviate: bool,
    pub bundle: Option<bool>,
    #[serde(default)]
    pub numeric: bool,
    #[serde(default)]
    pub negate: bool,
    #[serde(default)]
    pub short_equals: bool,
    #[serde(default)]
    pub fold_case: bool,
    #[serde(default)]
    pub response_files: bool,
    #[serde(default)]
    pub value: Vec<Spanned<String>>,
    #[serde(default)]
    pub flag: Vec<Spanned<String>>,
    #[serde(default)]
    pub optional: Vec<Spanned<String>>,
    #[serde(default)]
    pub secret: Vec<Spanned<String>>,
    #[serde(default)]
    pub executes: Vec<String>,
    pub target: Option<TargetKind>,
    #[serde(default)]
    pub word: BTreeMap<Spanned<String>, RawWord>,
    pub runs: Option<Spanned<RawRuns>>,
    #[serde(default)]
    pub embeds: BTreeMap<Spanned<String>, RawLanguage>,
}

#[derive(Deserialize, Clone)]
#[serde(deny_unknown_fields)]
pub(super) struct RawArgs {
    pub any: Option<Vec<Spanned<String>>>,
    pub all: Option<Vec<Spanned<String>>>,
    pub none: Option<Vec<Spanned<String>>>,
    pub only: Option<Vec<Spanned<String>>>,
}

#[derive(Deserialize, Clone)]
#[serde(deny_unknown_fields)]
pub(super) struct RawConditions {
    pub options: Option<RawArgs>,
    pub operands: Option<RawArgs>,
    pub user: Option<Vec<String>>,
    pub uid: Option<Vec<String>>,
    pub groups: Option<Vec<String>>,
    pub host: Option<Vec<String>>,
    pub cwd: Option<Vec<String>>,
    pub tty: Option<Vec<String>>,
    pub asker: Option<Vec<String>>,
    pub stdin: Option<Vec<String>>,
    pub env: Option<BTreeMap<String, Vec<String>>>,
    pub kube_context: Option<Vec<String>>,
    pub kube_namespace: Option<Vec<String>>,
    pub git_remote: Option<Vec<String>>,
    pub git_branch: Option<Vec<String>>,
    pub aws_profile: Option<Vec<String>>,
    pub tf_workspace: Option<Vec<String>>,
    pub aws_account: Option<Vec<String>>,
    pub gcp_project: Option<Vec<String>>,
    pub script: Option<Vec<String>>,
    pub time: Option<Vec<Spanned<String>>>,
    pub freeze: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawEnv {
    #[serde(default)]
    pub strip: Vec<String>,
    #[serde(default)]
    pub allow: Vec<String>,
}

#[expect(clippy::struct_excessive_bools, reason = "each is a key of the file")]
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRule {
    pub id: Spanned<String>,
    pub tool: Option<Spanned<OneOrMany>>,
    #[serde(default)]
    pub except: Vec<String>,
    pub effect: Effect,
    pub risk: Option<Risk>,
    #[serde(default)]
    pub data: Vec<String>,
    #[serde(default)]
    pub words: Vec<OneOrMany>,
    pub options: Option<RawArgs>,
    pub operands: Option<RawArgs>,
    pub statement: Option<RawArgs>,
    #[serde(default)]
    pub unseen: bool,
    #[serde(default)]
    pub other_options: bool,
    pub when: Option<RawConditions>,
    pub unless: Option<RawConditions>,
    pub reason: Option<String>,
    pub instead: Option<String>,
    #[serde(default)]
    pub preview: Vec<String>,
    pub terms: Option<Spanned<String>>,
    #[serde(default, rename = "match")]
    pub matches: Vec<Spanned<OneOrMany>>,
    #[serde(default)]
    pub not_match: Vec<Spanned<OneOrMany>>,
    pub outcome: Option<bool>,
    #[serde(default)]
    pub stdin: StdinRule,
    #[serde(default)]
    pub pin: Vec<Spanned<String>>,
    pub env: Option<RawEnv>,
    pub timeout: Option<Spanned<String>>,
    #[serde(default)]
    pub locked: bool,
    #[serde(default)]
    pub trust_claimed: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTest {
    pub argv: Spanned<OneOrMany>,
    #[serde(default)]
    pub context: BTreeMap<Spanned<String>, OneOrMany>,
    #[serde(default)]
    pub names: BTreeMap<String, Vec<String>>,
    pub decision: Effect,
    pub rules: Option<Vec<String>>,
}

/// A string, or an array of strings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl OneOrMany {
    pub(super) fn list(&self) -> Vec<String> {
        match self {
            Self::One(one) => vec![one.clone()],
            Self::Many(many) => many.clone(),
        }
    }
}

impl<'de> Deserialize<'de> for OneOrMany {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Texts;
        impl<'de> Visitor<'de> for Texts {
            type Value = OneOrMany;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or an array of strings")
            }

            fn visit_str<E>(self, text: &str) -> Result<OneOrMany, E> {
                Ok(OneOrMany::One(text.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<OneOrMany, A::Error> {
                let mut many = Vec::new();
                while let Some(text) = seq.next_element::<String>()? {
                    many.push(text);
                }
                Ok(OneOrMany::Many(many))
            }
        }
        deserializer.deserialize_any(Texts)
    }
}
