//! AWS endpoints, credentials and errors: black-box, against local servers.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::support::{Notifier, Run, notifier};

/// Internal words of the SDK, which must not be shown.
const RIDDLES: [&str; 6] =
    ["Interceptor", "Request {", "dispatch failure", "service error", "ConstructionFailure", "panicked"];

/// A server that gives every request the same answer, or none.
struct Server {
    url: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Answers with this head, without `HTTP/1.1` and lengths, and this body.
    fn answering(head: &'static str, body: &'static str) -> Self {
        Self::start(move |stream| {
            let text = request(stream);
            let length = body.len();
            let answer =
                format!("HTTP/1.1 {head}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}");
            // The client may have closed the connection.
            drop(stream.write_all(answer.as_bytes()));
            text
        })
    }

    /// Accepts connections and never answers.
    fn silent() -> Self {
        Self::start(|stream| {
            let text = request(stream);
            std::mem::forget(stream.try_clone());
            text
        })
    }

    fn start(serve: impl Fn(&mut TcpStream) -> String + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::<Mutex<Vec<_>>>::default();
        let (kept, serve) = (Arc::clone(&requests), Arc::new(serve));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (kept, serve) = (Arc::clone(&kept), Arc::clone(&serve));
                std::thread::spawn(move || {
                    let text = serve(&mut stream.unwrap());
                    kept.lock().unwrap().push(text);
                });
            }
        });
        Self { url, requests }
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

/// Head and body of a request.
fn request(stream: &mut TcpStream) -> String {
    let mut reader = BufReader::new(stream);
    let (mut text, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or_default() == 0 || line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        text.push_str(&line);
    }
    let mut body = vec![0; length];
    drop(reader.read_exact(&mut body));
    text + &String::from_utf8_lossy(&body)
}

fn keys(run: Notifier) -> Notifier {
    run.env("AWS_ACCESS_KEY_ID", "AKIAENVIRONMENT").env("AWS_SECRET_ACCESS_KEY", "test")
}

/// A run with a region, keys and this endpoint.
fn at(arguments: &str, url: &str) -> Notifier {
    keys(notifier(arguments)).env("AWS_REGION", "eu-west-1").env("AWS_ENDPOINT_URL", url)
}

/// How a run ended, without internal words, and how long it took.
fn timed(run: Notifier) -> (Run, Duration) {
    let start = Instant::now();
    let run = run.run();
    for riddle in RIDDLES {
        assert!(!run.stderr.contains(riddle), "{riddle}: {run}");
    }
    (run, start.elapsed())
}

#[track_caller]
fn ends(run: Notifier, code: i32, says: &[&str]) {
    let (run, _) = timed(run);
    assert_eq!(run.code, code, "{run}");
    for words in says {
        assert!(run.stderr.contains(words), "`{words}` is not in\n{run}");
    }
}

/// A directory with the two AWS files: the profiles `default` and `staging`, with different keys.
fn profiles() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let keys = "[default]\naws_access_key_id = AKIADEFAULT\naws_secret_access_key = x\n\
                [staging]\naws_access_key_id = AKIASTAGING\naws_secret_access_key = x\n";
    std::fs::write(directory.path().join("credentials"), keys).unwrap();
    let config =
        "[profile staging]\nregion = eu-west-1\n[profile dev]\nsource_profile = gone\nrole_arn = x\n";
    std::fs::write(directory.path().join("config"), config).unwrap();
    directory
}

fn with_files(run: Notifier, directory: &tempfile::TempDir) -> Notifier {
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    run.env("AWS_CONFIG_FILE", &path("config")).env("AWS_SHARED_CREDENTIALS_FILE", &path("credentials"))
}

const JSON: &str = "200 OK\r\ncontent-type: application/x-amz-json-1.1";

/// The key with which `plan` called AWS.
fn key_of(run: Notifier) -> String {
    let server = Server::answering(JSON, "{}");
    let files = profiles();
    let run =
        with_files(run, &files).env("AWS_REGION", "eu-west-1").env("AWS_ENDPOINT_URL", &server.url).run();
    let requests = server.requests();
    let first = requests.first().unwrap_or_else(|| panic!("nothing was asked: {run}"));
    let (_, key) = first.split_once("Credential=").unwrap();
    key.split('/').next().unwrap().to_owned()
}

#[test]
fn a_profile_named_by_a_flag_wins_over_keys_of_the_environment() {
    let plan = |arguments: &str| notifier(&format!("plan -c prod {arguments}"));
    assert_eq!(key_of(keys(plan("--profile staging"))), "AKIASTAGING");
    assert_eq!(key_of(keys(plan("--profile staging").env("AWS_PROFILE", "default"))), "AKIASTAGING");
    assert_eq!(key_of(plan("--profile default")), "AKIADEFAULT");
}

#[test]
fn keys_of_the_environment_win_over_a_profile_of_the_environment() {
    let plan = || notifier("plan -c prod");
    assert_eq!(key_of(keys(plan()).env("AWS_PROFILE", "staging")), "AKIAENVIRONMENT");
    assert_eq!(key_of(plan().env("AWS_PROFILE", "staging")), "AKIASTAGING");
    assert_eq!(key_of(plan().env("AWS_PROFILE", "")), "AKIADEFAULT");
}

#[test]
fn a_missing_profile_is_wrong_use_and_makes_no_request() {
    let server = Server::answering(JSON, "{}");
    let files = profiles();
    let run = |arguments: &str| with_files(at(arguments, &server.url), &files);
    let known = "there are `default`, `dev`, `staging`";
    ends(run("send -c prod --profile stagign"), 2, &["--profile: there is no AWS profile `stagign`", known]);
    let by_variable = run("send -c prod").env("AWS_PROFILE", "stagign");
    ends(by_variable, 2, &["AWS_PROFILE: there is no AWS profile `stagign`", known, "hint: "]);
    ends(
        run("plan -c prod --profile dev"),
        2,
        &["source_profile of the AWS profile `dev`: there is no AWS profile `gone`"],
    );
    let none = at("plan -c prod --profile a", &server.url).env("HOME", "/nonexistent");
    ends(none, 2, &["there is no AWS profile `a`; the AWS configuration files have none"]);
    assert_eq!(server.requests(), Vec::<String>::new());
}

#[test]
fn an_endpoint_that_is_no_url_is_named_and_never_another_port() {
    for (variable, value, says) in [
        ("AWS_ENDPOINT_URL", "127.0.0.1:4566", "`127.0.0.1:4566` does not begin with http:// or https://"),
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:99999", "`99999` is not a port (1-65535)"),
        ("AWS_ENDPOINT_URL_ECS", "http://127.0.0.1:0", "`0` is not a port (1-65535)"),
        ("AWS_ENDPOINT_URL_SQS", "ftp://127.0.0.1", "does not begin with http:// or https://"),
        ("AWS_ENDPOINT_URL", "http://me:hunter2@127.0.0.1", "a URL must not have a user name or password"),
    ] {
        let run = keys(notifier("plan -c prod")).env("AWS_REGION", "eu-west-1").env(variable, value).run();
        assert_eq!(run.code, 2, "{run}");
        assert!(run.stderr.contains(&format!("{variable}: ")) && run.stderr.contains(says), "{run}");
        assert!(!run.stderr.contains("hunter2"), "{run}");
        assert!(run.stderr.contains("hint: an endpoint looks like http://127.0.0.1:4566"), "{run}");
    }
    let by_flag = keys(notifier("plan -c prod --region eu-west-1 --endpoint-url http://127.0.0.1:99999"));
    ends(by_flag, 2, &["--endpoint-url: `99999` is not a port (1-65535)", "hint: an endpoint looks like"]);
    let files = profiles();
    std::fs::write(files.path().join("config"), "[default]\nendpoint_url = http://127.0.0.1:99999\n")
        .unwrap();
    let by_profile = with_files(notifier("plan -c prod --region eu-west-1"), &files);
    ends(by_profile, 2, &["endpoint_url of the AWS profile `default`: `99999` is not a port"]);
}

#[test]
fn an_empty_endpoint_counts_as_not_set() {
    let server = Server::answering(JSON, "{}");
    let run = at("plan -c prod", "").env("AWS_ENDPOINT_URL_ECS", &server.url);
    let (run, _) = timed(run);
    assert_ne!(run.code, 101, "{run}");
    assert!(!server.requests().is_empty(), "{run}");
}

#[test]
fn a_refused_connection_ends_at_once_and_names_the_place() {
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (run, took) = timed(at("plan -c prod", &format!("http://{gone}")));
    assert_eq!(run.code, 3, "{run}");
    let says = format!("cannot connect to http://{gone}: Connection refused");
    assert!(run.stderr.contains(&says) && run.stderr.contains("hint: "), "{run}");
    assert!(took < Duration::from_secs(20), "{took:?}");
}

#[test]
fn an_unknown_host_ends_at_once_and_names_the_place() {
    let (run, took) =
        timed(at("send -c prod", "http://nowhere.invalid:4566").env("NOTIFIER_SIGNING_SECRET", "none"));
    assert_eq!(run.code, 3, "{run}");
    assert!(run.stderr.contains("cannot connect to http://nowhere.invalid:4566: "), "{run}");
    assert!(run.stderr.contains("hint: check the network"), "{run}");
    assert!(took < Duration::from_secs(30), "{took:?}");
}

#[test]
fn a_wrong_scheme_ends_at_once() {
    let server = Server::answering(JSON, "{}");
    let (run, took) = timed(at("plan -c prod", &server.url.replace("http:", "https:")));
    assert_eq!(run.code, 3, "{run}");
    assert!(run.stderr.contains("cannot connect to https://127.0.0.1:"), "{run}");
    assert!(took < Duration::from_secs(20), "{took:?}");
}

#[test]
fn a_silent_endpoint_ends_after_two_tries() {
    let server = Server::silent();
    let (run, took) = timed(at("plan -c prod", &server.url));
    assert_eq!(run.code, 3, "{run}");
    let says = format!("no answer from {} within 4s", server.url);
    assert!(run.stderr.contains(&says) && run.stderr.contains("hint: "), "{run}");
    assert!(
        run.stderr.contains("still waiting for AWS: ") && run.stderr.contains("the latest failed"),
        "{run}"
    );
    assert_eq!(server.requests().len(), 2, "{run}");
    assert!(took < Duration::from_secs(40), "{took:?}");
}

#[test]
fn a_page_of_a_proxy_is_detected() {
    for head in
        ["200 OK\r\ncontent-type: text/html", "403 Forbidden\r\ncontent-type: text/html; charset=utf-8"]
    {
        let server = Server::answering(head, "<html><script>secret</script>Please log in</html>");
        for arguments in ["plan -c prod", "publish -c prod --queue observer"] {
            let (run, _) = timed(at(arguments, &server.url));
            assert_eq!(run.code, 3, "{run}");
            assert!(run.stderr.contains("answered with an HTML page (status "), "{run}");
            assert!(run.stderr.contains("hint: the response is not from AWS"), "{run}");
            assert!(!run.stderr.contains("secret"), "{run}");
        }
    }
}

#[test]
fn requests_continue_during_throttling_with_a_note() {
    let head = "400 Bad Request\r\ncontent-type: application/x-amz-json-1.1";
    let body = r#"{"__type":"com.amazonaws.ecs#ThrottlingException","message":"Rate exceeded"}"#;
    let server = Server::answering(head, body);
    let mut run = at("plan -c prod", &server.url).start();
    let lines = run.stderr_until("still waiting for AWS");
    let last = lines.last().unwrap();
    assert!(last.contains("ThrottlingException (status 400)"), "{last}");
    let asked = server.requests().len();
    assert!(asked >= 2, "{asked}");
    run.kill();
}

#[test]
fn a_message_without_an_id_was_not_published() {
    let server = Server::answering(JSON, "{}");
    let url = format!("{}/111122223333/observer", server.url);
    let run = at(&format!("publish -c prod --queue {url}"), &server.url);
    ends(
        run,
        3,
        &[
            "the answer to SendMessage on queue ",
            "has no message id",
            "it is unknown whether it was done",
            "hint: the response is not from AWS",
        ],
    );
}

#[test]
fn a_queue_or_a_ledger_with_empty_answers_is_not_from_aws() {
    let server = Server::answering(JSON, "{}");
    for (arguments, missing) in [
        ("publish -c prod --queue observer", "GetQueueUrl on queue observer has no URL"),
        ("history --ledger dynamodb:t", "the answer has no `Items`, which DynamoDB always sends"),
        ("report b-1 --ledger dynamodb:t", "the answer has no `Items`"),
        ("cancel b-1 --ledger dynamodb:t", "the answer has no `"),
    ] {
        ends(at(arguments, &server.url), 3, &[missing, "hint: the response is not from AWS"]);
    }
}

/// Takes as long as the retries of a request: usually more than half a minute, and two at most.
#[test]
fn endless_throttling_is_an_error_with_a_hint() {
    let head = "400 Bad Request\r\ncontent-type: application/x-amz-json-1.1";
    let body = r#"{"__type":"com.amazonaws.ecs#ThrottlingException","message":"Rate exceeded"}"#;
    let server = Server::answering(head, body);
    let says =
        ["ThrottlingException: Rate exceeded", "hint: the whole account shares the request rate of AWS"];
    ends(at("plan -c prod", &server.url), 3, &says);
    assert_eq!(server.requests().len(), 10, "every try was made");
}

#[test]
fn without_a_region_nothing_is_asked_and_the_hint_says_how_to_set_one() {
    for arguments in ["plan -c prod", "send -c prod", "publish -c prod --queue observer"] {
        ends(keys(notifier(arguments)), 2, &["error: no AWS region is set", "hint: set a region: --region "]);
    }
    let wrong = keys(notifier("plan -c prod --region eu-west-1.evil.example/"));
    ends(wrong, 2, &["`eu-west-1.evil.example/` is not the name of an AWS region"]);
}

#[test]
fn a_region_that_contradicts_a_services_arn_or_a_queue_is_named() {
    let service = "arn:aws:ecs:us-east-1:111122223333:service/prod/checkout";
    for arguments in ["plan", "send"] {
        let run = at(&format!("{arguments} -c prod -s {service}"), "http://127.0.0.1:9");
        ends(run, 2, &["service arn:", "is in us-east-1, but the command uses region eu-west-1"]);
        let run = at(&format!("{arguments} -c {service}"), "http://127.0.0.1:9");
        ends(run, 2, &["this is the ARN of a service: pass its cluster here, and services with --service"]);
    }
    let queue = "publish -c prod --queue https://sqs.us-east-1.amazonaws.com/111122223333/q";
    ends(at(queue, "http://127.0.0.1:9"), 2, &["queue https://sqs.us-east-1.", "is in us-east-1, but"]);
}

#[test]
fn a_queue_is_a_name_or_a_url_and_nothing_else() {
    for (queue, says) in [
        ("arn:aws:sqs:eu-west-1:111122223333:observer", "it is an ARN; the queue's name is `observer`"),
        ("http://127.0.0.1:99999/1/q", "`99999` is not a port (1-65535)"),
        ("http://127.0.0.1/", "it does not end with the name of a queue"),
        ("a/b", "a name has up to 80 letters"),
        ("observer.fifo", "it is a FIFO queue, which would drop a retry as a duplicate"),
        ("http://127.0.0.1:9/1/observer.fifo", "it is a FIFO queue"),
    ] {
        let run = at(&format!("publish -c prod --queue {queue}"), "http://127.0.0.1:9");
        ends(run, 2, &["is not the URL or name of a queue: ", says, "hint: name the queue"]);
    }
}

#[test]
fn a_wrong_clock_is_logged() {
    let head = "200 OK\r\ndate: Wed, 01 Jan 2020 00:00:00 GMT\r\ncontent-type: application/x-amz-json-1.1";
    let server = Server::answering(head, r#"{"MessageId":"m-1"}"#);
    let url = format!("{}/111122223333/observer", server.url);
    let (run, _) = timed(at(&format!("publish -c prod --queue {url}"), &server.url));
    assert_eq!(run.code, 0, "{run}");
    assert!(
        run.stderr.contains("This machine's clock is ") && run.stderr.contains(" ahead of the clock of AWS"),
        "{run}"
    );
    assert!(run.stderr.contains("Set the clock"), "{run}");
}

#[test]
fn a_missing_secret_is_an_error_with_a_hint() {
    let run = at("send -c prod", "http://127.0.0.1:9").env("NOTIFIER_SIGNING_SECRET", "env:NOT_THERE");
    let says = [
        "a secret cannot be read",
        "env:NOT_THERE: the variable is not set",
        "hint: NOTIFIER_SIGNING_SECRET",
    ];
    ends(run, 2, &says);
}

#[test]
fn a_secret_store_that_cannot_be_reached_is_a_failure_of_the_network() {
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let run = at("send -c prod", &format!("http://{gone}"));
    let run = run.env("NOTIFIER_SIGNING_SECRET", "secretsmanager:signing");
    ends(run, 3, &["a secret cannot be read", "Connection refused"]);
}

#[test]
fn a_ledger_in_a_directory_that_is_missing_is_named() {
    let run = notifier("report b-1 --ledger sqlite:/nonexistent/ledger.db");
    ends(run, 2, &["/nonexistent/ledger.db", "hint: "]);
}
