//! The receiver under test: its URL, and the addresses of its host.

use std::net::SocketAddr;

use http::Uri;
use notifier::base::url::{Url, UrlError};
use notifier::model::labels;
use tokio::net::lookup_host;

use crate::failure::Failure;

/// The most addresses of a host name that are tried.
const ADDRESSES_MAX: usize = 8;

/// The receiver under test.
#[derive(Debug)]
pub(super) struct Receiver {
    pub(super) addresses: Vec<SocketAddr>,
    /// Host and port, as in the URL.
    pub(super) authority: String,
    pub(super) path: Uri,
}

impl Receiver {
    /// The receiver at this URL. Only the host of the URL is called, whatever it answers.
    pub(super) async fn of(url: &str) -> Result<Self, Failure> {
        let Parts { host, port, authority, path } = parts(url)?;
        let found = lookup_host((host.as_str(), port)).await.map_err(|error| {
            Failure::failed(format!("{host} has no address")).because(&error).hint("check the host name")
        })?;
        let addresses: Vec<_> = found.take(ADDRESSES_MAX).collect();
        if addresses.is_empty() {
            return Err(Failure::failed(format!("{host} has no address")));
        }
        Ok(Self { addresses, authority, path })
    }
}

#[derive(Debug)]
struct Parts {
    host: String,
    port: u16,
    authority: String,
    path: Uri,
}

fn parts(url: &str) -> Result<Parts, Failure> {
    let wrong = |why: &str| {
        Failure::usage(format!("the URL {why}")).hint("a URL looks like http://127.0.0.1:8080/v1.0/notify")
    };
    // The parser drops a fragment, which is never sent.
    let url = Url::parse(url).map_err(|error| match error {
        UrlError::Scheme(_) => wrong("does not begin with http://"),
        UrlError::UserInfo => wrong("has a user name"),
        error => wrong("cannot be read").because(&error),
    })?;
    if url.tls {
        return Err(wrong("has https, which `check` does not support"));
    }
    let Url { host, port, authority, path_and_query: path, .. } = url;
    labels::check_path(&path)
        .map_err(|error| wrong("has a path that is not valid in a label").because(&error))?;
    let path = path.parse().map_err(|error| wrong("cannot be read").because(&error))?;
    Ok(Parts { host, port, authority, path })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_a_host_a_port_and_a_path() {
        for (url, host, port, path) in [
            ("http://127.0.0.1:8080/v1.0/notify", "127.0.0.1", 8080, "/v1.0/notify"),
            ("http://[::1]:8080/n?x=1", "::1", 8080, "/n?x=1"),
            ("http://localhost", "localhost", 80, "/"),
        ] {
            let parts = parts(url).unwrap();
            assert_eq!(
                (parts.host.as_str(), parts.port, parts.path.to_string().as_str()),
                (host, port, path)
            );
        }
    }

    #[test]
    fn what_names_no_receiver_is_wrong_use() {
        for (url, why) in [
            ("", "the URL does not begin with http://"),
            ("http://127.0.0.1:99999/", "the URL cannot be read"),
            ("http://127.0.0.1:0/", "the URL cannot be read"),
            ("http://127.0.0.1:/", "the URL cannot be read"),
            ("8080", "the URL does not begin with http://"),
            ("/v1.0/notify", "the URL does not begin with http://"),
            ("127.0.0.1:8080", "the URL does not begin with http://"),
            ("ftp://127.0.0.1/", "the URL does not begin with http://"),
            ("https://127.0.0.1/", "the URL has https, which `check` does not support"),
            ("http://me@127.0.0.1/", "the URL has a user name"),
            ("http://127.0.0.1//evil", "the URL has a path that is not valid in a label"),
        ] {
            let failure = parts(url).unwrap_err();
            assert_eq!(failure.message, why, "{url}");
        }
    }
}
