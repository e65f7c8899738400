//! The AWS profile that a command works with.

use super::Here;
use super::ini;
use super::reader::Reader;
use crate::request::Fact;

/// Variables whose credentials come before the ones of a profile that nobody named in the argv.
const INSTEAD: &[&str] = &["AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE"];

pub(super) fn profile(here: &Here<'_>) -> Result<Fact, String> {
    if let Some(profile) = &here.target.aws_profile {
        return Ok(Fact::known(profile.clone()));
    }
    for name in INSTEAD {
        if here.filled(name)?.is_some() {
            return Err(format!("`{name}` gives credentials that belong to no profile"));
        }
    }
    match (here.filled_text("AWS_DEFAULT_PROFILE")?, here.filled_text("AWS_PROFILE")?) {
        // The command line takes the first, other tools of AWS take the second.
        (Some(one), Some(other)) if one != other => Err("`AWS_DEFAULT_PROFILE` and `AWS_PROFILE` differ".to_owned()),
        (Some(profile), _) | (None, Some(profile)) => Ok(Fact::known(profile)),
        (None, None) => Ok(Fact::known("default")),
    }
}

/// The account of the profile: the one of its single sign-on, or of the role that it takes.
pub(super) fn account(here: &Here<'_>) -> Result<Fact, String> {
    let profile = match profile(here)? {
        Fact::Known { values, .. } => values.into_iter().next().unwrap_or_default(),
        other => return Ok(other),
    };
    let file = match here.filled("AWS_CONFIG_FILE")? {
        Some(file) => here.resolve(file.as_ref())?,
        None => here.home()?.join(".aws/config"),
    };
    let mut reader = Reader::default();
    let bytes = reader.read(&file)?.ok_or_else(|| format!("`{}` is not there", file.display()))?;
    let text = String::from_utf8(bytes).map_err(|_| format!("`{}` is not UTF-8", file.display()))?;
    let wanted = |section: &str| {
        if profile == "default" { section == "default" } else { section.strip_prefix("profile ").map(str::trim) == Some(&profile) }
    };
    let section = ini::section(&text, wanted)?.ok_or_else(|| format!("there is no profile `{profile}`"))?;
    let role = ini::value(&section, "role_arn")?.map(|role| role.split(':').nth(4).unwrap_or_default());
    // The role's account is where commands work, whoever takes it.
    let account =
        role.or(ini::value(&section, "sso_account_id")?).ok_or_else(|| format!("the profile `{profile}` does not say its account"))?;
    if account.len() != 12 || !account.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!("`{account}` is no account"));
    }
    Ok(reader.fact(vec![account.to_owned()]))
}
