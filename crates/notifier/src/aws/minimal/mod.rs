//! Small clients of our own, for services of which we call one or two operations: EC2, Secrets Manager, SSM.
//!
//! They are assembled from the SDK's parts (credentials, signatures, retries, endpoints). The generated clients of these
//! services are among the SDK's largest and would double the size of a function's archive.

pub mod ec2;
mod endpoint;
mod operation;
pub mod secrets;
