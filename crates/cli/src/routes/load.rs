//! Reads rules from their location, and an event from a file.

use std::fs::File;
use std::io;
use std::path::Path;

use notifier::base::{Environment, input};
use notifier::secrets::{SecretRef, Vault};
use notifier::settings::{Flags, routes_location, table};
use notifier::sources::Routes;

use crate::args::Global;
use crate::console::Console;
use crate::context;
use crate::failure::Failure;

/// The rules at the location of an argument, or else of the setting.
pub(super) async fn routes(
    global: &Global,
    argument: Option<&str>,
    flags: &Flags,
    environment: &Environment,
    console: &mut Console,
) -> Result<Routes, Failure> {
    let needed = if argument.is_none() { &[&table::ROUTES][..] } else { &[] };
    let settings = context::settings(global, flags, needed, environment, console)?;
    let place = match argument {
        Some(text) => routes_location(text)
            .map_err(|error| Failure::usage("the argument is not the location of rules").because(&error))?,
        // A required setting has a value.
        None => settings.routes.clone().ok_or_else(|| Failure::usage("no rules are set"))?,
    };
    let aws = if place.is_in_aws() { Some(context::aws(global, &settings).await?.secrets) } else { None };
    let material = Vault::new(environment.clone(), aws).read(&place).await.map_err(|error| {
        let what = "the rules cannot be read";
        let failure = if error.is_passing() { Failure::failed(what) } else { Failure::usage(what) };
        failure.because(&error)
    })?;
    let origin = match &place {
        SecretRef::File(path) => path.display().to_string(),
        other => other.to_string(),
    };
    let origin = notifier::base::text::printable(&origin, usize::MAX);
    Routes::parse(material.newest(), &origin).map_err(|errors| Failure::usage(errors.to_string()))
}

/// The text of an event: a file, or `-` for stdin.
pub(super) fn event(path: &Path) -> Result<String, Failure> {
    let bytes_max = wire::MESSAGE_BYTES_MAX as u64;
    let text = if path == Path::new("-") {
        input::text(io::stdin().lock(), bytes_max)
    } else {
        File::open(path).and_then(|file| input::text(file, bytes_max))
    };
    text.map_err(|error| Failure::usage(format!("{} cannot be read", path.display())).because(&error))
}
