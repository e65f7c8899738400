//! The Google Cloud project that a command works with: option, variable, then the active configuration (`gcloud topic configurations`).

use super::Here;
use super::ini;
use super::reader::Reader;
use crate::request::Fact;

pub(super) fn project(here: &Here<'_>) -> Result<Fact, String> {
    if let Some(project) = &here.target.gcp_project {
        return Ok(Fact::known(project.clone()));
    }
    if let Some(project) = here.filled_text("CLOUDSDK_CORE_PROJECT")? {
        return Ok(Fact::known(project));
    }
    let directory = match here.filled("CLOUDSDK_CONFIG")? {
        Some(directory) => here.resolve(directory.as_ref())?,
        None => here.home()?.join(".config/gcloud"),
    };
    let mut reader = Reader::default();
    let mut text = |name: &str| -> Result<Option<String>, String> {
        let bytes = reader.read(&directory.join(name))?;
        bytes.map(|bytes| String::from_utf8(bytes).map_err(|_| format!("`{name}` is not UTF-8"))).transpose()
    };
    let named = here.target.gcp_configuration.clone().or(here.filled_text("CLOUDSDK_ACTIVE_CONFIG_NAME")?);
    let name = match named {
        Some(name) => name,
        None => text("active_config")?.map_or_else(|| "default".to_owned(), |text| text.trim().to_owned()),
    };
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        return Err(format!("`{name}` is no configuration"));
    }
    let Some(text) = text(&format!("configurations/config_{name}"))? else { return Ok(Fact::Absent) };
    let section = ini::section(&text, |section| section == "core")?.unwrap_or_default();
    let project = ini::value(&section, "project")?.map(str::to_owned);
    Ok(reader.fact(project.into_iter().collect()))
}
