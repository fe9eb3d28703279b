//! `serve`.

use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use crate::support::{Running, Sim, answering, http, until};

const QUEUES: [&str; 3] = ["observer", "services", "tasks"];
/// A daemon on this simulator's queues, and the address of its health endpoints.
fn serve(sim: &Sim, arguments: &str) -> (Running, String) {
    // A port that was free a moment ago: the daemon does not report a port that it chooses itself.
    let listen = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let mut run = sim.notifier(&format!("serve --listen {listen} {arguments}"));
    for name in QUEUES {
        run = run.env(&format!("NOTIFIER_{}_QUEUE_URL", name.to_uppercase()), &sim.queue_url(name));
    }
    let daemon = run.start();
    until("it is ready", || get(&listen, "/readyz").starts_with("HTTP/1.1 200"));
    (daemon, listen)
}

/// The answer to a request; empty if the connection is refused.
fn get(address: &str, path: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    if TcpStream::connect(address).is_ok() { http(address, &request) } else { String::new() }
}

/// Whether all queues are empty. A message is deleted only after its resulting messages are on the next queue.
fn is_drained(sim: &Sim) -> bool {
    QUEUES.iter().all(|name| {
        let url = sim.queue_url(name);
        let answer =
            sim.sqs("GetQueueAttributes", &format!(r#"{{"QueueUrl":"{url}","AttributeNames":["All"]}}"#));
        ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
            .iter()
            .all(|attribute| answer.contains(&format!(r#""{attribute}":"0""#)))
    })
}

#[test]
fn the_daemon_broadcasts_what_is_published_and_stops_cleanly() {
    let sim = Sim::with_queues(&answering(""), &QUEUES);
    let (daemon, listen) = serve(&sim, "--log-format json");
    let health = get(&listen, "/healthz");
    assert!(health.starts_with("HTTP/1.1 200") && health.contains(r#""live":true"#), "{health}");

    let published = sim.notifier("publish --cluster prod --queue observer --id e-1").run();
    assert_eq!(published.code, 0, "{published}");
    until("everything was worked through", || is_drained(&sim));
    let run = daemon.stop();
    assert_eq!((run.code, run.stdout.as_str()), (0, ""), "{run}");
    for line in run.stderr.lines() {
        assert!(line.starts_with(r#"{"timestamp":""#) && line.ends_with('}'), "{line}");
    }
    let notified = run
        .stderr
        .lines()
        .filter(|line| line.contains(r#""broadcast":"e-1""#) && line.contains(r#""outcome":"delivered""#));
    assert_eq!(notified.count(), 2, "{run}");
    let last = run.stderr.lines().last().unwrap();
    // One message on each of the first two queues, and one for each of the two tasks.
    let ended = r#""message":"Stopped","done":4,"retried":0,"buried":0,"returned":0"#;
    assert!(last.contains(ended), "{last}");
}

#[test]
fn health_asks_a_daemon_where_the_settings_say_that_it_listens() {
    let sim = Sim::with_queues(&answering(""), &QUEUES);
    let (daemon, listen) = serve(&sim, "");
    let ask = |arguments: &str| sim.notifier(arguments).env("NOTIFIER_LISTEN", &listen).run();
    let well = ask("health");
    assert_eq!((well.code, well.stdout.as_str()), (0, ""), "{well}");
    let unknown = ask(&format!("health --url http://{listen}/nothing"));
    assert_eq!(unknown.code, 1, "{unknown}");
    assert!(unknown.stderr.contains("it answered 404 Not Found: try /healthz or /readyz"), "{unknown}");
    daemon.stop();
    let gone = ask("health");
    assert_eq!(gone.code, 1, "{gone}");
    assert!(gone.stderr.contains("is not healthy: the request failed"), "{gone}");
    assert!(gone.stderr.contains("hint: check that the daemon runs"), "{gone}");
    assert_eq!(ask(&format!("health --url http://{}:99999/", "127.0.0.1")).code, 2);
    assert_eq!(sim.notifier("health").env("NOTIFIER_LISTEN", "none").run().code, 2);
}

/// Number of voluntary context switches of a process, over all threads.
fn sleeps(process: u32) -> u64 {
    let threads = std::fs::read_dir(format!("/proc/{process}/task")).unwrap();
    let of = |status: String| -> Option<u64> {
        status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?.trim().parse().ok()
    };
    threads.filter_map(|thread| of(std::fs::read_to_string(thread.ok()?.path().join("status")).ok()?)).sum()
}

#[test]
fn a_daemon_that_waits_sleeps() {
    const SECONDS: u64 = 5;
    let sim = Sim::with_queues(&answering(""), &QUEUES);
    let (daemon, _) = serve(&sim, "");
    std::thread::sleep(Duration::from_secs(2));
    let before = sleeps(daemon.child.id());
    std::thread::sleep(Duration::from_secs(SECONDS));
    let woken = sleeps(daemon.child.id()) - before;
    // Its queues have a long poll of 20 s; without the SDK's watch, six long polls do not wake it several times a second.
    assert!(woken < 20 * SECONDS, "it woke {woken} times in {SECONDS} s");
    daemon.stop();
}

#[test]
fn a_skip_is_a_warning_in_the_log() {
    let fleet =
        answering("").replace(r#"NOTIFY_ME_CONTAINER_PORT = "8080""#, r#"NOTIFY_ME_CONTAINER_PORT = "0""#);
    let sim = Sim::with_queues(&fleet, &QUEUES);
    let (daemon, _) = serve(&sim, "");
    assert_eq!(sim.notifier("publish -c prod --queue observer").run().code, 0);
    until("everything was worked through", || is_drained(&sim));
    let run = daemon.stop();
    let reason = "Skipped work: label NOTIFY_ME_CONTAINER_PORT: `0` is not a port (1-65535)";
    let warnings = run.stderr.lines().filter(|line| line.contains(" WARN ") && line.contains(reason));
    assert_eq!(warnings.count(), 2, "{run}");
    assert!(!run.stderr.contains('\u{1b}'), "{run}");
}

#[test]
fn a_queue_that_is_not_there_ends_the_daemon_with_2() {
    let sim = Sim::with_queues(&answering(""), &QUEUES);
    let arguments = "serve --listen none --tasks-queue-url";
    let run = sim.notifier(arguments).arg(&sim.queue_url("other"));
    let run = run.env("NOTIFIER_OBSERVER_QUEUE_URL", &sim.queue_url("observer"));
    let run = run.env("NOTIFIER_SERVICES_QUEUE_URL", &sim.queue_url("services")).run();
    assert_eq!(run.code, 2, "{run}");
    assert!(run.stderr.contains("/other does not exist in this account and region"), "{run}");
    assert!(run.stderr.contains("hint: `aws sqs list-queues`"), "{run}");
}

#[test]
fn an_address_in_use_ends_the_daemon_with_3_and_a_hint() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let sim = Sim::with_queues(&answering(""), &QUEUES);
    let mut run = sim.notifier(&format!("serve --listen {}", taken.local_addr().unwrap()));
    for name in QUEUES {
        run = run.env(&format!("NOTIFIER_{}_QUEUE_URL", name.to_uppercase()), &sim.queue_url(name));
    }
    let run = run.run();
    assert_eq!(run.code, 3, "{run}");
    assert!(run.stderr.contains("hint: choose another address with --listen"), "{run}");
}
