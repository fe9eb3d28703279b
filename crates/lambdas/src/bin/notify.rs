//! Lambda: calls one task.

use notifier::pipeline::StageName;

fn main() -> Result<(), lambda_runtime::Error> {
    lambdas::function::run(StageName::Notify)
}
