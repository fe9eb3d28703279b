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
