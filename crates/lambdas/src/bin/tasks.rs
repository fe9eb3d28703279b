//! Lambda: finds the running tasks of a service.

use notifier::pipeline::StageName;

fn main() -> Result<(), lambda_runtime::Error> {
    lambdas::function::run(StageName::Tasks)
}
