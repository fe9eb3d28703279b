//! Parses URLs of variables, flags, files and answers. Pure.
//!
//! One strict parser for all. The `http` crate is too lenient: it ignores a port over 65535, and a request would go to
//! port 80.

use std::net::Ipv6Addr;

use http::Uri;

use super::text::quoted;

/// The parts of an `http` or `https` URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    /// Whether it is `https`.
    pub tls: bool,
    /// A name or an address; an IPv6 address without its brackets.
    pub host: String,
    /// The port of the URL, else the default of the scheme.
    pub port: u16,
    /// Host and port as in the URL.
    pub authority: String,
    /// The path with the query; `/` if the URL has no path.
    pub path_and_query: String,
}

/// Why a text is not a valid URL. Never repeats a user name or password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what happened")]
pub enum UrlError {
    #[error("`{0}` is not a URL")]
    Unreadable(String),
    #[error("`{0}` does not begin with http:// or https://")]
    Scheme(String),
    #[error("a URL must not have a user name or password")]
    UserInfo,
    #[error("`{0}` has no valid host")]
    Host(String),
    #[error("`{0}` is not a port (1-65535)")]
    Port(String),
}

impl Url {
    /// Parses a URL. Scheme, host and port must be valid; the port has a default.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        let tls = match text.split_once("://") {
            Some((_, rest)) if rest.split(['/', '?', '#']).next().is_some_and(|a| a.contains('@')) => {
                return Err(UrlError::UserInfo);
            }
            Some((scheme, _)) if scheme.eq_ignore_ascii_case("http") => false,
            Some((scheme, _)) if scheme.eq_ignore_ascii_case("https") => true,
            // Checked before errors that repeat the text: the part before an `@` may be a password.
            _ if text.contains('@') => return Err(UrlError::UserInfo),
            _ => return Err(UrlError::Scheme(quoted(text))),
        };
        let uri: Uri = text.parse().map_err(|_| UrlError::Unreadable(quoted(text)))?;
        let authority = uri.authority().ok_or_else(|| UrlError::Host(quoted(text)))?.as_str();
        let (host, port) = match authority.rsplit_once(':') {
            // A colon inside brackets is part of an IPv6 address.
            Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
            _ => (authority, None),
        };
        if !is_host(host) {
            return Err(UrlError::Host(quoted(text)));
        }
        let port = match port {
            None if tls => 443,
            None => 80,
            Some(port) => number(port).ok_or_else(|| UrlError::Port(quoted(port)))?,
        };
        Ok(Self {
            tls,
            host: host.trim_start_matches('[').trim_end_matches(']').to_owned(),
            port,
            authority: authority.to_owned(),
            path_and_query: uri.path_and_query().map_or("/", |path| path.as_str()).to_owned(),
        })
    }

    /// The name at the end of the path, as of the URL of a queue, which has no query.
    pub(crate) fn queue(&self) -> Option<&str> {
        let name = self.path_and_query.rsplit('/').next()?;
        (!name.is_empty() && !self.path_and_query.contains('?')).then_some(name)
    }
}

/// Digits only: `parse` would accept a sign.
fn number(port: &str) -> Option<u16> {
    let digits = port.bytes().all(|byte| byte.is_ascii_digit());
    port.parse().ok().filter(|&port: &u16| digits && port > 0)
}

fn is_host(host: &str) -> bool {
    if let Some(address) = host.strip_prefix('[') {
        return address.strip_suffix(']').is_some_and(|address| address.parse::<Ipv6Addr>().is_ok());
    }
    let word = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    host.bytes().all(word) && host.bytes().any(|byte| byte.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_has_a_scheme_a_host_and_a_port() {
        for (text, tls, host, port, path) in [
            ("http://127.0.0.1:8080/v1.0/notify", false, "127.0.0.1", 8080, "/v1.0/notify"),
            ("https://sqs.eu-west-1.amazonaws.com", true, "sqs.eu-west-1.amazonaws.com", 443, "/"),
            ("HTTP://[::1]:65535/n?x=1", false, "::1", 65_535, "/n?x=1"),
            ("http://[fe80::1]/", false, "fe80::1", 80, "/"),
            ("http://mini_stack:1/", false, "mini_stack", 1, "/"),
            ("http://host/a@b:99999", false, "host", 80, "/a@b:99999"),
        ] {
            let url = Url::parse(text).unwrap();
            assert_eq!(
                (url.tls, url.host.as_str(), url.port, url.path_and_query.as_str()),
                (tls, host, port, path),
                "{text}"
            );
        }
    }

    #[test]
    fn a_port_out_of_range_is_never_another_port() {
        for port in ["99999", "65536", "0", "", "+80", "8o", "-1", "080808080"] {
            let error = Url::parse(&format!("http://127.0.0.1:{port}/")).unwrap_err();
            let expected = UrlError::Port(port.to_owned());
            assert!(error == expected || matches!(error, UrlError::Unreadable(_)), "{port}: {error}");
        }
        assert_eq!(Url::parse("http://[::1]:99999/"), Err(UrlError::Port("99999".to_owned())));
    }

    #[test]
    fn whatever_else_is_wrong_is_named() {
        for (text, says) in [
            ("", "`` does not begin with http:// or https://"),
            ("127.0.0.1:4566", "`127.0.0.1:4566` does not begin with http:// or https://"),
            ("localhost", "`localhost` does not begin with http:// or https://"),
            ("ftp://127.0.0.1/", "`ftp://127.0.0.1/` does not begin with http:// or https://"),
            ("http://", "`http://` is not a URL"),
            ("http:///path", "`http:///path` is not a URL"),
            ("http://:80/", "`http://:80/` has no valid host"),
            ("http://a b/", "`http://a b/` is not a URL"),
            ("http://[::1/", "`http://[::1/` is not a URL"),
            ("http://[::g]/", "`http://[::g]/` has no valid host"),
            ("http://a%2fb/", "`http://a%2fb/` is not a URL"),
            ("http://.../", "`http://.../` has no valid host"),
            ("http://me:hunter2@127.0.0.1/", "a URL must not have a user name or password"),
            ("http://me:hunter2@127.0.0.1:x/", "a URL must not have a user name or password"),
            ("me:hunter2@127.0.0.1/", "a URL must not have a user name or password"),
            ("ftp://me:hunter2@127.0.0.1/", "a URL must not have a user name or password"),
        ] {
            let error = Url::parse(text).unwrap_err().to_string();
            assert_eq!(error, says, "{text}");
        }
    }
}
