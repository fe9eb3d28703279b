//! Names, URLs and ARNs of queues: three ways to say which queue, and how to get from one to another.

use super::errors;
use crate::error::AwsError;

/// Longest queue name.
const NAME_CHARS_MAX: usize = 80;

/// The account and Region whose queues these are, and where they answer.
#[derive(Debug)]
pub(super) struct Home {
    base_url: String,
    region: String,
    account: String,
}

impl Home {
    pub(super) fn new(base_url: &str, region: &str, account: &str) -> Self {
        Self {
            base_url: base_url.trim_end_matches('/').to_owned(),
            region: region.to_owned(),
            account: account.to_owned(),
        }
    }

    pub(super) fn url(&self, name: &str) -> String {
        format!("{}/{}/{name}", self.base_url, self.account)
    }

    pub(super) fn arn(&self, name: &str) -> String {
        format!("arn:aws:sqs:{}:{}:{name}", self.region, self.account)
    }

    /// The name in a queue's URL.
    ///
    /// The host does not count: SQS looks at the path alone, so a queue answers under `localhost` too. A bare name is
    /// accepted as well, as AWS does.
    pub(super) fn name_in_url<'u>(&self, url: &'u str) -> Result<&'u str, AwsError> {
        let path = url.split_once("://").map_or(url, |(_, rest)| rest);
        let mut segments = path.rsplit('/');
        let name =
            segments.next().filter(|name| !name.is_empty()).ok_or_else(|| errors::invalid_address(url))?;
        match segments.next() {
            Some(account) if account != self.account => Err(errors::queue_does_not_exist()),
            _ => Ok(name),
        }
    }

    /// The name in the ARN of a queue of this account and Region; `None` for every other ARN.
    pub(super) fn name_in_arn<'a>(&self, arn: &'a str) -> Option<&'a str> {
        let (head, name) = arn.rsplit_once(':')?;
        (head == format!("arn:aws:sqs:{}:{}", self.region, self.account)).then_some(name)
    }

    /// Whether this is the account's number.
    pub(super) fn is_account(&self, account: &str) -> bool {
        self.account == account
    }
}

/// Whether a new queue may have this name.
pub(super) fn check(name: &str) -> Result<(), AwsError> {
    if name.strip_suffix(".fifo").is_some() {
        return Err(errors::unsupported("FIFO queues are not simulated: only standard queues are"));
    }
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if name.is_empty() || name.len() > NAME_CHARS_MAX || !name.chars().all(legal) {
        return Err(errors::invalid_parameter(
            "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_an_arn_and_a_bare_name_mean_the_same_queue() {
        let home = Home::new("http://127.0.0.1:9000/", "eu-west-1", "111122223333");
        assert_eq!(home.url("jobs"), "http://127.0.0.1:9000/111122223333/jobs");
        assert_eq!(home.name_in_url(&home.url("jobs")), Ok("jobs"));
        assert_eq!(home.name_in_url("http://localhost:1/111122223333/jobs"), Ok("jobs"));
        assert_eq!(home.name_in_url("jobs"), Ok("jobs"));
        assert_eq!(home.name_in_arn(&home.arn("jobs")), Some("jobs"));
    }

    #[test]
    fn queues_of_others_are_not_found() {
        let home = Home::new("http://127.0.0.1:9000", "eu-west-1", "111122223333");
        let code = |url| home.name_in_url(url).expect_err("refused").code;
        assert_eq!(code("http://127.0.0.1:9000/999999999999/jobs"), "QueueDoesNotExist");
        assert_eq!(code("http://127.0.0.1:9000/"), "InvalidAddress");
        assert_eq!(home.name_in_arn("arn:aws:sqs:us-east-1:111122223333:jobs"), None);
        assert_eq!(home.name_in_arn("jobs"), None);
    }

    #[test]
    fn a_name_is_short_and_plain() {
        assert!(check("ecs_service_task_eu-west-1").is_ok());
        for wrong in ["", "a b", "a.b", "jobs.fifo", "é", &"x".repeat(81)] {
            assert!(check(wrong).is_err(), "{wrong}");
        }
    }
}
