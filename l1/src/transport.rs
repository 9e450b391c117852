//! Requests to one URL over HTTP/1.1, bounded in time and size; with TLS where the URL says https.
//!
//! Certificates are always checked, against what the machine trusts. `SSL_CERT_FILE` names another file of roots.

use crate::endpoint::{EndpointError, EndpointLimits, TEXT_MAX};
use crate::url::EndpointUrl;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls_platform_verifier::BuilderVerifierExt as _;
use std::error::Error;
use std::sync::Arc;

/// Most causes of an error that are looked at.
const CAUSES_MAX: usize = 8;

/// Sends to one URL. Cheap to clone; connections are reused.
#[derive(Clone, Debug)]
pub struct Transport {
    pub url: EndpointUrl,
    pub limits: EndpointLimits,
    client: Client<HttpsConnector<HttpConnector>, Full<outrider_types::Bytes>>,
}

impl Transport {
    pub fn new(url: EndpointUrl, limits: EndpointLimits) -> Result<Self, EndpointError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| EndpointError::Unreachable {
                url: url.to_string(),
                reason: error.to_string(),
            })?
            .with_platform_verifier()
            .with_no_client_auth();
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(limits.timeout));
        connector.enforce_http(false);
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(connector);
        Ok(Self {
            url,
            limits,
            client: Client::builder(TokioExecutor::new()).build(connector),
        })
    }

    pub async fn post(&self, method: &'static str, body: String) -> Result<Vec<u8>, EndpointError> {
        let timeout = EndpointError::Timeout {
            url: self.url.to_string(),
            method,
            within: self.limits.timeout,
        };
        tokio::time::timeout(self.limits.timeout, self.exchange(method, body))
            .await
            .unwrap_or(Err(timeout))
    }

    async fn exchange(&self, method: &'static str, body: String) -> Result<Vec<u8>, EndpointError> {
        let mut request =
            http::Request::post(self.url.uri().clone()).header(CONTENT_TYPE, "application/json");
        if let Some(authorization) = self.url.authorization() {
            request = request.header(AUTHORIZATION, authorization);
        }
        let request = request.body(Full::new(outrider_types::Bytes::from(body)));
        let request = request.map_err(|error| self.failed(&error))?;
        let answer = self.client.request(request).await;
        let (head, body) = answer.map_err(|error| self.failed(&error))?.into_parts();
        let body = Limited::new(body, self.limits.answer_bytes).collect().await;
        let body = body.map_err(|error| {
            if error.is::<LengthLimitError>() {
                return EndpointError::TooLong {
                    url: self.url.to_string(),
                    method,
                    limit: self.limits.answer_bytes,
                };
            }
            self.failed(error.as_ref())
        })?;
        let body = body.to_bytes().to_vec();
        if head.status.is_success() {
            return Ok(body);
        }
        Err(EndpointError::Status {
            url: self.url.to_string(),
            method,
            status: head.status.as_u16(),
            text: self.repeat(&String::from_utf8_lossy(&body)),
        })
    }

    /// The start of somebody else's text, without our secrets.
    pub fn repeat(&self, text: &str) -> String {
        let text = self.url.without_secrets(text);
        text.chars().take(TEXT_MAX).collect()
    }

    fn failed(&self, error: &(dyn Error + 'static)) -> EndpointError {
        let url = self.url.to_string();
        // The causes in one line.
        let mut reason = error.to_string();
        let mut next = Some(error);
        for _ in 0..CAUSES_MAX {
            let Some(error) = next else { break };
            if let Some(rustls::Error::InvalidCertificate(reason)) = tls_error(error) {
                let reason = reason.to_string();
                return EndpointError::Certificate { url, reason };
            }
            let part = error.to_string();
            if !reason.contains(&part) {
                reason = format!("{reason}: {part}");
            }
            next = error.source();
        }
        let reason = self.repeat(&reason);
        EndpointError::Unreachable { url, reason }
    }
}

/// What TLS says, in errors that input and output made of it.
fn tls_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    let mut error = error;
    for _ in 0..CAUSES_MAX {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        error = error.downcast_ref::<std::io::Error>()?.get_ref()?;
    }
    None
}
