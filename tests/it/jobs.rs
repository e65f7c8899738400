//! The CI job that a command runs in: a plain link or none, claimed unless a token proves it.

use std::ffi::OsString;

use askama::Template as _;
use gate::approval::Submitted;
use gate::request::{Environment, Job};
use gate::server::pages::fill::card;
use gate::server::pages::html::{CardPage, Page};
use gate::server::pages::view::Around;
use gate::server::pages::viewer::May;
use serde_json::json;

use crate::pages_samples::{NOW, kept, with};

fn claimed(variables: &[(&str, &str)]) -> Option<(String, String)> {
    let entry = |(name, value): &(&str, &str)| OsString::from(format!("{name}={value}"));
    let job = Job::claimed(&Environment::from_entries(variables.iter().map(entry).collect()))?;
    Some((job.name().to_owned(), job.url().to_owned()))
}

#[test]
fn each_provider_s_variables_lead_to_its_job() {
    let github = [("GITHUB_SERVER_URL", "https://github.com"), ("GITHUB_REPOSITORY", "org/app"), ("GITHUB_RUN_ID", "77")];
    assert_eq!(claimed(&github).unwrap(), ("org/app".to_owned(), "https://github.com/org/app/actions/runs/77".to_owned()));
    let again = [&github[..], &[("GITHUB_RUN_ATTEMPT", "2"), ("GITHUB_WORKFLOW", "release")]].concat();
    assert_eq!(
        claimed(&again).unwrap(),
        ("org/app, release".to_owned(), "https://github.com/org/app/actions/runs/77/attempts/2".to_owned())
    );
    let gitlab = [("CI_JOB_URL", "https://gitlab.example/a/b/-/jobs/9"), ("CI_PROJECT_PATH", "a/b"), ("CI_JOB_NAME", "deploy")];
    assert_eq!(claimed(&gitlab).unwrap(), ("a/b, deploy".to_owned(), "https://gitlab.example/a/b/-/jobs/9".to_owned()));
    assert_eq!(claimed(&[("BUILD_URL", "http://jenkins/job/x/3/"), ("JOB_NAME", "x")]).unwrap().0, "x");
    assert_eq!(claimed(&[("CI", "true")]), None);
}

#[test]
fn what_is_no_plain_link_to_a_web_page_is_none() {
    for url in [
        "javascript:alert(1)",
        "https://",
        "https:///x",
        "https://user:secret@host/x",
        "https://host/\"onclick=\"x",
        "https://host/<b>",
        "https://host/\u{202e}x",
        "https://host/a b",
        "https://host/\u{1b}[31m",
        "file:///etc/passwd",
        "//host/x",
        "",
    ] {
        assert_eq!(Job::new("x", url), None, "{url}");
        assert!(Submitted::read(&with(&json!({ "job": { "name": "x", "url": url } }))).is_err(), "{url}");
    }
    assert_eq!(Job::new("x", &format!("https://host/{}", "a".repeat(2000))), None);
    for (repository, run) in [("org/../x", "1"), ("org", "1"), ("org/app", "1/../2"), ("org/app", ""), ("o rg/app", "1")] {
        assert_eq!(Job::of_github("https://github.com", repository, run, "", ""), None, "{repository} {run}");
    }
}

#[test]
fn the_page_links_a_job_and_says_whether_it_is_proved() {
    let told = with(
        &json!({ "asker": "ci:github-actions", "job": { "name": "<b>\u{1b}[31m", "url": "https://github.com/org/app/actions/runs/77?a=1&b=2" } }),
    );
    let mut request = kept(&told);
    let page = |request: &_| {
        let around = Around { earlier: None, recent: &[], before: None, now: NOW };
        CardPage { page: Page::new("/r", None, NOW), card: card(request, &around, May::Look("")) }.render().unwrap()
    };
    let html = page(&request);
    assert!(html.contains("rel=\"noopener noreferrer\"") && html.contains("claimed") && !html.contains("<b>\u{1b}"), "{html}");
    assert!(html.contains("actions/runs/77?a=1&#38;b=2\"") || html.contains("actions/runs/77?a=1&amp;b=2\""), "{html}");
    request.requester.job = Job::of_github("https://github.com", "org/app", "78", "", "");
    let html = page(&request);
    assert!(html.contains("https://github.com/org/app/actions/runs/78") && html.contains("proved by its token"), "{html}");
}
