//! Labels, right and wrong.

use super::*;

/// `labels` as `PORT=8080 PATH=/x`, without the common prefix of the names.
fn check(labels: &str, expected: Result<Option<&str>, &str>) {
    let labels: HashMap<String, String> = labels
        .split_terminator(' ')
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap();
            let name = match name {
                "PORT" => PORT,
                "PATH" => PATH,
                "SCHEME" => SCHEME,
                "METHOD" => METHOD,
                "MODE" => CONTENT_MODE,
                "NAME" => SERVER_NAME,
                other => other,
            };
            (name.to_owned(), value.replace('_', " ").replace("\\n", "\n"))
        })
        .collect();
    let read = target(&labels)
        .map(|found| {
            found.map(|t| format!("{} {}:{}{}", t.method.as_str(), t.scheme.as_str(), t.port, t.path))
        })
        .map_err(|e| e.to_string());
    assert_eq!(read, expected.map(|e| e.map(str::to_owned)).map_err(str::to_owned), "{labels:?}");
}

#[test]
fn opting_in_takes_two_valid_labels() {
    check("", Ok(None));
    check("other=1", Ok(None));
    check("PORT=8080 PATH=/v1.0/notify", Ok(Some("POST http:8080/v1.0/notify")));
    check("PORT=1 PATH=/?a=b%20c SCHEME=https METHOD=GET", Ok(Some("GET https:1/?a=b%20c")));
}

#[test]
fn a_misspelt_label_is_a_mistake_and_not_an_opt_out() {
    let check = |names: &[&str], expected: &str| {
        let labels: HashMap<String, String> =
            names.iter().map(|name| ((*name).to_owned(), "x".to_owned())).collect();
        assert!(opt_in(&labels).is_some(), "{names:?}");
        assert_eq!(target(&labels).unwrap_err().to_string(), expected, "{names:?}");
    };
    for (wrong, near) in [
        ("NOTIFY_ME_CONTAINERPORT", PORT),
        ("NOTIFY_ME_PORT", PORT),
        ("notify_me_container_port", PORT),
        ("NOTIFYME_CONTAINER_PORT", PORT),
        ("NOTIFY_ME_API_URL", PATH),
        ("notify-me-api-uri", PATH),
        ("NOTFIY_ME_API_URI", PATH),
        ("NOTIFY_ME_METHDO", METHOD),
        ("NOTIFY_ME_SHEME", SCHEME),
        ("NOTIFY_ME_SERVERNAME", SERVER_NAME),
        ("NOTIFY_ME_MODE", CONTENT_MODE),
    ] {
        check(&[wrong], &format!("label `{wrong}` is unknown; did you mean {near}?"));
        check(&[PORT, PATH, wrong], &format!("label `{wrong}` is unknown; did you mean {near}?"));
    }
    let all = ALL.join(", ");
    for wrong in ["NOTIFY_ME_", "NOTIFY_ME_RETRIES", "NOTIFY_ME_\u{1b}[2J"] {
        let shown = quoted(wrong);
        check(&[PORT, PATH, wrong], &format!("label `{shown}` is unknown; the labels are {all}"));
    }
    // The reason names the same label of several each time.
    check(
        &["NOTIFY_ME_CONTAINERPORT", "NOTIFY_ME_API_URL"],
        "label `NOTIFY_ME_API_URL` is unknown; did you mean NOTIFY_ME_API_URI?",
    );
}

#[test]
fn the_optional_labels_alone_or_with_another_word_are_a_mistake() {
    check(
        "PORT=80 PATH=/ MODE=batch",
        Err("label NOTIFY_ME_CONTENT_MODE: `batch` is neither `structured` nor `binary`"),
    );
    check("METHOD=GET", Err("label NOTIFY_ME_METHOD is set, but NOTIFY_ME_CONTAINER_PORT is missing"));
    check("MODE=binary", Err("label NOTIFY_ME_CONTENT_MODE is set, but NOTIFY_ME_CONTAINER_PORT is missing"));
    let found = opt_in(&HashMap::from([(METHOD.to_owned(), "GET".to_owned())])).unwrap();
    assert_eq!(found.labels, Labels::new("", ""));
}

#[test]
fn labels_of_others_opt_nobody_in() {
    for name in ["NOTIFY", "com.example.notify", "NOTIFY_YOU_PORT", "CONTAINER_PORT", "API_URI", ""] {
        assert_eq!(opt_in(&HashMap::from([(name.to_owned(), "80".to_owned())])), None, "{name}");
    }
}

#[test]
fn a_certificate_is_asked_for_by_a_dns_name_and_over_tls_only() {
    let labels = |name: &str, scheme: &str| {
        let pairs = [(PORT, "80"), (PATH, "/"), (SCHEME, scheme), (SERVER_NAME, name)];
        target(&pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into())
    };
    for name in ["web", "web.internal", "a-b.example.com", "1.example"] {
        let found = labels(name, "https").unwrap().unwrap();
        assert_eq!(found.server_name.as_deref(), Some(name));
    }
    for name in [
        "", ".", "a..b", "-a", "a-", "a.", "10.0.0.1", "::1", "[::1]", "a b", "a/b", "a:443", "a@b", "*.a",
        "ä", "a_b", "a\n", "a\0",
    ] {
        let wrong = labels(name, "https").unwrap_err().to_string();
        assert!(wrong.ends_with("` is not a DNS name"), "{name:?}: {wrong}");
    }
    assert!(labels(&"a".repeat(64), "https").is_err() && labels(&"a.".repeat(200), "https").is_err());
    let wrong = labels("web", "http").unwrap_err().to_string();
    assert_eq!(wrong, "label NOTIFY_ME_SERVER_NAME: `web` needs NOTIFY_ME_SCHEME to be `https`");
}

#[test]
fn a_long_label_is_shortened_in_the_error() {
    let long = "x".repeat(10_000);
    assert!(check_path(&long).unwrap_err().to_string().len() < 200);
    assert!(check_path(&format!("/{long}")).unwrap_err().to_string().ends_with("is longer than 2048 bytes"));
}

#[test]
fn the_labels_are_kept_as_written_but_not_at_length() {
    let labels = |port: &str, path: &str| {
        let pairs = [(PORT, port), (PATH, path)].map(|(name, value)| (name.to_owned(), value.to_owned()));
        opt_in(&HashMap::from(pairs)).unwrap()
    };
    let found = labels("8080", "/x");
    assert_eq!((found.labels.port.as_str(), found.labels.path.as_str()), ("8080", "/x"));
    let found = labels(&"1".repeat(60_000), &"é".repeat(60_000));
    assert_eq!((found.labels.port.len(), found.labels.path.len()), (17, 2048));
    assert!(found.target.is_err());
}

proptest::proptest! {
    /// Whatever the label, a path that is accepted can only ever name a resource of the host it is sent to.
    #[test]
    fn an_accepted_path_is_a_path_to_every_parser(path in "[/\\\\@#?%.a-z\u{0}-\u{20}é]{0,12}") {
        if check_path(&path).is_ok() {
            let uri: http::Uri = format!("http://10.0.0.1:80{path}").parse().unwrap();
            proptest::prop_assert_eq!(uri.host(), Some("10.0.0.1"));
            proptest::prop_assert_eq!(uri.path_and_query().unwrap().as_str(), path.as_str());
        }
    }
}
