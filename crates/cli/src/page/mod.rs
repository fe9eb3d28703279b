//! `page`: the ledger in a browser.
//!
//! | file | job |
//! | --- | --- |
//! | `mod` | arguments; opens the ledger and the port |
//! | `server` | connections, their number and time |
//! | `access` | host, origin, token, cookie (pure) |
//! | `routes` | paths, and the headers of every answer |
//! | `actions` | cancel, continue, redrive |
//! | `state`, `answer` | what requests share; answers and errors |
//! | `live` | the stream of changes |
//! | `download` | CSV and JSON |
//! | `feed` | reads the ledger, and keeps what it read |
//! | `redrive` | sends dead letters back in the background |
//! | `overview` | the figures of a broadcast (pure) |
//! | `query` | filters (pure) |
//! | `view` | HTML and SVG (pure) |

mod access;
mod actions;
mod answer;
mod download;
pub(crate) mod feed;
mod live;
mod overview;
pub(crate) mod query;
pub(crate) mod redrive;
mod routes;
mod server;
mod state;
pub(crate) mod view;

use std::io::Write;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use notifier::base::{Clock, Environment, Rng, input};
use notifier::ledger::Ledger;
use notifier::pipeline::{STAGES, Stage};
use notifier::queue::Queue;
use notifier::secrets::{SecretRef, Vault};
use tokio::net::TcpListener;
use zeroize::Zeroizing;

use crate::args::{ForQueues, Global, SettingFlags};
use crate::console::Console;
use crate::context;
use crate::failure::{Exit, Failure};
use crate::stop::Stop;
use access::{Access, TOKEN_CHARS_MIN};
use feed::Feed;
use redrive::Redriver;
use state::Page;

/// The most bytes of a file with a token.
const TOKEN_BYTES_MAX: u64 = 4_096;

/// Show the broadcasts of the ledger in a browser
///
/// A list of the broadcasts, and for each one its outcomes by service, what to do, every container with its timeline, and live
/// updates while it runs. The page reads any ledger, so it also shows what the functions do. Open the printed address: it has
/// the token.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct PageArgs {
    /// Address and port to listen at
    #[arg(long, default_value = "127.0.0.1:8787", value_name = "ADDR")]
    listen: SocketAddr,
    /// File with the token, 32 characters or more [default: a new token, printed with the address]
    #[arg(long, value_name = "FILE", conflicts_with = "no_token")]
    token_file: Option<PathBuf>,
    /// Secret with the token: `env:NAME`, `secretsmanager:ID` or `ssm:NAME`. It is read once
    #[arg(long, value_name = "REFERENCE", conflicts_with_all = ["no_token", "token_file"])]
    token_secret: Option<SecretRef>,
    /// No token: everybody who can connect sees the page. Only on a loopback address
    #[arg(long)]
    no_token: bool,
    /// Another host name of the page, for example behind a proxy; repeat it for more
    ///
    /// A request with any other host is refused, because a foreign site's name may lead to this machine.
    #[arg(long = "allowed-host", value_name = "NAME")]
    allowed_hosts: Vec<String>,
    /// Allow to cancel broadcasts, to end their pauses and, if the settings name the queues, to send dead letters back
    ///
    /// Without it, the page only reads.
    #[arg(long)]
    allow_actions: bool,
    #[command(flatten)]
    settings: SettingFlags<ForQueues>,
}

const EXAMPLES: &str = "\
Examples:
  ecs-task-notifier page --ledger dynamodb:ecs-task-notifier

  At another port, with actions; dead letters are those of the queues in the environment:
    ecs-task-notifier page --listen 127.0.0.1:9000 --allow-actions

  Behind a proxy that authenticates people, in the same ECS task:
    ecs-task-notifier page --no-token --allowed-host notifier.example.com

Exit codes:
  0  stopped by SIGTERM or Ctrl-C
  2  wrong use or settings
  3  AWS, the network or this machine failed";

/// How a page is served.
pub(crate) struct Options {
    pub(crate) listen: SocketAddr,
    pub(crate) token: Token,
    pub(crate) allowed_hosts: Vec<String>,
    pub(crate) allow_actions: bool,
    /// Sends dead letters back, if actions are allowed.
    pub(crate) redriver: Option<Arc<Redriver>>,
}

/// What a request must have.
pub(crate) enum Token {
    /// A new token, printed with the address.
    New,
    File(PathBuf),
    /// That of a secret.
    Of(Box<(SecretRef, Vault)>),
    None,
}

pub(crate) async fn run(
    global: &Global,
    args: PageArgs,
    environment: &Environment,
    console: &mut Console,
) -> Result<Exit, Failure> {
    let PageArgs {
        listen,
        token_file,
        token_secret,
        no_token,
        allowed_hosts,
        allow_actions,
        settings: SettingFlags { flags, .. },
    } = args;
    let settings = context::settings(global, &flags, &[], environment, console)?;
    crate::log::for_people(console);
    let has_queues = allow_actions && !settings.queues.is_empty();
    let aws = if has_queues {
        let aws = context::aws(global, &settings).await?;
        context::queues_in_region(&aws, &settings.queues)?;
        aws
    } else {
        context::aws_of_ledger(global, &settings).await?
    };
    let ledger = context::kept_ledger(&aws, &settings).await?;
    let queue = |stage: &Stage| {
        let url = settings.queues.get(&stage.source).filter(|_| has_queues)?;
        Some((stage.name, Queue::at(aws.sqs.clone(), url, Rng::from_entropy())))
    };
    let redriver = Redriver::new(STAGES.iter().filter_map(queue).collect(), ledger.clone());
    let token = match (token_file, token_secret) {
        (Some(path), _) => Token::File(path),
        (None, Some(secret)) => {
            let vault = Vault::new(environment.clone(), Some(aws.secrets.clone()));
            Token::Of(Box::new((secret, vault)))
        }
        (None, None) if no_token => Token::None,
        (None, None) => Token::New,
    };
    let stop = Stop::listen()?;
    let options = Options { listen, token, allowed_hosts, allow_actions, redriver };
    let opened = Opened::new(options, ledger, settings.delivery.horizon).await?;
    writeln!(console.out(), "{}", opened.url().as_str()).map_err(Failure::output)?;
    console.finish().map_err(Failure::output)?;
    console.note("Open this address in a browser; Ctrl-C ends the page");
    opened
        .serve(async {
            let _signal = stop.asked().await;
        })
        .await;
    Ok(Exit::Done)
}

/// A page that listens.
pub(crate) struct Opened {
    listener: TcpListener,
    page: Page,
    address: SocketAddr,
    /// The token, if it is to be printed.
    printed: Option<Zeroizing<String>>,
}

impl Opened {
    /// Listens for requests. `horizon` is the time for which deliveries are retried.
    pub(crate) async fn new(options: Options, ledger: Ledger, horizon: Duration) -> Result<Self, Failure> {
        let Options { listen, token, allowed_hosts, allow_actions, redriver } = options;
        let is_new = matches!(token, Token::New);
        let token = read(token, listen).await?;
        let listener = TcpListener::bind(listen).await.map_err(|error| {
            Failure::failed(format!("cannot listen at {listen}"))
                .because(&error)
                .hint("choose another address with --listen")
        })?;
        let address = listener.local_addr().map_err(Failure::runtime)?;
        let printed = token.clone().filter(|_| is_new);
        let access = Access::new(address, &allowed_hosts, token).map_err(random)?;
        let page = Page::new(Feed::new(ledger, Clock::system(), horizon), access, allow_actions, redriver);
        Ok(Self { listener, page, address, printed })
    }

    /// The address for a browser on this machine. The token is in the fragment, which reaches no server and no log.
    pub(crate) fn url(&self) -> Zeroizing<String> {
        let mut address = self.address;
        if address.ip().is_unspecified() {
            let loopback =
                if address.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() };
            address.set_ip(loopback);
        }
        let token =
            self.printed.as_ref().map_or_else(String::new, |token| format!("#token={}", token.as_str()));
        Zeroizing::new(format!("http://{address}/{token}"))
    }

    pub(crate) async fn serve(self, shutdown: impl Future<Output = ()>) {
        server::serve(self.listener, routes::router(self.page), shutdown).await;
    }
}

/// The token; `None` if none is needed.
async fn read(token: Token, listen: SocketAddr) -> Result<Option<Zeroizing<String>>, Failure> {
    match token {
        Token::New => access::secret().map(Some).map_err(random),
        Token::File(path) => token_of(&path).map(Some),
        Token::Of(secret) => {
            let (secret, vault) = *secret;
            let text = vault.read(&secret).await.map_err(|error| {
                let what = "the secret with the token cannot be read";
                let failure = if error.is_passing() { Failure::failed(what) } else { Failure::usage(what) };
                failure.because(&error)
            })?;
            valid(text.newest(), &secret.to_string()).map(Some)
        }
        Token::None if listen.ip().is_loopback() => Ok(None),
        Token::None => {
            Err(Failure::usage(format!("{listen} is not a loopback address, so the page needs a token"))
                .hint(
                    "leave --no-token out, or listen at 127.0.0.1 behind a proxy that authenticates people",
                ))
        }
    }
}

fn token_of(path: &Path) -> Result<Zeroizing<String>, Failure> {
    let read = std::fs::File::open(path).and_then(|file| input::text(file, TOKEN_BYTES_MAX));
    let text =
        read.map_err(|error| Failure::usage(format!("{} cannot be read", path.display())).because(&error))?;
    valid(&Zeroizing::new(text), &path.display().to_string())
}

/// The token in the text of this place.
fn valid(text: &str, place: &str) -> Result<Zeroizing<String>, Failure> {
    let token = text.trim();
    if token.len() < TOKEN_CHARS_MIN || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Failure::usage(format!("{place} has no token")).hint(format!(
            "a token has {TOKEN_CHARS_MIN} printable ASCII characters or more: `openssl rand -hex 32` makes one"
        )));
    }
    Ok(Zeroizing::new(token.to_owned()))
}

#[expect(clippy::needless_pass_by_value, reason = "it is passed to `map_err`")]
fn random(error: std::io::Error) -> Failure {
    Failure::failed("this machine has no random numbers for a token").because(&error)
}
