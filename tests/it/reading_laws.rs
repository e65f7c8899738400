//! Laws of reading: however a command is written that its tool takes for the same, the answer is the same; a wrapper never makes it milder.

use std::fs;
use std::path::Path;

use gate::policy::{Effect, Layers, Policy, judged};
use proptest::prelude::*;

fn policy() -> Policy {
    Policy::load(Layers::default(), gate::embedded::tools()).unwrap()
}

thread_local! {
    static POLICY: Policy = policy();
}

fn answer(words: &[String]) -> Effect {
    let argv: Vec<Vec<u8>> = words.iter().map(|word| word.clone().into_bytes()).collect();
    POLICY.with(|policy| judged(policy, &argv).unwrap().unwrap().0)
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

/// A command as groups that may change places: each option with its value.
#[derive(Clone, Debug)]
struct Spoken {
    program: &'static str,
    word: &'static str,
    options: Vec<Vec<String>>,
    operands: Vec<String>,
}

impl Spoken {
    fn argv(&self) -> Vec<String> {
        let options = self.options.iter().flatten().cloned();
        [self.program, self.word].into_iter().map(str::to_owned).chain(options).chain(self.operands.clone()).collect()
    }
}

/// A program, its words, options and operands.
type Tool = (&'static str, &'static [&'static str], &'static [&'static str], &'static [&'static str]);

/// Programs whose options stand anywhere after the word, some of their options, and operands.
const TOOLS: &[Tool] = &[
    (
        "kubectl",
        &["get", "delete", "apply", "logs"],
        &["--namespace x", "--context y", "--force", "--all", "--output yaml", "--dry-run=client"],
        &["pods", "ns", "secrets", "x"],
    ),
    ("git", &["push", "log", "branch", "clean"], &["--force", "--all", "--quiet", "--dry-run", "--delete"], &["origin", "main", "x"]),
    ("docker", &["ps", "rmi", "images", "pull"], &["--all", "--force", "--quiet", "--filter x=y"], &["x", "y"]),
];

fn spoken() -> impl Strategy<Value = Spoken> {
    prop::sample::select(TOOLS.to_vec()).prop_flat_map(|(program, verbs, options, operands)| {
        let options = prop::sample::subsequence(options.to_vec(), 0..=options.len()).prop_shuffle();
        let operands = prop::sample::subsequence(operands.to_vec(), 0..=2);
        (prop::sample::select(verbs.to_vec()), options, operands).prop_map(move |(word, options, operands)| Spoken {
            program,
            word,
            options: options.into_iter().map(words).collect(),
            operands: operands.into_iter().map(str::to_owned).collect(),
        })
    })
}

/// Commands of the corpus as argv.
fn corpus() -> Vec<Vec<String>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let mut all = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap();
        for line in text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
            let command = line.split('\t').nth(1).unwrap();
            if let Some(argv) = gate::shell::words(command.as_bytes()) {
                all.push(argv.into_iter().map(|word| String::from_utf8_lossy(&word).into_owned()).collect());
            }
        }
    }
    all
}

proptest! {
    #[test]
    fn options_may_change_places(spoken in spoken(), turn in 0..6_usize) {
        let mut turned = spoken.clone();
        let length = turned.options.len().max(1);
        turned.options.rotate_left(turn % length);
        prop_assert_eq!(answer(&spoken.argv()), answer(&turned.argv()), "{:?} {:?}", spoken.argv(), turned.argv());
    }

    #[test]
    fn a_value_may_be_attached_or_follow(spoken in spoken()) {
        let mut attached = spoken.clone();
        for option in attached.options.iter_mut().filter(|option| option.len() == 2) {
            *option = vec![option.join("=")];
        }
        prop_assert_eq!(answer(&spoken.argv()), answer(&attached.argv()), "{:?}", attached.argv());
    }

    #[test]
    fn operands_may_stand_behind_two_dashes(spoken in spoken()) {
        let mut behind = spoken.clone();
        behind.operands.insert(0, "--".to_owned());
        // What tools make of `--` differs for git's paths, which may make the answer stricter and never milder.
        prop_assert!(answer(&behind.argv()) >= answer(&spoken.argv()) || spoken.program == "git", "{:?}", behind.argv());
    }

    #[test]
    fn a_nested_wrapper_gets_an_answer_in_time(depth in 0..400_usize, wrapper in prop::sample::select(vec!["nice", "nohup", "env", "timeout 5", "setsid", "xargs"])) {
        let argv: Vec<String> = (0..depth).flat_map(|_| words(wrapper)).chain(words("rm -rf /")).collect();
        prop_assert!(answer(&argv) >= Effect::Ask);
    }
}

#[test]
fn a_wrapper_never_makes_an_answer_milder() {
    let quoted = |argv: &[String]| argv.iter().map(|word| format!("'{}'", word.replace('\'', "'\\''"))).collect::<Vec<_>>().join(" ");
    // What a shell does by itself is more than what a program of the name would do.
    let builtin =
        |argv: &[String]| matches!(argv[0].as_str(), "command" | "exec" | "export" | "readonly" | "declare" | "typeset" | "local" | "time");
    for argv in corpus().into_iter().filter(|argv| !builtin(argv)) {
        let bare = answer(&argv);
        let script = quoted(&argv);
        for wrapper in ["nice", "nohup", "timeout 5", "env", "env A=b", "setsid", "stdbuf -oL", "time", "xargs", "sudo", "doas", "busybox"]
        {
            // busybox runs its own programs of these names, which is asked about anyway.
            let wrapped = [words(wrapper), argv.clone()].concat();
            assert!(answer(&wrapped) >= bare, "{wrapped:?}");
        }
        for shell in ["bash", "sh"] {
            let wrapped = [words(shell), vec!["-c".to_owned(), script.clone()]].concat();
            assert!(answer(&wrapped) >= bare, "{wrapped:?}");
        }
    }
}

#[test]
fn no_harmful_command_of_the_corpus_is_allowed_and_few_safe_ones_are_stopped() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let (mut safe, mut stopped, mut lines) = (0, 0, 0);
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        for line in fs::read_to_string(&path).unwrap().lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
            lines += 1;
            let fields: Vec<&str> = line.split('\t').collect();
            assert!(fields.len() >= 3 && !fields[2].is_empty(), "a line needs its source: {line}");
            let argv: Option<Vec<String>> = serde_json::from_str(fields[1]).ok().or_else(|| {
                let words = gate::shell::words(fields[1].as_bytes())?;
                Some(words.into_iter().map(|word| String::from_utf8_lossy(&word).into_owned()).collect())
            });
            let script = [words("bash -c"), vec![fields[1].to_owned()]].concat();
            for argv in argv.into_iter().chain((!fields[1].starts_with('[')).then_some(script)) {
                let effect = answer(&argv);
                match fields[0] {
                    "harm" => assert!(effect >= Effect::Ask, "{}: {argv:?} is allowed", path.display()),
                    "safe" => (safe, stopped) = (safe + 1, stopped + usize::from(effect > Effect::Allow)),
                    other => panic!("`{other}` is no label: {line}"),
                }
            }
        }
    }
    assert!(lines >= 3000, "{lines} lines");
    assert!(stopped * 20 <= safe, "{stopped} of {safe} safe commands are stopped");
}
