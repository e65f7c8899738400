//! The terraform workspace that a command works in.

use std::ffi::OsStr;

use super::Here;
use super::reader::Reader;
use crate::request::Fact;

pub(super) fn workspace(here: &Here<'_>) -> Result<Fact, String> {
    if let Some(name) = here.filled_text("TF_WORKSPACE")? {
        return Ok(Fact::known(name));
    }
    let data = here.filled("TF_DATA_DIR")?.unwrap_or(OsStr::new(".terraform"));
    let mut reader = Reader::default();
    let bytes = reader.read(&here.directory()?.join(data).join("environment"))?.unwrap_or_default();
    let name = std::str::from_utf8(&bytes).map_err(|_| "the name of the workspace is not UTF-8".to_owned())?.trim();
    Ok(reader.fact(vec![if name.is_empty() { "default" } else { name }.to_owned()]))
}
