//! The kube context and namespace are the ones that kubectl would use.

use std::fs;

use gate::request::Fact;
use gate::sys::target::kubeconfig::{Kubeconfig, parse};
use proptest::prelude::*;

use crate::facts::{Place, fifo};

const DEV: &str = "\
apiVersion: v1
kind: Config
current-context: dev
contexts:
- name: dev
  context: {cluster: one, user: me, namespace: payments}
- name: \"prod-eu\"
  context:
    cluster: two
    user: me
";

fn read(text: &str) -> Result<Kubeconfig, String> {
    parse(text.as_bytes())
}

#[test]
fn the_current_context_and_its_namespace_come_from_the_home_directory() {
    let place = Place::new().file("home/.kube/config", DEV);
    assert_eq!(place.values("kube_context"), ["dev"]);
    assert_eq!(place.values("kube_namespace"), ["payments"]);
}

#[test]
fn the_argv_beats_the_file() {
    let place = Place::new().file("home/.kube/config", DEV).aimed(|target| target.kube_context = Some("prod-eu".into()));
    assert_eq!(place.values("kube_context"), ["prod-eu"]);
    assert_eq!(place.values("kube_namespace"), ["default"]);
    let place = place.aimed(|target| target.kube_namespace = Some("web".into()));
    assert_eq!(place.values("kube_namespace"), ["web"]);
}

#[test]
fn a_context_that_no_file_has_has_no_known_namespace() {
    let place = Place::new().file("home/.kube/config", DEV).aimed(|target| target.kube_context = Some("none".into()));
    assert_eq!(place.unknown("kube_namespace"), "no kubeconfig file has the context `none`");
}

#[test]
fn the_kubeconfig_of_the_argv_beats_the_variable_and_must_exist() {
    let place = Place::new().file("work/one", DEV).file("work/two", "current-context: two\n").with("KUBECONFIG", "one");
    assert_eq!(place.values("kube_context"), ["dev"]);
    let place = place.aimed(|target| target.kubeconfig = Some("two".into()));
    assert_eq!(place.values("kube_context"), ["two"]);
    let place = place.aimed(|target| target.kubeconfig = Some("none".into()));
    assert_eq!(place.unknown("kube_context"), "there is no `ROOT/work/none`");
}

#[test]
fn of_several_files_the_first_that_says_something_wins() {
    let place = Place::new()
        .file("work/none", "contexts: []\n")
        .file("work/two", "current-context: dev\n")
        .file("work/three", DEV.replace("current-context: dev", "current-context: prod-eu"))
        .with("KUBECONFIG", ":none::missing:two:three:");
    assert_eq!(place.values("kube_context"), ["dev"]);
    assert_eq!(place.values("kube_namespace"), ["payments"]);
    let Fact::Known { files, .. } = place.fact("kube_context") else { panic!() };
    assert_eq!(files.len(), 3);
}

#[test]
fn a_context_that_two_files_describe_differently_has_no_known_namespace() {
    let place = Place::new().file("work/a", DEV).file("work/b", DEV.replace("payments", "web")).with("KUBECONFIG", "a:b");
    assert_eq!(place.values("kube_context"), ["dev"]);
    assert_eq!(place.unknown("kube_namespace"), "two kubeconfig files have the context `dev`");
}

#[test]
fn without_a_file_there_is_no_context_unless_a_cluster_is_around() {
    let place = Place::new();
    assert_eq!(place.fact("kube_context"), Fact::Absent);
    assert_eq!(place.fact("kube_namespace"), Fact::Absent);
    let inside = place.with("KUBERNETES_SERVICE_HOST", "10.0.0.1");
    assert_eq!(inside.unknown("kube_context"), "no kubeconfig chooses a context, and this runs inside a cluster");
    let below = Place::new().without("HOME").file("work/.kube/config", DEV);
    assert_eq!(below.values("kube_context"), ["dev"]);
}

#[test]
fn what_helm_reads_beside_the_file_makes_the_context_unknown() {
    let place = Place::new().file("home/.kube/config", DEV).with("HELM_KUBECONTEXT", "prod-eu");
    assert_eq!(place.unknown("kube_context"), "`HELM_KUBECONTEXT` is set");
    let place = Place::new().file("home/.kube/config", DEV).with("HELM_NAMESPACE", "web");
    assert_eq!(place.unknown("kube_namespace"), "`HELM_NAMESPACE` is set");
}

#[test]
fn a_kubeconfig_that_is_no_small_regular_file_is_unknown() {
    let place = Place::new();
    fs::create_dir(place.path("home/.kube")).unwrap();
    fifo(&place.path("home/.kube/config"));
    assert_eq!(place.unknown("kube_context"), "`ROOT/home/.kube/config` is not a regular file");
}

#[test]
fn json_is_read_too() {
    let config = read(r#"{"current-context": "a", "contexts": [{"name": "a", "context": {"namespace": "n"}}]}"#).unwrap();
    assert_eq!(config, Kubeconfig { current: Some("a".into()), contexts: vec![("a".into(), Some("n".into()))] });
}

#[test]
fn nothing_reads_as_nothing() {
    for text in ["", "# comment\n", "---\n", "{}", "current-context: \"\"\ncontexts: null\n", "current-context:\n", "~"] {
        assert_eq!(read(text), Ok(Kubeconfig::default()), "{text}");
    }
}

#[test]
fn what_readers_of_yaml_differ_in_is_refused() {
    for (text, why) in [
        ("a: &x b\ncurrent-context: *x\n", "it holds an alias"),
        ("current-context: !!str yes\n", "it holds a tag"),
        ("current-context: a\ncurrent-context: b\n", "the key `current-context` stands twice or merges"),
        ("<<: {current-context: a}\n", "the key `<<` stands twice or merges"),
        ("Current-Context: a\n", "`Current-Context` stands for `current-context`"),
        ("current-context: yes\n", "`yes` may be no text"),
        ("current-context: 0x1F\n", "`0x1F` may be no text"),
        ("current-context: 1_000\n", "`1_000` may be no text"),
        ("current-context: .inf\n", "`.inf` may be no text"),
        ("current-context: [a]\n", "a text was expected"),
        ("contexts: {a: b}\n", "a list was expected"),
        ("contexts: [{context: {}}]\n", "a context has no name"),
        ("contexts: [{name: a}, {name: a}]\n", "two contexts are called `a`"),
        ("current-context: a\n---\ncurrent-context: b\n", "it holds more than one document"),
        ("[a, b]\n", "a map with `current-context` was expected"),
        ("? [a]\n: b\n", "a key is no text"),
    ] {
        assert_eq!(read(text), Err(why.to_owned()), "{text}");
    }
    assert_eq!(parse(b"current-context: \xff\n"), Err("it is not UTF-8".to_owned()));
    for text in ["'1'", "\"yes\"", "gke_p_eu-1_c", "arn:aws:eks:eu-1:123:cluster/x", "1-prod", "admin@10.0.0.1:6443", "2024-prod"] {
        let unquoted = text.trim_matches(['\'', '"']);
        assert_eq!(read(&format!("current-context: {text}\n")).unwrap().current.as_deref(), Some(unquoted));
    }
}

#[test]
fn a_hostile_file_costs_little_and_is_refused() {
    let laugh = |n: usize| format!("l{}: &l{} [*l{n},*l{n},*l{n},*l{n},*l{n},*l{n},*l{n},*l{n},*l{n}]", n + 1, n + 1);
    let laughs = (0..9).map(laugh).collect::<Vec<_>>().join("\n");
    assert_eq!(read(&format!("l0: &l0 lol\n{laughs}")), Err("it holds an alias".to_owned()));
    for (open, close) in [("[", "]"), ("{a: ", "}"), ("- ", ""), ("? ", "")] {
        let deep = format!("{}x{}", open.repeat(100_000), close.repeat(100_000));
        read(&deep).unwrap_err();
    }
    let wide = format!("a: [{}]", "x,".repeat(400_000));
    assert_eq!(read(&wide), Err("it is too large or too deep".to_owned()));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = parse(&bytes);
    }

    #[test]
    fn no_pieces_make_the_reader_panic(pieces in prop::collection::vec(prop::sample::select(PIECES), 0..30)) {
        let _ = read(&pieces.concat());
    }
}

const PIECES: &[&str] = &[
    "contexts:",
    "current-context: ",
    "name: ",
    "context: ",
    "namespace: ",
    "- ",
    "\n",
    "  ",
    "{",
    "}",
    "[",
    "]",
    ",",
    ": ",
    "? ",
    "&a ",
    "*a",
    "!t ",
    "|\n",
    ">-\n",
    "'",
    "\"",
    "\\",
    "#",
    "---\n",
    "...\n",
    "%YAML 1.1\n",
    "%TAG ! x\n",
    "\t",
    "é",
    "\u{feff}",
    "a",
    "1",
    "~",
    "<<",
];
