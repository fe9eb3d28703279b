//! The manual pages of a release.

use crate::support::notifier;

#[test]
fn every_visible_subcommand_has_a_manual_page() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_str().unwrap();
    let run = notifier(&format!("man {path}")).run();
    assert_eq!((run.code, run.stdout.as_str(), run.stderr.as_str()), (0, "", ""));

    let help = notifier("--help").run().stdout;
    let commands = help.split_once("Commands:\n").unwrap().1.split("\n\n").next().unwrap();
    let below = ["routes-check", "routes-test", "retained-list", "retained-show", "retained-clear"];
    for name in below {
        assert!(directory.path().join(format!("ecs-task-notifier-{name}.1")).exists(), "{name}");
    }
    let mut named = below.len();
    for name in commands.lines().filter_map(|line| line.strip_prefix("  ")?.split(' ').next()) {
        if name.is_empty() {
            continue;
        }
        let page = std::fs::read_to_string(directory.path().join(format!("ecs-task-notifier-{name}.1")));
        let page = page.unwrap_or_else(|error| panic!("the page of {name}: {error}"));
        assert!(page.contains(".SH SYNOPSIS") && page.contains(".SH OPTIONS"), "{name}:\n{page}");
        named += 1;
    }
    assert!(named >= 14, "help lists only {named} subcommands:\n{help}");
    let whole = std::fs::read_to_string(directory.path().join("ecs-task-notifier.1")).unwrap();
    assert!(whole.contains("NOTIFY_ME_CONTAINER_PORT"), "{whole}");
    assert_eq!(
        std::fs::read_dir(path).unwrap().count(),
        named + 1,
        "pages of hidden subcommands are there too"
    );
}

#[test]
fn a_directory_that_is_missing_is_named() {
    let run = notifier("man /nowhere/at/all").run();
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("cannot write manual pages into /nowhere/at/all"), "{run}");
}
