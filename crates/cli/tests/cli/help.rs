//! Help, its examples, and the documentation.

use notifier::model::Cause;
use notifier::settings::table;

use crate::support::{Sim, notifier};

const SUBCOMMANDS: [&str; 20] = [
    "retained",
    "ask",
    "report",
    "history",
    "page",
    "cancel",
    "continue",
    "redrive",
    "drop",
    "demo",
    "plan",
    "send",
    "publish",
    "serve",
    "simulate",
    "check",
    "routes check",
    "routes test",
    "keygen",
    "completions",
];

/// The commands below `Examples:` in a subcommand's help, each on one line.
fn examples(subcommand: &str) -> Vec<String> {
    let help = notifier(&format!("{subcommand} --help")).run();
    assert_eq!((help.code, help.stderr.as_str()), (0, ""));
    let (_, examples) = help.stdout.split_once("Examples:\n").unwrap();
    let examples = examples.split("Exit codes:").next().unwrap().replace("\\\n", " ").replace("|\n", "| ");
    let commands = examples.lines().map(str::trim).filter(|line| line.contains("ecs-task-notifier "));
    commands.filter(|line| !line.ends_with(':')).map(str::to_owned).collect()
}

#[test]
fn every_example_works_as_it_stands() {
    let fleet = |name: &str| {
        format!(
            "[[cluster.service]]\nname = '{name}'\nlaunch_type = 'FARGATE'\n[[cluster.service.container]]\nname = 'app'\n\
         ports = [8080]\nlabels = {{ NOTIFY_ME_CONTAINER_PORT = '8080', NOTIFY_ME_API_URI = '/n' }}\n\
         answers = [{{ body = '{{\"version\":\"v42\",\"queue\":7}}' }}]\n"
        )
    };
    let fleet = format!("[[cluster]]\nname = 'prod'\n{}{}", fleet("checkout"), fleet("search"));
    let queue = "ecs_service_notification_eu-west-1";
    let sim = Sim::with_queues(&fleet, &[queue]);
    // Fakes of programs that may not be installed.
    let tools = "jq() { if [ \"$1\" = -n ]; then echo '{\"type\": \"com.example.ping\"}'; else cat; fi; }\naws() { :; }\ncd \"$DIR\"";
    let directory = tempfile::tempdir().unwrap();
    let rule = "[[route]]\nname = 'every'\nmatch = { id = [{ exists = true }] }\nto = { cluster = 'prod' }\n";
    let event = r#"{"id":"1","source":"shop","detail-type":"sale","detail":{}}"#;
    for (name, text) in [("routes.toml", rule), ("event.json", event)] {
        std::fs::write(directory.path().join(name), text).unwrap();
    }
    let mut tried = 0;
    for example in SUBCOMMANDS.into_iter().flat_map(examples) {
        // These run until they are stopped, and have their own tests; the last has another shell's syntax.
        let goes_on = [
            "serve",
            "simulate --env-file",
            "simulate --fleet",
            "demo --keep",
            "demo --page",
            "check",
            // Not in the simulator.
            "routes check ssm:",
            "report",
            "history",
            "page",
            "cancel",
            "continue",
            "redrive",
            "drop",
            // It waits until the end.
            "send --cluster prod --cover",
            "retained",
            "send --failed-of",
            "publish --failed-of",
        ];
        if goes_on.iter().any(|command| example.contains(&format!("ecs-task-notifier {command}"))) {
            continue;
        }
        let example = example.replace("source <(", "(").replace("~/.config/fish/completions/", "");
        let run = sim.shell(&format!("{tools}\nset -e\n{example}"));
        let run = run.env("DIR", directory.path().to_str().unwrap());
        let run = run.env("NOTIFIER_OBSERVER_QUEUE_URL", &sim.queue_url(queue)).run();
        assert_eq!(run.code, 0, "{example}\n{run}");
        tried += 1;
    }
    assert!(tried >= 14, "only {tried} examples were found");
}

#[test]
fn help_fits_a_terminal_of_80_columns_and_teaches() {
    for subcommand in SUBCOMMANDS {
        for flag in ["-h", "--help"] {
            let help = notifier(&format!("{subcommand} {flag}")).env("COLUMNS", "80").run();
            assert_eq!((help.code, help.stderr.as_str()), (0, ""));
            let wide = help.stdout.lines().find(|line| line.chars().count() > 80);
            assert_eq!(wide, None, "{subcommand} {flag}");
        }
    }
    let help = notifier("--help").run().stdout;
    assert!(help.contains("Exit codes:\n  0  every opted-in container"), "{help}");
}

#[test]
fn the_guide_names_every_subcommand_flag_and_setting() {
    let guide = include_str!("../../../../docs/cli.md");
    for setting in table::ALL {
        let default = match setting.default {
            "" => String::new(),
            default => format!("`{}`", default.replace(',', ", ")),
        };
        let row = format!(
            "| `{}` | `--{}` | {} | {default} | {} |",
            setting.variable(),
            setting.flag(),
            setting.kind.to_string().replace('|', "\\|"),
            setting.help
        );
        assert!(guide.contains(&row), "the table of settings in docs/cli.md needs this row:\n{row}");
    }
    let rows = guide.lines().filter(|line| line.starts_with("| `NOTIFIER_")).count();
    assert_eq!(rows, table::ALL.len(), "a row of docs/cli.md is no setting");
    let (_, causes) = guide.split_once("| `cause` | what kept the container").unwrap();
    let (causes, _) = causes.split_once("\n\n").unwrap();
    for cause in Cause::ALL.map(Cause::as_str) {
        assert!(causes.contains(&format!("`{cause}`")), "docs/cli.md does not name the cause {cause}");
    }
    for subcommand in SUBCOMMANDS {
        assert!(guide.contains(&format!("\n## `{subcommand}`\n")), "{subcommand}");
        let help = notifier(&format!("{subcommand} -h")).run().stdout;
        let flags = help.split_whitespace().filter(|word| word.starts_with("--"));
        for flag in flags.map(|flag| flag.split('[').next().unwrap().trim_end_matches([',', '.', ']', ':'])) {
            assert!(guide.contains(&format!("`{flag}")), "docs/cli.md does not name {flag} of {subcommand}");
        }
    }
}

#[test]
fn completions_know_the_subcommands_and_settings() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let run = notifier(&format!("completions {shell}")).run();
        assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{shell}");
        for word in ["simulate", "retry-after-max-ms"] {
            assert!(run.stdout.contains(word), "{shell}: {word}");
        }
    }
}

#[test]
fn the_version_is_the_packages() {
    assert_eq!(
        notifier("--version").run().stdout,
        concat!("ecs-task-notifier ", env!("CARGO_PKG_VERSION"), "\n")
    );
}

#[test]
fn help_that_cannot_be_written_is_an_error() {
    for arguments in
        ["--help", "plan --help", "plan -h", "--version", "completions bash", "simulate --print-example"]
    {
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let output = notifier(arguments).command().stdout(full).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{arguments}: {stderr}");
        assert!(
            stderr.starts_with("error: the output cannot be written\n  because: "),
            "{arguments}: {stderr}"
        );
    }
}
