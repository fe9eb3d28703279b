//! `health`: asks a daemon whether it is well, for container health checks.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use http::header::{CONNECTION, HOST};
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use notifier::deliver::shown;
use notifier::settings::{Environment, Flags};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::args::Global;
use crate::console::Console;
use crate::context;
use crate::failure::{Exit, Failure};

/// Ask a daemon on this machine whether it is well
///
/// Exits 0 when the daemon answers 200, and 1 when it answers otherwise or not at all. For the health check of a
/// container whose image has no other program.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct HealthArgs {
    /// Where to ask; /healthz at the address of the setting `listen` unless given
    #[arg(long, value_name = "URL")]
    url: Option<Uri>,
}

const EXAMPLES: &str = "\
Examples:
  As the health check of a container, which listens where NOTIFIER_LISTEN says:
    [\"CMD\", \"/ecs-task-notifier\", \"health\"]

  Whether every queue answers, too:
    ecs-task-notifier health --url http://127.0.0.1:8080/readyz";

/// The longest that an answer may take. ECS allows a health check 5 s unless told otherwise.
const TIME_MAX: Duration = Duration::from_secs(3);
/// The most bytes of an answer that are read.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

pub(crate) async fn run(
    global: &Global,
    args: HealthArgs,
    environment: &Environment,
    console: &mut Console,
) -> Result<Exit, Failure> {
    let url = match args.url {
        Some(url) => url,
        None => default_url(global, environment, console)?,
    };
    let place = place(&url)?;
    let failure = |why: &str| Failure::not_told(format!("the daemon at {url} is not well: {why}"));
    let asked = timeout(TIME_MAX, ask(&place, &url)).await;
    let asked = asked.map_err(|_elapsed| failure(&format!("no answer within {} s", TIME_MAX.as_secs())))?;
    let (status, body) = asked.map_err(|error| failure("it cannot be asked").because(&*error))?;
    if status != StatusCode::OK {
        let said = shown(&body).map_or_else(String::new, |said| format!(": {said}"));
        return Err(failure(&format!("it answered {status}{said}")));
    }
    console.say(&format!("the daemon at {url} is well"));
    Ok(Exit::Done)
}

/// Where the settings say that the daemon listens.
fn default_url(global: &Global, environment: &Environment, console: &mut Console) -> Result<Uri, Failure> {
    let settings = context::settings(global, &Flags::new(), &[], environment, console)?;
    let listen = settings.daemon.listen.ok_or_else(|| {
        Failure::usage("the daemon answers nowhere: `listen` is `none`").hint("--url says where to ask")
    })?;
    let url = format!("http://{}/healthz", reachable(listen));
    url.parse().map_err(|error| Failure::usage(format!("{url} is no URL")).because(&error))
}

/// An address to connect to for what listens at `listen`. Every address of the machine includes loopback. Pure.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let loopback = match listen {
        SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    if listen.ip().is_unspecified() { SocketAddr::new(loopback, listen.port()) } else { listen }
}

/// Host and port of an `http` URL, as a resolver takes them. Pure.
fn place(url: &Uri) -> Result<String, Failure> {
    let wrong = |why: &str| {
        Failure::usage(format!("--url {why}")).hint("it looks like http://127.0.0.1:8080/healthz")
    };
    if url.scheme_str() != Some("http") {
        return Err(wrong("does not begin with http://"));
    }
    let authority = url.authority().ok_or_else(|| wrong("names no host"))?;
    if authority.as_str().contains('@') {
        return Err(wrong("has a user in it"));
    }
    match authority.as_str().strip_prefix(authority.host()) {
        Some("") => Ok(format!("{authority}:80")),
        Some(_) if authority.port_u16().is_some_and(|port| port > 0) => Ok(authority.to_string()),
        _ => Err(wrong("has no port from 1 to 65535")),
    }
}

async fn ask(
    place: &str,
    url: &Uri,
) -> Result<(StatusCode, Bytes), Box<dyn std::error::Error + Send + Sync>> {
    let stream = TcpStream::connect(place).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let path = url.path_and_query().map_or("/", |path| path.as_str());
    let request = Request::get(path).header(HOST, place).header(CONNECTION, "close");
    let answer = sender.send_request(request.body(Empty::<Bytes>::new())?).await?;
    let status = answer.status();
    let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await?.to_bytes();
    Ok((status, body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_daemon_that_listens_everywhere_is_asked_on_loopback() {
        for (listen, asked) in
            [("0.0.0.0:8080", "127.0.0.1:8080"), ("[::]:8080", "[::1]:8080"), ("10.0.0.7:80", "10.0.0.7:80")]
        {
            assert_eq!(reachable(listen.parse().unwrap()).to_string(), asked);
        }
    }

    #[test]
    fn a_url_names_a_host_and_a_port() {
        let of = |url: &str| place(&url.parse().unwrap()).map_err(|failure| failure.message);
        assert_eq!(of("http://127.0.0.1:8080/healthz").unwrap(), "127.0.0.1:8080");
        assert_eq!(of("http://[::1]/healthz").unwrap(), "[::1]:80");
        for (url, why) in [
            ("https://127.0.0.1/", "--url does not begin with http://"),
            ("/healthz", "--url does not begin with http://"),
            ("http://me@127.0.0.1/", "--url has a user in it"),
            ("http://127.0.0.1:99999/", "--url has no port from 1 to 65535"),
            ("http://127.0.0.1:0/", "--url has no port from 1 to 65535"),
        ] {
            assert_eq!(of(url).unwrap_err(), why, "{url}");
        }
    }
}
