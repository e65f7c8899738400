//! Laws of policies, over random rules and commands.

use proptest::prelude::*;

use gate::policy::{Brief, Effect, LayerFiles, Layers, Policy, PolicyFile};
use gate::request::{Argv, Context, Program};

const EFFECTS: [&str; 3] = ["allow", "ask", "deny"];
const GRAMMAR: &str = "version = 1\n[tool]\nnames = [\"t\"]\nvalue = [\"-v --value\"]\nflag = [\"-f --force\", \"-n\"]\n[tool.word.go]\n[tool.word.\"go far\"]\nflag = [\"--fast\"]\n[tool.word.stay]\n";

/// A rule without its id, as TOML.
fn rule() -> impl Strategy<Value = String> {
    let list = |of: &[&'static str]| {
        prop::option::of(prop::collection::vec(prop::sample::select(of.to_vec()), 1..3))
            .prop_map(|items| items.map(|items| format!("{items:?}")))
    };
    let options = ["-f", "--force", "-n", "--value=x", "--value=*", "--value", "--fast", "-z"];
    let operands = ["x", "*", "x*", "/etc", "/etc/*", "y"];
    (
        prop::sample::select(EFFECTS.to_vec()),
        prop::sample::select(vec![
            "",
            "words = [\"go\"]\n",
            "words = [\"go\", \"far\"]\n",
            "words = [[\"go\", \"stay\"]]\n",
            "words = [\"*\"]\n",
        ]),
        prop::sample::select(vec!["any", "all", "none", "only"]),
        list(&options),
        prop::sample::select(vec!["any", "all", "none", "only"]),
        list(&operands),
        list(&options),
    )
        .prop_map(|(effect, words, option_key, options, operand_key, operands, unless)| {
            let mut text = format!("tool = \"t\"\neffect = \"{effect}\"\nreason = \"x\"\n{words}");
            if let Some(options) = options {
                text += &format!("options.{option_key} = {options}\n");
            }
            if let Some(operands) = operands {
                text += &format!("operands.{operand_key} = {operands}\n");
            }
            if let Some(unless) = unless {
                text += &format!("unless.options.any = {unless}\n");
            }
            text
        })
}

fn argv() -> impl Strategy<Value = Vec<String>> {
    let words = vec![
        "go",
        "far",
        "stay",
        "x",
        "xy",
        "y",
        "/etc",
        "//etc/",
        "/etc/../etc",
        "-f",
        "-fn",
        "-nf",
        "--force",
        "--value",
        "--value=x",
        "-vx",
        "-v",
        "--",
        "--fast",
        "-z",
        "--unknown",
        "--unknown=x",
        "-",
    ];
    prop::collection::vec(prop::sample::select(words), 0..7).prop_map(|words| words.into_iter().map(str::to_owned).collect())
}

fn file(name: &str, family: &str, text: &str) -> PolicyFile {
    PolicyFile { name: name.into(), family: family.into(), bytes: text.as_bytes().to_vec() }
}

fn numbered(rules: &[(usize, String)]) -> String {
    rules.iter().map(|(number, rule)| ["[[rule]]\nid = \"own.r", &number.to_string(), "\"\n", rule].concat()).collect()
}

fn layer(head: &str, rules: &[(usize, String)]) -> LayerFiles {
    let head = format!("version = 1\n[layer]\n{head}trusted_programs = [\"/\"]\n{}", numbered(rules));
    LayerFiles { head: Some(file("/u/policy.toml", "policy", &head)), tools: vec![file("/u/policies/t.toml", "t", GRAMMAR)] }
}

fn load(user: LayerFiles, project: Option<&str>) -> Policy {
    let projects = project.into_iter().map(|text| file("/w/.gate.toml", "", text)).collect();
    let layers = Layers { user: Some(user), projects, ..Layers::default() };
    Policy::load(layers, gate::embedded::tools()).unwrap()
}

fn answer(policy: &Policy, argv: &[String]) -> Brief {
    let words = std::iter::once("t").chain(argv.iter().map(String::as_str)).map(Into::into).collect();
    let argv = Argv::new(words).unwrap();
    let program = Program::unresolved(argv.typed().to_owned());
    policy.brief(&argv, &program, &Context::default()).unwrap()
}

fn counted(rules: Vec<String>) -> Vec<(usize, String)> {
    rules.into_iter().enumerate().collect()
}

proptest! {
    #[test]
    fn the_order_of_rules_is_irrelevant(rules in prop::collection::vec(rule(), 1..6), turn in 0..6_usize, argv in argv()) {
        let rules = counted(rules);
        let mut turned = rules.clone();
        turned.rotate_left(turn % rules.len());
        turned.reverse();
        let (one, other) = (answer(&load(layer("", &rules), None), &argv), answer(&load(layer("", &turned), None), &argv));
        prop_assert_eq!(one.effect, other.effect);
        let sorted = |mut rules: Vec<String>| { rules.sort(); rules };
        prop_assert_eq!(sorted(one.rules), sorted(other.rules));
        prop_assert_eq!(one.risk, other.risk);
    }

    #[test]
    fn a_deny_that_is_added_never_makes_an_answer_milder(rules in prop::collection::vec(rule(), 0..5), more in rule(), argv in argv(), unmatched in prop::sample::select(EFFECTS.to_vec())) {
        let head = format!("unmatched = \"{unmatched}\"\n");
        let rules = counted(rules);
        let before = answer(&load(layer(&head, &rules), None), &argv).effect;
        let mut with = rules.clone();
        with.push((99, EFFECTS.iter().fold(more, |text, effect| text.replace(&format!("effect = \"{effect}\""), "effect = \"deny\""))));
        prop_assert!(answer(&load(layer(&head, &with), None), &argv).effect >= before);
    }

    #[test]
    fn a_project_file_never_makes_an_answer_milder_whatever_it_holds(rules in prop::collection::vec(rule(), 0..5), mine in prop::collection::vec(rule(), 1..4), argv in argv(), unmatched in prop::sample::select(EFFECTS.to_vec())) {
        let head = format!("unmatched = \"{unmatched}\"\n");
        let user = layer(&head, &counted(rules));
        let strict: Vec<(usize, String)> = mine.into_iter().map(|rule| rule.replace("effect = \"allow\"", "effect = \"ask\"")).enumerate().map(|(at, rule)| (at + 50, rule)).collect();
        let before = answer(&load(user.clone(), None), &argv);
        let after = answer(&load(user, Some(&format!("version = 1\n{}", numbered(&strict)))), &argv);
        prop_assert!(after.effect >= before.effect, "{:?} became {:?}", before, after);
        // Whatever asked before still asks, so its terms still hold.
        if after.effect == Effect::Ask && before.effect == Effect::Ask {
            prop_assert!(before.rules.iter().all(|rule| after.rules.contains(rule)), "{:?} became {:?}", before, after);
        }
    }

    #[test]
    fn an_allow_in_a_project_file_is_an_error(mine in rule()) {
        let allow = EFFECTS.iter().fold(mine, |text, effect| text.replace(&format!("effect = \"{effect}\""), "effect = \"allow\""));
        let text = format!("version = 1\n[[rule]]\nid = \"own.r\"\n{allow}");
        let layers = Layers { projects: vec![file("/w/.gate.toml", "", &text)], ..Layers::default() };
        let loaded = Policy::load(layers, gate::embedded::tools());
        prop_assert!(loaded.is_err());
    }

    #[test]
    fn only_a_more_trusted_layer_amends(rules in prop::collection::vec(rule(), 1..3), effect in prop::sample::select(EFFECTS.to_vec())) {
        let system = layer("", &counted(rules));
        let amend = format!("version = 1\n[amend.\"own.r0\"]\neffect = \"{effect}\"\n");
        let user = LayerFiles { head: Some(file("/u/policy.toml", "policy", &amend)), tools: Vec::new() };
        let layers = Layers { system: Some(system), user: Some(user), ..Layers::default() };
        prop_assert!(Policy::load(layers, gate::embedded::tools()).is_err());
    }

    #[test]
    fn whatever_is_typed_gets_an_answer(text in prop::collection::vec("[ -~]{0,12}", 0..9), name in prop::sample::select(vec!["git", "kubectl", "find", "bash", "env", "dd", "psql", "terraform", "xargs", "sudo", "rm"])) {
        let words = std::iter::once(name.to_owned()).chain(text).map(Into::into).collect();
        let argv = Argv::new(words).unwrap();
        let policy = Policy::load(Layers::default(), gate::embedded::tools()).unwrap();
        let program = Program::unresolved(argv.typed().to_owned());
        let needs = policy.needs(&argv, &program, &gate::request::Context::default());
        prop_assert!(needs.is_ok());
        prop_assert!(policy.brief(&argv, &program, &Context::default()).is_ok());
    }
}
