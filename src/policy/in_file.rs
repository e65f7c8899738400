//! The tests that stand in policy files, run on the same engine that decides.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

use super::decide::{Gathered, Given};
use super::error::PolicyError;
use super::file::{self, FileKind};
use super::layers::{Policy, PolicyFile};
use super::reason::Effect;
use super::rule::{Expect, Test};
use crate::request::{Argv, Fact, Facts, Inner, Place, Program, base_name};

/// A test that did not come out as it says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    /// What was expected and what came, at its place.
    pub error: PolicyError,
}

/// A tool file inside gate, ready to be laid down by the build.
pub struct EmbeddedFile {
    /// The program names that it describes.
    pub names: Vec<String>,
    /// The ids of its rules.
    pub ids: Vec<String>,
    /// Those that only the system layer amends.
    pub locked: Vec<String>,
    /// Grammar and rules (postcard, in an LZ4 block).
    pub blob: Vec<u8>,
}

/// Where tests take place: paths in them are relative to it.
const CWD: &str = "/home/ann/work";
/// Whose home `~` is in tests.
const HOME: &str = "/home/ann";

/// Reads a tool file for the build.
pub fn embedded_file(name: &str, bytes: &[u8]) -> Result<EmbeddedFile, PolicyError> {
    let read = file::read(name, bytes, FileKind::Embedded)?;
    let grammar = read.grammar.ok_or_else(|| PolicyError::whole(name, "a tool file inside gate needs `[tool]`"))?;
    let blob = postcard::to_stdvec(&(&grammar, &read.rules)).map_err(|error| PolicyError::whole(name, error.to_string()))?;
    let locked = read.rules.iter().filter(|rule| rule.locked).map(|rule| rule.id.clone()).collect();
    let blob = lz4_flex::compress_prepend_size(&blob);
    Ok(EmbeddedFile { names: grammar.names, ids: read.rules.into_iter().map(|rule| rule.id).collect(), locked, blob })
}

/// Runs all tests of one file against the whole policy. Gives how many there are, and those that failed.
pub fn check_file(policy: &Policy, found: &PolicyFile, kind: FileKind) -> Result<(usize, Vec<Failure>), PolicyError> {
    let read = file::read(&found.name, &found.bytes, kind)?;
    if kind == FileKind::Embedded {
        read.rules.iter().try_for_each(|rule| policy.check_terms(rule))?;
    }
    let text = String::from_utf8_lossy(&found.bytes);
    let mut failures = Vec::new();
    for test in &read.tests {
        if let Some(message) = run(policy, test)? {
            failures.push(Failure { error: PolicyError::at(&found.name, &text, test.span.clone(), message) });
        }
    }
    Ok((read.tests.len(), failures))
}

/// The rules of a file that none of its tests reaches: nobody knows whether they do what they say.
pub fn unreached(policy: &Policy, found: &PolicyFile, kind: FileKind) -> Result<Vec<String>, PolicyError> {
    let read = file::read(&found.name, &found.bytes, kind)?;
    let mut reached = BTreeSet::new();
    for test in &read.tests {
        if let Some(gathered) = gathered(policy, test)? {
            reached.extend(gathered.fired.iter().map(|fired| fired.reason.rule.clone()));
        }
    }
    Ok(read.rules.into_iter().map(|rule| rule.id).filter(|id| !reached.contains(id)).collect())
}

/// Judges a command as a test does: its program in a trusted place, every fact unknown. The decision, and the rules that took part.
pub fn judged(policy: &Policy, argv: &[Vec<u8>]) -> Result<Option<(Effect, Vec<String>)>, PolicyError> {
    let expect = Expect::Decision(Effect::Allow, None);
    let test = Test { span: 0..0, argv: argv.to_vec(), context: Vec::new(), names: Vec::new(), expect };
    let mut gathered = gathered(policy, &test)?;
    Ok(gathered.as_mut().map(|gathered| (gathered.effect, gathered.fired.iter().map(|fired| fired.reason.rule.clone()).collect())))
}

/// Judges a test's command; none where there is no command.
fn gathered(policy: &Policy, test: &Test) -> Result<Option<Gathered>, PolicyError> {
    let words: Vec<OsString> = test.argv.iter().cloned().map(OsString::from_vec).collect();
    let Ok(argv) = Argv::new(words) else {
        return Ok(None);
    };
    let mut program = Program::unresolved(argv.typed().to_owned());
    program.real = Path::new("/usr/bin").join(OsString::from_vec(argv.name().to_vec()));
    let mut facts = Facts::default();
    for (name, values) in &test.context {
        facts.insert(name.clone(), Fact::Known { values: values.clone(), files: Vec::new() });
    }
    let names = policy.with_names(&test.names);
    let cwd = test.context.iter().find(|(name, _)| *name == crate::request::FactName::Cwd).and_then(|(_, values)| values.first());
    let given = Given {
        program: &program,
        facts: &facts,
        cwd: Some(Path::new(cwd.map_or(CWD, String::as_str))),
        home: Some(Path::new(HOME)),
        assigned: &[],
        risky: &[],
        fed: false,
        // A variable counts as set where the test's context names it.
        variables: &|pattern| {
            test.context.iter().any(|(name, _)| match name {
                crate::request::FactName::Env(variable) => super::pattern::fits(pattern.as_bytes(), variable.as_bytes()),
                _ => false,
            })
        },
        inner: &|name| Inner { place: Place::Trusted, real: base_name(name).to_vec() },
        script: &|_| {
            let said = test.context.iter().find(|(name, _)| *name == crate::request::FactName::Script);
            said.and_then(|(_, script)| script.first()).map(|script| script.clone().into_bytes())
        },
        names: &names,
    };
    policy.gather(&argv, &given).map(Some)
}

/// Runs one test; what came instead, where it failed.
fn run(policy: &Policy, test: &Test) -> Result<Option<String>, PolicyError> {
    let Some(gathered) = gathered(policy, test)? else {
        return Ok(Some("there is no command".to_owned()));
    };
    let mut came: Vec<&str> = gathered.fired.iter().map(|fired| fired.reason.rule.as_str()).collect();
    came.sort_unstable();
    came.dedup();
    Ok(match &test.expect {
        Expect::Rule(id, wanted) => {
            let takes_part = came.contains(&id.as_str());
            (takes_part != *wanted).then(|| {
                let verb = if *wanted { "does not match" } else { "matches" };
                format!("rule `{id}` {verb} this; what does: {} ({})", listed(&came), gathered.effect.word())
            })
        }
        Expect::Decision(effect, rules) => mismatch(*effect, rules.as_ref(), gathered.effect, &came),
    })
}

fn mismatch(wanted: Effect, rules: Option<&Vec<String>>, came: Effect, by: &[&str]) -> Option<String> {
    let mut named: Vec<&str> = rules.into_iter().flatten().map(String::as_str).collect();
    named.sort_unstable();
    named.dedup();
    if wanted == came && (rules.is_none() || named == by) {
        return None;
    }
    let expected = if rules.is_some() { format!(" by {}", listed(&named)) } else { String::new() };
    Some(format!("this test wants {}{expected} and gets {} by {}", wanted.word(), came.word(), listed(by)))
}

fn listed(ids: &[&str]) -> String {
    ids.iter().map(|id| format!("`{id}`")).collect::<Vec<_>>().join(", ")
}
