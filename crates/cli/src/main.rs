//! The command line of ecs-task-notifier: thin subcommands over the library. Only this crate prints.

mod args;
mod ask;
mod cancel;
mod check;
mod command;
mod completions;
mod console;
mod context;
mod demo;
mod failed_of;
mod failure;
mod go_on;
mod health;
mod history;
mod interrupt;
mod keygen;
mod live;
mod log;
mod man;
mod page;
mod place;
mod plan;
mod progress;
mod publish;
mod redrive;
mod render;
mod report;
mod retained;
mod routes;
mod send;
mod serve;
mod services;
mod simulate;
mod stop;
mod summary;
mod trial;
mod watch;

use std::process::ExitCode;

use args::Format;
use clap::CommandFactory as _;
use command::{Cli, Command};
use console::Console;
use failure::{Exit, Failure};
use notifier::base::Environment;

/// The program is linked with musl, whose own allocator takes one lock for all threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let environment = Environment::of_process();
    let cli = match command::parse() {
        Ok(cli) => cli,
        // Help and usage errors: clap prints them, help to stdout and errors to stderr.
        Err(message) => return console::print_help(&message).into(),
    };
    let mut console = Console::new(&cli.global, &environment);
    let result = run(cli, &environment, &mut console).and_then(|exit| {
        console.finish().map_err(Failure::output)?;
        Ok(exit)
    });
    match result {
        Ok(exit) => exit.into(),
        Err(failure) => {
            console.fail(&failure);
            failure.exit.into()
        }
    }
}

fn run(cli: Cli, environment: &Environment, console: &mut Console) -> Result<Exit, Failure> {
    let Cli { global, command } = cli;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Failure::runtime)?;
    let global = &global;
    if global.format == Format::Html && !matches!(command, Command::Report(_)) {
        return Err(
            Failure::usage("only `report` has the format html").hint("use --format text, json or csv")
        );
    }
    runtime.block_on(async {
        match command {
            Command::Demo(args) => demo::run(global, args, console).await,
            Command::Plan(args) => plan::run(global, args, environment, console).await,
            Command::Send(args) => Box::pin(send::run(global, args, environment, console)).await,
            Command::Ask(args) => Box::pin(ask::run(global, args, environment, console)).await,
            Command::Publish(args) => publish::run(global, args, environment, console).await,
            Command::Serve(args) => serve::run(global, args, environment, console).await,
            Command::Health(args) => health::run(global, args, environment, console).await,
            Command::Page(args) => page::run(global, args, environment, console).await,
            Command::Report(args) => report::run(global, args, environment, console).await,
            Command::History(args) => history::run(global, args, environment, console).await,
            Command::Redrive(args) => redrive::run(global, args, environment, console).await,
            Command::Drop(args) => redrive::drop(global, args, environment, console).await,
            Command::Cancel(args) => cancel::run(global, args, environment, console).await,
            Command::Continue(args) => go_on::run(global, args, environment, console).await,
            Command::Retained(args) => retained::run(global, args, environment, console).await,
            Command::Simulate(args) => simulate::run(global, args, console).await,
            Command::Check(args) => check::run(global, args, environment, console).await,
            Command::Routes(args) => routes::run(global, args, environment, console).await,
            Command::Keygen(args) => keygen::run(&args, console),
            Command::Completions(args) => completions::run(&args, Cli::command(), console),
            Command::Man(args) => man::run(&args, Cli::command()),
        }
    })
}
