//! Lambda: puts each record of a DynamoDB stream on the observer queue.

fn main() -> Result<(), lambda_runtime::Error> {
    lambdas::function::run_stream()
}
