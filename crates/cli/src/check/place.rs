//! Where the receiver under test is: what the URL says, and the addresses of its host.

use std::net::SocketAddr;

use http::Uri;
use notifier::labels;
use tokio::net::lookup_host;

use crate::failure::Failure;

/// The most addresses of a name that are tried.
const ADDRESSES_MAX: usize = 8;
/// Where `http` listens when a URL does not say.
const PORT: u16 = 80;

/// The receiver under test.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) addresses: Vec<SocketAddr>,
    /// Host and port, as in the URL.
    pub(super) authority: String,
    pub(super) path: Uri,
}

impl Place {
    /// What this URL names. Nothing but its host is ever called, whatever it answers.
    pub(super) async fn of(url: &str) -> Result<Self, Failure> {
        let Parts { host, port, authority, path } = parts(url)?;
        let found = lookup_host((host.as_str(), port)).await.map_err(|error| {
            Failure::failed(format!("{host} has no address")).because(&error).hint("is its name right?")
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
        Failure::usage(format!("the URL {why}")).hint("it looks like http://127.0.0.1:8080/v1.0/notify")
    };
    // A fragment is dropped by the parser, and a receiver never sees one.
    let uri: Uri = url.parse().map_err(|error| wrong("cannot be read").because(&error))?;
    match uri.scheme_str() {
        Some("http") => {}
        Some("https") => return Err(wrong("asks for https, which `check` does not speak")),
        _ => return Err(wrong("does not begin with http://")),
    }
    let authority = uri.authority().ok_or_else(|| wrong("names no host"))?;
    if authority.as_str().contains('@') {
        return Err(wrong("has a user in it"));
    }
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    labels::check_path(path).map_err(|error| wrong("has a path that no label may have").because(&error))?;
    Ok(Parts {
        // A URI keeps the brackets of an IPv6 address, which no resolver takes.
        host: authority.host().trim_start_matches('[').trim_end_matches(']').to_owned(),
        port: authority.port_u16().unwrap_or(PORT),
        authority: authority.as_str().to_owned(),
        path: path.parse().map_err(|error| wrong("cannot be read").because(&error))?,
    })
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
            ("", "the URL cannot be read"),
            ("8080", "the URL does not begin with http://"),
            ("/v1.0/notify", "the URL does not begin with http://"),
            ("127.0.0.1:8080", "the URL does not begin with http://"),
            ("ftp://127.0.0.1/", "the URL does not begin with http://"),
            ("https://127.0.0.1/", "the URL asks for https, which `check` does not speak"),
            ("http://me@127.0.0.1/", "the URL has a user in it"),
            ("http://127.0.0.1//evil", "the URL has a path that no label may have"),
        ] {
            let failure = parts(url).unwrap_err();
            assert_eq!(failure.message, why, "{url}");
        }
    }
}
