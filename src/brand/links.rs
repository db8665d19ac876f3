//! Links to the pages of carriers.

use std::collections::BTreeMap;

/// What stands for the number in a link.
pub(super) const PLACE: &str = "{tracking_number}";

/// Pages of carriers, by their names without regard to case.
const BUILTIN: [(&str, &str); 14] = [
    ("chronopost", "https://www.chronopost.fr/tracking-no-cms/suivi-page?listeNumerosLT={tracking_number}"),
    ("colissimo", "https://www.laposte.fr/outils/suivre-vos-envois?code={tracking_number}"),
    (
        "correos",
        "https://www.correos.es/es/es/herramientas/localizador/envios/detalle?tracking-number={tracking_number}",
    ),
    ("dhl", "https://www.dhl.com/global-en/home/tracking.html?tracking-id={tracking_number}"),
    ("dpd", "https://tracking.dpd.de/status/en_US/parcel/{tracking_number}"),
    ("fedex", "https://www.fedex.com/fedextrack/?trknbr={tracking_number}"),
    ("gls", "https://gls-group.eu/track/{tracking_number}"),
    ("hermes", "https://www.myhermes.de/empfangen/sendungsverfolgung/sendungsinformation#{tracking_number}"),
    ("la poste", "https://www.laposte.fr/outils/suivre-vos-envois?code={tracking_number}"),
    ("poste italiane", "https://www.poste.it/cerca/index.html#/risultati-spedizioni/{tracking_number}"),
    ("postnl", "https://postnl.nl/tracktrace/?B={tracking_number}"),
    ("royal mail", "https://www.royalmail.com/track-your-item#/tracking-results/{tracking_number}"),
    ("ups", "https://www.ups.com/track?tracknum={tracking_number}"),
    ("usps", "https://tools.usps.com/go/TrackConfirmAction?tLabels={tracking_number}"),
];

/// The pages that are known without a brand file.
pub(super) fn builtin() -> BTreeMap<String, String> {
    BUILTIN.into_iter().map(|(carrier, link)| (carrier.to_owned(), link.to_owned())).collect()
}

/// Checks a link to a page: a whole URL with the number behind its host.
pub(super) fn check_link(link: &str) -> Result<(), String> {
    check_url(link, &["https://", "http://"])?;
    let path = link.split_once("://").and_then(|(_, rest)| rest.find(['/', '?', '#']).map(|at| &rest[at..]));
    if path.is_some_and(|path| path.contains(PLACE)) {
        return Ok(());
    }
    Err(format!("{link:?} has no {PLACE} behind its host; put it where the number belongs"))
}

/// Checks that a URL is whole and begins with one of `schemes`.
pub(super) fn check_url(url: &str, schemes: &[&str]) -> Result<(), String> {
    let rest = schemes.iter().find_map(|scheme| url.strip_prefix(scheme));
    let is_whole = rest.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '['));
    if is_whole && url.chars().all(|c| c.is_ascii_graphic() && !"\"<>\\^`|".contains(c)) {
        return Ok(());
    }
    Err(format!("{url:?} is no URL that begins with {}", schemes.join(" or ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_known_links_are_valid_and_sorted() {
        assert!(BUILTIN.is_sorted_by_key(|(carrier, _)| carrier));
        for (carrier, link) in BUILTIN {
            assert_eq!(carrier, carrier.trim().to_lowercase());
            assert!(link.starts_with("https://") && check_link(link).is_ok(), "{link}");
        }
    }

    #[test]
    fn a_link_is_a_whole_url_with_the_number_behind_its_host() {
        for good in ["https://a.example/{tracking_number}", "http://[::1]:8080?x={tracking_number}&y=1"] {
            assert_eq!(check_link(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "https://a.example/",
            "https://{tracking_number}.example/",
            "https://a.example{tracking_number}",
            "javascript:alert('{tracking_number}')",
            "//a.example/{tracking_number}",
            "https:///{tracking_number}",
            "https://a.example/ {tracking_number}",
            "https://a.example/\"{tracking_number}",
            "https://é.example/{tracking_number}",
        ] {
            assert!(check_link(bad).is_err(), "{bad}");
        }
        assert!(check_url("mailto:help@shop.example", &["mailto:"]).is_ok());
    }
}
