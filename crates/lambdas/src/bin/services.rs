//! Lambda: finds the services of a cluster.

use notifier::pipeline::StageName;

fn main() -> Result<(), lambda_runtime::Error> {
    lambdas::function::run(StageName::Services)
}
