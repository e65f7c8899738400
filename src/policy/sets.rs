//! Sets of paths that gate's own rules speak of by name, the same in every tool file.

/// What the machine hangs on.
const SYSTEM: &[&str] = &[
    "/", "/bin", "/bin/*", "/boot", "/boot/*", "/etc", "/etc/*", "/lib", "/lib/*", "/lib32", "/lib32/*", "/lib64", "/lib64/*", "/opt",
    "/opt/*", "/proc", "/proc/*", "/root", "/root/*", "/sbin", "/sbin/*", "/srv", "/srv/*", "/sys", "/sys/*", "/usr", "/usr/*", "/home",
    "/home/*/..", "/var", "/var/lib", "/var/lib/*", "/var/log/*", "/var/spool/*", "/var/www/*", "/run", "/run/*", "/dev", "/mnt", "/media",
    "/dev/sd*", "/dev/nvme*", "/dev/vd*", "/dev/xvd*", "/dev/hd*", "/dev/mmcblk*", "/dev/dm-*", "/dev/md*", "/dev/disk/*",
    "/dev/mapper/*", "/dev/mem", "/dev/kmem", "/dev/loop*", "/dev/port",
];

/// Directories in which nobody works: a relative path there is the system's own.
pub(super) const CORE: &[&str] = &[
    "/", "/bin*", "/boot*", "/dev*", "/etc*", "/lib*", "/proc*", "/run*", "/sbin*", "/sys*", "/usr", "/usr/bin*", "/usr/lib*", "/usr/local",
    "/usr/local/*", "/usr/sbin*", "/usr/share*", "/var", "/var/lib*", "/var/log*", "/var/spool*",
];

/// Names that look as if they held secrets and are there to be read.
pub(super) const SAMPLES: &[&str] = &["*.example", "*.sample", "*.template", "*.dist", "*.tmpl", "*.pub"];

/// What holds a disk's bytes.
const DEVICES: &[&str] = &[
    "/dev/sd*", "/dev/nvme*", "/dev/vd*", "/dev/xvd*", "/dev/hd*", "/dev/mmcblk*", "/dev/dm-*", "/dev/md*", "/dev/disk/*", "/dev/mapper/*",
    "/dev/mem", "/dev/kmem", "/dev/loop*", "/dev/port", "/dev/ram*", "/dev/zd*", "/dev/pmem*", "/dev/nbd*", "/dev/rbd*", "/dev/sr*",
];

/// What shells, git, ssh, editors, schedulers and gate take code or settings from.
const SETTINGS: &[&str] = &[
    ".git", "*/.git", ".git/*", "*/.git/*", "*/.gitconfig", "*/.gitmodules", "*/.ssh", "*/.ssh/*", "*/authorized_keys", "*/.bash*",
    "*/.profile", "*/.z*", "*/.kshrc", "*/.login", "*/.logout", "*/.inputrc", "*/.vimrc", "*/.exrc", "*/.nanorc", "*/.emacs*", "*/.config",
    "*/.config/*", "*/.gate.toml", "*/.envrc", "*/.npmrc", "*/.yarnrc*", "*/.pnpmfile.cjs", "*/.pypirc", "*/pip.conf", "*/.netrc",
    "*/.pgpass", "*/.psqlrc", "*/.my.cnf", "*/.curlrc", "*/.wgetrc", "*/.gnupg", "*/.gnupg/*", "*/.aws", "*/.aws/*", "*/.kube", "*/.kube/*",
    "*/.docker", "*/.docker/*", "*/.cargo/config*", "*/.cargo/env", "*/.m2/settings.xml", "*/.gradle/*", "*/.github", "*/.github/*",
    "*/.gitlab-ci.yml", "*/.circleci/*", "*/Jenkinsfile", "*/.husky", "*/.husky/*", "*/.pre-commit-config.yaml", "*/.vscode",
    "*/.vscode/*", "*/.idea/*", "*/.claude", "*/.claude/*", "*/.cursor", "*/.cursor/*", "*/.mcp.json", "*/.local/bin", "*/.local/bin/*",
    "*/.local/share/*", "*/.Xauthority", "*/.xinitrc", "*/.pam_environment", "*/crontab", "*/cron.d/*", "*/sudoers", "*/sudoers.d/*",
    "*/systemd/*", "*/init.d/*", "*/.mise.toml", "*/.tool-versions", "*/.python-version", "*/sitecustomize.py", "*/usercustomize.py",
];

/// What holds secrets.
const SECRETS: &[&str] = &[
    "*/.ssh/id_*", "*/.ssh/*_key", "*/.ssh/*.pem", "*/ssh_host_*_key", "*/.aws/credentials", "*/.aws/sso/*", "*/.aws/cli/cache/*",
    "*/.kube/config*", "*/kubeconfig", "*.kubeconfig", "*/admin.conf", "*/.netrc", "*/_netrc", "*/.pgpass", "*/.my.cnf", "*/.env", "*/.env.*", ".env",
    ".env.*", "*.env", "/etc/shadow*", "/etc/gshadow*", "*/etc/shadow", "/etc/sudoers*", "/etc/krb5.keytab", "*.keytab", "*-key.pem", "*privkey*.pem", "*.key", "*.p12", "*.pfx", "*.jks", "*.keystore", "*.kdbx",
    "*.ppk", "*/.gnupg/*", "*/.password-store/*", "*/.docker/config.json", "*/.dockercfg", "*/.npmrc", "*/.pypirc", "*/.yarnrc.yml", "*/.git-credentials",
    "*/.config/gh/hosts.yml", "*/.config/gcloud/*", "*/.config/hub", "*/.azure/*", "*/.vault-token", "*/.terraform.d/credentials*", "*.tfvars", "*/terraform.tfstate*", "*.tfstate",
    "*/.cargo/credentials*", "*/.gem/credentials", "*/.composer/auth.json", "*/.m2/settings*.xml", "*/.config/op/*", "*/.config/sops/*", "*/.config/rclone/*", "*/.s3cfg", "*/.boto", "*/.databrickscfg",
    "*/.snowsql/config", "*/.bash_history", "*/.zsh_history", "*/.psql_history", "*/.mysql_history", "*/.python_history", "*/.rediscli_history",
    "/proc/*/environ", "/proc/*/mem", "/dev/mem", "/dev/kmem", "/dev/port", "/proc/kcore", "/var/lib/docker/*", "/run/secrets/*", "/var/run/secrets/*",
    "*/secrets.y*ml", "*/secrets.json", "*/credentials", "*/credentials.json", "*/service-account*.json", "*/id_rsa", "*/id_ed25519", "*/id_ecdsa", "*/id_dsa", "*/.htpasswd",
    "*/wallet.dat", "*/Login Data", "*/logins.json", "*/key4.db", "*/Cookies", "*/cookies.sqlite", "*/.config/gate/*", "*/.local/state/gate/*",
];

/// What a build makes again: names of the last part of a relative path.
const REGENERABLE: &[&str] = &[
    "node_modules", "target", "dist", "build", "__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache", ".tox", ".nox", ".next",
    ".nuxt", ".turbo", ".parcel-cache", ".svelte-kit", ".angular", ".gradle", ".terraform", "coverage", "htmlcov", ".coverage", ".nyc_output",
    ".eslintcache", "*.pyc", "*.pyo", "*.o", "*.class", "*.egg-info", "tsconfig.tsbuildinfo", "storybook-static", ".vite", ".vitest", "_build",
    "cmake-build-debug", "cmake-build-release", "playwright-report", "test-results", "*.gcda", "*.gcno", "*.swp", "*~",
];

/// One set that gate itself knows.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Set {
    /// Patterns for a path, absolute or anywhere.
    Patterns(&'static [&'static str]),
    /// The same, but for files that are only there to be copied.
    Secrets(&'static [&'static str]),
    /// Patterns for an absolute path, where a relative one that stays in a working directory of people is none of them.
    System(&'static [&'static str]),
    /// Relative paths without `..` whose last part fits one of these.
    Regenerable(&'static [&'static str]),
    /// Paths inside the working directory that hold neither settings nor secrets.
    WorkTree,
}

/// What holds settings or secrets is not the work tree's, wherever it lies.
pub(super) fn apart() -> impl Iterator<Item = &'static str> {
    SETTINGS.iter().chain(SECRETS).copied()
}

/// gate's own set of this name.
pub(super) fn find(name: &str) -> Option<Set> {
    Some(match name {
        "system" => Set::System(SYSTEM),
        "devices" => Set::Patterns(DEVICES),
        "settings" => Set::Patterns(SETTINGS),
        "secrets" => Set::Secrets(SECRETS),
        "regenerable" => Set::Regenerable(REGENERABLE),
        "work-tree" => Set::WorkTree,
        _ => return None,
    })
}

/// The name, where a whole pattern is `@name` of a set.
pub(super) fn named(pattern: &str) -> Option<&str> {
    let name = pattern.strip_prefix('@')?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (!name.is_empty() && name.bytes().all(plain)).then_some(name)
}
