//! Where a status map comes from.

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

use super::map::StatusMap;

/// Largest file of a status map.
pub const STATUS_MAP_BYTES_MAX: u64 = 1 << 20;
/// The map for carriers that many shops use.
const BUILTIN: &str = include_str!("builtin.toml");
/// Its name on the command line.
const BUILTIN_NAME: &str = "builtin";

/// Where a status map comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StatusMapSource {
    /// The map in the program.
    Builtin,
    /// A file in TOML.
    File(PathBuf),
}

/// Error of a status map.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StatusMapError {
    /// The file cannot be read as text.
    #[error("status map {}: {reason}", path.display())]
    Unreadable {
        /// Path of the file.
        path: PathBuf,
        /// Error of the system.
        reason: String,
    },
    /// A line is invalid.
    #[error("status map {}, line {line}: {reason}", path.display())]
    Invalid {
        /// Path of the file.
        path: PathBuf,
        /// Line number, from 1.
        line: usize,
        /// The fault, and what is expected.
        reason: String,
    },
}

impl From<PathBuf> for StatusMapSource {
    /// `builtin`, or the path of a file.
    fn from(path: PathBuf) -> StatusMapSource {
        if path.as_os_str() == BUILTIN_NAME { StatusMapSource::Builtin } else { StatusMapSource::File(path) }
    }
}

impl StatusMapSource {
    /// Reads the map.
    pub fn read(&self) -> Result<StatusMap, StatusMapError> {
        let text = match self {
            StatusMapSource::Builtin => BUILTIN.to_owned(),
            StatusMapSource::File(path) => read(path.clone())?,
        };
        StatusMap::parse(&text, self.name()).map_err(|(line, reason)| StatusMapError::Invalid {
            path: self.name(),
            line,
            reason,
        })
    }

    /// Its value on the command line.
    pub fn name(&self) -> PathBuf {
        match self {
            StatusMapSource::Builtin => BUILTIN_NAME.into(),
            StatusMapSource::File(path) => path.clone(),
        }
    }
}

fn read(path: PathBuf) -> Result<String, StatusMapError> {
    let text = File::open(&path).and_then(|file| {
        let mut text = String::new();
        let bytes = file.take(STATUS_MAP_BYTES_MAX + 1).read_to_string(&mut text)?;
        if bytes as u64 > STATUS_MAP_BYTES_MAX {
            return Err(io::Error::other(format!("more than {STATUS_MAP_BYTES_MAX} bytes")));
        }
        Ok(text)
    });
    text.map_err(|error| StatusMapError::Unreadable { path, reason: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::Stage;

    #[test]
    fn the_built_in_map_knows_the_words_of_many_carriers() {
        let map = StatusMapSource::Builtin.read().unwrap();
        for (carrier, status, stage) in [
            ("DHL", "in-transit", Stage::InTransit),
            ("UPS", "inbound-scan", Stage::InTransit),
            ("DPD", "delivery", Stage::OutForDelivery),
            ("FedEx", "transit", Stage::InTransit),
            ("GLS", "scanned", Stage::InTransit),
            ("DHL", "Die Sendung wurde zugestellt", Stage::Delivered),
            ("UPS", "Out For Delivery Today", Stage::OutForDelivery),
            ("UPS", "X", Stage::Exception),
            ("FedEx", "DL", Stage::Delivered),
            ("Hermes", "Die Sendung ist in der Zustellung", Stage::OutForDelivery),
            ("PostNL", "Bezorgd", Stage::Delivered),
            ("USPS", "Pre-Shipment", Stage::PreTransit),
            ("Royal Mail", "Ready for collection", Stage::AvailableForPickup),
            ("Correos", "En reparto", Stage::OutForDelivery),
            ("Poste Italiane", "In consegna", Stage::OutForDelivery),
            ("Chronopost", "Livré", Stage::Delivered),
        ] {
            assert_eq!(map.stage(carrier, status), Some(stage), "{carrier} {status}");
        }
        assert_eq!(map.stage("DHL", "something else"), None);
    }

    #[test]
    fn a_file_that_is_too_large_or_missing_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("map.toml");
        let read = || StatusMapSource::from(path.clone()).read().map_err(|error| error.to_string());
        assert!(read().unwrap_err().starts_with(&format!("status map {}: ", path.display())));
        let text = "[default]\na = 'delivered'\n#";
        let padding = "x".repeat(STATUS_MAP_BYTES_MAX as usize - text.len());
        std::fs::write(&path, format!("{text}{padding}")).unwrap();
        assert!(read().is_ok());
        std::fs::write(&path, format!("{text}{padding}x")).unwrap();
        assert!(read().unwrap_err().ends_with(": more than 1048576 bytes"));
        std::fs::write(&path, b"[default]\na = '\xff'").unwrap();
        assert!(read().is_err());
    }
}
