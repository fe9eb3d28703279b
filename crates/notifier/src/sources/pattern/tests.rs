use serde_json::{Value, json};

use super::*;

fn parse(pattern: &Value) -> Pattern {
    Pattern::parse(&pattern.to_string()).unwrap_or_else(|error| panic!("{pattern}: {error}"))
}

/// One field's conditions, with values that match and values that do not.
fn check(conditions: &Value, matching: &[Value], others: &[Value]) {
    let pattern = parse(&json!({ "a": conditions }));
    for (values, expected) in [(matching, true), (others, false)] {
        for value in values {
            let event = json!({ "a": value });
            assert_eq!(pattern.matches(&event), expected, "{conditions} and {event}");
            assert_eq!(pattern.explain(&event).is_none(), expected, "{conditions} and {event}");
        }
    }
}

#[test]
fn exact_values_match_by_type_and_value() {
    check(
        &json!(["x", ""]),
        &[json!("x"), json!(""), json!(["y", "x"])],
        &[json!("X"), json!(null), json!([])],
    );
    check(
        &json!([1, 2.5]),
        &[json!(1), json!(1.0), json!(2.5)],
        &[json!("1"), json!(true), json!(1.000_000_1)],
    );
    check(&json!([true]), &[json!(true)], &[json!("true"), json!(1), json!(false)]);
    check(&json!([null]), &[json!(null)], &[json!("null"), json!(0), json!({}), json!("")]);
    check(&json!([{"exactly": "x"}]), &[json!("x")], &[json!("xx")]);
    // Account numbers and ids that no double holds.
    check(
        &json!([9_007_199_254_740_993_u64]),
        &[json!(9_007_199_254_740_993_u64)],
        &[json!(9_007_199_254_740_992_u64), json!(9_007_199_254_740_992.0)],
    );
    check(&json!([18_446_744_073_709_551_615_u64]), &[json!(18_446_744_073_709_551_615_u64)], &[json!(-1)]);
}

#[test]
fn an_exact_ip_address_matches_every_text_of_it() {
    check(&json!(["::1"]), &[json!("::1"), json!("0:0:0:0:0:0:0:1")], &[json!("::2"), json!("1")]);
    check(&json!(["10.0.0.1"]), &[json!("10.0.0.1"), json!("010.0.0.01")], &[json!("10.0.0.2")]);
    check(&json!([{"exactly": "10.0.0.1"}]), &[json!("10.0.0.1")], &[json!("010.0.0.1")]);
}

#[test]
fn operators_on_text_match_only_text() {
    let others = [json!(5), json!(null), json!(true), json!({}), json!([])];
    for operator in [
        json!({"prefix": "pri"}),
        json!({"suffix": "ces"}),
        json!({"equals-ignore-case": "PRICES"}),
        json!({"prefix": {"equals-ignore-case": "PRI"}}),
        json!({"suffix": {"equals-ignore-case": "CES"}}),
        json!({"wildcard": "p*c*s"}),
        json!({"prefix": ""}),
        json!({"wildcard": "*"}),
    ] {
        check(&json!([operator]), &[json!("prices"), json!([1, "prices"])], &others);
    }
    check(
        &json!([{"prefix": "a"}, {"suffix": "b"}]),
        &[json!("ax"), json!("xb")],
        &[json!("ba"), json!("Ax")],
    );
}

#[test]
fn ignoring_case_takes_each_character_in_lower_or_upper_case() {
    check(
        &json!([{"equals-ignore-case": "straße"}]),
        &[json!("STRASSE"), json!("straße"), json!("StraSSe")],
        &[json!("strasse"), json!("STRASS"), json!("STRASSEN")],
    );
    check(&json!([{"prefix": {"equals-ignore-case": "ß"}}]), &[json!("SSx"), json!("ßx")], &[json!("ssx")]);
    check(&json!([{"suffix": {"equals-ignore-case": "ß"}}]), &[json!("xSS"), json!("xß")], &[json!("xss")]);
    check(&json!([{"equals-ignore-case": ""}]), &[json!("")], &[json!("x")]);
}

/// `IgnoreCase` takes the first case that fits, which is right only if no other could fit too.
#[test]
fn of_the_two_cases_of_a_character_neither_begins_or_ends_with_the_other() {
    for c in '\0'..=char::MAX {
        let (lower, upper): (String, String) = (c.to_lowercase().collect(), c.to_uppercase().collect());
        if lower != upper {
            let nested = |a: &str, b: &str| a.starts_with(b) || a.ends_with(b);
            assert!(!nested(&lower, &upper) && !nested(&upper, &lower), "{c:?}: {lower:?} {upper:?}");
        }
    }
}

#[test]
fn wildcards_match_any_characters_and_escapes_match_themselves() {
    check(
        &json!([{"wildcard": "*/2026-*/*.json"}]),
        &[json!("a/2026-11/b.json"), json!("/2026-/.json"), json!("a/b/2026-/2026-1/c/.json.json")],
        &[json!("2026-11/b.json"), json!("a/2026-11/b.jsonx"), json!("a/2026-11.json")],
    );
    check(
        &json!([{"wildcard": r"a\*b\\*"}]),
        &[json!(r"a*b\"), json!(r"a*b\c")],
        &[json!(r"axb\"), json!("a*b")],
    );
    check(&json!([{"wildcard": "ab*ba"}]), &[json!("abba"), json!("abxba")], &[json!("aba")]);
    check(&json!([{"wildcard": "*aa*aa*"}]), &[json!("aaaa")], &[json!("aaa")]);
    check(&json!([{"wildcard": "plain"}]), &[json!("plain")], &[json!("plain2")]);
    check(&json!([{"wildcard": "ä*ö"}]), &[json!("äö"), json!("äüö")], &[json!("ao")]);
}

#[test]
fn anything_but_matches_any_other_leaf() {
    let any = [json!(1), json!(null), json!(true), json!(["x", "y"])];
    check(&json!([{"anything-but": "x"}]), &any, &[json!("x"), json!(["x", "x"]), json!({}), json!([])]);
    check(&json!([{"anything-but": ["x", "z"]}]), &any, &[json!("x"), json!("z")]);
    check(&json!([{"anything-but": 5}]), &[json!(6), json!("5"), json!(null)], &[json!(5), json!(5.0)]);
    check(&json!([{"anything-but": [5, 6]}]), &[json!(7), json!("5")], &[json!(5), json!(6)]);
    check(&json!([{"anything-but": {"prefix": "x"}}]), &[json!("y"), json!(1)], &[json!("xy")]);
    check(&json!([{"anything-but": {"prefix": ["x", "y"]}}]), &[json!("z")], &[json!("xz"), json!("yz")]);
    check(&json!([{"anything-but": {"suffix": ["x", "y"]}}]), &[json!("z")], &[json!("zx"), json!("zy")]);
    check(
        &json!([{"anything-but": {"equals-ignore-case": ["X", "y"]}}]),
        &[json!("z"), json!("xx")],
        &[json!("x"), json!("Y")],
    );
    check(&json!([{"anything-but": {"wildcard": "*/tmp/*"}}]), &[json!("a/b")], &[json!("a/tmp/b")]);
}

#[test]
fn numbers_are_compared_as_doubles_if_a_double_holds_them() {
    check(&json!([{"numeric": ["=", 300]}]), &[json!(300), json!(3e2)], &[json!(300.1), json!("300")]);
    check(
        &json!([{"numeric": [">", 0, "<=", 5]}]),
        &[json!(5), json!(0.1), json!([9, 1])],
        &[json!(0), json!(5.1), json!("1"), json!(null)],
    );
    check(&json!([{"numeric": ["<", 10]}]), &[json!(-1e300)], &[json!(10)]);
    check(&json!([{"numeric": [">=", -1.5]}]), &[json!(-1.5), json!(1e300)], &[json!(-1.6)]);
    check(
        &json!([{"numeric": [">", 0]}]),
        &[json!(9_007_199_254_740_992_u64)],
        &[json!(9_007_199_254_740_993_u64)],
    );
}

#[test]
fn exists_asks_for_a_leaf() {
    let leaves = [json!(null), json!(""), json!(0), json!(false), json!([[], ["x"]])];
    let others = [json!({}), json!({"b": 1}), json!([]), json!([{"b": 1}])];
    check(&json!([{"exists": true}]), &leaves, &others);
    check(&json!([{"exists": false}]), &others, &leaves);
    assert!(parse(&json!({"a": [{"exists": false}]})).matches(&json!({"b": 1})));
    assert!(parse(&json!({"a": {"b": [{"exists": false}]}})).matches(&json!({"a": "text"})));
    assert!(parse(&json!({"a": ["x", {"exists": false}]})).matches(&json!({})));
}

#[test]
fn cidr_matches_addresses_of_the_network() {
    check(
        &json!([{"cidr": "10.0.0.5/24"}]),
        &[json!("10.0.0.255"), json!("010.0.0.1")],
        &[json!("10.0.1.0"), json!("::a00:1"), json!("10.0.0"), json!("10.0.0.1/32"), json!(167_772_161)],
    );
    check(
        &json!([{"cidr": "2001:db8::/32"}]),
        &[json!("2001:DB8::1")],
        &[json!("2001:db9::1"), json!("fe80::1%eth0")],
    );
    check(&json!([{"cidr": "0.0.0.0/0"}]), &[json!("255.255.255.255")], &[json!("256.0.0.1"), json!("::1")]);
}

#[test]
fn a_field_inside_and_outside_of_or_keeps_the_last_condition() {
    let inside_last = Pattern::parse(r#"{"a":["1"],"$or":[{"a":["2"]},{"b":["3"]}]}"#).unwrap();
    let outside_last = Pattern::parse(r#"{"$or":[{"a":["2"]},{"b":["3"]}],"a":["1"]}"#).unwrap();
    for (event, inside, outside) in [
        (json!({"a": "1"}), false, true),
        (json!({"a": "2"}), true, false),
        (json!({"a": "1", "b": "3"}), true, true),
    ] {
        assert_eq!((inside_last.matches(&event), outside_last.matches(&event)), (inside, outside), "{event}");
    }
}

#[test]
fn or_is_nested_and_combined() {
    let pattern = parse(&json!({
        "source": ["aws.cloudwatch"],
        "$or": [
            {"metricName": ["CPUUtilization"]},
            {"detail": {"$or": [{"x": [{"numeric": [">", 5]}]}, {"y": ["z"]}]}},
        ],
    }));
    for (event, expected) in [
        (json!({"source": "aws.cloudwatch", "metricName": "CPUUtilization"}), true),
        (json!({"source": "aws.cloudwatch", "detail": {"x": 6}}), true),
        (json!({"source": "aws.cloudwatch", "detail": {"y": "z"}}), true),
        (json!({"source": "aws.cloudwatch", "detail": {"x": 5}}), false),
        (json!({"detail": {"y": "z"}}), false),
    ] {
        assert_eq!(pattern.matches(&event), expected, "{event}");
    }
}

#[test]
fn or_that_is_not_the_operator_is_a_field() {
    let pattern = parse(&json!({"$or": ["x", "y"]}));
    assert!(pattern.matches(&json!({"$or": "x"})) && !pattern.matches(&json!({"a": "x"})));
    let one = parse(&json!({"$or": [{"prefix": "x"}]}));
    assert!(one.matches(&json!({"$or": "xy"})));
    let operators = parse(&json!({"$or": [{"prefix": "x"}, {"suffix": "y"}]}));
    assert!(operators.matches(&json!({"$or": "zy"})));
}

#[test]
fn fields_of_an_object_match_within_one_element() {
    let pattern = parse(&json!({"u": {"t": {"k": ["color"], "v": ["blue"]}, "n": [{"exists": true}]}}));
    for (event, expected) in [
        (json!({"u": [{"t": [{"k": "color", "v": "blue"}], "n": 1}]}), true),
        (json!({"u": [{"t": [{"k": "color"}, {"v": "blue"}], "n": 1}]}), false),
        (json!({"u": [{"t": {"k": "color", "v": "blue"}}, {"n": 1}]}), false),
        (json!({"u": [[{"t": {"k": "color", "v": ["red", "blue"]}, "n": null}]]}), true),
    ] {
        assert_eq!(pattern.matches(&event), expected, "{event}");
    }
}

#[test]
fn a_dot_in_a_name_separates_names() {
    let nested = parse(&json!({"labels": {"app.kubernetes.io/name": ["shop"], "tier": ["web"]}}));
    for event in [
        json!({"labels": {"app.kubernetes.io/name": "shop", "tier": "web"}}),
        json!({"labels": {"app": {"kubernetes": {"io/name": "shop"}}, "tier": "web"}}),
        json!({"labels.app": {"kubernetes.io/name": "shop"}, "labels": {"tier": "web"}}),
    ] {
        assert!(nested.matches(&event), "{event}");
    }
    let both = parse(&json!({"a": {"b": ["x"]}}));
    assert!(
        both.matches(&json!({"a.b": "x", "a": {"b": "y"}}))
            && both.matches(&json!({"a.b": "y", "a": {"b": "x"}}))
    );
    // A name of a hundred thousand dots must not become a tree of that depth.
    let dots = ".".repeat(100_000);
    assert!(!both.matches(&json!({ dots: "x" })));
}

#[test]
fn wrong_patterns_are_refused_with_the_path() {
    for (pattern, says) in [
        (r#"{"a":"x"}"#, "`a`: must be an object or an array, not text"),
        (r#"{"a":{"b":{}}}"#, "`a.b`: empty objects are not allowed"),
        (r#"{"a":{"b":[]}}"#, "`a.b`: empty arrays are not allowed"),
        ("{}", "empty objects are not allowed"),
        ("[]", "must be an object, not an array"),
        ("{", "the pattern is not JSON: EOF while parsing an object at line 1 column 1"),
        (r#"{"a":[["x"]]}"#, "`a`: a value must be text, a number, true, false or null, not an array"),
        (r#"{"a":[{"begins":"x"}]}"#, "`a`: `begins` is not an operator"),
        (r#"{"a":[{}]}"#, "`a`: an expression without an operator"),
        (r#"{"a":[{"prefix":"x","suffix":"y"}]}"#, "`a`: only one operator is allowed in an expression"),
        (r#"{"a":[{"prefix":5}]}"#, "`a`: `prefix` takes text, not a number"),
        (r#"{"a":[{"prefix":{"suffix":"x"}}]}"#, "`a`: `prefix` cannot contain `suffix`"),
        (r#"{"a":[{"wildcard":"a**b"}]}"#, "`a`: `wildcard` cannot contain `**`"),
        (
            r#"{"a":[{"wildcard":"a\\b"}]}"#,
            "`a`: a backslash of `wildcard` must stand before `*` or a backslash",
        ),
        (r#"{"a":[{"exists":"true"}]}"#, "`a`: `exists` must be either true or false"),
        (r#"{"a":[{"cidr":"10.0.0.0/32"}]}"#, "`a`: the bits of `cidr` must be from 0 to 31"),
        (r#"{"a":[{"cidr":"10.0.0.0"}]}"#, "`a`: `cidr` takes an address, `/` and a number of bits"),
        (r#"{"a":[{"cidr":"host/8"}]}"#, "`a`: `cidr` does not begin with an IP address"),
        (
            r#"{"a":[{"numeric":[">",5,"<",5]}]}"#,
            "`a`: the lower limit of `numeric` must be less than the upper limit",
        ),
        (r#"{"a":[{"numeric":["<",5,">",1]}]}"#, "`a`: `numeric` ends after `<` and its number"),
        (r#"{"a":[{"numeric":["!",5]}]}"#, "`a`: `!` is not an operator of `numeric`"),
        (r#"{"a":[{"numeric":["=","5"]}]}"#, "`a`: `=` of `numeric` takes a number"),
        (
            r#"{"a":[{"numeric":["=",9007199254740993]}]}"#,
            "`a`: the number 9007199254740993 cannot be compared: it has too many digits",
        ),
        (
            r#"{"a":[{"anything-but":true}]}"#,
            "`a`: `anything-but` takes text, a number, an array of them, or one operator, not a boolean",
        ),
        (
            r#"{"a":[{"anything-but":["x",5]}]}"#,
            "`a`: an array of `anything-but` contains either texts or numbers, at least one",
        ),
        (
            r#"{"a":[{"anything-but":[]}]}"#,
            "`a`: an array of `anything-but` contains either texts or numbers, at least one",
        ),
        (r#"{"a":[{"anything-but":{"numeric":["=",5]}}]}"#, "`a`: `anything-but` cannot contain `numeric`"),
        (
            r#"{"a":[{"anything-but":{"prefix":""}}]}"#,
            "`a`: an empty `prefix` is not allowed in `anything-but`",
        ),
        (r#"{"d":{"$or":[{"a":["x"]}]}}"#, "`d`: `$or` must contain at least 2 objects"),
        (
            r#"{"$or":[{"a":["x"]},{"prefix":["y"]}]}"#,
            "`prefix`: is the name of an operator, which must not be a field inside `$or`",
        ),
    ] {
        assert_eq!(Pattern::parse(pattern).unwrap_err().to_string(), says, "{pattern}");
    }
}

#[test]
fn depth_size_and_combinations_are_limited() {
    let nested = |depth: usize| format!("{}[1]{}", r#"{"a":"#.repeat(depth), "}".repeat(depth));
    assert!(Pattern::parse(&nested(101)).is_ok());
    assert_eq!(
        Pattern::parse(&nested(102)).unwrap_err().to_string(),
        "the pattern is nested deeper than 100 levels"
    );
    let or = |branches: usize| {
        let branch: Vec<_> = (0..branches).map(|n| format!(r#"{{"a":[{n}]}}"#)).collect();
        format!(r#"{{"$or":[{}],"x":{{"$or":[{}]}}}}"#, branch.join(","), branch.join(","))
    };
    assert_eq!(Pattern::parse(&or(31)).unwrap().alternatives.len(), 961);
    assert_eq!(
        Pattern::parse(&or(32)).unwrap_err().to_string(),
        "the pattern stands for more than 1000 combinations of `$or`"
    );
    let long = format!(r#"{{"a":["{}"]}}"#, "x".repeat(PATTERN_BYTES_MAX));
    assert!(Pattern::parse(&long).unwrap_err().to_string().contains("at most 16384 are allowed"));
    let fields: Vec<_> = (0..100).map(|n| format!(r#""f{n}":["x"]"#)).collect();
    let many = or(28).replacen('{', &format!("{{{},", fields.join(",")), 1);
    assert_eq!(
        Pattern::parse(&many).unwrap_err().to_string(),
        "the pattern stands for more than 50000 conditions"
    );
}

#[test]
fn the_nearest_alternative_and_element_are_explained() {
    let pattern =
        parse(&json!({"source": ["aws.s3"], "detail": {"object": {"key": [{"prefix": "prices/"}]}}}));
    let mismatch =
        pattern.explain(&json!({"source": "aws.s3", "detail": {"object": {"key": "a\u{1b}b"}}})).unwrap();
    assert_eq!(mismatch.path, "detail.object.key");
    assert_eq!(mismatch.expected, r#"[{"prefix":"prices/"}]"#);
    assert_eq!(mismatch.found.as_deref(), Some(r#""a\u001bb""#));
    assert_eq!(pattern.explain(&json!({"detail": 5})).unwrap().found, None);

    let or = parse(&json!({"$or": [{"a": ["1"]}, {"b": ["2"], "c": ["3"]}]}));
    assert_eq!(or.explain(&json!({"a": "0", "b": "2", "c": "4"})).unwrap().path, "c");
    let list = parse(&json!({"l": {"k": ["x"], "v": ["y"]}}));
    let elements = json!({"l": [{"k": "z"}, {"k": "x", "v": "z"}, {"v": "y"}]});
    assert_eq!(list.explain(&elements).unwrap().found.as_deref(), Some(r#""z""#));
}

#[test]
fn repeated_members_are_read_one_after_another() {
    let objects = Pattern::parse(r#"{"d":{"a":["1"]},"d":{"b":["2"]}}"#).unwrap();
    assert!(
        objects.matches(&json!({"d": {"a": "1", "b": "2"}})) && !objects.matches(&json!({"d": {"b": "2"}}))
    );
    let leaves = Pattern::parse(r#"{"a":["1"],"a":["2"]}"#).unwrap();
    assert!(leaves.matches(&json!({"a": "2"})) && !leaves.matches(&json!({"a": "1"})));
}

#[test]
fn the_steps_grow_with_the_size_of_the_event() {
    let pattern = Pattern::parse(
        r#"{"detail":{"l":{"k":[{"wildcard":"*a*a*a*a*b*"},{"anything-but":{"suffix":"a"}}],"v":["x",{"cidr":"10.0.0.0/8"}]},
            "$or":[{"t":[{"prefix":{"equals-ignore-case":"zz"}}]},{"t":[{"wildcard":"*aab*aab*c*"}]}]}}"#,
    )
    .unwrap();
    let steps = |size: usize| {
        let elements: Vec<Value> = (0..size).map(|_| json!({"k": "aaaa", "v": "10.0.0"})).collect();
        let event = json!({"detail": {"l": elements, "t": ["a".repeat(size), "ab".repeat(size)]}});
        work::take();
        assert!(!pattern.matches(&event));
        work::take()
    };
    let (small, large) = (steps(1_000), steps(16_000));
    assert!((1_000..40_000).contains(&small), "{small}");
    assert!(large <= 16 * small, "{large} steps for 16 times the size of {small} steps");
}

proptest::proptest! {
    /// The wildcard is compared with a matcher that tries every place.
    #[test]
    fn a_wildcard_matches_as_one_that_tries_everything(wildcard in "[ab*]{0,8}", text in "[ab]{0,10}") {
        fn tries(pattern: &[u8], text: &[u8]) -> bool {
            match pattern.split_first() {
                None => text.is_empty(),
                Some((b'*', rest)) => (0..=text.len()).any(|at| tries(rest, &text[at..])),
                Some((c, rest)) => text.split_first().is_some_and(|(d, left)| c == d && tries(rest, left)),
            }
        }
        if let Ok(pattern) = Pattern::parse(&json!({"a": [{"wildcard": wildcard}]}).to_string()) {
            let expected = tries(wildcard.as_bytes(), text.as_bytes());
            proptest::prop_assert_eq!(pattern.matches(&json!({ "a": text })), expected);
        }
    }
}
