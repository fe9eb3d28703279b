//! `simulate`.

use crate::support::{FLEET, notifier, redacted};

#[test]
fn the_simulator_says_where_it_is_and_how_to_point_tools_at_it_and_stops_cleanly() {
    let _bound = redacted();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), FLEET).unwrap();
    let mut run = notifier("simulate --queue observer --fleet").arg(file.path().to_str().unwrap()).start();
    assert!(run.line().starts_with("http://127.0.0.1:"));
    let talk = run.talk_until("aws ecs list-clusters").join("\n");
    insta::assert_snapshot!(talk, @r#"
    7 tasks; Ctrl-C ends it. In another terminal:
      export AWS_ENDPOINT_URL=http://127.0.0.1:[port] AWS_REGION=us-east-1 AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test
      export NOTIFIER_ALLOW_NETWORKS=127.0.0.0/8,::1/128
      aws ecs list-clusters
    "#);
    let run = run.stop();
    assert_eq!((run.code, run.stdout.as_str(), run.stderr.as_str()), (0, "", ""));
}

#[test]
fn the_example_fleet_is_printed_and_can_be_simulated() {
    let example = notifier("simulate --print-example").run();
    assert_eq!((example.code, example.stderr.as_str()), (0, ""));
    drop(crate::support::Sim::start(&example.stdout));
}

#[test]
fn a_file_that_is_no_fleet_is_wrong_use() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().to_str().unwrap();
    let simulate = || notifier("simulate --fleet").arg(path).run().to_string().replace(path, "fleet.toml");
    std::fs::write(file.path(), "[[cluster]]\nname = 'c'\nservices = 1\n").unwrap();
    insta::assert_snapshot!(simulate(), @r#"
    exit 2
    --- stdout
    --- stderr
    error: fleet.toml is not a fleet
      because: the fleet file cannot be read: TOML parse error at line 3, column 1
          |
        3 | services = 1
          | ^^^^^^^^
        unknown field `services`, expected one of `name`, `hosts`, `service`, `standalone`
    "#);
    std::fs::write(file.path(), "account = '12'\n[[cluster]]\nname = ''\n").unwrap();
    insta::assert_snapshot!(simulate(), @r#"
    exit 2
    --- stdout
    --- stderr
    error: fleet.toml is not a fleet
      because: the fleet cannot be: fleet: `12` is not an account id of 12 digits; cluster : `` is not a name: 1 to 255 letters, digits, `-` and `_`
    "#);
}

#[test]
fn a_fleet_without_end_is_refused_rather_than_cut() {
    let run = notifier("simulate --fleet /dev/zero").run();
    assert_eq!(run.code, 2, "{run}");
    assert!(run.stderr.contains("because: it is larger than 16777216 bytes"), "{run}");
}
