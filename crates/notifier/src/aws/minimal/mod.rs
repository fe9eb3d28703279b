//! Minimal clients for services with only one or two operations in use: CloudWatch, EC2, Secrets Manager, SSM.
//!
//! They consist of the SDK's parts (credentials, signatures, retries, endpoints). The generated clients of these services
//! are among the SDK's largest and would double the size of a function's archive.

pub mod cloudwatch;
pub mod ec2;
mod endpoint;
pub mod nodes;
mod operation;
pub mod secrets;
