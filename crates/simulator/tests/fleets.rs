//! The documented example fleet parses, starts and listens.

use simulator::{Fleet, Options, Simulator};

const EXAMPLE: &str = include_str!("../fleets/example.toml");

#[tokio::test]
async fn the_example_fleet_starts() {
    let fleet = Fleet::from_toml(EXAMPLE).unwrap();
    let sim = Simulator::start(fleet, Options::default()).await.unwrap();
    assert_eq!(sim.tasks().len(), 17);
    sim.stop().await;
}

#[tokio::test]
async fn a_thousand_services_are_cheap_where_nothing_listens() {
    let fleet = Fleet::from_toml(
        "addresses = 'private'\n[[cluster]]\nname = 'big'\n[[cluster.service]]\nname = 's'\ncopies = 1001\ntasks = 5\n\
         launch_type = 'FARGATE'\n[[cluster.service.container]]\nname = 'app'\nports = [8080]",
    );
    let sim = Simulator::start(fleet.unwrap(), Options::default()).await.unwrap();
    let tasks = sim.tasks();
    assert_eq!(tasks.len(), 5_005);
    let addresses: std::collections::HashSet<_> = tasks.iter().flat_map(|task| &task.endpoints).collect();
    assert_eq!(addresses.len(), 5_005);
}

#[tokio::test]
async fn what_cannot_be_placed_or_bound_says_what_to_do() {
    let refused = async |toml: &str| {
        let fleet = Fleet::from_toml(toml).unwrap();
        Simulator::start(fleet, Options::default()).await.unwrap_err().to_string()
    };
    let crowded = "[[cluster]]\nname = 'c'\nhosts = [{}]\n[[cluster.service]]\nname = 's'\nnetwork_mode = 'host'\n\
                   tasks = 2\n[[cluster.service.container]]\nname = 'app'\nports = [9100]";
    let message = refused(crowded).await;
    assert!(message.contains("cluster c, service s: task 2 finds no host"), "{message}");
    let v6 = "[[cluster]]\nname = 'c'\n[[cluster.service]]\nname = 's'\nlaunch_type = 'FARGATE'\nip = 'v6'\ntasks = 2\n\
              [[cluster.service.container]]\nname = 'app'\nports = [28080]";
    let message = refused(v6).await;
    assert!(message.contains("two containers want [::1]:28080: loopback has one IPv6 address"), "{message}");
    let held = std::net::TcpListener::bind("[::1]:0").unwrap();
    let port = held.local_addr().unwrap().port();
    let message = refused(&v6.replace("tasks = 2", "tasks = 1").replace("28080", &port.to_string())).await;
    assert!(
        message.contains("cannot listen at [::1]") && message.contains("choose another port"),
        "{message}"
    );
}
