#![allow(clippy::cast_precision_loss, reason = "numbers of tasks are small enough")]

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use proptest::prelude::*;
use wire::{BroadcastId, Pace};

use super::*;
use crate::model::{Delivery, Member, Zone};

fn pace(waves: &str) -> Pace {
    let mut pace = Pace::new();
    pace.waves = Some(waves.to_owned());
    pace
}

/// A pace with these fields.
fn with(change: impl FnOnce(&mut Pace)) -> Pace {
    let mut pace = Pace::new();
    change(&mut pace);
    pace
}

fn plan(waves: &str) -> Plan {
    Plan::read(&pace(waves)).unwrap()
}

fn sizes(waves: &str) -> String {
    match Plan::read(&pace(waves)) {
        Ok(plan) => plan.sizes.iter().map(Size::to_string).collect::<Vec<_>>().join(" "),
        Err(error) => error.to_string(),
    }
}

fn member(service: &str, task: usize, container: &str) -> Member {
    Member {
        cluster: "prod".to_owned(),
        service: service.to_owned(),
        task: format!("arn:{service}:{task}"),
        container: container.to_owned(),
        ..Member::default()
    }
}

/// These containers, without their zones.
fn anywhere(members: &[Member]) -> impl Iterator<Item = Placed<'_>> {
    members.iter().map(|member| Placed { member, zone: None })
}

fn zone(name: &str) -> Zone {
    Zone::new(name).unwrap()
}

fn by_zone(waves: Option<&str>) -> Plan {
    Plan::read(&with(|pace| (pace.by_zone, pace.waves) = (Some(true), waves.map(str::to_owned)))).unwrap()
}

fn id(text: &str) -> BroadcastId {
    BroadcastId::try_from(text.to_owned()).unwrap()
}

#[test]
fn waves_are_cumulative_and_end_with_everybody() {
    assert_eq!(sizes("1,10%,100%"), "1 10% 100%");
    assert_eq!(sizes("1, 10%"), "1 10% 100%", "the last is added");
    assert_eq!(sizes("100%"), "100%");
    assert_eq!(sizes("5%,20"), "5% 20 100%");
    for wrong in [
        "",
        "0",
        "0%",
        "101%",
        "1,1",
        "10%,5%",
        "100%,5",
        "x",
        "1,,2",
        "+1",
        "-1",
        "1.5%",
        "99999999999",
        "1,2,3,2",
    ] {
        assert!(sizes(wrong).starts_with("`waves` are numbers"), "{wrong}: {}", sizes(wrong));
    }
    let many: Vec<String> = (1..=100).map(|wave| wave.to_string()).collect();
    assert_eq!(sizes(&many.join(",")), "`waves` has 101 waves, but a broadcast has at most 100");
}

#[test]
fn the_presets_have_the_numbers_of_ecs() {
    let preset = |name: &str| Plan::read(&with(|pace| pace.preset = Some(name.to_owned())));
    let canary = preset("canary").unwrap();
    assert_eq!(canary.sizes, [Size::Percent(5), Size::Percent(100)]);
    assert_eq!(canary.pause, Pause::For(Duration::from_mins(10)));
    assert_eq!(canary.max_errors, Some(MaxErrors::Count(0)));
    let linear = preset("linear").unwrap();
    assert_eq!(linear.sizes.len(), 10);
    assert_eq!(linear.pause, Pause::For(Duration::from_mins(6)));
    assert_eq!(preset("fast").unwrap_err().to_string(), "`preset` is canary or linear, not \"fast\"");
    let own = with(|pace| {
        (pace.preset, pace.pause) = (Some("canary".to_owned()), Some("1h".to_owned()));
    });
    assert_eq!(Plan::read(&own).unwrap().pause, Pause::For(Duration::from_hours(1)));
}

#[test]
fn the_other_fields_are_read_or_refused_with_their_name() {
    let with_waves = |change: fn(&mut Pace)| {
        let mut pace = pace("1,100%");
        change(&mut pace);
        Plan::read(&pace).map_err(|error| error.to_string())
    };
    assert_eq!(with_waves(|pace| pace.pause = Some("manual".to_owned())).unwrap().pause, Pause::Manual);
    assert_eq!(
        with_waves(|pace| pace.max_errors = Some("5%".to_owned())).unwrap().max_errors,
        Some(MaxErrors::Percent(5))
    );
    assert_eq!(
        with_waves(|pace| pace.max_errors = Some("3".to_owned())).unwrap().max_errors,
        Some(MaxErrors::Count(3))
    );
    assert_eq!(
        with_waves(|pace| pace.jitter = Some("30s".to_owned())).unwrap().jitter,
        Duration::from_secs(30)
    );
    let error = |change: fn(&mut Pace)| with_waves(change).unwrap_err();
    assert!(error(|pace| pace.pause = Some("25h".to_owned())).starts_with("`pause` is `manual`"));
    assert!(error(|pace| pace.max_errors = Some("101%".to_owned())).starts_with("`max_errors`"));
    assert!(error(|pace| pace.max_errors = Some("-1".to_owned())).starts_with("`max_errors`"));
    assert!(error(|pace| pace.max_parallel = Some(0)).starts_with("`max_parallel`"));
    assert!(error(|pace| pace.jitter = Some("2h".to_owned())).starts_with("`jitter`"));
    let lone = with(|pace| pace.pause = Some("5m".to_owned()));
    assert_eq!(Plan::read(&lone), Err(PaceError::NoWaves));
    assert_eq!(
        Plan::read(&Pace::new()).unwrap().max_errors,
        None,
        "without waves, there is no limit by default"
    );
}

#[test]
fn alarms_have_names_within_the_limits_of_cloudwatch() {
    let read = |names: Vec<String>| Plan::read(&with(|pace| pace.stop_on_alarm = Some(names)));
    let named = |count: usize| (0..count).map(|number| format!("alarm-{number}")).collect::<Vec<_>>();
    assert_eq!(read(named(10)).unwrap().stop_on_alarm, named(10));
    assert_eq!(read(vec!["é".repeat(255)]).unwrap().stop_on_alarm.len(), 1);
    let twice = vec!["a".to_owned(), "b".to_owned(), "a".to_owned()];
    assert_eq!(read(twice).unwrap().stop_on_alarm, ["a", "b"], "each is asked once");
    for wrong in [vec![], named(11), vec![String::new()], vec!["é".repeat(256)], vec!["a\nb".to_owned()]] {
        let error = read(wrong).unwrap_err().to_string();
        assert!(
            error.starts_with("`stop_on_alarm` has from 1 to 10 names") && error.len() < 1_200,
            "{error}"
        );
    }
}

#[test]
fn an_alarm_is_quiet_only_if_its_state_is_known() {
    let check = |states: &[(&str, &str)], expected: Alarms| {
        let names = ["a", "b"].map(str::to_owned);
        let states = states.iter().map(|(name, state)| ((*name).to_owned(), (*state).to_owned())).collect();
        assert_eq!(Alarms::of(&names, &states), expected, "{states:?}");
    };
    check(&[("a", "OK"), ("b", "INSUFFICIENT_DATA"), ("c", "ALARM")], Alarms::Quiet);
    check(&[("a", "OK"), ("b", "ALARM")], Alarms::Raised("b".to_owned()));
    check(&[("b", "ALARM")], Alarms::Raised("b".to_owned()));
    let missing = "there is no alarm `b` in this account and region";
    check(&[("a", "OK")], Alarms::Unknown(missing.to_owned()));
    check(
        &[("a", "alarm"), ("b", "OK")],
        Alarms::Unknown("alarm `a` has the unknown state \"alarm\"".to_owned()),
    );
}

#[test]
fn a_stop_before_the_first_wave_says_so() {
    let halt = Alarms::Raised("errors".to_owned()).halt().unwrap();
    let stopped = [0, 1].map(|wave| Stopped::at(wave, &halt));
    assert_eq!(stopped.each_ref().map(Stopped::place), ["before wave 1", "at wave 1"]);
    assert_eq!(stopped[0].reason, "alarm `errors` is in the state ALARM");
    let unknown = Alarms::Unknown("no answer".to_owned()).halt().unwrap();
    assert_eq!(unknown.to_string(), "the alarms could not be read: no answer");
}

#[test]
fn containers_of_a_task_are_in_one_wave_and_another_broadcast_has_another_order() {
    let members: Vec<_> = (0..50).flat_map(|task| ["a", "b"].map(|name| member("web", task, name))).collect();
    let first = waves(&plan("1,10%"), &id("one"), anywhere(&members));
    assert_eq!(first.len(), 50);
    let canary = |waves: &Tasks| {
        waves.iter().filter(|(_, wave)| **wave == 1).map(|(task, _)| task.clone()).collect::<Vec<_>>()
    };
    assert_eq!(canary(&first).len(), 1);
    let canaries: HashSet<_> = (0..20)
        .map(|run| canary(&waves(&plan("1,10%"), &id(&format!("b{run}")), anywhere(&members))))
        .collect();
    assert!(canaries.len() > 5, "{canaries:?}");
}

#[test]
fn zones_alone_are_one_wave_each_and_may_have_pauses() {
    let plan = by_zone(None);
    assert_eq!(
        (plan.sizes.as_slice(), plan.max_errors),
        (&[Size::Percent(100)][..], Some(MaxErrors::Count(0)))
    );
    let paused = with(|pace| (pace.by_zone, pace.pause) = (Some(true), Some("5m".to_owned())));
    assert_eq!(Plan::read(&paused).unwrap().pause, Pause::For(Duration::from_mins(5)));
    let not = with(|pace| (pace.by_zone, pace.pause) = (Some(false), Some("5m".to_owned())));
    assert_eq!(Plan::read(&not), Err(PaceError::NoWaves));
}

#[test]
fn a_task_that_comes_late_joins_its_zone_while_that_is_not_over() {
    let row = |name: &str, wave| Delivery { zone: Zone::new(name), wave: Some(wave), ..Delivery::default() };
    let rows = [row("a", 1), row("a", 2), row("b", 3), row("b", 4), row("", 6)];
    let plan = by_zone(Some("1"));
    let check = |begun, name: &str, wave| {
        assert_eq!(joined(&plan, &rows, begun, Zone::new(name).as_ref()), wave, "{name} after {begun}");
    };
    check(1, "a", 2);
    check(1, "b", 4);
    check(1, "", 6);
    // Its zone is over: everybody else comes first.
    check(2, "a", 6);
    check(2, "c", 6);
    assert_eq!(joined(&self::plan("1,10%"), &rows, 1, None), 3, "without zones, the last wave");
}

fn a_plan() -> impl Strategy<Value = Plan> {
    let waves = prop::sample::select(vec!["1,10%,100%", "5%", "1,2,3", "100%", "50%,70", "10%,20%,30%,40%"]);
    let most = prop::option::of(prop::sample::select(vec!["0", "1", "3", "0%", "10%", "50%", "100%"]));
    let pause = prop::sample::select(vec!["0s", "10m", "manual"]);
    let alarms = prop::option::of(Just(vec!["errors".to_owned()]));
    (waves, most, pause, alarms).prop_map(|(waves, most, pause, alarms)| {
        let mut pace = pace(waves);
        pace.stop_on_alarm = alarms;
        pace.max_errors = most.map(str::to_owned);
        pace.pause = (waves != "100%").then(|| pause.to_owned());
        Plan::read(&pace).unwrap()
    })
}

fn some_alarms() -> impl Strategy<Value = Alarms> {
    prop::sample::select(vec![
        Alarms::Quiet,
        Alarms::Raised("errors".to_owned()),
        Alarms::Unknown("no answer".to_owned()),
    ])
}

fn a_gate() -> impl Strategy<Value = Gate> {
    let counts = (0..4_usize, 0..20_usize, 0..20_usize, 0..40_usize);
    let flags = (any::<bool>(), any::<bool>(), some_alarms());
    (1..5_u16, prop::option::of(5..9_u16), counts, 0..1_200_u64, flags).prop_map(
        |(wave, next, (unsettled, in_wave, before, fine), quiet, (is_continued, is_cancelled, alarms))| {
            Gate {
                wave,
                next,
                unsettled,
                quiet: Duration::from_secs(quiet),
                errors: Errors { all: before + in_wave, wave: in_wave, called: in_wave + fine + unsettled },
                is_continued,
                is_cancelled,
                alarms,
            }
        },
    )
}

proptest! {
    #[test]
    fn a_repeat_gives_the_same_waves_and_each_has_its_size(
        plan in a_plan(),
        services in prop::collection::vec(1..120_usize, 1..4),
        seed in any::<u64>(),
    ) {
        let broadcast = id(&format!("b-{seed}"));
        let named = |place: usize| format!("s{place}");
        let mut members: Vec<_> = services
            .iter()
            .enumerate()
            .flat_map(|(place, tasks)| (0..*tasks).map(move |task| member(&named(place), task, "app")))
            .collect();
        let first = waves(&plan, &broadcast, anywhere(&members));
        members.reverse();
        prop_assert_eq!(&first, &waves(&plan, &broadcast, anywhere(&members)));
        for (place, tasks) in services.iter().enumerate() {
            let mut sizes = BTreeMap::<u16, usize>::new();
            for task in 0..*tasks {
                *sizes.entry(first[&member(&named(place), task, "app").task]).or_default() += 1;
            }
            let mut called = 0;
            for (wave, end) in (1..).zip(plan.ends(*tasks)) {
                called += sizes.get(&wave).copied().unwrap_or_default();
                prop_assert_eq!(called, end, "{:?}", plan);
                prop_assert!(end >= 1);
            }
            prop_assert_eq!(called, *tasks);
        }
    }

    #[test]
    fn zones_are_never_mixed_in_a_wave_and_come_in_one_order_for_all_services(
        sizes in prop::option::of(prop::sample::select(vec!["1,10%", "50%", "1,2,3,4,5,6,7,8,9"])),
        tasks in prop::collection::vec((0..3_usize, 0..5_usize), 1..150),
        seed in any::<u64>(),
    ) {
        let (plan, broadcast) = (by_zone(sizes), id(&format!("b-{seed}")));
        let zones: Vec<Option<Zone>> =
            vec![Some(zone("r1a")), Some(zone("r1b")), Some(zone("r1c")), Some(zone("r1d")), None];
        let members: Vec<(Member, usize)> = tasks
            .iter()
            .enumerate()
            .map(|(task, (service, zone))| (member(&format!("s{service}"), task, "app"), *zone))
            .collect();
        let placed = |members: &[(Member, usize)]| {
            let placed = members.iter().map(|(member, zone)| Placed { member, zone: zones[*zone].as_ref() });
            waves(&plan, &broadcast, placed)
        };
        let first = placed(&members);
        let reversed: Vec<_> = members.iter().rev().cloned().collect();
        prop_assert_eq!(&first, &placed(&reversed), "a repeat is the same");

        let mut of_wave = BTreeMap::<u16, HashSet<usize>>::new();
        let mut of_group = BTreeMap::<(usize, &str), BTreeMap<u16, usize>>::new();
        for (member, zone) in &members {
            let wave = first[&member.task];
            of_wave.entry(wave).or_default().insert(*zone);
            *of_group.entry((*zone, member.service.as_str())).or_default().entry(wave).or_default() += 1;
        }
        prop_assert!(of_wave.values().all(|zones| zones.len() == 1), "{:?}", of_wave);
        prop_assert!(of_wave.keys().all(|wave| (1..=100).contains(wave)));
        let order: Vec<usize> = of_wave.values().flat_map(|zones| zones.iter().copied()).collect();
        let mut once = order.clone();
        once.dedup();
        prop_assert_eq!(once.len(), once.iter().collect::<HashSet<_>>().len(), "no zone comes twice: {:?}", order);
        if let Some(place) = once.iter().position(|zone| zones[*zone].is_none()) {
            prop_assert_eq!(place, once.len() - 1, "without a zone, last");
        }
        for waves in of_group.into_values() {
            let (tasks, mut called) = (waves.values().sum::<usize>(), Vec::new());
            for count in waves.into_values() {
                called.push(called.last().copied().unwrap_or(0) + count);
            }
            let mut ends = plan.ends(tasks);
            ends.dedup();
            prop_assert_eq!(called, ends, "cumulative in the tasks of the service in the zone");
        }
    }

    #[test]
    fn many_zones_with_many_sizes_stay_within_the_most_waves(zones in 1..30_usize, sizes in 1..100_usize) {
        let list: Vec<String> = (1..=sizes).map(|size| size.to_string()).collect();
        prop_assume!(sizes < 100);
        let plan = by_zone(Some(&list.join(",")));
        let zones: Vec<Zone> = (0..zones).map(|number| zone(&format!("z-{number}"))).collect();
        let members: Vec<Member> = (0..zones.len() * 5).map(|task| member("web", task, "app")).collect();
        let placed = members.iter().enumerate().map(|(number, member)| Placed { member, zone: zones.get(number / 5) });
        let waves = waves(&plan, &id("b"), placed);
        let mut of_wave = BTreeMap::<u16, HashSet<usize>>::new();
        for (number, member) in members.iter().enumerate() {
            of_wave.entry(waves[&member.task]).or_default().insert(number / 5);
        }
        prop_assert!(of_wave.keys().all(|wave| (1..=100).contains(wave)));
        prop_assert!(of_wave.values().all(|zones| zones.len() == 1));
    }

    #[test]
    fn it_stops_exactly_when_the_limit_is_exceeded(plan in a_plan(), gate in a_gate()) {
        let gate = Gate { is_cancelled: false, alarms: Alarms::Quiet, ..gate };
        let Errors { all, wave, called } = gate.errors;
        let exceeded = match plan.max_errors {
            None => false,
            Some(MaxErrors::Count(most)) => all > most,
            // As a fraction, so that the rule is not the one of the code.
            Some(MaxErrors::Percent(most)) => called > 0 && wave as f64 / called as f64 > f64::from(most) / 100.0 + 1e-9,
        };
        prop_assert_eq!(matches!(plan.decide(&gate), Decision::Stop(_)), exceeded);
    }

    #[test]
    fn no_wave_begins_before_its_time(plan in a_plan(), gate in a_gate()) {
        let decision = plan.decide(&gate);
        prop_assert_eq!(&decision, &plan.decide(&gate));
        match decision {
            Decision::Next(wave) => {
                prop_assert_eq!(Some(wave), gate.next);
                prop_assert!(wave > gate.wave && gate.unsettled == 0 && !gate.is_cancelled);
                let is_over = match plan.pause {
                    Pause::For(pause) => gate.quiet >= pause,
                    Pause::Manual => false,
                };
                prop_assert!(is_over || gate.is_continued);
            }
            Decision::Done => prop_assert!(gate.next.is_none() && gate.unsettled == 0),
            Decision::Wait(Some(left)) => {
                let Pause::For(pause) = plan.pause else { return Err(TestCaseError::fail("no time")) };
                prop_assert_eq!(left + gate.quiet, pause);
            }
            Decision::Wait(None) => prop_assert!(gate.unsettled > 0 || plan.pause == Pause::Manual),
            Decision::Stop(_) => {}
        }
    }

    #[test]
    fn no_wave_begins_and_no_pause_goes_on_unless_the_alarms_are_quiet(plan in a_plan(), gate in a_gate()) {
        let decision = plan.decide(&gate);
        let quiet = plan.decide(&Gate { alarms: Alarms::Quiet, ..gate.clone() });
        match &gate.alarms {
            Alarms::Quiet => prop_assert_eq!(&decision, &quiet),
            alarms => {
                prop_assert!(!matches!(decision, Decision::Next(_) | Decision::Wait(Some(_))), "{:?}", decision);
                let by_alarm = alarms.halt().map(Decision::Stop);
                prop_assert!(by_alarm == Some(decision.clone()) || decision == quiet, "{:?}", decision);
            }
        }
        // Without a running delivery they matter exactly where they change what follows.
        let raised = Gate { alarms: Alarms::Raised("errors".to_owned()), ..gate };
        let is_changed = plan.decide(&raised) != quiet;
        prop_assert_eq!(plan.asks_alarms(&raised), is_changed && !plan.stop_on_alarm.is_empty());
    }

    #[test]
    fn a_stop_is_not_undone_by_further_outcomes(plan in a_plan(), gate in a_gate(), settled in 0..5_usize, failed in 0..5_usize) {
        let Errors { all, wave, called } = gate.errors;
        let later = Errors { all: all + failed, wave: wave + failed, called: called - settled.min(called - wave) };
        let later = Errors { called: later.called.max(later.wave), ..later };
        if plan.exceeded(gate.errors).is_some() && later.called <= called {
            prop_assert!(plan.exceeded(later).is_some());
        }
    }

    #[test]
    fn any_text_is_read_or_refused(waves in ".{0,12}", pause in ".{0,6}", most in ".{0,6}") {
        let pace = with(|pace| (pace.waves, pace.pause, pace.max_errors) = (Some(waves), Some(pause), Some(most)));
        if let Ok(plan) = Plan::read(&pace) {
            prop_assert_eq!(plan.sizes.last(), Some(&Size::Percent(100)));
        }
    }
}
