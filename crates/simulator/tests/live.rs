//! Containers that really listen, and a fleet that changes while it runs.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

mod client;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use client::{Ended, ecs, free_port, post, send};
use http::Request;
use http_body_util::Full;
use serde_json::json;
use simulator::faults::{Fault, When};
use simulator::fleet::TaskStatus;
use simulator::{ChangeError, Fleet, Options, Outcome, Simulator, TaskView};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// A fleet of one Fargate service `app` of two tasks with port 8080, and `more` keys of its container.
async fn fargate(more: &str) -> Simulator {
    start(&format!(
        "[[cluster]]\nname = 'c'\n[[cluster.service]]\nname = 'app'\nlaunch_type = 'FARGATE'\ntasks = 2\n\
         [[cluster.service.container]]\nname = 'app'\nports = [8080]\n{more}"
    ))
    .await
}

async fn start(toml: &str) -> Simulator {
    Simulator::start(Fleet::from_toml(toml).unwrap(), Options::default()).await.unwrap()
}

fn address(task: &TaskView) -> SocketAddr {
    task.endpoints.first().unwrap().address
}

fn task(sim: &Simulator, arn: &str) -> TaskView {
    sim.tasks().into_iter().find(|task| task.arn == arn).unwrap()
}

#[tokio::test]
async fn answers_come_in_turn_for_each_task_and_the_last_repeats() {
    let sim = fargate(
        "answers = [{ status = 503, headers = { Retry-After = '7' } }, { status = 202, body = 'ok' }]",
    );
    let sim = sim.await;
    for task in sim.tasks() {
        let Ended::Answered { status, headers, .. } = post(address(&task), "/a?b", "one").await else {
            panic!()
        };
        assert_eq!((status, headers.get("retry-after").unwrap().to_str().unwrap()), (503, "7"));
        assert_eq!(post(address(&task), "/a", "two").await.status(), 202);
        let Ended::Answered { status, body, .. } = post(address(&task), "/a", "three").await else {
            panic!()
        };
        assert_eq!((status, &body[..]), (202, &b"ok"[..]));
    }
    let received = sim.received();
    let first = &received[0];
    assert_eq!((received.len(), first.status, first.method.as_str()), (6, Some(503), "POST"));
    assert_eq!((first.path.as_str(), &first.body[..]), ("/a?b", &b"one"[..]));
    assert_eq!((first.service.as_deref(), first.container.as_str()), (Some("app"), "app"));
    assert_eq!((&first.task, first.address), (&sim.tasks()[0].arn, address(&sim.tasks()[0])));
    assert_eq!(first.header("host"), Some(first.address.to_string().as_str()));
    sim.reset_received();
    assert!(sim.received().is_empty());
}

#[tokio::test]
async fn an_application_serves_its_path_and_method_and_knows_itself() {
    let sim =
        fargate("path = '/notify'\nmethod = 'POST'\nown_only = true\nanswers = [{ status = 202 }]").await;
    let (own, other) = (&sim.tasks()[0], &sim.tasks()[1].arn);
    assert_eq!(post(address(own), "/", own.arn.clone()).await.status(), 404);
    let get = Request::get("/notify").header("host", "x").body(Full::default()).unwrap();
    assert_eq!(send(address(own), get).await.status(), 405);
    assert_eq!(post(address(own), "/notify", other.clone()).await.status(), 421);
    assert_eq!(post(address(own), "/notify", format!("{{\"task\": \"{}\"}}", own.arn)).await.status(), 202);
    let statuses: Vec<_> = sim.received().iter().map(|received| received.status).collect();
    assert_eq!(statuses, [Some(404), Some(405), Some(421), Some(202)]);
}

#[tokio::test]
async fn connections_hang_reset_and_carry_huge_bodies() {
    let sim = fargate("answers = [{ hang = true }, { reset = true }, { body_bytes = 3_000_000 }]").await;
    let address = address(&sim.tasks()[0]);
    assert!(matches!(post(address, "/", "").await, Ended::Silent));
    assert!(matches!(post(address, "/", "").await, Ended::Broken));
    let Ended::Answered { body, .. } = post(address, "/", "").await else { panic!() };
    assert_eq!(body.len(), 3_000_000);
    let statuses: Vec<_> = sim.received().iter().map(|received| received.status).collect();
    assert_eq!(statuses, [None, None, Some(200)]);
    assert_eq!((sim.received_count(), sim.received_at_once()), (3, 1), "a client that gave up does not wait");
}

#[tokio::test]
async fn a_body_can_be_shorter_than_it_claims() {
    let sim = fargate("answers = [{ body_bytes = 5, claimed_bytes = 9 }]").await;
    let mut stream = tokio::net::TcpStream::connect(address(&sim.tasks()[0])).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    // However the connection ends, what came before arrives.
    drop(stream.read_to_end(&mut answer).await);
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.contains("content-length: 9\r\n") && answer.ends_with("\r\n\r\n     "), "{answer:?}");
}

#[tokio::test]
async fn only_running_containers_that_do_not_refuse_listen() {
    let sim = fargate("[[cluster.service.task]]\nnumber = 1\nlast_status = 'PENDING'").await;
    assert!(matches!(post(address(&sim.tasks()[0]), "/", "").await, Ended::Refused));
    assert_eq!(post(address(&sim.tasks()[1]), "/", "").await.status(), 200);
    let sim = fargate("refuse = true").await;
    assert!(matches!(post(address(&sim.tasks()[0]), "/", "").await, Ended::Refused));
}

#[tokio::test]
async fn bridge_host_and_ipv6_tasks_listen_where_ecs_says() {
    let sim = start(
        "[[cluster]]\nname = 'c'\nhosts = [{}]\n\
         [[cluster.service]]\nname = 'bridge'\n[[cluster.service.container]]\nname = 'a'\nports = [80, { range = '90-92' }]\n\
         [[cluster.service]]\nname = 'host'\nnetwork_mode = 'host'\n[[cluster.service.container]]\nname = 'a'\nports = [9100]\n\
         [[cluster.service]]\nname = 'v6'\nlaunch_type = 'FARGATE'\nip = 'v6'\n[[cluster.service.container]]\nname = 'a'\n\
         ports = [28443]",
    )
    .await;
    let ports: Vec<_> = sim.tasks().iter().map(|task| task.endpoints.len()).collect();
    assert_eq!(ports, [4, 1, 1]);
    for endpoint in sim.tasks().iter().flat_map(|task| &task.endpoints) {
        assert_eq!(post(endpoint.address, "/", "").await.status(), 200, "{endpoint:?}");
    }
    let found = ecs(&sim, "DescribeTasks", &json!({ "cluster": "c", "tasks": [sim.tasks()[0].arn] })).await;
    let binding = &found["tasks"][0]["containers"][0]["networkBindings"][0];
    assert_eq!(binding["hostPort"], json!(address(&sim.tasks()[0]).port()));
}

#[tokio::test]
async fn a_stopped_task_closes_and_is_still_described() {
    let sim = fargate("").await;
    let stopped = sim.tasks().remove(0);
    sim.stop_task(&stopped.arn).await.unwrap();
    sim.stop_task(&stopped.arn).await.unwrap();
    assert!(matches!(post(address(&stopped), "/", "").await, Ended::Refused));
    let listed = ecs(&sim, "ListTasks", &json!({ "cluster": "c" })).await;
    assert_eq!(listed["taskArns"], json!([sim.tasks()[1].arn]));
    let found = ecs(&sim, "DescribeTasks", &json!({ "cluster": "c", "tasks": [stopped.arn] })).await;
    assert_eq!(found["tasks"][0]["lastStatus"], "STOPPED");
    assert_eq!(found["tasks"][0]["attachments"][0]["status"], "DELETED");
    assert!(matches!(sim.stop_task("arn:none").await, Err(ChangeError::NoTask(_))));
}

#[tokio::test]
async fn a_task_can_stop_once_it_was_listed() {
    let sim = fargate("").await;
    let doomed = sim.tasks().remove(1);
    sim.stop_after_listing(&doomed.arn).unwrap();
    assert_eq!(post(address(&doomed), "/", "").await.status(), 200);
    let listed = ecs(&sim, "ListTasks", &json!({ "cluster": "c" })).await;
    assert_eq!(listed["taskArns"].as_array().unwrap().len(), 2);
    assert_eq!(task(&sim, &doomed.arn).last_status, TaskStatus::Stopped);
    assert!(matches!(post(address(&doomed), "/", "").await, Ended::Refused));
}

#[tokio::test]
async fn a_new_task_listens_at_an_address_of_its_own() {
    let sim = fargate("").await;
    let arn = sim.start_task("c", "app").await.unwrap();
    assert_eq!(post(address(&task(&sim, &arn)), "/", "").await.status(), 200);
    let addresses: std::collections::HashSet<_> = sim.tasks().iter().map(address).collect();
    assert_eq!(addresses.len(), 3);
    assert!(matches!(sim.start_task("c", "none").await, Err(ChangeError::NoService { .. })));
}

#[tokio::test]
async fn an_address_can_move_to_another_task() {
    let sim = fargate("").await;
    let (from, to) = (sim.tasks().remove(0), sim.tasks().remove(1));
    sim.move_address(&from.arn, &to.arn).await.unwrap();
    assert_eq!(address(&task(&sim, &to.arn)), address(&from));
    assert_eq!(post(address(&from), "/", "").await.status(), 200);
    assert_eq!(sim.received()[0].task, to.arn, "another task answers at the address");
    assert!(matches!(post(address(&to), "/", "").await, Ended::Refused));
    let found = ecs(&sim, "DescribeTasks", &json!({ "cluster": "c", "tasks": [to.arn] })).await;
    let interface = &found["tasks"][0]["containers"][0]["networkInterfaces"][0];
    assert_eq!(interface["privateIpv4Address"], json!(address(&from).ip().to_string()));
}

#[tokio::test]
async fn a_host_port_can_move_to_another_service() {
    let service = |name: &str, mode: &str| {
        format!(
            "[[cluster.service]]\nname = '{name}'\nnetwork_mode = '{mode}'\n[[cluster.service.container]]\nname = 'a'\n\
             ports = [8080]\n"
        )
    };
    let services = ["bridge", "bridge", "awsvpc"].map(|mode| service("x", mode));
    let services = services.iter().zip(["one", "two", "three"]).map(|(it, name)| it.replace('x', name));
    let sim = start(&format!(
        "[[cluster]]\nname = 'c'\nhosts = [{{ count = 2 }}]\n{}",
        services.collect::<String>()
    ))
    .await;
    let [one, two, three] = sim.tasks().try_into().unwrap();
    assert!(matches!(sim.move_address(&one.arn, &three.arn).await, Err(ChangeError::OtherNetwork { .. })));
    sim.move_address(&one.arn, &two.arn).await.unwrap();
    post(address(&one), "/", "").await;
    assert_eq!(sim.received()[0].service.as_deref(), Some("two"));
}

#[tokio::test]
async fn containers_that_share_a_listener_answer_each_at_its_own_address() {
    let service = "[[cluster.service]]\nlaunch_type = 'FARGATE'\ntasks = 2\n";
    let container = |port: u16| format!("[[cluster.service.container]]\nname = 'a'\nports = [{port}]\n");
    let port = free_port();
    let toml = |port: u16| {
        format!(
            "listeners = 'shared'\n[[cluster]]\nname = 'c'\nhosts = [{{}}]\n{service}name = 'app'\n{}\
             {service}name = 'mute'\n{}refuse = true\n[[cluster.service]]\nname = 'bridge'\n{}",
            container(port),
            container(port + 1),
            container(80)
        )
    };
    let sim = start(&toml(port)).await;
    let [one, two, mute, _, bridge] = sim.tasks().try_into().unwrap();
    assert!(address(&one).port() == port && address(&bridge).port() >= 61_000);
    for task in [&one, &two, &bridge] {
        assert_eq!(post(address(task), "/", "").await.status(), 200);
        assert_eq!(sim.received().last().unwrap().task, task.arn);
    }
    assert!(matches!(post(address(&mute), "/", "").await, Ended::Refused), "nobody listens on its port");
    let stranger = SocketAddr::from(([127, 0, 0, 1], port));
    assert!(matches!(post(stranger, "/", "").await, Ended::Broken), "not an address of the fleet");

    let hanging = tokio::net::TcpStream::connect(address(&one)).await.unwrap();
    sim.stop_task(&one.arn).await.unwrap();
    let mut hanging = hanging;
    assert!(hanging.read(&mut [0; 1]).await.is_err(), "open connections are reset");
    assert!(matches!(post(address(&one), "/", "").await, Ended::Broken));
    sim.move_address(&one.arn, &two.arn).await.unwrap();
    assert_eq!(post(address(&one), "/", "").await.status(), 200);
    assert_eq!(sim.received().last().unwrap().task, two.arn);
    sim.stop_task(&two.arn).await.unwrap();
    assert!(
        matches!(post(address(&one), "/", "").await, Ended::Refused),
        "the port's last container is gone"
    );
    let new = sim.start_task("c", "app").await.unwrap();
    assert_eq!(post(address(&task(&sim, &new)), "/", "").await.status(), 200);

    let held = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = held.local_addr().unwrap().port();
    let error =
        Simulator::start(Fleet::from_toml(&toml(port)).unwrap(), Options::default()).await.unwrap_err();
    let (error, place) = (error.to_string(), format!("listen at 0.0.0.0:{port}"));
    assert!(error.contains(&place) && error.contains("choose another port"), "{error}");
}

#[tokio::test]
async fn answers_take_times_of_a_distribution() {
    let sim = fargate("latency = { median_us = 20_000, p99_us = 60_000, seed = 3 }").await;
    let asked = Instant::now();
    for _ in 0..3 {
        assert_eq!(post(address(&sim.tasks()[0]), "/", "").await.status(), 200);
    }
    let delays: Vec<_> = sim.received().iter().map(|received| received.delay).collect();
    assert!(asked.elapsed() >= delays.iter().sum::<Duration>(), "{delays:?}");
    assert!(delays[0] != delays[1] && delays.iter().all(|delay| (1..200).contains(&delay.as_millis())));
    let again = fargate("latency = { median_us = 20_000, p99_us = 60_000, seed = 3 }").await;
    post(address(&again.tasks()[0]), "/", "").await;
    assert_eq!(again.received()[0].delay, delays[0], "the same fleet has the same times");
}

#[tokio::test]
async fn simulators_side_by_side_have_addresses_of_their_own() {
    let (one, two) = (fargate("").await, fargate("").await);
    assert_ne!(address(&one.tasks()[0]), address(&two.tasks()[0]));
    assert_eq!(one.tasks()[0].arn, two.tasks()[0].arn, "ids come from the seed alone");
    let freed = address(&one.tasks()[0]);
    one.stop().await;
    assert!(matches!(post(freed, "/", "").await, Ended::Refused));
    assert_eq!(post(address(&two.tasks()[0]), "/", "").await.status(), 200);
}

#[tokio::test]
async fn dropping_a_simulator_stops_it() {
    let sim = fargate("").await;
    let (api, task) = (sim.url().trim_start_matches("http://").parse().unwrap(), address(&sim.tasks()[0]));
    drop(sim);
    for address in [api, task] {
        // The listeners' tasks notice on their next turn.
        for _ in 0..100 {
            if matches!(post(address, "/", "").await, Ended::Refused) {
                break;
            }
            tokio::task::yield_now().await;
        }
        assert!(matches!(post(address, "/", "").await, Ended::Refused));
    }
}

#[tokio::test]
async fn the_api_listens_where_it_is_told_and_delays_as_ordered() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let options = Options { listen: Some(free), ..Options::default() };
    let fleet = "[[cluster]]\nname = 'c'";
    let sim = Simulator::start(Fleet::from_toml(fleet).unwrap(), options.clone()).await.unwrap();
    assert_eq!(sim.url(), format!("http://{free}"));
    let twice = Simulator::start(Fleet::from_toml(fleet).unwrap(), options).await.unwrap_err().to_string();
    assert!(
        twice.contains("the simulator cannot listen at") && twice.contains("choose another port"),
        "{twice}"
    );

    let delay = Duration::from_millis(80);
    sim.faults().order("ListClusters", When::Always, Fault::Delay(delay));
    let asked = Instant::now();
    ecs(&sim, "ListClusters", &json!({})).await;
    assert!(asked.elapsed() >= delay);
    assert_eq!((sim.count("ListClusters"), sim.calls()[0].outcome.clone()), (1, Outcome::Answered));
    sim.reset_calls();
    assert_eq!((sim.count("ListClusters"), sim.calls().len()), (0, 0));
}
