//! Lambda: finds the services of a cluster.

use notifier::stage::StageName;

fn main() -> Result<(), lambda_runtime::Error> {
    lambdas::function::run(StageName::Services)
}
