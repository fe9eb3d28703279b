//! `health`: checks the health of a daemon, for container health checks.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use http::header::{CONNECTION, HOST};
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use notifier::base::Environment;
use notifier::base::url::Url;
use notifier::deliver::shown;
use notifier::settings::Flags;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::args::Global;
use crate::console::Console;
use crate::context;
use crate::failure::{Exit, Failure};

/// Check the health of a daemon on this machine
///
/// Exit code 0 if the daemon answers 200, 1 for any other answer or none. Use it as the health check of a container whose
/// image has no other program.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct HealthArgs {
    /// URL to check [default: /healthz at the address of the setting `listen`]
    #[arg(long, value_name = "URL")]
    url: Option<String>,
}

const EXAMPLES: &str = "\
Examples:
  As the health check of a container that sets NOTIFIER_LISTEN:
    [\"CMD\", \"/ecs-task-notifier\", \"health\"]

  Also check that every queue answers:
    ecs-task-notifier health --url http://127.0.0.1:8080/readyz";

/// Time-out of an answer. By default, ECS gives a health check 5 s.
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
    let target = daemon_url(&url)?;
    let failure = |why: &str| Failure::unsuccessful(format!("the daemon at {url} is not healthy: {why}"));
    let asked = timeout(TIME_MAX, ask(&target)).await;
    let asked = asked.map_err(|_elapsed| failure(&format!("no answer within {} s", TIME_MAX.as_secs())))?;
    let (status, body) = asked.map_err(|error| {
        failure("the request failed")
            .because(&*error)
            .hint("check that the daemon runs, and that NOTIFIER_LISTEN or --url has its address")
    })?;
    if status != StatusCode::OK {
        let said = shown(&body).map_or_else(String::new, |said| format!(": {said}"));
        return Err(failure(&format!("it answered {status}{said}")));
    }
    console.note(&format!("the daemon at {url} is healthy"));
    Ok(Exit::Done)
}

/// The health endpoint of the daemon, by its settings.
fn default_url(global: &Global, environment: &Environment, console: &mut Console) -> Result<String, Failure> {
    let settings = context::settings(global, &Flags::new(), &[], environment, console)?;
    let listen = settings.daemon.listen.ok_or_else(|| {
        Failure::usage("the daemon has no health endpoint: `listen` is `none`").hint("pass a URL with --url")
    })?;
    Ok(format!("http://{}/healthz", reachable(listen)))
}

/// The address to connect to when the daemon listens at `listen`: loopback where it listens on every address. Pure.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let loopback = match listen {
        SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    if listen.ip().is_unspecified() { SocketAddr::new(loopback, listen.port()) } else { listen }
}

/// Reads the URL of a daemon, which speaks no TLS. Pure.
fn daemon_url(text: &str) -> Result<Url, Failure> {
    let wrong = || {
        Failure::usage("--url is not the URL of a daemon")
            .hint("a URL looks like http://127.0.0.1:8080/healthz")
    };
    let url = Url::parse(text).map_err(|error| wrong().because(&error))?;
    if url.tls { Err(wrong().because_of("a daemon does not support https")) } else { Ok(url) }
}

async fn ask(url: &Url) -> Result<(StatusCode, Bytes), Box<dyn std::error::Error + Send + Sync>> {
    let stream = TcpStream::connect((url.host.as_str(), url.port)).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let request = Request::get(&url.path_and_query).header(HOST, &url.authority).header(CONNECTION, "close");
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
    fn a_daemon_has_an_http_url() {
        let of = |text: &str| daemon_url(text).map_err(|failure| failure.causes.join(", "));
        let port = |text: &str| of(text).map(|url| (url.host, url.port));
        assert_eq!(port("http://127.0.0.1:8080/healthz"), Ok(("127.0.0.1".to_owned(), 8080)));
        assert_eq!(port("http://[::1]/healthz"), Ok(("::1".to_owned(), 80)));
        for (text, why) in [
            ("https://127.0.0.1/", "a daemon does not support https"),
            ("/healthz", "`/healthz` does not begin with http:// or https://"),
            ("http://me@127.0.0.1/", "a URL must not have a user name or password"),
            ("http://127.0.0.1:99999/", "`99999` is not a port (1-65535)"),
            ("http://127.0.0.1:0/", "`0` is not a port (1-65535)"),
        ] {
            assert_eq!(of(text).unwrap_err(), why, "{text}");
        }
    }
}
