//! Compares a broadcast by `notifier` with the smallest client that could make it, in one run on one machine.
//!
//! `cargo run --release -p bench` starts itself again for each sample: a server, and one client at a time, in turns. What
//! counts is the ratio of their processor times; how many calls a second that made is for information, because it says more
//! about the machine. `docs/performance.md` explains the figures.

#![expect(clippy::print_stdout, reason = "a program for people at a terminal")]

#[cfg(target_os = "linux")]
mod compare;
#[cfg(target_os = "linux")]
mod figures;
#[cfg(target_os = "linux")]
mod floor;
#[cfg(target_os = "linux")]
mod ledger;
#[cfg(target_os = "linux")]
mod load;
#[cfg(target_os = "linux")]
mod outcomes;
#[cfg(target_os = "linux")]
mod process;
#[cfg(target_os = "linux")]
mod product;
#[cfg(target_os = "linux")]
mod server;
#[cfg(target_os = "linux")]
mod signing;
#[cfg(target_os = "linux")]
mod table;

#[cfg(target_os = "linux")]
fn main() -> anyhow::Result<std::process::ExitCode> {
    use clap::Parser;

    #[derive(Parser)]
    #[command(about = "Compares a broadcast with the smallest client that could make it")]
    struct Args {
        #[command(subcommand)]
        role: Option<Role>,
    }

    #[derive(clap::Subcommand)]
    enum Role {
        /// Compare both clients, and judge the result (without a subcommand: this, with its defaults)
        Compare(compare::Compare),
        /// Compare the ledger in a file with the smallest program that keeps the same rows, and count calls of DynamoDB
        Ledger(ledger::Compare),
        /// The server alone, until its input ends
        Serve(server::Serve),
        /// The smallest client alone
        Floor(load::Load),
        /// The notifier alone
        Product(load::Load),
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
        None => compare::run(&compare::Compare::default()),
        Some(Role::Compare(compare)) => compare::run(&compare),
        Some(Role::Ledger(compare)) => ledger::run(&compare),
        Some(Role::Outcomes(of)) => outcomes::product(&of),
        Some(Role::OutcomesFloor(of)) => outcomes::floor(&of),
        Some(Role::OutcomesTable(of)) => outcomes::table(&of),
        Some(Role::ServeTable) => table::run(),
        Some(Role::Serve(serve)) => server::run(&serve),
        Some(Role::Floor(load)) => process::sample(|| floor::run(&load)),
        Some(Role::Product(load)) => process::sample(|| product::run(&load)),
    }
}

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("this benchmark needs Linux: it uses epoll, processor affinity and /proc");
}
