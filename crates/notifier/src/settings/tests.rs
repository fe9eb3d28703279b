//! Values of settings, and the errors of wrong ones.

use super::layers::unknown_variables;
use super::*;
use crate::deliver::Signing;
use crate::secrets::SecretRef;
use crate::store::Location;

fn flags(pairs: &[(&'static str, &str)]) -> Flags {
    pairs.iter().map(|(name, value)| (*name, (*value).to_owned())).collect()
}

/// Settings out of flags, environment variables and the text of a file called `n.toml`.
fn load(flags: &Flags, variables: &[(&str, &str)], toml: &str) -> Result<Settings, Vec<String>> {
    let environment: Environment = variables.iter().copied().collect();
    let (file, errors) = File::read("n.toml".into(), toml.parse().unwrap());
    let layers = Layers { flags, environment: &environment, file: &file };
    Settings::resolve(&layers, &[], errors).map_err(|m| m.0.iter().map(ToString::to_string).collect())
}

/// The one complaint about one environment variable.
fn complaint(variable: &str, value: &str) -> String {
    let errors = load(&flags(&[]), &[(variable, value)], "").unwrap_err();
    assert_eq!(errors.len(), 1, "{errors:?}");
    errors.concat()
}

#[test]
fn a_flag_wins_over_the_environment_and_that_over_the_file_and_that_over_the_default() {
    let toml = "timeout_ms = 3000\nattempts = 7\nconcurrency = \"9\"";
    let variables = [("NOTIFIER_TIMEOUT_MS", "2000"), ("NOTIFIER_ATTEMPTS", "6"), ("NOTIFIER_HEALTH", "")];
    let settings = load(&flags(&[("timeout_ms", "1000")]), &variables, toml).unwrap();
    assert_eq!(settings.delivery.timeout, Duration::from_secs(1));
    assert_eq!(settings.delivery.attempts, 6);
    assert_eq!(settings.delivery.concurrency, 9);
    assert_eq!(settings.health, HealthPolicy::Detect);
}

#[test]
fn numbers_keep_to_their_range() {
    for value in ["0", "21", "-1", "+4", "4.0", "four", "99999999999"] {
        let says = complaint("NOTIFIER_ATTEMPTS", value);
        assert_eq!(says, format!("NOTIFIER_ATTEMPTS: `{value}` is not a whole number from 1 to 20"));
    }
    let settings = load(&flags(&[]), &[("NOTIFIER_ATTEMPTS", " 20 ")], "").unwrap();
    assert_eq!(settings.delivery.attempts, 20);
}

#[test]
fn a_share_of_the_budget_may_have_decimals() {
    for (variables, toml, expected) in [
        (&[("NOTIFIER_AWS_BUDGET_PERCENT", "0.01")][..], "", 0.01),
        (&[("NOTIFIER_AWS_BUDGET_PERCENT", " 0.8771929824561403 ")], "", 0.877_192_982_456_140_3),
        (&[("NOTIFIER_AWS_BUDGET_PERCENT", "100")], "", 100.0),
        (&[], "aws_budget_percent = 12.5", 12.5),
        (&[], "aws_budget_percent = '12.5'", 12.5),
    ] {
        let percent = load(&flags(&[]), variables, toml).unwrap().aws_budget_percent;
        assert!((percent - expected).abs() < f64::EPSILON, "{percent} is not {expected}");
    }
    for value in ["0", "0.009", "100.01", "-1", "+5", "1e1", "NaN", "inf", "5%", "."] {
        let says = complaint("NOTIFIER_AWS_BUDGET_PERCENT", value);
        let expected = "is not a number from 0.01 to 100, such as `12.5`";
        assert_eq!(says, format!("NOTIFIER_AWS_BUDGET_PERCENT: `{value}` {expected}"));
    }
}

#[test]
fn networks_are_a_list_in_either_form() {
    for (variables, toml) in [
        (&[("NOTIFIER_ALLOW_NETWORKS", "10.0.0.0/8, fc00::/7")][..], ""),
        (&[], "allow_networks = ['10.0.0.0/8', 'fc00::/7']"),
    ] {
        let settings = load(&flags(&[]), variables, toml).unwrap();
        assert_eq!(settings.allow_networks.to_string(), "10.0.0.0/8,fc00::/7");
    }
    let says = complaint("NOTIFIER_ALLOW_NETWORKS", "10.0.0.0/8,tasks");
    assert!(says.starts_with("NOTIFIER_ALLOW_NETWORKS: ") && says.contains("tasks"), "{says}");
}

#[test]
fn roles_are_a_list_with_one_external_id() {
    const ROLE: &str = "arn:aws:iam::444455556666:role/notify";
    for (variables, toml) in [
        (&[("NOTIFIER_ROLES", ROLE), ("NOTIFIER_ROLE_EXTERNAL_ID", "shop/1")][..], ""),
        (&[], "roles = ['arn:aws:iam::444455556666:role/notify']\nrole_external_id = 'shop/1'"),
    ] {
        let roles = load(&flags(&[]), variables, toml).unwrap().roles;
        assert_eq!((roles.of("444455556666"), roles.of("111122223333")), (Some(ROLE), None));
        assert_eq!(roles.external_id(), Some("shop/1"));
    }
    assert_eq!(load(&flags(&[]), &[], "").unwrap().roles, Roles::default());
    assert_eq!(
        complaint("NOTIFIER_ROLES", "arn:aws:iam::444455556666:user/anna"),
        "NOTIFIER_ROLES: `arn:aws:iam::444455556666:user/anna` is not the ARN of a role, such as \
         `arn:aws:iam::111122223333:role/NAME`"
    );
    assert_eq!(
        complaint("NOTIFIER_ROLES", &format!("{ROLE},{ROLE}")),
        "NOTIFIER_ROLES: account 444455556666 has two roles; each account needs one"
    );
    assert_eq!(
        complaint("NOTIFIER_ROLE_EXTERNAL_ID", "a b"),
        "NOTIFIER_ROLE_EXTERNAL_ID: `a b` is not an external id of 2 to 1224 letters, digits and `_+=,.@:/-`"
    );
}

#[test]
fn the_defaults_are_those_of_the_library() {
    let settings = load(&flags(&[]), &[], "").unwrap();
    assert_eq!(settings.allow_networks, Networks::default());
    assert_eq!(settings.delivery, deliver::DeliveryOptions::default());
    assert_eq!(settings.health, HealthPolicy::default());
    assert!((settings.aws_budget_percent - crate::aws::budget::PERCENT_DEFAULT).abs() < f64::EPSILON);
}

#[test]
fn a_ledger_is_a_table_a_file_or_none() {
    let of = |value| load(&flags(&[]), &[("NOTIFIER_LEDGER", value)], "").unwrap().ledger.location;
    assert_eq!(of("none"), Location::None);
    assert_eq!(of("dynamodb:notifications"), Location::DynamoDb("notifications".to_owned()));
    assert_eq!(of("sqlite:/var/lib/n.db"), Location::Sqlite("/var/lib/n.db".into()));
    for value in ["dynamodb:", "redis:x", "sqlite"] {
        assert_eq!(
            complaint("NOTIFIER_LEDGER", value),
            format!("NOTIFIER_LEDGER: `{value}` is not `dynamodb:TABLE`, `sqlite:PATH` or `none`")
        );
    }
}

#[test]
fn a_value_that_a_stronger_one_hides_is_checked_too() {
    let errors = load(
        &flags(&[("attempts", "5")]),
        &[("NOTIFIER_ATTEMPTS", "many"), ("NOTIFIER_TIMEOUT_MS", "100")],
        "attempts = 0\ntimeout_ms = 'soon'\nhealth = 'maybe'",
    );
    assert_eq!(
        errors.unwrap_err(),
        [
            "health in n.toml: `maybe` is not `detect`, `require` or `ignore`",
            "timeout_ms in n.toml: `soon` is not a whole number from 1 to 600000",
            "NOTIFIER_ATTEMPTS: `many` is not a whole number from 1 to 20",
            "attempts in n.toml: `0` is not a whole number from 1 to 20",
        ]
    );
}

#[test]
fn a_queue_url_is_read_strictly() {
    for (url, says) in [
        ("https://sqs.eu-west-1.amazonaws.com:99999/1/q", "`99999` is not a port (1-65535)"),
        ("sqs.eu-west-1.amazonaws.com/1/q", "is not the URL of an SQS queue"),
        ("https://sqs.eu-west-1.amazonaws.com/", "is not the URL of an SQS queue"),
        ("https://sqs.eu-west-1.amazonaws.com/1/q?x=1", "is not the URL of an SQS queue"),
        ("arn:aws:sqs:eu-west-1:111122223333:q", "is an ARN; the URL of a queue looks like https://sqs."),
    ] {
        let mistake = complaint("NOTIFIER_TASKS_QUEUE_URL", url);
        assert!(mistake.starts_with("NOTIFIER_TASKS_QUEUE_URL: ") && mistake.contains(says), "{mistake}");
    }
}

#[test]
fn only_a_near_name_is_suggested() {
    let warning = |name: &str| unknown_variables(&[(name, "x")].into_iter().collect()).concat();
    for (name, meant) in [
        ("NOTIFIER_HELTH", "NOTIFIER_HEALTH"),
        ("NOTIFIER_LEDGR", "NOTIFIER_LEDGER"),
        ("NOTIFIER_TIMEOUT", "NOTIFIER_TIMEOUT_MS"),
        ("NOTIFIER_SINGING_SECRET", "NOTIFIER_SIGNING_SECRET"),
        ("NOTIFIER_CONFG", "NOTIFIER_CONFIG"),
    ] {
        assert_eq!(warning(name), format!("{name}: unknown setting; did you mean {meant}?"));
    }
    for name in ["NOTIFIER_TYPO", "NOTIFIER_X", "NOTIFIER_", "NOTIFIER_QUEUE", "NOTIFIER_KEY"] {
        assert_eq!(warning(name), format!("{name}: unknown setting"));
    }
}

#[test]
fn every_setting_of_the_table_is_read_and_its_default_is_right() {
    assert!(load(&flags(&[]), &[], "").is_ok());
    for setting in table::ALL {
        let says = complaint(&setting.variable(), "\u{1}");
        assert!(says.starts_with(&setting.variable()), "{says}");
    }
}

#[test]
fn secrets_are_named_and_never_repeated() {
    let material = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let key = &format!("whsec_{material}");
    for variable in ["NOTIFIER_SIGNING_SECRET", "NOTIFIER_HEADERS_SECRET", "NOTIFIER_TLS_CA"] {
        for text in [key, &format!("env:{key}"), &format!("file:/a\n{key}"), &format!("x{key}")] {
            let says = complaint(variable, text);
            assert!(says.starts_with(&format!("{variable}: ")) && !says.contains(material), "{says}");
        }
    }
    let says = complaint("NOTIFIER_SIGNING_SECRETS", &format!("web=env:A,api={key}"));
    assert!(says.starts_with("NOTIFIER_SIGNING_SECRETS: pair 2: this is the key itself"), "{says}");
    assert!(!says.contains(material), "{says}");
    let errors = load(&flags(&[]), &[], &format!("signing_secret = {{ value = '{key}' }}")).unwrap_err();
    assert!(!errors.concat().contains(material), "{errors:?}");
}

#[test]
fn each_service_may_have_secrets_of_its_own() {
    let variables = [
        ("NOTIFIER_SIGNING_SECRET", "file:/a, env:B"),
        ("NOTIFIER_SIGNING_SECRETS", "web=env:C, api=ssm:/d,web=file:/e"),
    ];
    let trust = load(&flags(&[]), &variables, "").unwrap().auth;
    let text =
        |references: &[SecretRef]| references.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    let Signing::By(signing) = trust.signing else { panic!("{trust:?}") };
    assert_eq!(text(&signing), "file:/a env:B");
    let services: Vec<_> =
        trust.signing_of_services.iter().map(|(name, all)| (name.as_str(), text(all))).collect();
    assert_eq!(services, [("api", "ssm:/d".to_owned()), ("web", "env:C file:/e".to_owned())]);
    let unsigned = load(&flags(&[]), &[("NOTIFIER_SIGNING_SECRET", "none")], "").unwrap().auth;
    assert_eq!(unsigned.signing, Signing::Off);
    assert_eq!(load(&flags(&[]), &[], "").unwrap().auth.signing, Signing::Undecided);
}

#[test]
fn a_certificate_needs_its_key() {
    assert_eq!(
        complaint("NOTIFIER_TLS_CERTIFICATE", "file:/a"),
        "NOTIFIER_TLS_KEY is not set, and neither is --tls-key"
    );
    assert_eq!(
        complaint("NOTIFIER_TLS_KEY", "file:/a"),
        "NOTIFIER_TLS_CERTIFICATE is not set, and neither is --tls-certificate"
    );
}

#[test]
fn a_registry_needs_clusters_and_a_ledger() {
    const QUEUE: (&str, &str) = ("NOTIFIER_REGISTRY_QUEUE_URL", "http://127.0.0.1/1/registry");
    const LEDGER: (&str, &str) = ("NOTIFIER_LEDGER", "dynamodb:table");
    let of = |variables: &[(&str, &str)]| load(&flags(&[]), variables, "");
    let none = of(&[]).unwrap().registry;
    assert!(none.clusters.is_empty());
    assert_eq!(none.sweep, crate::fleet::registry::SWEEP_DEFAULT);
    let variables =
        [QUEUE, LEDGER, ("NOTIFIER_REGISTRY_CLUSTERS", "prod, *"), ("NOTIFIER_REGISTRY_SWEEP", "90s")];
    let registry = of(&variables).unwrap().registry;
    assert_eq!((registry.clusters.to_string().as_str(), registry.sweep.as_secs()), ("prod,*", 90));
    let file = load(&flags(&[]), &[LEDGER], "registry_clusters = ['a', 'b']\nregistry_sweep = '1h'")
        .unwrap()
        .registry;
    assert_eq!(
        (file.clusters.entries(), file.sweep.as_secs()),
        (&["a".to_owned(), "b".to_owned()][..], 3_600)
    );
    assert_eq!(
        of(&[QUEUE, LEDGER]).unwrap_err(),
        ["NOTIFIER_REGISTRY_CLUSTERS is not set, and neither is --registry-clusters"]
    );
    assert_eq!(
        complaint("NOTIFIER_REGISTRY_CLUSTERS", "prod"),
        "NOTIFIER_REGISTRY_CLUSTERS: it needs a ledger, whose table it uses, but NOTIFIER_LEDGER is `none`"
    );
    for (value, problem) in [
        ("10", "`10` is not a time from `1m` to `1d`, such as `90s`, `10m` or `1h`"),
        ("59s", "`59s` is not a time from `1m` to `1d`, such as `90s`, `10m` or `1h`"),
        ("25h", "`25h` is not a time from `1m` to `1d`, such as `90s`, `10m` or `1h`"),
        ("+5m", "`+5m` is not a time from `1m` to `1d`, such as `90s`, `10m` or `1h`"),
        (
            "5124095576030432h",
            "`5124095576030432h` is not a time from `1m` to `1d`, such as `90s`, `10m` or `1h`",
        ),
    ] {
        assert_eq!(
            complaint("NOTIFIER_REGISTRY_SWEEP", value),
            format!("NOTIFIER_REGISTRY_SWEEP: {problem}")
        );
    }
    let says = of(&[LEDGER, ("NOTIFIER_REGISTRY_CLUSTERS", "a b")]).unwrap_err();
    let expected = "NOTIFIER_REGISTRY_CLUSTERS: `a b` is neither the name nor the ARN of a cluster, nor `*`";
    assert_eq!(says, [expected]);
}
