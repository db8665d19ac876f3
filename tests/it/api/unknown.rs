//! What is asked for by a wrong name: parameters and paths.

use crate::support::{SEED, Server};

#[test]
fn an_unknown_parameter_is_refused_with_the_one_that_is_near() {
    let server = Server::start(SEED, &[]);
    let detail = |target: &str| server.get(target).problem(400, "invalid_parameter");
    for path in ["/v1/shipments", "/v1/facets"] {
        for (query, meant) in [
            ("carier=dhl", "did you mean carrier?"),
            ("Carrier=dhl", "did you mean carrier?"),
            ("status=delivered&tracking-number=TN1", "did you mean tracking_number?"),
            ("recevier_city=Paris", "did you mean receiver_city?"),
        ] {
            let detail = detail(&format!("{path}?{query}"));
            assert!(detail.ends_with(meant), "{detail}");
        }
        let detail = detail(&format!("{path}?q=1"));
        assert!(detail.starts_with("q: no such parameter; there are ") && !detail.contains("mean"), "{detail}");
    }
    let detail = server.admin_post("/-/reload?dryrun=true").problem(400, "invalid_parameter");
    assert!(detail.starts_with("dryrun: ") && detail.ends_with("did you mean dry_run?"), "{detail}");
}
