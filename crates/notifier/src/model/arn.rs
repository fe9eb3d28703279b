//! ARNs and the names in them. Pure.
//!
//! Source of the formats: IAM User Guide, "Amazon Resource Names"; ECS Developer Guide, "Amazon Resource Names (ARNs) and
//! IDs". Partitions are not checked, since AWS adds new ones.

use crate::base::text::is_word;

/// The longest ARN that is read; a parameter of Systems Manager has a name of up to 2,048 bytes.
const BYTES_MAX: usize = 4_096;
/// The longest name of a region; the longest of today, `ap-southeast-1`, has 14 bytes.
const REGION_BYTES_MAX: usize = 32;
/// Digits of an account's id.
const ACCOUNT_DIGITS: usize = 12;

/// An ARN in its parts: `arn:PARTITION:SERVICE:REGION:ACCOUNT:RESOURCE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arn<'a> {
    /// For example `aws` or `aws-cn`.
    pub partition: &'a str,
    /// For example `ecs`.
    pub service: &'a str,
    /// Empty for resources of no region.
    pub region: &'a str,
    /// Empty for resources of no account. Emulators may write anything but twelve digits.
    pub account: &'a str,
    /// Kind and name of the resource, for example `cluster/prod`.
    pub resource: &'a str,
}

impl<'a> Arn<'a> {
    /// The parts of an ARN; `None` when the text is not an ARN.
    pub fn parse(text: &'a str) -> Option<Self> {
        if text.len() > BYTES_MAX {
            return None;
        }
        let mut parts = text.splitn(6, ':');
        let mut next = || parts.next();
        let ("arn", partition, service, region, account, resource) =
            (next()?, next()?, next()?, next()?, next()?, next()?)
        else {
            return None;
        };
        let is_valid = is_word(partition)
            && is_word(service)
            && (region.is_empty() || is_word(region))
            && (account.is_empty() || is_word(account))
            && !resource.is_empty();
        is_valid.then_some(Self { partition, service, region, account, resource })
    }

    /// The region; `None` for resources of no region.
    pub fn region(&self) -> Option<&'a str> {
        Some(self.region).filter(|region| !region.is_empty())
    }

    /// The account; `None` unless it has twelve digits.
    pub fn account(&self) -> Option<&'a str> {
        Some(self.account).filter(|account| is_account(account))
    }

    /// The rest of the resource of an ARN of ECS after this kind and a slash.
    fn ecs(text: &'a str, kind: &str) -> Option<(Self, &'a str)> {
        let arn = Self::parse(text).filter(|arn| arn.service == "ecs")?;
        let name = arn.resource.strip_prefix(kind)?.strip_prefix('/')?;
        (!arn.region.is_empty() && !arn.account.is_empty()).then_some((arn, name))
    }
}

/// The ARN of an ECS task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TaskArn<'a> {
    /// The ARN in its parts.
    pub arn: Arn<'a>,
    /// Name of the task's cluster; `None` in the old format, `…:task/ID`.
    pub cluster: Option<&'a str>,
    /// Id of the task.
    pub id: &'a str,
}

impl<'a> TaskArn<'a> {
    /// The parts of a task's ARN; `None` when the text is not the ARN of a task.
    pub fn parse(text: &'a str) -> Option<Self> {
        let (arn, rest) = Arn::ecs(text, "task")?;
        let (cluster, id) = match rest.split_once('/') {
            Some((cluster, id)) => (Some(cluster), id),
            None => (None, rest),
        };
        (is_word(id) && cluster.is_none_or(is_name)).then_some(Self { arn, cluster, id })
    }

    /// The ARN of the task's cluster, where the task's ARN names it.
    pub fn cluster_arn(&self) -> Option<String> {
        let Arn { partition, region, account, .. } = self.arn;
        Some(format!("arn:{partition}:ecs:{region}:{account}:cluster/{}", self.cluster?))
    }
}

/// The ARN of an ECS cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClusterArn<'a> {
    /// The region that it is in.
    pub region: &'a str,
    /// The account that it is in: twelve digits.
    pub account: &'a str,
    /// Name of the cluster; `*` for every cluster of the account and region.
    pub name: &'a str,
}

impl<'a> ClusterArn<'a> {
    /// The parts of a cluster's ARN; `None` when the text is not the ARN of a cluster, or not in an account and region of
    /// AWS: the region becomes part of a host name.
    pub fn parse(text: &'a str) -> Option<Self> {
        let (arn, name) = Arn::ecs(text, "cluster")?;
        let is_valid = is_region(arn.region) && (is_name(name) || name == EVERY_CLUSTER);
        is_valid.then_some(Self { region: arn.region, account: arn.account()?, name })
    }
}

/// The name that means every cluster.
pub const EVERY_CLUSTER: &str = wire::ObserverMessage::EVERY_CLUSTER;

/// Whether this names every cluster: `*` for those of the notifier's own account and region, or an ARN that ends in
/// `:cluster/*`.
pub fn is_every_cluster(cluster: &str) -> bool {
    cluster == EVERY_CLUSTER || ClusterArn::parse(cluster).is_some_and(|arn| arn.name == EVERY_CLUSTER)
}

/// Whether this can be the name of a region, such as `eu-west-1` or `us-gov-east-1`: words in lower case and a number.
pub fn is_region(text: &str) -> bool {
    let Some((words, number)) = text.rsplit_once('-') else { return false };
    let is_number = (1..=2).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit());
    let is_lower = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase());
    text.len() <= REGION_BYTES_MAX && words.contains('-') && words.split('-').all(is_lower) && is_number
}

/// Whether this is the id of an account: twelve digits.
pub fn is_account(text: &str) -> bool {
    text.len() == ACCOUNT_DIGITS && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The name in a cluster's ARN; a name is itself.
pub fn cluster_name(name_or_arn: &str) -> &str {
    Arn::ecs(name_or_arn, "cluster").map_or(name_or_arn, |(_, name)| name)
}

/// The name in a service's ARN, `…:service/CLUSTER/NAME` or `…:service/NAME`; a name is itself.
pub fn service_name(name_or_arn: &str) -> &str {
    Arn::ecs(name_or_arn, "service").map_or(name_or_arn, |(_, path)| last_part(path))
}

/// What follows the last slash of an ARN; a name is itself.
pub fn last_part(name_or_arn: &str) -> &str {
    name_or_arn.rsplit('/').next().unwrap_or(name_or_arn)
}

/// What ECS allows in the name of a cluster.
pub(crate) fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_has_a_region_and_an_account_where_it_names_them() {
        let check = |text: &str, expected: Option<(Option<&str>, Option<&str>)>| {
            assert_eq!(Arn::parse(text).map(|arn| (arn.region(), arn.account())), expected, "{text}");
        };
        check(
            "arn:aws:ecs:eu-west-1:111122223333:cluster/prod",
            Some((Some("eu-west-1"), Some("111122223333"))),
        );
        check("arn:aws-eusc:ecs:eusc-de-east-1:1:a:b:c", Some((Some("eusc-de-east-1"), None)));
        check("arn:aws:s3:::bucket", Some((None, None)));
        for wrong in [
            "",
            "prod",
            "arn:t",
            "arn:aws:ecs:eu-west-1:111122223333",
            "arn:aws:ecs:eu-west-1:111122223333:",
            "arn::ecs:eu-west-1:111122223333:cluster/prod",
            "arn:aws::eu-west-1:111122223333:cluster/prod",
            "arn:aws:ecs:eu west:111122223333:cluster/prod",
            "arn:aws:ecs:eu-west-1:\u{1b}[2J:cluster/prod",
            "ARN:aws:ecs:eu-west-1:111122223333:cluster/prod",
        ] {
            check(wrong, None);
        }
        check(&format!("arn:aws:ecs:eu-west-1:111122223333:cluster/{}", "p".repeat(BYTES_MAX)), None);
    }

    #[test]
    fn a_task_arn_names_its_cluster_in_the_long_format() {
        let parse = |text| TaskArn::parse(text).map(|task| (task.cluster, task.id));
        assert_eq!(
            parse("arn:aws:ecs:eu-west-1:111122223333:task/prod_1/0123456789abcdef0123456789abcdef"),
            Some((Some("prod_1"), "0123456789abcdef0123456789abcdef"))
        );
        assert_eq!(
            parse("arn:aws-cn:ecs:cn-north-1:111122223333:task/1dc5c17a-422b-4dc4-b493-371970c6c4d6"),
            Some((None, "1dc5c17a-422b-4dc4-b493-371970c6c4d6"))
        );
        for wrong in [
            "",
            "arn:t",
            "arn:aws:ecs:eu-west-1:111122223333:service/prod/web",
            "arn:aws:ec2:eu-west-1:111122223333:task/prod/01",
            "arn:aws:ecs:eu-west-1:111122223333:task/prod/",
            "arn:aws:ecs:eu-west-1:111122223333:task/prod/01/02",
            "arn:aws:ecs:eu-west-1:111122223333:task/prod/0 1",
            "arn:aws:ecs:eu-west-1:111122223333:task//01",
            "arn:aws:ecs:eu-west-1:111122223333:taskx/01",
            "arn:aws:ecs::111122223333:task/prod/01",
            "arn:aws:ecs:eu-west-1::task/prod/01",
        ] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_cluster_arn_names_an_account_and_a_region_of_aws() {
        let parse = |text| ClusterArn::parse(text).map(|arn| (arn.account, arn.region, arn.name));
        let one = "111122223333";
        assert_eq!(
            parse("arn:aws:ecs:eu-west-1:111122223333:cluster/prod"),
            Some((one, "eu-west-1", "prod"))
        );
        assert_eq!(
            parse("arn:aws-us-gov:ecs:us-gov-west-1:111122223333:cluster/*"),
            Some((one, "us-gov-west-1", "*"))
        );
        for wrong in [
            "prod",
            "*",
            "arn:aws:ecs:eu-west-1:111122223333:cluster/",
            "arn:aws:ecs:eu-west-1:111122223333:cluster/pr*",
            "arn:aws:ecs:eu-west-1:111122223333:cluster/prod/web",
            "arn:aws:ecs:eu-west-1:111122223333:service/prod/web",
            "arn:aws:ecs:eu-west-1:1:cluster/prod",
            "arn:aws:ecs:eu-west-1:11112222333x:cluster/prod",
            "arn:aws:ecs::111122223333:cluster/prod",
            "arn:aws:ecs:EU-WEST-1:111122223333:cluster/prod",
            "arn:aws:ecs:evil_host-1:111122223333:cluster/prod",
            "arn:aws:sqs:eu-west-1:111122223333:cluster/prod",
        ] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_region_is_words_and_a_number() {
        for right in ["eu-west-1", "us-gov-east-1", "ap-southeast-7", "eusc-de-east-1", "us-isob-east-1"] {
            assert!(is_region(right), "{right}");
        }
        let long = format!("eu-{}-1", "x".repeat(REGION_BYTES_MAX));
        for wrong in
            ["", "1", "eu-1", "eu-west", "eu-west-", "eu-west-123", "eu--1", "-eu-west-1", "eu.west-1", &long]
        {
            assert!(!is_region(wrong), "{wrong}");
        }
    }

    #[test]
    fn the_name_of_a_cluster_or_service_is_the_end_of_its_arn() {
        assert_eq!(cluster_name("prod"), "prod");
        assert_eq!(cluster_name("arn:aws:ecs:eu-west-1:1:cluster/prod"), "prod");
        assert_eq!(
            cluster_name("arn:aws:ecs:eu-west-1:1:service/prod/web"),
            "arn:aws:ecs:eu-west-1:1:service/prod/web"
        );
        assert_eq!(service_name("web"), "web");
        assert_eq!(service_name("arn:aws:ecs:eu-west-1:1:service/prod/web"), "web");
        assert_eq!(service_name("arn:aws:ecs:eu-west-1:1:service/web"), "web");
        assert_eq!(service_name("a/b"), "a/b");
    }
}
