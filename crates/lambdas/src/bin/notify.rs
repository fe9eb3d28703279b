//! Lambda: calls one task.

use notifier::stage::StageName;

fn main() -> Result<(), lambda_runtime::Error> {
    lambdas::function::run(StageName::Notify)
}
