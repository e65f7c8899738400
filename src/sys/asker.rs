//! Who asks, by the marks that coding agents and CI providers leave.
//!
//! All of it is claimed: whoever starts a command can set or remove a mark.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use crate::request::{Ancestor, Asker, Environment};

/// Variables that coding agents set for the commands they run. Settings that a person may export are not marks.
const AGENTS: &[(&str, &str)] = &[
    ("CLAUDECODE", "claude-code"),
    ("CLAUDE_CODE", "claude-code"),
    ("CLAUDE_CODE_ENTRYPOINT", "claude-code"),
    ("CODEX_THREAD_ID", "codex"),
    ("CODEX_SANDBOX", "codex"),
    ("CODEX_SANDBOX_NETWORK_DISABLED", "codex"),
    ("CODEX_CI", "codex"),
    ("CURSOR_AGENT", "cursor"),
    ("GEMINI_CLI", "gemini-cli"),
    ("COPILOT_AGENT", "copilot"),
    ("COPILOT_CLI", "copilot"),
    ("COPILOT_AGENT_SESSION_ID", "copilot"),
    ("COPILOT_AGENT_JOB_ID", "copilot"),
    ("OPENCODE", "opencode"),
    ("OPENCODE_CLIENT", "opencode"),
    ("AMP_CURRENT_THREAD_ID", "amp"),
    ("GOOSE_TERMINAL", "goose"),
    ("CLINE_ACTIVE", "cline"),
    ("CLINE_TASK_ID", "cline"),
    ("ROO_ACTIVE", "roo-code"),
    ("AUGMENT_AGENT", "augment"),
    ("ANTIGRAVITY_AGENT", "antigravity"),
    ("QWEN_CODE", "qwen-code"),
    ("TRAE_AI_SHELL_ID", "trae"),
    ("CRUSH", "crush"),
    ("GROK_AGENT", "grok"),
    ("PI_CODING_AGENT", "pi"),
    ("WINDSURF_CASCADE_TERMINAL", "windsurf"),
];

/// Variables whose value names the agent (`AI_AGENT=tool@version`, `AGENT=goose`).
const NAMED: &[&str] = &["AI_AGENT", "AGENT"];

/// Executables that are agents, for those that leave no variable.
const PROGRAMS: &[(&str, &str)] = &[
    ("claude", "claude-code"),
    ("codex", "codex"),
    ("cursor-agent", "cursor"),
    ("gemini", "gemini-cli"),
    ("copilot", "copilot"),
    ("opencode", "opencode"),
    ("amp", "amp"),
    ("goose", "goose"),
    ("aider", "aider"),
    ("cline", "cline"),
    ("crush", "crush"),
    ("qwen", "qwen-code"),
    ("auggie", "augment"),
    ("devin", "devin"),
];

/// Variables that CI providers set in every job; the general ones come last.
const PROVIDERS: &[(&str, &str)] = &[
    ("GITHUB_ACTIONS", "github-actions"),
    ("GITLAB_CI", "gitlab"),
    ("CIRCLECI", "circleci"),
    ("BUILDKITE", "buildkite"),
    ("TF_BUILD", "azure-pipelines"),
    ("TEAMCITY_VERSION", "teamcity"),
    ("BITBUCKET_BUILD_NUMBER", "bitbucket"),
    ("CODEBUILD_BUILD_ID", "codebuild"),
    ("CODEBUILD_BUILD_ARN", "codebuild"),
    ("DRONE", "drone"),
    ("TRAVIS", "travis"),
    ("APPVEYOR", "appveyor"),
    ("CIRRUS_CI", "cirrus"),
    ("SEMAPHORE", "semaphore"),
    ("HARNESS_BUILD_ID", "harness"),
    ("bamboo_planKey", "bamboo"),
    ("GO_PIPELINE_LABEL", "gocd"),
    ("CF_BUILD_ID", "codefresh"),
    ("PROW_JOB_ID", "prow"),
    ("JENKINS_URL", "jenkins"),
    ("HUDSON_URL", "jenkins"),
    ("CI", "unknown"),
    ("CONTINUOUS_INTEGRATION", "unknown"),
];

/// Who asks. An agent inside a CI job is the agent: it chose the command.
pub fn of(environment: &Environment, ancestry: &[Ancestor]) -> Asker {
    if let Some(name) = agent_by_variable(environment).or_else(|| agent_by_program(ancestry)) {
        return Asker::Agent(name);
    }
    match marked(environment, PROVIDERS) {
        Some(name) => Asker::Ci(name.to_owned()),
        None => Asker::Person,
    }
}

fn agent_by_variable(environment: &Environment) -> Option<String> {
    if let Some(name) = marked(environment, AGENTS) {
        return Some(name.to_owned());
    }
    let value = NAMED.iter().find_map(|name| environment.get(name).filter(|value| says_yes(value.as_bytes())))?;
    Some(tidy(value.as_bytes()).unwrap_or_else(|| "unknown".to_owned()))
}

fn agent_by_program(ancestry: &[Ancestor]) -> Option<String> {
    let named = |ancestor: &Ancestor| PROGRAMS.iter().find(|(program, _)| ancestor.name == *program);
    ancestry.iter().find_map(named).map(|(_, name)| (*name).to_owned())
}

/// The first row of the table whose variable is set, in one pass over the environment.
fn marked(environment: &Environment, marks: &[(&str, &'static str)]) -> Option<&'static str> {
    let row = |(name, value): (&OsStr, &OsStr)| {
        let row = marks.iter().position(|(mark, _)| mark.as_bytes() == name.as_bytes());
        row.filter(|_| says_yes(value.as_bytes()))
    };
    environment.iter().filter_map(row).min().map(|row| marks[row].1)
}

/// Whether a mark's value is neither empty nor a no.
fn says_yes(value: &[u8]) -> bool {
    !matches!(value, b"" | b"0" | b"false" | b"FALSE" | b"False")
}

/// The tool's name without its version, where it reads like a name and cannot be taken for a pattern.
fn tidy(value: &[u8]) -> Option<String> {
    let name = value.split(|byte| *byte == b'@').next()?;
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let named = (1..=64).contains(&name.len()) && name.iter().all(plain) && name.iter().any(u8::is_ascii_alphabetic);
    named.then(|| String::from_utf8_lossy(name).to_ascii_lowercase())
}
