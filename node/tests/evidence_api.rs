//! Evidence and certificates over RPC.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, also in its helpers"
)]

mod mock;

use jsonrpsee::core::client::ClientT as _;
use jsonrpsee::http_client::HttpClientBuilder;
use jsonrpsee::rpc_params;
use outrider_finality::{CertificatePage, EvidencePage};
use outrider_types::MemberIndex;

#[tokio::test]
async fn evidence_and_certificates_are_served_page_by_page() {
    let (served, _, committee) = mock::serve_with(&[]).await;
    let client = HttpClientBuilder::default()
        .build(format!("http://{}", served.local_addr()))
        .unwrap();
    let first: EvidencePage = client
        .request("outrider_evidence", rpc_params![])
        .await
        .unwrap();
    let second: EvidencePage = client
        .request("outrider_evidence", rpc_params![&first.next])
        .await
        .unwrap();
    assert_eq!(second.next, None);
    for (page, member) in [(first, 1), (second, 2)] {
        let checked = page.evidence[0].verify(Some(committee.id())).unwrap();
        assert_eq!(checked.member, MemberIndex(member));
    }
    let page: CertificatePage = client
        .request("outrider_certificates", rpc_params![])
        .await
        .unwrap();
    assert_eq!(page.store.committee, committee);
    let page: CertificatePage = client
        .request("outrider_certificates", rpc_params![0, page.next])
        .await
        .unwrap();
    assert_eq!(page.next, None);
    for (method, params) in [
        ("outrider_certificates", rpc_params![7]),
        ("outrider_certificates", rpc_params![0, "xyz"]),
        ("outrider_evidence", rpc_params!["00".repeat(65)]),
        ("outrider_evidence", rpc_params![5]),
    ] {
        let refused = client.request::<serde_json::Value, _>(method, params).await;
        assert!(
            refused.unwrap_err().to_string().contains("nvalid param"),
            "{method}"
        );
    }
}
