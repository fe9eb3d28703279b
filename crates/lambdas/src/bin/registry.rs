//! Lambda: keeps the registry of tasks from the events of ECS.

use notifier::pipeline::StageName;

fn main() -> Result<(), lambda_runtime::Error> {
    lambdas::function::run(StageName::Registry)
}
