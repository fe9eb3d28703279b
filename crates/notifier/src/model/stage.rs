//! The stages of the pipeline by name.

use crate::base::words;

words! {
    /// One of the stages.
    pub enum StageName {
        /// Stage 1, service discovery.
        Services = "services",
        /// Stage 2, task discovery.
        Tasks = "tasks",
        /// Stage 3, notify.
        Notify = "notify",
    }
}
