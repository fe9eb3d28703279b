//! Compares a broadcast by `ecs-task-notifier send` with the smallest client that could make the same calls, in one run on
//! one machine.
//!
//! `make bench` builds both. This program starts itself again in several roles: receivers and a simulated fleet on the second
//! processor, and on the first one client at a time, in turns, each a process that is measured as a whole. What counts is the
//! ratio of their processor times. `docs/performance.md` explains the figures.

#![expect(clippy::print_stdout, reason = "a program for people at a terminal")]

#[cfg(target_os = "linux")]
mod ask;
#[cfg(target_os = "linux")]
mod broadcast;
#[cfg(target_os = "linux")]
mod direct;
#[cfg(target_os = "linux")]
mod figures;
#[cfg(target_os = "linux")]
mod fleet;
#[cfg(target_os = "linux")]
mod floor;
#[cfg(target_os = "linux")]
mod ledger;
#[cfg(target_os = "linux")]
mod load;
#[cfg(target_os = "linux")]
mod measure;
#[cfg(target_os = "linux")]
mod metrics;
#[cfg(target_os = "linux")]
mod observed;
#[cfg(target_os = "linux")]
mod outcomes;
#[cfg(target_os = "linux")]
mod process;
#[cfg(target_os = "linux")]
mod receivers;
#[cfg(target_os = "linux")]
mod signing;
#[cfg(target_os = "linux")]
mod stage;
#[cfg(target_os = "linux")]
mod table;

#[cfg(target_os = "linux")]
fn main() -> anyhow::Result<std::process::ExitCode> {
    use clap::Parser;

    #[derive(Parser)]
    #[command(about = "Compares a broadcast with the smallest client that could make the same calls")]
    struct Args {
        #[command(subcommand)]
        role: Option<Role>,
    }

    #[derive(clap::Subcommand)]
    enum Role {
        /// Compare `send` with the smallest client, and judge the result (without a subcommand: this, with its defaults)
        Compare(broadcast::Compare),
        /// Compare `ask` with `send`, on the same fleet and with the same responses
        Ask(ask::Compare),
        /// Compare the ledger in a file with the smallest program that keeps the same rows, and count calls of DynamoDB
        Ledger(ledger::Compare),
        /// Compare a broadcast with metrics and traces with one without
        Observed(observed::Compare),
        /// A broadcast by the library alone
        Direct(direct::Direct),
        /// The receivers alone, until their input ends
        Receivers(receivers::Receivers),
        /// A simulated fleet alone, until its input ends
        Fleet(fleet::Simulated),
        /// The smallest client alone
        Floor(load::Load),
        /// Run a program on one processor and print its cost: user time, system time (ns), peak memory (KiB), duration (ns)
        Measure(measure::Measured),
        /// The ledger in a file alone
        Outcomes(outcomes::InFile),
        /// The smallest program that keeps the same rows alone
        OutcomesFloor(outcomes::InFile),
        /// The ledger in a table alone
        OutcomesTable(outcomes::InTable),
        /// A table that takes everything alone, until its input ends
        ServeTable,
    }

    match Args::parse().role {
        None => broadcast::run(&broadcast::Compare::default()),
        Some(Role::Compare(compare)) => broadcast::run(&compare),
        Some(Role::Ask(compare)) => ask::run(&compare),
        Some(Role::Ledger(compare)) => ledger::run(&compare),
        Some(Role::Observed(compare)) => observed::run(&compare),
        Some(Role::Direct(direct)) => direct::run(&direct),
        Some(Role::Outcomes(of)) => outcomes::product(&of),
        Some(Role::OutcomesFloor(of)) => outcomes::floor(&of),
        Some(Role::OutcomesTable(of)) => outcomes::table(&of),
        Some(Role::ServeTable) => table::run(),
        Some(Role::Receivers(receivers)) => receivers::run(&receivers),
        Some(Role::Fleet(fleet)) => fleet::run(&fleet),
        Some(Role::Floor(load)) => floor::run(&load),
        Some(Role::Measure(measured)) => measure::run(&measured),
    }
}

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("this benchmark needs Linux: it uses epoll, processor affinity and /proc");
}
