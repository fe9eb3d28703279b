use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use proptest::prelude::*;

use super::*;

/// The test vector of the specification.
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
const AT: i64 = 1_614_265_330;
const BODY: &[u8] = br#"{"test": 2432232314}"#;
const HEADER: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

fn hmac_secret(fill: u8) -> String {
    hmac_key(&[fill; 32]).to_string()
}

fn signing(text: &str) -> SigningKeys {
    SigningKeys::parse(text).unwrap()
}

fn verifying(text: &str) -> VerifyingKeys {
    VerifyingKeys::parse(text).unwrap()
}

fn accepts(keys: &VerifyingKeys, header: &str, body: &[u8]) -> bool {
    let at = AT.to_string();
    let headers = SignatureHeaders::parse(ID, &at, header, AT, TOLERANCE).unwrap();
    keys.verify(&headers, body).is_ok()
}

#[test]
fn the_published_vector_is_signed_and_accepted() {
    assert_eq!(signing(SECRET).sign(ID, AT, BODY), HEADER);
    assert!(accepts(&verifying(SECRET), HEADER, BODY));
}

/// The test vector for `v1a` that the authors of the standard use in their own server.
#[cfg(feature = "ed25519")]
#[test]
fn the_published_vector_of_ed25519_is_signed_and_accepted() {
    let private =
        "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg==";
    let seed = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbc=";
    let public = "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=";
    let header =
        "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg==";
    assert_eq!(signing(private).sign(ID, AT, BODY), header);
    assert_eq!(signing(seed).sign(ID, AT, BODY), header);
    assert!(accepts(&verifying(public), header, BODY));
    assert!(!accepts(&verifying(public), header, b"other"));
}

#[cfg(feature = "ed25519")]
#[test]
fn a_key_pair_made_here_signs_and_verifies() {
    let pair = key_pair(&[7; 32]);
    let header = signing(&pair.private).sign(ID, AT, BODY);
    assert!(accepts(&verifying(&pair.public), &header, BODY));
    assert!(accepts(&signing(&pair.private).verifying_keys(), &header, BODY));
}

/// The library reads the system clock, so this test does too.
#[test]
fn the_reference_library_accepts_a_request_of_ours_with_two_keys() {
    let at = time::OffsetDateTime::now_utc().unix_timestamp();
    let header = signing(&format!("{} {SECRET}", hmac_secret(1))).sign(ID, at, BODY);
    let mut headers = http::HeaderMap::new();
    headers.insert("webhook-id", ID.parse().unwrap());
    headers.insert("webhook-timestamp", at.into());
    headers.insert("webhook-signature", header.parse().unwrap());
    standardwebhooks::Webhook::new(SECRET).unwrap().verify(BODY, &headers).unwrap();
}

#[test]
fn every_step_of_a_key_rotation_is_accepted() {
    let (old, new) = (hmac_secret(1), hmac_secret(2));
    let both = format!("{new},{old}");
    for (sender, receiver) in [
        (&old, &old),
        (&old, &both),
        (&both, &old),
        (&both, &both),
        (&both, &new),
        (&new, &both),
        (&new, &new),
    ] {
        let header = signing(sender).sign(ID, AT, BODY);
        assert!(accepts(&verifying(receiver), &header, BODY), "{header}");
    }
    assert!(!accepts(&verifying(&new), &signing(&old).sign(ID, AT, BODY), BODY));
}

#[test]
fn unknown_schemes_and_malformed_signatures_are_ignored() {
    let keys = verifying(SECRET);
    let known = HEADER.strip_prefix("v1,").unwrap();
    assert!(accepts(&keys, &format!("v2,{known} v1,x {HEADER}"), BODY));
    for header in [
        "",
        " ",
        "v1",
        "v1,",
        ",",
        known,
        "v1,%%%",
        "V1,abc",
        &format!("v1a,{known}"),
        &format!("v1 {known}"),
    ] {
        assert!(!accepts(&keys, header, BODY), "{header}");
    }
}

#[test]
fn the_timestamp_must_be_within_the_tolerance() {
    let read = |now| {
        SignatureHeaders::parse(ID, "1614265330", HEADER, now, TOLERANCE).map(|headers| headers.timestamp())
    };
    for away in [0, 1, 300] {
        assert_eq!(read(AT + away), Ok(AT));
        assert_eq!(read(AT - away), Ok(AT));
    }
    assert_eq!(read(AT + 301), Err(SignatureError::TooOld { seconds: 301 }));
    assert_eq!(read(AT - 301), Err(SignatureError::TooNew { seconds: 301 }));
    assert!(read(i64::MAX).is_err() && read(i64::MIN).is_err());
}

#[test]
fn malformed_headers_are_refused_with_their_name() {
    let many = "v1,x ".repeat(SIGNATURES_MAX + 1);
    let long = "x".repeat(4096);
    for (id, timestamp, signature, says) in [
        ("", "1", HEADER, "header `webhook-id` must have 1 to 256 bytes"),
        (&"x".repeat(257), "1", HEADER, "header `webhook-id` must have 1 to 256 bytes"),
        ("a.1", "1", HEADER, "header `webhook-id` must be printable ASCII without spaces and full stops"),
        ("a b", "1", HEADER, "header `webhook-id` must be printable ASCII without spaces and full stops"),
        ("a\n", "1", HEADER, "header `webhook-id` must be printable ASCII without spaces and full stops"),
        (ID, "", HEADER, "header `webhook-timestamp` must be whole seconds since 1970"),
        (ID, "+1", HEADER, "header `webhook-timestamp` must be whole seconds since 1970"),
        (ID, "-1", HEADER, "header `webhook-timestamp` must be whole seconds since 1970"),
        (ID, "1.5", HEADER, "header `webhook-timestamp` must be whole seconds since 1970"),
        (ID, "٣", HEADER, "header `webhook-timestamp` must be whole seconds since 1970"),
        (ID, "1234567890123", HEADER, "header `webhook-timestamp` must be whole seconds since 1970"),
        (ID, "1", &many, "header `webhook-signature` has more than 16 signatures"),
        (ID, "1", &long, "header `webhook-signature` has more than 16 signatures"),
    ] {
        let error = SignatureHeaders::parse(id, timestamp, signature, 1, TOLERANCE).unwrap_err();
        assert_eq!(error.to_string(), says);
    }
}

#[test]
fn an_invalid_key_is_refused_by_its_position_and_never_repeated() {
    let short = format!("whsec_{}", BASE64_STANDARD.encode([1; 23]));
    let long = format!("whsec_{}", BASE64_STANDARD.encode([1; 65]));
    let many = format!("{SECRET} ").repeat(KEYS_MAX + 1);
    for (text, error) in [
        ("", KeyError::None),
        (" ,\n", KeyError::None),
        (many.as_str(), KeyError::TooMany),
        (
            "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            KeyError::Prefix { position: 1, expected: "`whsec_` or `whsk_`" },
        ),
        (&format!("{SECRET} whsec_!"), KeyError::Base64 { position: 2 }),
        ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS", KeyError::Base64 { position: 1 }),
        (&short, KeyError::Length { position: 1, bytes: 23, expected: "24 to 64" }),
        (&long, KeyError::Length { position: 1, bytes: 65, expected: "24 to 64" }),
    ] {
        assert_eq!(SigningKeys::parse(text).unwrap_err(), error);
        assert!(VerifyingKeys::parse(text).is_err());
        assert!(!error.to_string().contains("MfKQ"));
    }
}

#[cfg(feature = "ed25519")]
#[test]
fn a_key_of_the_wrong_side_and_a_weak_key_are_refused() {
    let pair = key_pair(&[7; 32]);
    assert_eq!(SigningKeys::parse(&pair.public).unwrap_err(), KeyError::Public { position: 1 });
    assert_eq!(VerifyingKeys::parse(&pair.private).unwrap_err(), KeyError::Private { position: 1 });
    let public = |bytes: &[u8]| VerifyingKeys::parse(&format!("whpk_{}", BASE64_STANDARD.encode(bytes)));
    let mut neutral = [0; 32];
    neutral[0] = 1;
    assert_eq!(public(&neutral).unwrap_err(), KeyError::NotEd25519 { position: 1 });
    assert_eq!(public(&[1; 31]).unwrap_err(), KeyError::Length { position: 1, bytes: 31, expected: "32" });
    let mixed = [[1; 32], [2; 32]].concat();
    let mixed = SigningKeys::parse(&format!("whsk_{}", BASE64_STANDARD.encode(mixed)));
    assert_eq!(mixed.unwrap_err(), KeyError::NotEd25519 { position: 1 });
}

#[cfg(not(feature = "ed25519"))]
#[test]
fn without_the_feature_an_ed25519_key_is_refused() {
    let key = format!("whpk_{}", BASE64_STANDARD.encode([1; 32]));
    assert_eq!(VerifyingKeys::parse(&key).unwrap_err(), KeyError::NoEd25519 { position: 1 });
}

#[test]
fn debug_shows_the_schemes_but_not_the_keys() {
    let keys = format!("{SECRET} {}", hmac_secret(9));
    assert_eq!(format!("{:?}", signing(&keys)), r#"SigningKeys["v1", "v1"]"#);
    assert_eq!(format!("{:?}", verifying(&keys)), r#"VerifyingKeys["v1", "v1"]"#);
}

proptest! {
    #[test]
    fn the_reference_library_signs_the_same(key: [u8; 32], id in "[!-~]{1,40}", at in 0_i64..99_999_999_999, body in ".*") {
        let key = hmac_key(&key);
        let theirs = standardwebhooks::Webhook::new(&key).unwrap();
        let ours = signing(&key).sign(&id, at, body.as_bytes());
        prop_assert_eq!(theirs.sign(&id, at, body.as_bytes()).unwrap(), ours);
    }

    #[test]
    fn a_signed_request_is_accepted_and_any_change_is_refused(
        id in "[!-\\-/-~]{1,40}",
        at in 0_i64..99_999_999_999,
        body: Vec<u8>,
        flip: prop::sample::Index,
        other_at in 0_i64..99_999_999_999,
    ) {
        let keys = verifying(SECRET);
        let header = signing(SECRET).sign(&id, at, &body);
        let check = |id: &str, at: i64, header: &str, body: &[u8]| {
            let text = at.to_string();
            let headers = SignatureHeaders::parse(id, &text, header, at, Duration::ZERO).unwrap();
            keys.verify(&headers, body).is_ok()
        };
        prop_assert!(check(&id, at, &header, &body));
        prop_assert_eq!(check(&id, other_at, &header, &body), at == other_at);
        let longer = format!("{id}x");
        prop_assert!(!check(&longer, at, &header, &body));
        let mut changed = body.clone();
        changed.push(0);
        let position = flip.index(changed.len());
        changed[position] ^= 1;
        prop_assert!(!check(&id, at, &header, &changed));
    }

    #[test]
    fn no_header_makes_the_parser_panic(id: String, at: String, header: String, now: i64, body: Vec<u8>) {
        let accepted = SignatureHeaders::parse(&id, &at, &header, now, TOLERANCE)
            .is_ok_and(|headers| verifying(SECRET).verify(&headers, &body).is_ok());
        prop_assert!(!accepted);
    }

    #[test]
    fn no_text_makes_the_key_parser_panic(text in "(whsec_|whsk_|whpk_)?[A-Za-z0-9+/=]{0,100}[ ,]?.{0,20}") {
        let _ = SigningKeys::parse(&text);
        let _ = VerifyingKeys::parse(&text);
    }
}
