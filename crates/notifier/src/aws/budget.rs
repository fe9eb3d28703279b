//! Our share of the throttles that everything in the account and region draws on.

/// The APIs that share one of AWS's buckets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Group {
    /// ECS ListTasks, DescribeTasks, ListContainerInstances, DescribeContainerInstances.
    ClusterRead,
    /// ECS ListServices, DescribeServices.
    ServiceRead,
    /// ECS DescribeTaskDefinition.
    TaskDefinitionRead,
    /// EC2 DescribeInstances with a filter and pages.
    Ec2Read,
}

/// Our share of AWS's throttles. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Budget;

impl Budget {
    /// No limit, for a simulator.
    #[must_use]
    pub fn unlimited() -> Self {
        Self
    }

    /// Returns when our share has room for one more call of this group.
    pub async fn wait(&self, _group: Group) {}
}
