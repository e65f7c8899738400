use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use crate::request::{Fact, FactName, Facts};
use crate::tool::{Certainty, Reading, TargetKind};

/// What an argv says about the target it acts on, beside what the tool's own files say.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Target {
    /// The directory that the tool works in (`git -C`, `terraform -chdir=`), as given: relative to the cwd.
    pub directory: Option<PathBuf>,
    /// `git --git-dir`.
    pub git_dir: Option<PathBuf>,
    /// The remote or URL that a git command names.
    pub git_remote: Option<String>,
    /// `kubectl --kubeconfig`.
    pub kubeconfig: Option<PathBuf>,
    /// `kubectl --context`.
    pub kube_context: Option<String>,
    /// `kubectl --namespace`.
    pub kube_namespace: Option<String>,
    /// `aws --profile`.
    pub aws_profile: Option<String>,
    /// `gcloud --project`.
    pub gcp_project: Option<String>,
    /// `gcloud --configuration`.
    pub gcp_configuration: Option<String>,
    /// Something of the above is only known when it runs: every fact of the target is unknown.
    pub dynamic: bool,
}

/// git's words whose first operand names a remote.
const REMOTE_WORDS: &[&[u8]] = &[b"push", b"pull", b"fetch", b"ls-remote"];

/// What one reading says about the tool's target.
pub(super) fn of(kind: TargetKind, reading: &Reading<'_>) -> Target {
    let hidden = reading.operands.iter().any(|arg| arg.certainty == Certainty::Anything);
    let mut target = Target { dynamic: reading.loose || hidden, ..Target::default() };
    match kind {
        TargetKind::Kubeconfig => {
            target.kubeconfig = last(reading, &["--kubeconfig"], &mut target.dynamic).map(path);
            target.kube_context = last(reading, &["--context"], &mut target.dynamic).and_then(|text| utf8(text, &mut target.dynamic));
            target.kube_namespace =
                last(reading, &["--namespace", "-n"], &mut target.dynamic).and_then(|text| utf8(text, &mut target.dynamic));
            // Another API server is reached whatever the context says.
            let elsewhere =
                ["--server", "-s", "--cluster", "--user"].iter().any(|name| reading.options.iter().any(|option| option.is(name)));
            target.dynamic |= elsewhere;
        }
        TargetKind::Git => {
            let directories: Vec<Vec<u8>> = all(reading, "-C", &mut target.dynamic);
            // Each `-C` is relative to the one before it (git(1)).
            target.directory = directories
                .into_iter()
                .filter(|text| !text.is_empty())
                .fold(None, |at: Option<PathBuf>, next| Some(at.unwrap_or_default().join(path(next))));
            target.git_dir = last(reading, &["--git-dir"], &mut target.dynamic).map(path);
            if reading.words.first().is_some_and(|word| REMOTE_WORDS.iter().any(|known| *known == &*word.text)) {
                let named = last(reading, &["--repo"], &mut target.dynamic);
                let operand = reading.operands.first().map(|operand| {
                    target.dynamic |= !operand.is_known();
                    operand.text.to_vec()
                });
                target.git_remote = operand.or(named).and_then(|text| utf8(text, &mut target.dynamic));
            }
        }
        TargetKind::Aws => {
            target.aws_profile = last(reading, &["--profile"], &mut target.dynamic).and_then(|text| utf8(text, &mut target.dynamic));
        }
        TargetKind::Gcloud => {
            target.gcp_project = last(reading, &["--project"], &mut target.dynamic).and_then(|text| utf8(text, &mut target.dynamic));
            target.gcp_configuration =
                last(reading, &["--configuration"], &mut target.dynamic).and_then(|text| utf8(text, &mut target.dynamic));
        }
        TargetKind::Terraform => target.directory = last(reading, &["-chdir"], &mut target.dynamic).map(path),
    }
    target
}

fn all(reading: &Reading<'_>, name: &str, dynamic: &mut bool) -> Vec<Vec<u8>> {
    let values = reading.options.iter().filter(|option| option.is(name)).filter_map(|option| option.value.as_ref());
    values
        .map(|value| {
            *dynamic |= !value.is_known();
            value.text.to_vec()
        })
        .collect()
}

/// The last value of an option: what the tools themselves go by.
fn last(reading: &Reading<'_>, names: &[&str], dynamic: &mut bool) -> Option<Vec<u8>> {
    let given = reading.options.iter().filter(|option| names.iter().any(|name| option.is(name)));
    let value = given.filter_map(|option| option.value.as_ref()).next_back()?;
    *dynamic |= !value.is_known();
    Some(value.text.to_vec())
}

fn path(text: Vec<u8>) -> PathBuf {
    PathBuf::from(OsString::from_vec(text))
}

fn utf8(text: Vec<u8>, dynamic: &mut bool) -> Option<String> {
    String::from_utf8(text).map_err(|_| *dynamic = true).ok()
}

/// The target's facts for a card: title and fact.
pub(super) fn shown(facts: &Facts) -> Vec<(String, Fact)> {
    let title = |name: &FactName| match name {
        FactName::KubeContext => Some("kube context"),
        FactName::KubeNamespace => Some("namespace"),
        FactName::GitRemote => Some("remote"),
        FactName::GitBranch => Some("branch"),
        FactName::AwsProfile => Some("AWS profile"),
        FactName::TfWorkspace => Some("workspace"),
        FactName::AwsAccount => Some("AWS account"),
        FactName::GcpProject => Some("GCP project"),
        _ => None,
    };
    facts.iter().filter_map(|(name, fact)| Some((title(name)?.to_owned(), fact.clone()))).collect()
}
