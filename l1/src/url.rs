//! Where an endpoint is. Its URL may hold secrets (a user, a key in the path), so that only scheme, host and port of it are ever shown.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderValue, Uri};

/// Shorter parts of a path are no secrets: versions, names of networks.
const SECRET_LETTERS_MIN: usize = 6;

/// Why a text is no URL of an endpoint. It does not repeat the text, which may be a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// Not a URL.
    #[error("{reason}")]
    Malformed {
        /// Why.
        reason: String,
    },
    /// Another scheme.
    #[error("it does not begin with http:// or https://")]
    Scheme,
    /// No host.
    #[error("it names no host")]
    Host,
    /// A port that is none.
    #[error("its port is not one of 1 to 65535")]
    Port,
}

/// A URL that shows no secrets: what it prints is scheme, host and port.
#[derive(Clone)]
pub struct EndpointUrl {
    /// Without the user.
    uri: Uri,
    authorization: Option<HeaderValue>,
    shown: String,
    /// Parts that are not shown, not even where a server repeats them.
    secrets: Vec<String>,
}

impl std::fmt::Display for EndpointUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.shown)
    }
}

impl std::fmt::Debug for EndpointUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.shown)
    }
}

impl PartialEq for EndpointUrl {
    /// Whether both lead to the same place in the same way.
    fn eq(&self, other: &Self) -> bool {
        let path = |url: &Self| url.uri.path().trim_end_matches('/').to_owned();
        let port = |url: &Self| url.uri.port_u16().unwrap_or(url.default_port());
        let host = |url: &Self| url.uri.host().map(str::to_ascii_lowercase);
        self.uri.scheme() == other.uri.scheme()
            && host(self) == host(other)
            && port(self) == port(other)
            && path(self) == path(other)
            && self.uri.query() == other.uri.query()
            && self.authorization == other.authorization
    }
}

impl EndpointUrl {
    /// As `http://127.0.0.1:8545` or `https://user:password@host/key`.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        let uri: Uri =
            text.parse()
                .map_err(|error: http::uri::InvalidUri| UrlError::Malformed {
                    reason: error.to_string(),
                })?;
        let scheme = uri
            .scheme_str()
            .filter(|one| ["http", "https"].contains(one));
        let scheme = scheme.ok_or(UrlError::Scheme)?.to_owned();
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        let (user, place) = match authority.rsplit_once('@') {
            Some((user, place)) => (Some(user), place),
            None => (None, authority),
        };
        let host = uri.host().filter(|host| !host.is_empty());
        let host = host.ok_or(UrlError::Host)?;
        let port = place.get(host.len()..).unwrap_or_default();
        if !port.is_empty() && uri.port_u16().is_none_or(|port| port == 0) {
            return Err(UrlError::Port);
        }
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let mut secrets = parts(path);
        if let Some(user) = user {
            secrets.extend(user.split(':').map(str::to_owned));
            secrets.extend(user.split(':').map(decoded));
            secrets.push(decoded(user));
            secrets.push(user.to_owned());
        }
        // The longest first: one may hold another.
        secrets.retain(|secret| !secret.is_empty());
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        let malformed = |error: &dyn std::error::Error| UrlError::Malformed {
            reason: error.to_string(),
        };
        let uri = Uri::builder().scheme(scheme.as_str()).authority(place);
        let uri = uri.path_and_query(path).build();
        let authorization = user.map(|user| {
            let text = format!("Basic {}", STANDARD.encode(decoded(user)));
            HeaderValue::try_from(text).map(|mut value| {
                value.set_sensitive(true);
                value
            })
        });
        Ok(Self {
            shown: format!("{scheme}://{}", place.to_ascii_lowercase()),
            uri: uri.map_err(|error| malformed(&error))?,
            authorization: authorization
                .transpose()
                .map_err(|error| malformed(&error))?,
            secrets,
        })
    }

    /// Where requests go to.
    pub(crate) const fn uri(&self) -> &Uri {
        &self.uri
    }

    /// The header that says who asks, if the URL says so.
    pub(crate) const fn authorization(&self) -> Option<&HeaderValue> {
        self.authorization.as_ref()
    }

    /// What it shows.
    pub(crate) fn shown(&self) -> &str {
        &self.shown
    }

    /// Tell it from another one that shows the same, by its place in a list.
    pub(crate) fn numbered(mut self, place: usize) -> Self {
        self.shown = format!("{} (endpoint {})", self.shown, place + 1);
        self
    }

    /// What a server says, without secrets that it repeats.
    pub(crate) fn without_secrets(&self, text: &str) -> String {
        let hide = |text: String, secret: &String| text.replace(secret.as_str(), "***");
        self.secrets.iter().fold(text.to_owned(), hide)
    }

    fn default_port(&self) -> u16 {
        if self.uri.scheme_str() == Some("https") {
            443
        } else {
            80
        }
    }
}

/// The parts of a path with its query that may be secrets, and all of it.
fn parts(path: &str) -> Vec<String> {
    let all = path.split(['/', '?', '&', '=', '#']);
    let long = all.filter(|part| part.len() >= SECRET_LETTERS_MIN);
    long.flat_map(|part| [part.to_owned(), decoded(part)])
        .collect()
}

/// Without `%41` and the like.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let digits = (*first == b'%').then(|| after.get(..2)).flatten();
        let byte = digits.and_then(|digits| {
            let mut byte = [0];
            const_hex::decode_to_slice(digits, &mut byte)
                .ok()
                .map(|()| byte[0])
        });
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> EndpointUrl {
        EndpointUrl::parse(text).unwrap()
    }

    #[test]
    fn only_scheme_host_and_port_are_shown() {
        for (text, shown) in [
            ("http://127.0.0.1:8545", "http://127.0.0.1:8545"),
            ("http://127.0.0.1:8545/", "http://127.0.0.1:8545"),
            (
                "https://Main.example/v3/0123456789abcdef",
                "https://main.example",
            ),
            (
                "https://main.example:8443/?key=secret",
                "https://main.example:8443",
            ),
            (
                "https://alice:secret@main.example/rpc",
                "https://main.example",
            ),
            ("https://:secret@main.example", "https://main.example"),
            (
                "https://a%40b:se:cret@[::1]:9/secret#secret",
                "https://[::1]:9",
            ),
        ] {
            let url = url(text);
            assert_eq!(url.to_string(), shown, "{text}");
            let debug = format!("{url:?} {:?}", url.authorization());
            assert!(
                !debug.contains("secret") && !debug.contains("0123"),
                "{debug}"
            );
        }
        let second = url("https://main.example/secret").numbered(1);
        assert_eq!(second.to_string(), "https://main.example (endpoint 2)");
    }

    #[test]
    fn what_is_no_url_is_not_repeated() {
        for (text, error) in [
            ("", "empty"),
            ("secret", "http"),
            ("ftp://secret", "http"),
            ("secret:secret@host", "http"),
            ("/secret/", "http"),
            ("http://", "empty"),
            ("https://a b/secret", "invalid"),
            ("https://secret@", "invalid"),
            ("https://:80/secret", "host"),
            ("https://host:99999/secret", "port"),
            ("https://host:0/secret", "port"),
            ("https://host:/secret", "port"),
            ("https://secret:80:80@:1/", ""),
        ] {
            let told = EndpointUrl::parse(text).unwrap_err().to_string();
            assert!(
                told.contains(error) && !told.contains("secret"),
                "{text}: {told}"
            );
        }
    }

    #[test]
    fn a_user_is_sent_as_a_header_and_not_in_the_url() {
        let named = url("https://al%40ice:p%25ss:word@main.example/key");
        let header = named.authorization().unwrap().to_str().unwrap();
        let encoded = header.strip_prefix("Basic ").unwrap();
        assert_eq!(STANDARD.decode(encoded).unwrap(), b"al@ice:p%ss:word");
        assert_eq!(named.uri().to_string(), "https://main.example/key");
        assert_eq!(url("https://main.example/key").authorization(), None);
    }

    #[test]
    fn secrets_that_a_server_repeats_are_hidden() {
        let url = url("https://al:p%40ss@main.example/v3/0123456789abcdef?token=abcdefgh%21");
        for (told, shown) in [
            ("Cannot POST /v3/0123456789abcdef", "Cannot POST /v3/***"),
            (
                "unknown token abcdefgh!, abcdefgh%21",
                "unknown ***n ***, ***",
            ),
            ("p@ss of al is wrong", "*** of *** is wrong"),
        ] {
            let hidden = url.without_secrets(told);
            for secret in ["0123456789abcdef", "abcdefgh", "p@ss"] {
                assert!(!hidden.contains(secret), "{hidden}");
            }
            assert!(told.contains("token") || hidden == shown, "{hidden}");
        }
    }

    #[test]
    fn the_same_endpoint_is_known_by_more_than_its_text() {
        for (one, other) in [
            ("http://a:1", "http://A:1/"),
            ("https://a", "https://a:443"),
            ("http://a/key", "http://a:80/key/"),
        ] {
            assert_eq!(url(one), url(other));
        }
        for (one, other) in [
            ("http://a", "https://a"),
            ("http://a", "http://a:81"),
            ("https://a/one", "https://a/two"),
            ("https://a/?one", "https://a/?two"),
            ("https://u@a/", "https://v@a/"),
        ] {
            assert_ne!(url(one), url(other));
        }
    }
}
