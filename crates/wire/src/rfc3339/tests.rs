use std::time::Duration;

use proptest::prelude::*;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::*;

fn reference(text: &str) -> bool {
    OffsetDateTime::parse(text, &Rfc3339).is_ok()
}

#[test]
fn a_timestamp_is_a_date_that_exists_a_time_and_a_zone() {
    for text in [
        "2026-11-24T09:30:00Z",
        "2026-11-24t09:30:00z",
        "2026-11-24 09:30:00.123456789012+01:00",
        "2024-02-29T23:59:59-23:59",
        "2000-02-29T00:00:00Z",
        "0000-01-01T00:00:00+00:00",
        "2016-12-31T23:59:60Z",
        "2017-01-01T00:59:60+01:00",
        "2016-12-31T22:59:60.5-01:00",
    ] {
        assert!(is_timestamp(text) && reference(text), "{text}");
    }
    for text in [
        "",
        "yesterday",
        "2026-11-24",
        "2026-11-24T09:30Z",
        "2026-11-24T09:30:00",
        "2026-11-24T09:30:00.Z",
        "2026-11-24T09:30:00Zx",
        "2026-11-24T09:30:00+0100",
        "2026-11-24T09:30:00+24:00",
        "2026-11-24T09:30:00+01:60",
        "2026-11-24T24:00:00Z",
        "2026-11-24T09:60:00Z",
        "2026-11-24T09:30:61Z",
        "2026-02-29T09:30:00Z",
        "1900-02-29T09:30:00Z",
        "2026-00-24T09:30:00Z",
        "2026-13-24T09:30:00Z",
        "2026-11-31T09:30:00Z",
        "2026-11-00T09:30:00Z",
        "-026-11-24T09:30:00Z",
        "12026-11-24T09:30:00Z",
        "2026-11-24é09:30:00Z",
        "2016-12-30T23:59:60Z",
        "2016-12-31T22:59:60Z",
    ] {
        assert!(!is_timestamp(text) && !reference(text), "{text}");
    }
}

#[test]
fn a_time_is_written_in_utc() {
    let second = Duration::from_secs(1);
    let last = Duration::from_secs(253_402_300_799);
    for (time, text) in [
        (UNIX_EPOCH, "1970-01-01T00:00:00Z"),
        (UNIX_EPOCH + second * 1_795_512_600, "2026-11-24T09:30:00Z"),
        (UNIX_EPOCH + Duration::from_millis(1_709_251_199_250), "2024-02-29T23:59:59.25Z"),
        (UNIX_EPOCH - Duration::from_nanos(1), "1969-12-31T23:59:59.999999999Z"),
        (UNIX_EPOCH + last, "9999-12-31T23:59:59Z"),
    ] {
        assert_eq!(format(time).as_deref(), Some(text));
    }
    assert_eq!(format(UNIX_EPOCH + last + second), None);
    assert_eq!(format(UNIX_EPOCH + Duration::from_secs(i64::MAX.unsigned_abs())), None);
    assert_eq!(format(UNIX_EPOCH - second * u32::MAX * 20), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn another_implementation_writes_the_same(seconds in -62_167_219_200_i64..=253_402_300_799, nanos in 0_u32..1_000_000_000) {
        let time = OffsetDateTime::from_unix_timestamp(seconds).unwrap() + Duration::from_nanos(nanos.into());
        let text = format(time.into()).unwrap();
        prop_assert_eq!(&text, &time.format(&Rfc3339).unwrap());
        prop_assert!(is_timestamp(&text));
    }

    #[test]
    fn another_implementation_accepts_the_same(
        text in "(0000|1900|2000|2023|2024|9999)-(0[0-9]|1[0-3])-(0[01]|2[89]|3[0-2])[Tt _](00|01|12|22|23|24):(00|30|59|60):(00|59|60|61)(\\.[0-9]{0,12})?(Z|z|[+-](00|01|12|23|24):(00|30|59|60))?"
    ) {
        prop_assert_eq!(is_timestamp(&text), reference(&text), "{}", text);
    }

    #[test]
    fn a_leap_second_is_where_another_implementation_has_it(
        month in 1..=12, day in 1..=31, hour in 0..24, minute in prop::sample::select(vec![0, 29, 30, 58, 59]),
        sign in "[+-]", offset_hour in 0..24, offset_minute in prop::sample::select(vec![0, 1, 30, 59]),
    ) {
        let text = format!("2024-{month:02}-{day:02}T{hour:02}:{minute:02}:60{sign}{offset_hour:02}:{offset_minute:02}");
        prop_assert_eq!(is_timestamp(&text), reference(&text), "{}", text);
    }

    #[test]
    fn one_changed_byte_is_judged_the_same(at in 0_usize..29, byte in 0_u8..128) {
        let mut text = b"2024-02-29T23:59:59.250+01:00".to_vec();
        text[at] = byte;
        let text = String::from_utf8(text).unwrap();
        prop_assert_eq!(is_timestamp(&text), reference(&text), "{:?}", text);
    }
}

proptest! {
    #[test]
    fn a_time_reads_back_to_the_second(seconds in 0_u64..253_402_300_800, nanos in 0_u32..1_000_000_000) {
        let text = format(UNIX_EPOCH + Duration::new(seconds, nanos)).unwrap();
        prop_assert_eq!(time(&text), Some(UNIX_EPOCH + Duration::from_secs(seconds)));
    }
}

#[test]
fn a_time_with_a_zone_is_read_in_utc() {
    let seconds = |text| time(text).map(|time| time.duration_since(UNIX_EPOCH).unwrap().as_secs());
    assert_eq!(seconds("2026-11-30T13:00:06.9+01:00"), Some(1_796_040_006));
    assert_eq!(seconds("2026-11-30T07:00:06-05:00"), Some(1_796_040_006));
    assert_eq!((seconds("1969-12-31T23:59:59Z"), seconds("soon")), (None, None));
}
