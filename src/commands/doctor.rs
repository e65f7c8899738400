//! placeholder
#[derive(clap::Args, Debug)]
pub struct DoctorArgs {}
pub fn run(_: &DoctorArgs) -> Result<u8, crate::error::Error> {
    Ok(0)
}
