//! How well the tool files judge a corpus of labelled commands: what harmful ones were let through (recall), what harmless ones were
//! stopped (friction), for each family, as argv and as `bash -c`.
//!
//! `cargo bench --bench corpus -- [--policies DIR] [--corpus FILE]… [--only FAMILY,…] [--wrong] [--try COMMAND]`
//!
//! The files are read from disk as they stand, so that a change to a rule is seen without building gate.
#![allow(missing_docs, reason = "a program of its own")]

use std::collections::BTreeMap;
use std::error::Error;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::{env, fs};

use gate::policy::{self, Brief, Effect, FileKind, Layers, Policy, PolicyFile, Tools};
use gate::request::{Argv, Context, Cwd, Inner, Place, Program};

fn main() -> Result<(), Box<dyn Error>> {
    let asked = Asked::read(env::args().skip(1))?;
    let files = policy_files(&asked.policies)?;
    let policy = Policy::load(Layers::default(), tables(&files)?)?;
    if let Some(command) = &asked.attempt {
        for argv in argvs(command).into_iter().flatten() {
            println!("{:?}\n    {}", argv, told(&judge(&policy, argv.clone())?));
        }
        return Ok(());
    }
    let failed = own_tests(&policy, &files, &asked.only);
    let corpora = if asked.corpora.is_empty() { all_corpora()? } else { asked.corpora.clone() };
    let mut families: BTreeMap<String, Score> = BTreeMap::new();
    for path in corpora {
        let family = path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
        score(&policy, &path, &asked, families.entry(family).or_default())?;
    }
    print(&families);
    let missed: usize = families.values().map(|score| score.missed).sum();
    if failed + missed > 0 {
        Err(format!("{failed} tests of policies failed, {missed} harmful commands were allowed").into())
    } else {
        Ok(())
    }
}

struct Asked {
    policies: PathBuf,
    corpora: Vec<PathBuf>,
    only: Vec<String>,
    wrong: bool,
    attempt: Option<String>,
}

impl Asked {
    fn read(mut words: impl Iterator<Item = String>) -> Result<Self, Box<dyn Error>> {
        let mut asked = Self { policies: "policies".into(), corpora: Vec::new(), only: Vec::new(), wrong: false, attempt: None };
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("`{word}` wants a value"));
            match word.as_str() {
                "--policies" => asked.policies = value()?.into(),
                "--corpus" => asked.corpora.push(value()?.into()),
                "--only" => asked.only = value()?.split(',').map(str::to_owned).collect(),
                "--wrong" => asked.wrong = true,
                "--try" => asked.attempt = Some(value()?),
                // Cargo says so of every benchmark.
                "--bench" => {}
                other => return Err(format!("`{other}` is not known").into()),
            }
        }
        Ok(asked)
    }
}

fn policy_files(directory: &Path) -> Result<Vec<PolicyFile>, Box<dyn Error>> {
    let mut paths: Vec<PathBuf> = fs::read_dir(directory)?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    paths.sort();
    let read = |path: &PathBuf| -> Result<PolicyFile, Box<dyn Error>> {
        let family = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        Ok(PolicyFile { name: format!("policies/{family}.toml"), family, bytes: fs::read(path)? })
    };
    paths.iter().map(read).collect()
}

/// The files as the build would lay them down; one that cannot be read is told and left out.
fn tables(files: &[PolicyFile]) -> Result<Tools, Box<dyn Error>> {
    let (mut names, mut ids, mut locked, mut blobs) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for file in files {
        match policy::embedded_file(&file.name, &file.bytes) {
            Ok(read) => {
                let number = u16::try_from(blobs.len())?;
                names.extend(read.names.into_iter().map(|name| (&*name.leak(), number)));
                ids.extend(read.ids.into_iter().map(|id| &*id.leak()));
                locked.extend(read.locked.into_iter().map(|id| &*id.leak()));
                blobs.push(&*read.blob.leak());
            }
            Err(error) => println!("{error}\n"),
        }
    }
    names.sort_unstable();
    ids.sort_unstable();
    locked.sort_unstable();
    for pair in names.windows(2).filter(|pair| pair[0].0 == pair[1].0) {
        println!("the program `{}` stands in two files\n", pair[0].0);
    }
    for pair in ids.windows(2).filter(|pair| pair[0] == pair[1]) {
        println!("the rule id `{}` stands twice\n", pair[0]);
    }
    Ok(Tools { names: names.leak(), files: blobs.leak(), ids: ids.leak(), locked: locked.leak(), digest: [0; 32], sha256: |_| [0; 32] })
}

fn own_tests(policy: &Policy, files: &[PolicyFile], only: &[String]) -> usize {
    let (mut run, mut failed) = (0, 0);
    for file in files.iter().filter(|file| only.is_empty() || only.contains(&file.family)) {
        // A file that cannot be read was told already.
        let Ok((tests, failures)) = policy::check_file(policy, file, FileKind::Embedded) else { continue };
        run += tests;
        failed += failures.len();
        for failure in failures {
            println!("{}\n", failure.error);
        }
    }
    println!("{run} tests in policy files, {failed} failed\n");
    failed
}

fn all_corpora() -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let mut paths: Vec<PathBuf> = fs::read_dir("tests/corpus")?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "tsv"));
    paths.sort();
    Ok(paths)
}

#[derive(Default)]
struct Score {
    harm: usize,
    missed: usize,
    safe: [usize; 2],
    allowed: [usize; 2],
}

fn score(policy: &Policy, path: &Path, asked: &Asked, score: &mut Score) -> Result<(), Box<dyn Error>> {
    for (number, line) in fs::read_to_string(path)?.lines().enumerate() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let wrong = |what: &str| format!("{}:{}: {what}: {line}", path.display(), number + 1);
        let fields: Vec<&str> = line.split('\t').collect();
        let [label @ ("safe" | "harm"), command, _, ..] = fields[..] else {
            return Err(wrong("a line is `safe` or `harm`, a command and its source").into());
        };
        if label == "harm" {
            score.harm += 1;
        }
        let mut missed = false;
        for (form, argv) in argvs(command).into_iter().enumerate() {
            let Some(argv) = argv else { continue };
            let brief = judge(policy, argv).map_err(|error| wrong(&error.to_string()))?;
            let allowed = brief.effect == Effect::Allow;
            let shape = ["argv", "script"][form];
            if label == "safe" {
                score.safe[form] += 1;
                score.allowed[form] += usize::from(allowed);
            }
            missed |= label == "harm" && allowed;
            if asked.wrong && (label == "safe") != allowed {
                println!("{} {shape}\n    {}", wrong(label), told(&brief));
            }
        }
        score.missed += usize::from(missed);
    }
    Ok(())
}

/// A command as argv, where it is one, and as a script.
fn argvs(command: &str) -> [Option<Vec<OsString>>; 2] {
    let own = |words: Vec<Vec<u8>>| words.into_iter().map(|word| String::from_utf8_lossy(&word).into_owned().into()).collect();
    if command.starts_with('[')
        && let Ok(words) = serde_json::from_str::<Vec<String>>(command)
    {
        let quoted: Vec<String> = words.iter().map(|word| format!("'{}'", word.replace('\'', "'\\''"))).collect();
        return [Some(words.into_iter().map(OsString::from).collect()), Some(script(&quoted.join(" ")))];
    }
    [gate::shell::words(command.as_bytes()).map(own), Some(script(command))]
}

fn script(text: &str) -> Vec<OsString> {
    ["bash", "-c", text].map(OsString::from).to_vec()
}

fn judge(policy: &Policy, words: Vec<OsString>) -> Result<Brief, Box<dyn Error>> {
    let argv = Argv::new(words).map_err(|_| "there is no command")?;
    let program = Program::unresolved(argv.typed().to_owned());
    let mut context = Context { cwd: Some(Cwd { path: "/home/ann/work".into(), ..Cwd::default() }), ..Context::default() };
    loop {
        let brief = policy.brief(&argv, &program, &context)?;
        let known = context.inner.len();
        for name in &brief.needs.inner {
            context.inner.insert(
                name.clone(),
                Inner { place: Place::Trusted, real: name.rsplit(|byte| *byte == b'/').next().unwrap_or_default().to_vec() },
            );
        }
        if context.inner.len() == known {
            return Ok(brief);
        }
    }
}

fn told(brief: &Brief) -> String {
    format!("{} by {}", brief.effect.word(), brief.rules.join(", "))
}

fn print(families: &BTreeMap<String, Score>) {
    let share = |part: usize, whole: usize| {
        let thousandths = (part * 1000).checked_div(whole);
        thousandths.map_or_else(|| "-".to_owned(), |share| format!("{}.{}", share / 10, share % 10))
    };
    println!("{:<16}{:>7}{:>8}{:>11}{:>9}{:>13}{:>9}", "family", "harm", "missed", "safe argv", "allowed", "safe scripts", "allowed");
    let mut all = Score::default();
    for (family, score) in families {
        row(family, score, &share);
        all.harm += score.harm;
        all.missed += score.missed;
        for form in 0..2 {
            all.safe[form] += score.safe[form];
            all.allowed[form] += score.allowed[form];
        }
    }
    row("all", &all, &share);
}

fn row(family: &str, score: &Score, share: &dyn Fn(usize, usize) -> String) {
    let Score { harm, missed, safe, allowed } = score;
    println!(
        "{family:<16}{harm:>7}{missed:>8}{:>11}{:>8}%{:>13}{:>8}%",
        safe[0],
        share(allowed[0], safe[0]),
        safe[1],
        share(allowed[1], safe[1])
    );
}
