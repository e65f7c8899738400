//! The AWS profile that a command works with.

use super::Here;
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
