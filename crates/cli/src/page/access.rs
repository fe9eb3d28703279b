//! Who may see the page, and from where. Decides on the headers of a request only.

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};

use http::header::{AUTHORIZATION, COOKIE, HOST, HeaderMap, HeaderName, ORIGIN};
use http::{Method, Uri};
use notifier::base::key_bytes;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
/// The fewest characters of a token from a file.
pub(crate) const TOKEN_CHARS_MIN: usize = 32;

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Its `Host` is not a name of this page: another site's name may point here.
    Host,
    /// Another site caused it.
    CrossSite,
    /// It has no token.
    Token,
}

/// The rules of one page.
pub(crate) struct Access {
    /// `None` if everybody who can connect may see the page.
    token: Option<Zeroizing<String>>,
    /// The cookie's value: of this process only, so that the token is in no cookie.
    session: Zeroizing<String>,
    /// The cookie's name. Cookies are shared by all ports of a host, so it has the port.
    cookie: String,
    /// Names that `Host` may have, in lower case and without port.
    hosts: Vec<String>,
}

/// 64 random hexadecimal digits.
pub(crate) fn secret() -> std::io::Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::with_capacity(64));
    for byte in key_bytes()?.iter() {
        // Writing to a `String` cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    Ok(text)
}

impl Access {
    /// Rules for a page at this address. `hosts` are names besides loopback's and the address itself.
    pub(crate) fn new(
        listen: SocketAddr,
        hosts: &[String],
        token: Option<Zeroizing<String>>,
    ) -> std::io::Result<Self> {
        let loopback = ["localhost", "127.0.0.1", "[::1]"].map(str::to_owned);
        let own = Some(listen.ip()).filter(|ip| !ip.is_unspecified()).map(|ip| match ip {
            IpAddr::V4(ip) => ip.to_string(),
            IpAddr::V6(ip) => format!("[{ip}]"),
        });
        let hosts = hosts.iter().filter_map(|name| host_of(name));
        Ok(Self {
            token,
            session: secret()?,
            cookie: format!("ecs-task-notifier-{}", listen.port()),
            hosts: loopback.into_iter().chain(own).chain(hosts).collect(),
        })
    }

    /// Checks where a request comes from: its host, and that no other site caused it.
    pub(crate) fn origin(&self, method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<(), Refusal> {
        let mut named = headers.get_all(HOST).iter();
        let host = named.next().and_then(|host| host.to_str().ok());
        let is_allowed = |host: &str| host_of(host).is_some_and(|host| self.hosts.contains(&host));
        let target = uri.authority().is_none_or(|authority| is_allowed(authority.as_str()));
        if named.next().is_some() || !host.is_some_and(is_allowed) || !target {
            return Err(Refusal::Host);
        }
        let text = |name| headers.get(name).and_then(|value: &http::HeaderValue| value.to_str().ok());
        let is_read = matches!(*method, Method::GET | Method::HEAD);
        match text(SEC_FETCH_SITE) {
            Some("same-origin") => return Ok(()),
            Some("none") if is_read => return Ok(()),
            // A link on another site may lead here: its answer is not that site's to read.
            Some(_) if is_read && text(SEC_FETCH_MODE) == Some("navigate") => return Ok(()),
            Some(_) => return Err(Refusal::CrossSite),
            None => {}
        }
        match text(ORIGIN) {
            None if is_read => Ok(()),
            Some(origin) if is_own(origin, host) => Ok(()),
            _ => Err(Refusal::CrossSite),
        }
    }

    /// Checks that the request has the token or the cookie.
    pub(crate) fn session(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let Some(token) = &self.token else { return Ok(()) };
        let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut cookies =
            cookies.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
        let has_cookie = cookies.any(|(name, value)| name == self.cookie && same(value, &self.session));
        let bearer = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let bearer = bearer.and_then(|value| value.strip_prefix("Bearer "));
        if has_cookie || bearer.is_some_and(|value| same(value, token)) {
            Ok(())
        } else {
            Err(Refusal::Token)
        }
    }

    /// The cookie for somebody with this token.
    pub(crate) fn log_in(&self, token: &str, is_tls: bool) -> Result<String, Refusal> {
        let Self { cookie, session, .. } = self;
        let is_right = self.token.as_ref().is_none_or(|known| same(token.trim(), known));
        let secure = if is_tls { "; Secure" } else { "" };
        is_right
            .then(|| format!("{cookie}={}; HttpOnly; SameSite=Strict; Path=/{secure}", session.as_str()))
            .ok_or(Refusal::Token)
    }
}

/// Compares in a time that does not depend on the place of the first difference.
fn same(given: &str, known: &str) -> bool {
    given.as_bytes().ct_eq(known.as_bytes()).into()
}

/// The host of `host:port` in lower case; `None` if it is not one.
fn host_of(text: &str) -> Option<String> {
    let (host, port) = match text.rfind(']') {
        Some(end) => text.split_at_checked(end + 1)?,
        None => text.split_at_checked(text.find(':').unwrap_or(text.len()))?,
    };
    let is_port = |port: &str| port.parse::<u16>().is_ok();
    let is_known = port.is_empty() || port.strip_prefix(':').is_some_and(is_port);
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    (is_known && !host.is_empty()).then_some(host)
}

/// Whether an `Origin` is the page itself, whose scheme it cannot know behind a proxy.
fn is_own(origin: &str, host: Option<&str>) -> bool {
    let origin = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
    origin.is_some() && origin.map(str::to_ascii_lowercase) == host.map(str::to_ascii_lowercase)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(hosts: &[&str]) -> Access {
        let hosts: Vec<_> = hosts.iter().map(|&host| host.to_owned()).collect();
        let token = Zeroizing::new("t".repeat(TOKEN_CHARS_MIN));
        Access::new("10.0.0.7:8787".parse().unwrap(), &hosts, Some(token)).unwrap()
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pairs = pairs.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()));
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(name, value);
        }
        headers
    }

    fn check(method: &Method, pairs: &[(&'static str, &str)], expected: Result<(), Refusal>) {
        let found = access(&["Page.example.com"]).origin(method, &Uri::from_static("/"), &headers(pairs));
        assert_eq!(found, expected, "{method} {pairs:?}");
    }

    #[test]
    fn only_names_of_the_page_are_hosts() {
        for host in [
            "localhost:9000",
            "127.0.0.1",
            "[::1]:8787",
            "10.0.0.7:8787",
            "page.example.com",
            "PAGE.example.com.:443",
        ] {
            check(&Method::GET, &[("host", host)], Ok(()));
        }
        for host in [
            "evil.example",
            "page.example.com.evil.example",
            "10.0.0.8",
            "[::2]",
            "",
            ":80",
            "localhost:x",
            "localhost@evil",
        ] {
            check(&Method::GET, &[("host", host)], Err(Refusal::Host));
        }
        check(&Method::GET, &[], Err(Refusal::Host));
        check(&Method::GET, &[("host", "localhost"), ("host", "evil.example")], Err(Refusal::Host));
        let uri = Uri::from_static("http://evil.example/");
        let found = access(&[]).origin(&Method::GET, &uri, &headers(&[("host", "localhost")]));
        assert_eq!(found, Err(Refusal::Host));
    }

    #[test]
    fn another_site_can_lead_here_and_do_nothing_else() {
        let host = ("host", "localhost:8787");
        let refused = Err(Refusal::CrossSite);
        check(&Method::GET, &[host, ("sec-fetch-site", "none")], Ok(()));
        check(
            &Method::GET,
            &[host, ("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")],
            Ok(()),
        );
        check(
            &Method::GET,
            &[host, ("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors")],
            refused,
        );
        check(&Method::GET, &[host, ("sec-fetch-site", "same-site")], refused);
        check(&Method::GET, &[host, ("origin", "http://evil.example")], refused);
        check(&Method::POST, &[host, ("sec-fetch-site", "same-origin")], Ok(()));
        check(&Method::POST, &[host, ("origin", "http://localhost:8787")], Ok(()));
        for other in [
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
            ("sec-fetch-site", "none"),
            ("origin", "null"),
            ("origin", "http://localhost:9999"),
            ("origin", "http://evil.example"),
        ] {
            check(&Method::POST, &[host, other, ("sec-fetch-mode", "navigate")], refused);
        }
        check(&Method::POST, &[host], refused);
    }

    #[test]
    fn a_session_needs_the_cookie_or_the_token() {
        let access = access(&[]);
        let cookie = access.log_in(&"t".repeat(32), false).unwrap();
        assert!(
            cookie.starts_with("ecs-task-notifier-8787=")
                && cookie.ends_with("; HttpOnly; SameSite=Strict; Path=/")
        );
        let pair = cookie.split(';').next().unwrap();
        assert_eq!(access.session(&headers(&[("cookie", &format!("a=b; {pair}"))])), Ok(()));
        let bearer = format!("Bearer {}", "t".repeat(32));
        assert_eq!(access.session(&headers(&[("authorization", &bearer)])), Ok(()));
        for wrong in ["", "ecs-task-notifier-8787=", "ecs-task-notifier-1=x", &format!("{pair}0")] {
            assert_eq!(access.session(&headers(&[("cookie", wrong)])), Err(Refusal::Token), "{wrong}");
        }
        assert!(!pair.contains("tttt"), "the cookie does not have the token");
        assert_eq!(access.log_in("t", false), Err(Refusal::Token));
        assert!(access.log_in(&"t".repeat(32), true).unwrap().ends_with("; Secure"));
    }
}
