//! What a sample must be read as, as written: YAML beside the raw answer.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::complaint::{Complaint, Place};
use crate::platform::observation::Reading;

/// Reads the expectation of one sample. The complaint names the place.
pub fn read<T: DeserializeOwned>(file: &str, text: &str) -> Result<Reading<T>, Complaint> {
    serde_saphyr::from_str(text).map_err(|error| {
        let at = error.location();
        let narrow = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        let place = at.map_or(Place::default(), |at| Place {
            line: narrow(at.line()),
            column: narrow(at.column()),
        });
        let mut complaints = crate::complaint::Complaints::about(file);
        let hint = "remove the file and run with `--write` to see how rows are written";
        complaints.at(place, error.without_snippet().to_string(), hint);
        complaints.finish(text).remove(0)
    })
}

/// A reading as it is written down.
pub fn write<T: Serialize>(reading: &Reading<T>) -> String {
    serde_saphyr::to_string(reading).expect("a reading is plain data")
}
