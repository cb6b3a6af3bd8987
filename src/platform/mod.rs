//! How each network operating system speaks, as data. Pure: a platform is a file under `configs/platforms/`,
//! never code; what cannot be said in the file is a named case of a closed enum here.

pub mod observation;

/// One network operating system.
#[derive(Debug)]
pub struct Platform {
    /// The file's name without its ending: `cisco_ios`.
    pub id: String,
}
