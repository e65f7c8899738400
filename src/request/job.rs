//! The job of a CI provider that a command runs in, and where people find it.

use super::context::Environment;

/// A link is not longer, in bytes.
const LONGEST_LINK: usize = 1024;

/// A name is not longer, in bytes; what follows is left out.
const LONGEST_NAME: usize = 200;

/// A job.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Job {
    name: String,
    url: String,
}

/// Providers that give the link, each with the variables of link and names; the first that is set counts.
const LINKED: [(&str, &[&str]); 6] = [
    ("CI_JOB_URL", &["CI_PROJECT_PATH", "CI_JOB_NAME"]),
    ("CIRCLE_BUILD_URL", &["CIRCLE_PROJECT_REPONAME", "CIRCLE_JOB"]),
    ("BUILDKITE_BUILD_URL", &["BUILDKITE_PIPELINE_SLUG", "BUILDKITE_LABEL"]),
    ("DRONE_BUILD_LINK", &["DRONE_REPO", "DRONE_STEP_NAME"]),
    ("TRAVIS_BUILD_WEB_URL", &["TRAVIS_REPO_SLUG"]),
    ("BUILD_URL", &["JOB_NAME"]),
];

impl Job {
    /// A job with this link; none where it is no plain link to a web page.
    pub fn new(name: &str, url: &str) -> Option<Self> {
        let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"))?;
        let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let plain =
            |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\'' | b'<' | b'>' | b'\\' | b'`' | b'{' | b'}' | b'|' | b'^');
        let well = !host.is_empty() && !host.contains('@') && url.len() <= LONGEST_LINK && url.bytes().all(plain);
        let cut = (0..=name.len().min(LONGEST_NAME)).rev().find(|at| name.is_char_boundary(*at)).unwrap_or_default();
        well.then(|| Self { name: name.get(..cut).unwrap_or_default().to_owned(), url: url.to_owned() })
    }

    /// The run of GitHub Actions at this server.
    pub fn of_github(server: &str, repository: &str, run: &str, attempt: &str, workflow: &str) -> Option<Self> {
        let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let part = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
        let (owner, name) = repository.split_once('/')?;
        if !(part(owner) && part(name) && number(run)) {
            return None;
        }
        let attempt = if number(attempt) { format!("/attempts/{attempt}") } else { String::new() };
        let named = if workflow.is_empty() { repository.to_owned() } else { format!("{repository}, {workflow}") };
        Self::new(&named, &format!("{}/{repository}/actions/runs/{run}{attempt}", server.trim_end_matches('/')))
    }

    /// The job that the environment names. Claimed: whoever starts a command can set what is read here.
    pub fn claimed(environment: &Environment) -> Option<Self> {
        let get = |name: &str| environment.get(name).and_then(|value| value.to_str()).unwrap_or_default();
        let repository = get("GITHUB_REPOSITORY");
        if !repository.is_empty() {
            return Self::of_github(
                get("GITHUB_SERVER_URL"),
                repository,
                get("GITHUB_RUN_ID"),
                get("GITHUB_RUN_ATTEMPT"),
                get("GITHUB_WORKFLOW"),
            );
        }
        let (link, names) = LINKED.iter().find(|(link, _)| !get(link).is_empty())?;
        let names: Vec<&str> = names.iter().map(|name| get(name)).filter(|name| !name.is_empty()).collect();
        Self::new(&names.join(", "), get(link))
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where people find it: `http://` or `https://`, and nothing that has to be escaped.
    pub fn url(&self) -> &str {
        &self.url
    }
}
