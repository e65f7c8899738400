use std::path::PathBuf;

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
    /// Something of the above is only known when it runs: every fact of the target is unknown.
    pub dynamic: bool,
}
