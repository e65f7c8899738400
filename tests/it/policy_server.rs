//! `[server]` and `dev`: which layer names the server, and whose terms it can meet.

use gate::policy::{Decision, Identity, Layer, LayerFiles, Layers, Policy, PolicyFile};
use gate::request::{Argv, Context, Place, Program, Request, RequestId};

use crate::world::World;

const KEY: &str = "gate.example+0123abcd+AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB";
const ASK: &str = "version = 1\n[layer]\nembedded = \"off\"\n";

fn layer(name: &str, text: &str) -> Option<LayerFiles> {
    let head = PolicyFile { name: name.to_owned(), family: "policy".to_owned(), bytes: text.as_bytes().to_vec() };
    (!text.is_empty()).then(|| LayerFiles { head: Some(head), tools: Vec::new() })
}

fn policy(system: &str, user: &str) -> Result<Policy, String> {
    let layers = Layers { system: layer("/etc/gate/policy.toml", system), user: layer("policy.toml", user), ..Layers::default() };
    Policy::load(layers, gate::embedded::tools()).map_err(|error| error.to_string())
}

fn server(more: &str) -> String {
    format!("[server]\nurl = \"https://gate.example\"\nkey = \"{KEY}\"\n{more}")
}

/// The layer of the terms that an unknown command is asked on.
fn terms_layer(system: &str, user: &str) -> Option<Layer> {
    let program = Program { place: Place::Trusted, ..Program::unresolved("deploy".into()) };
    let request = Request::new(RequestId::new(1, &[0; 10]), Argv::new(vec!["deploy".into()]).unwrap(), program, Context::default());
    match policy(system, user).unwrap().decide(&request).unwrap() {
        Decision::Ask(asked) => asked.terms_layer,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_server_is_named_by_origin_and_key() {
    let read = policy("", &format!("version = 1\n{}", server("identity = \"host\"\nca = \"/ca.pem\"\n"))).unwrap();
    let (layer, named) = read.server().unwrap();
    assert_eq!((layer, named.url.as_str(), named.keys.as_slice()), (Layer::User, "https://gate.example", &[KEY.to_owned()][..]));
    assert_eq!((named.identity, named.ca.as_deref(), named.dev), (Some(Identity::Host), Some("/ca.pem"), false));
    assert!(policy("", "version = 1\n").unwrap().server().is_none());
    let two = format!("version = 1\n[server]\nurl = \"http://127.0.0.1:7443/\"\nkey = [\"{KEY}\", \"{KEY}\"]\ndev = true\n");
    let read = policy("", &two).unwrap();
    let (_, named) = read.server().unwrap();
    assert_eq!((named.url.as_str(), named.keys.len(), named.dev), ("http://127.0.0.1:7443", 2, true));
}

#[test]
fn a_server_that_others_could_pose_as_is_refused() {
    let with = |url: &str, key: &str| format!("version = 1\n[server]\nurl = \"{url}\"\nkey = {key}\n");
    let quoted = format!("\"{KEY}\"");
    for url in ["https://gate.example", "https://gate.example:8443", "http://localhost:7443", "http://[::1]:1", "https://[2001:db8::1]"] {
        assert!(policy("", &with(url, &quoted)).is_ok(), "{url}");
    }
    for url in [
        "http://gate.example",
        "http://127.0.0.1.example",
        "http://localhost@gate.example",
        "https://user@gate.example",
        "https://gate.example/path",
        "https://gate.example?x",
        "https://gate.example#x",
        "https://GATE.example",
        "https://gate.example:0",
        "https://gate.example:99999",
        "https://",
        "https://gate example",
        "https://[::1",
        "ftp://gate.example",
        "gate.example",
        "",
    ] {
        assert!(policy("", &with(url, &quoted)).err().unwrap().contains("is not where a server can be"), "{url}");
    }
    for key in ["\"\"", "[]", "\"gate.example\"", "\"a+0123abcd+short\"", "\"+0123abcd+AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB\""] {
        assert!(policy("", &with("https://gate.example", key)).err().unwrap().contains("the key of a server"), "{key}");
    }
    let many = [quoted.as_str(); 9].join(", ");
    assert!(policy("", &with("https://gate.example", &format!("[{many}]"))).is_err());
}

#[test]
fn a_token_s_file_is_for_pods_and_pods_need_one() {
    let head = |more: &str| policy("", &format!("version = 1\n{}", server(more)));
    assert!(head("identity = \"kubernetes\"\n").err().unwrap().contains("where its token is"));
    assert!(head("token_file = \"/token\"\n").err().unwrap().contains("only a pod"));
    assert!(head("identity = \"login\"\ntoken_file = \"/token\"\n").is_err());
    assert!(head("identity = \"kubernetes\"\ntoken_file = \"token\"\n").err().unwrap().contains("not an absolute path"));
    assert!(head("identity = \"kubernetes\"\ntoken_file = \"/token\"\n").is_ok());
}

#[test]
fn the_most_trusted_layer_that_names_a_server_names_all_of_it() {
    let user = format!("version = 1\n{}", server("ca = \"/ca.pem\"\n").replace("gate.example\"\n", "other.example\"\n"));
    let read = policy(&format!("version = 1\n{}", server("")), &user).unwrap();
    let (layer, named) = read.server().unwrap();
    assert_eq!((layer, named.url.as_str(), named.ca.as_deref()), (Layer::System, "https://gate.example", None));
    let read = policy("version = 1\n", &user).unwrap();
    assert_eq!(read.server().unwrap().0, Layer::User);
}

#[test]
fn terms_know_the_most_trusted_layer_that_wrote_them() {
    let terms = "[terms.medium]\nwithin = \"5m\"\n";
    assert_eq!(terms_layer("", ASK), None);
    assert_eq!(terms_layer("", &format!("{ASK}{terms}")), Some(Layer::User));
    assert_eq!(terms_layer(&format!("version = 1\n{terms}"), ASK), Some(Layer::System));
    assert_eq!(terms_layer(&format!("version = 1\n{terms}"), &format!("{ASK}{terms}")), Some(Layer::System));
    // Two rules that ask: the one of the user names terms of its own.
    let two = "[terms.own]\nwithin = \"1m\"\n[[rule]]\nid = \"a\"\ntool = \"deploy\"\neffect = \"ask\"\nreason = \"R.\"\nterms = \"own\"\n\
               [[rule]]\nid = \"b\"\ntool = \"deploy\"\neffect = \"ask\"\nreason = \"R.\"\n";
    assert_eq!(terms_layer(&format!("version = 1\n{terms}"), &format!("{ASK}{two}")), Some(Layer::System));
    assert_eq!(terms_layer("version = 1\n", &format!("{ASK}{two}")), Some(Layer::User));
}

#[test]
fn trying_things_out_stands_in_no_system_layer() {
    let dev = "[terms.medium]\ndev = true\n";
    assert!(policy(&format!("version = 1\n{dev}"), "").err().unwrap().contains("decides nothing for the system layer"));
    assert!(
        policy(&format!("version = 1\n{}", server("dev = true\n")), "").err().unwrap().contains("decides nothing for the system layer")
    );
    let told = |terms: &str| World::new().user_policy(&format!("{ASK}{terms}")).run(["check", "--json", "--", "true"]).out();
    assert!(told(dev).contains("\"dev\":true"), "{}", told(dev));
    assert!(!told("[terms.medium]\ndev = false\n").contains("\"dev\""));
    // A project's file names no server.
    let ran = World::new().project(&format!("version = 1\n{}", server(""))).run(["check", "--", "true"]);
    assert_eq!(ran.code(), 78, "{ran}");
}
