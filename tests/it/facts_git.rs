//! The branch and the remote are the ones that git itself would use.

use std::fs;

use gate::request::Fact;

use crate::facts::{Place, fifo};

fn repository() -> Place {
    let place = Place::new();
    place.git(&["init", "-q", "-b", "trunk"]);
    place.git(&["commit", "-q", "--allow-empty", "-m", "one"]);
    place
}

/// Both answers, gate's from the files and git's own.
fn same_branch(place: &Place) -> String {
    let values = place.values("git_branch");
    assert_eq!(values, [place.git(&["rev-parse", "--abbrev-ref", "HEAD"])]);
    values[0].clone()
}

#[test]
fn the_branch_is_what_git_says() {
    let place = repository();
    assert_eq!(same_branch(&place), "trunk");
    place.git(&["checkout", "-q", "-b", "feature/ünder"]);
    assert_eq!(same_branch(&place), "feature/ünder");
    place.git(&["pack-refs", "--all", "--prune"]);
    assert_eq!(same_branch(&place), "feature/ünder");
    fs::create_dir_all(place.path("work/a/b")).unwrap();
    assert_eq!(same_branch(&place.in_directory("work/a/b")), "feature/ünder");
}

#[test]
fn a_branch_without_a_commit_is_a_branch() {
    let place = Place::new();
    place.git(&["init", "-q", "-b", "new"]);
    assert_eq!(place.values("git_branch"), [place.git(&["symbolic-ref", "--short", "HEAD"])]);
}

#[test]
fn a_branch_that_stands_for_another_is_the_other() {
    let place = repository();
    place.git(&["symbolic-ref", "refs/heads/alias", "refs/heads/trunk"]);
    place.git(&["symbolic-ref", "HEAD", "refs/heads/alias"]);
    assert_eq!(place.values("git_branch"), [place.git(&["branch", "--show-current"])]);
    place.git(&["symbolic-ref", "refs/heads/trunk", "refs/heads/alias"]);
    assert_eq!(place.unknown("git_branch"), "HEAD goes through too many symbolic references");
}

#[test]
fn a_head_that_is_a_symbolic_link_is_followed_as_git_does() {
    let place = repository();
    fs::remove_file(place.path("work/.git/HEAD")).unwrap();
    std::os::unix::fs::symlink("refs/heads/trunk", place.path("work/.git/HEAD")).unwrap();
    assert_eq!(same_branch(&place), "trunk");
}

#[test]
fn a_detached_head_has_no_branch() {
    let place = repository();
    place.git(&["checkout", "-q", "--detach"]);
    assert_eq!(place.git(&["rev-parse", "--abbrev-ref", "HEAD"]), "HEAD");
    assert_eq!(place.fact("git_branch"), Fact::Absent);
}

#[test]
fn a_head_outside_the_branches_is_unknown() {
    let place = repository();
    place.git(&["update-ref", "refs/other/x", "HEAD"]);
    place.git(&["symbolic-ref", "HEAD", "refs/other/x"]);
    assert_eq!(place.unknown("git_branch"), "HEAD is at `refs/other/x`, which is no branch");
}

#[test]
fn no_repository_means_no_branch_and_no_remote() {
    let place = Place::new();
    assert_eq!(place.fact("git_branch"), Fact::Absent);
    assert_eq!(place.fact("git_remote"), Fact::Absent);
}

#[test]
fn a_linked_worktree_has_its_own_branch_and_the_shared_remotes() {
    let place = repository();
    place.git(&["remote", "add", "origin", "https://example.org/a.git"]);
    place.git(&["worktree", "add", "-q", "-b", "side", "../side"]);
    let place = place.in_directory("side");
    assert_eq!(same_branch(&place), "side");
    assert_eq!(place.values("git_remote"), ["https://example.org/a.git"]);
    place.git(&["config", "extensions.worktreeConfig", "true"]);
    place.git(&["config", "--worktree", "remote.origin.pushurl", "https://example.org/side.git"]);
    assert_eq!(place.values("git_remote"), ["https://example.org/a.git", "https://example.org/side.git"]);
}

#[test]
fn a_submodule_is_a_repository_of_its_own() {
    let place = repository().in_directory(".");
    place.git(&["init", "-q", "-b", "inner", "library"]);
    place.git(&["-C", "library", "commit", "-q", "--allow-empty", "-m", "one"]);
    let library = place.path("library");
    place.git(&["-c", "protocol.file.allow=always", "-C", "work", "submodule", "--quiet", "add", library.to_str().unwrap(), "sub"]);
    let place = place.in_directory("work/sub");
    assert!(place.path("work/sub/.git").is_file());
    assert_eq!(same_branch(&place), "inner");
    assert_eq!(place.values("git_remote"), [place.git(&["remote", "get-url", "origin"])]);
}

#[test]
fn the_directory_of_the_argv_is_where_the_repository_is_looked_for() {
    let place = repository().in_directory("home").aimed(|target| target.directory = Some("../work".into()));
    assert_eq!(place.values("git_branch"), ["trunk"]);
    let place = place.aimed(|target| target.directory = Some("../none".into()));
    assert!(place.unknown("git_branch").starts_with("`ROOT/home/../none` cannot be read"));
}

#[test]
fn a_link_to_a_directory_counts_as_the_directory() {
    let place = repository();
    fs::create_dir(place.path("work/deep")).unwrap();
    std::os::unix::fs::symlink(place.path("work/deep"), place.path("home/link")).unwrap();
    let place = place.in_directory("home/link");
    assert_eq!(same_branch(&place), "trunk");
}

#[test]
fn the_git_directory_of_the_argv_beats_the_variable_and_both_beat_the_directory() {
    let place = repository().in_directory(".");
    for name in ["one", "two"] {
        place.git(&["init", "-q", "--bare", "-b", name, &format!("{name}.git")]);
    }
    let place = place.in_directory("work").with("GIT_DIR", "../one.git");
    assert_eq!(place.values("git_branch"), ["one"]);
    let place = place.aimed(|target| target.git_dir = Some("../two.git".into()));
    assert_eq!(place.values("git_branch"), ["two"]);
    let place = place.aimed(|target| target.git_dir = Some("../none.git".into()));
    assert_eq!(place.unknown("git_branch"), "`ROOT/work/../none.git` is not a repository");
}

#[test]
fn a_bare_repository_is_found_from_inside() {
    let place = Place::new();
    place.git(&["init", "-q", "--bare", "-b", "bare", "."]);
    assert_eq!(place.in_directory("work/refs").values("git_branch"), ["bare"]);
}

#[test]
fn a_broken_repository_is_not_passed_over() {
    let place = repository();
    fs::create_dir_all(place.path("work/in/.git")).unwrap();
    let place = place.in_directory("work/in");
    assert_eq!(place.unknown("git_branch"), "`ROOT/work/in/.git` is not a repository");
    fs::remove_dir(place.path("work/in/.git")).unwrap();
    let place = place.file("work/in/.git", "gitdir: nowhere\n");
    assert_eq!(place.unknown("git_remote"), "`ROOT/work/in/.git` is not a repository");
    let place = place.file("work/in/.git", "hello\n");
    assert_eq!(place.unknown("git_branch"), "`ROOT/work/in/.git` points nowhere");
}

#[test]
fn a_directory_that_only_looks_bare_does_not_hide_the_repository_above() {
    let place = repository();
    place.git(&["remote", "add", "origin", "https://example.org/real.git"]);
    fs::create_dir_all(place.path("work/fake/objects")).unwrap();
    fs::create_dir_all(place.path("work/fake/refs")).unwrap();
    let place =
        place.file("work/fake/HEAD", "nothing\n").file("work/fake/config", "[remote \"origin\"]\nurl = https://example.org/fake.git\n");
    let place = place.in_directory("work/fake");
    assert_eq!(place.git(&["remote", "get-url", "origin"]), "https://example.org/real.git");
    assert_eq!(place.unknown("git_remote"), "`ROOT/work/fake/HEAD` is no reference");
}

#[test]
fn references_in_another_format_make_the_branch_unknown() {
    let place = Place::new();
    place.git(&["init", "-q", "-b", "trunk", "--ref-format=reftable"]);
    place.git(&["remote", "add", "origin", "https://example.org/a.git"]);
    assert_eq!(place.unknown("git_branch"), "the repository keeps its references in another format than files");
    let named = place.aimed(|target| target.git_remote = Some("origin".into()));
    assert_eq!(named.values("git_remote"), ["https://example.org/a.git"]);
}

#[test]
fn a_fifo_in_the_place_of_head_is_never_waited_for() {
    let place = repository();
    fs::remove_file(place.path("work/.git/HEAD")).unwrap();
    fifo(&place.path("work/.git/HEAD"));
    assert_eq!(place.unknown("git_branch"), "`ROOT/work/.git/HEAD` is not a regular file");
}

#[test]
fn variables_that_move_parts_of_the_repository_make_it_unknown() {
    let place = repository().with("GIT_COMMON_DIR", "x");
    assert_eq!(place.unknown("git_branch"), "`GIT_COMMON_DIR` is set");
}

#[test]
fn the_remote_that_the_argv_names_gives_its_urls() {
    let place = repository();
    place.git(&["remote", "add", "origin", "https://example.org/a.git"]);
    place.git(&["remote", "add", "Fork", "git@example.org:me/a.git"]);
    let place = place.aimed(|target| target.git_remote = Some("Fork".into()));
    assert_eq!(place.values("git_remote"), [place.git(&["remote", "get-url", "--push", "Fork"])]);
    let place = place.aimed(|target| target.git_remote = Some("https://example.org/other.git".into()));
    assert_eq!(place.values("git_remote"), ["https://example.org/other.git"]);
    let place = place.aimed(|target| target.git_remote = Some("../elsewhere".into()));
    assert_eq!(place.values("git_remote"), ["../elsewhere"]);
}

#[test]
fn all_urls_of_a_remote_count_those_for_pushing_too() {
    let place = repository();
    place.git(&["remote", "add", "origin", "https://example.org/a.git"]);
    place.git(&["remote", "set-url", "--push", "origin", "https://example.org/push-1.git"]);
    place.git(&["remote", "set-url", "--push", "--add", "origin", "https://example.org/push-2.git"]);
    let pushed = place.git(&["remote", "get-url", "--push", "--all", "origin"]);
    let mut expected = vec![place.git(&["remote", "get-url", "origin"])];
    expected.extend(pushed.lines().map(str::to_owned));
    assert_eq!(place.values("git_remote"), expected);
}

#[test]
fn without_a_remote_in_the_argv_the_branchs_own_counts_and_else_all() {
    let place = repository();
    assert_eq!(place.fact("git_remote"), Fact::Absent);
    for name in ["one", "two", "three"] {
        place.git(&["remote", "add", name, &format!("https://example.org/{name}.git")]);
    }
    let all = ["https://example.org/one.git", "https://example.org/three.git", "https://example.org/two.git"];
    assert_eq!(place.values("git_remote"), all);
    place.git(&["config", "branch.trunk.remote", "two"]);
    assert_eq!(place.values("git_remote"), ["https://example.org/two.git"]);
    place.git(&["config", "remote.pushDefault", "three"]);
    assert_eq!(place.values("git_remote"), ["https://example.org/two.git", "https://example.org/three.git"]);
    place.git(&["config", "branch.trunk.pushRemote", "one"]);
    assert_eq!(place.values("git_remote"), ["https://example.org/two.git", "https://example.org/one.git"]);
    place.git(&["checkout", "-q", "--detach"]);
    assert_eq!(place.values("git_remote"), all);
}

#[test]
fn a_remote_of_the_users_own_configuration_counts() {
    let place = repository().file("home/.gitconfig", "[remote \"mine\"]\n\turl = https://example.org/mine.git\n");
    assert_eq!(place.values("git_remote"), [place.git(&["ls-remote", "--get-url", "mine"])]);
    let place = place.without("HOME");
    assert_eq!(place.fact("git_remote"), Fact::Absent);
}

#[test]
fn what_rewrites_urls_or_reads_more_files_makes_the_remote_unknown_wherever_it_stands() {
    let rewrites = "the configuration of git rewrites URLs";
    let includes = "the configuration of git includes other files";
    for (text, why) in [
        ("[url \"https://example.org/\"]\n\tinsteadOf = ex:\n", rewrites),
        ("[URL \"https://example.org/\"]\n\tpushInsteadOf = ex:\n", rewrites),
        ("[include]\n\tpath = more\n", includes),
        ("[includeIf \"gitdir:/\"]\n\tpath = more\n", includes),
    ] {
        for path in ["work/.git/config", "home/.gitconfig", "home/.config/git/config", "xdg/git/config"] {
            let place = repository();
            place.git(&["remote", "add", "origin", "https://example.org/a.git"]);
            let file = place.path(path);
            let place = if path.starts_with("xdg") {
                let xdg = place.path("xdg");
                place.with("XDG_CONFIG_HOME", xdg)
            } else {
                place
            };
            let before = fs::read_to_string(&file).unwrap_or_default();
            let place = place.file(path, before + text);
            assert_eq!(place.unknown("git_remote"), why, "{path}: {text}");
            assert_eq!(same_branch(&place), "trunk");
        }
    }
}

#[test]
fn an_instead_of_counts_for_a_url_outside_every_repository() {
    let place = Place::new().file("home/.gitconfig", "[url \"https://evil.example/\"]\n\tinsteadOf = https://example.org/\n");
    let place = place.aimed(|target| target.git_remote = Some("https://example.org/a.git".into()));
    assert_eq!(place.unknown("git_remote"), "the configuration of git rewrites URLs");
}

#[test]
fn variables_that_change_the_configuration_make_the_remote_unknown() {
    for name in ["GIT_CONFIG_COUNT", "GIT_CONFIG_PARAMETERS", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG"] {
        let place = repository().with(name, "0");
        assert_eq!(place.unknown("git_remote"), format!("`{name}` changes the configuration of git"));
    }
}

#[test]
fn a_remote_that_git_keeps_elsewhere_is_unknown() {
    let place = repository().file("work/.git/remotes/old", "URL: https://example.org/old.git\n");
    let place = place.aimed(|target| target.git_remote = Some("old".into()));
    assert_eq!(place.git(&["remote", "get-url", "old"]), "https://example.org/old.git");
    assert_eq!(place.unknown("git_remote"), "the remote `old` is kept outside the configuration");
    let group = repository().file("home/.gitconfig", "[remotes]\n\tall = one two\n").aimed(|target| target.git_remote = Some("all".into()));
    assert_eq!(group.unknown("git_remote"), "`all` is a group of remotes");
    let helper = repository().file("home/.gitconfig", "[remote \"x\"]\n\turl = a\n\tvcs = b\n");
    assert_eq!(helper.unknown("git_remote"), "the remote `x` is reached by a helper program");
    let empty = repository().file("home/.gitconfig", "[remote \"x\"]\n\turl = a\n\turl =\n");
    assert_eq!(empty.unknown("git_remote"), "`url` in the configuration of git has no plain value");
}

#[test]
fn a_configuration_that_git_refuses_is_unknown() {
    let place = repository();
    let text = fs::read_to_string(place.path("work/.git/config")).unwrap();
    let place = place.file("work/.git/config", text + "[remote \"x\"\nurl = a\n");
    place.run("git", &["remote"]).unwrap_err();
    assert_eq!(place.unknown("git_remote"), "`ROOT/work/.git/config`, line 7: more after a subsection");
    assert_eq!(place.unknown("git_branch"), "`ROOT/work/.git/config`, line 7: more after a subsection");
}
