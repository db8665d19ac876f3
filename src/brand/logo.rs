//! The logo of a brand, which is a part of each page.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Largest file of a logo, and a little more than the largest `data:` URL of one.
pub const LOGO_BYTES_MAX: u64 = 32 << 10;
/// First bytes of a PNG file (ISO/IEC 15948, section 5.2).
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";
const MEDIA_TYPES: [&str; 2] = ["data:image/svg+xml", "data:image/png"];

/// The `data:` URL of a logo: `value` itself, or the file at this path below `folder`.
pub(super) fn data_url(value: &str, folder: &Path) -> Result<String, String> {
    if value.starts_with("data:") {
        let is_picture = MEDIA_TYPES.iter().any(|start| value.starts_with(start));
        let is_url = value.contains(',') && value.chars().all(|c| c.is_ascii_graphic() && c != '"');
        if value.len() as u64 > LOGO_BYTES_MAX * 4 / 3 {
            return Err(too_large());
        }
        return if is_picture && is_url {
            Ok(value.to_owned())
        } else {
            Err(format!("expected a URL that begins with {}", MEDIA_TYPES.join(" or ")))
        };
    }
    let path = folder.join(value);
    let mut content = Vec::new();
    let read = File::open(&path).and_then(|file| file.take(LOGO_BYTES_MAX + 1).read_to_end(&mut content));
    read.map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    if content.len() as u64 > LOGO_BYTES_MAX {
        return Err(too_large());
    }
    let is_svg = std::str::from_utf8(&content).is_ok_and(|text| text.contains("<svg"));
    let media_type = if content.starts_with(PNG) {
        MEDIA_TYPES[1]
    } else if is_svg {
        MEDIA_TYPES[0]
    } else {
        return Err(format!("{} is neither an SVG nor a PNG file", path.display()));
    };
    Ok(format!("{media_type};base64,{}", STANDARD.encode(content)))
}

fn too_large() -> String {
    format!("the logo has more than {} KiB, and is sent with each page: take a smaller one", LOGO_BYTES_MAX >> 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_logo_is_a_small_picture() {
        let dir = tempfile::tempdir().unwrap();
        let with = |content: &[u8]| {
            std::fs::write(dir.path().join("logo"), content).unwrap();
            data_url("logo", dir.path())
        };
        assert_eq!(with(b"<svg/>").as_deref(), Ok("data:image/svg+xml;base64,PHN2Zy8+"));
        assert!(with(PNG).is_ok_and(|url| url.starts_with("data:image/png;base64,iVBORw0KGgo")));
        assert!(with(b"GIF89a").unwrap_err().ends_with("is neither an SVG nor a PNG file"));
        assert!(with(&vec![b'<'; LOGO_BYTES_MAX as usize + 1]).unwrap_err().contains("32 KiB"));
        assert!(data_url("missing.svg", dir.path()).unwrap_err().starts_with("cannot read "));
    }

    #[test]
    fn a_logo_may_be_a_url_of_its_own_content() {
        let url = |value: &str| data_url(value, Path::new("/"));
        assert!(url("data:image/svg+xml,%3Csvg/%3E").is_ok());
        assert!(url("data:image/png;base64,AAAA").is_ok());
        for bad in ["data:text/html,x", "data:image/png", "data:image/svg+xml,<svg a=\"b\"/>", "data:image/png,a b"] {
            assert!(url(bad).is_err(), "{bad}");
        }
        assert!(url(&format!("data:image/png,{}", "a".repeat(50_000))).unwrap_err().contains("32 KiB"));
    }
}
