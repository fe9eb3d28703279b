//! ARNs in the long format, and the ways in which callers may name a resource.

/// Makes the ARNs of one account and Region.
#[derive(Clone, Debug)]
pub(crate) struct Arns {
    /// `arn:aws:ecs:REGION:ACCOUNT:`
    prefix: String,
}

impl Arns {
    pub(crate) fn new(region: &str, account: &str) -> Self {
        let partition = match region.split('-').next() {
            Some("cn") => "aws-cn",
            _ if region.starts_with("us-gov-") => "aws-us-gov",
            _ => "aws",
        };
        Self { prefix: format!("arn:{partition}:ecs:{region}:{account}:") }
    }

    pub(crate) fn cluster(&self, name: &str) -> String {
        format!("{}cluster/{name}", self.prefix)
    }

    pub(crate) fn service(&self, cluster: &str, name: &str) -> String {
        format!("{}service/{cluster}/{name}", self.prefix)
    }

    pub(crate) fn task(&self, cluster: &str, id: &str) -> String {
        format!("{}task/{cluster}/{id}", self.prefix)
    }

    pub(crate) fn container(&self, cluster: &str, task: &str, id: &str) -> String {
        format!("{}container/{cluster}/{task}/{id}", self.prefix)
    }

    pub(crate) fn container_instance(&self, cluster: &str, id: &str) -> String {
        format!("{}container-instance/{cluster}/{id}", self.prefix)
    }

    pub(crate) fn task_definition(&self, family_revision: &str) -> String {
        format!("{}task-definition/{family_revision}", self.prefix)
    }

    pub(crate) fn task_set(&self, cluster: &str, service: &str, id: &str) -> String {
        format!("{}task-set/{cluster}/{service}/{id}", self.prefix)
    }

    /// The ARN of a CloudWatch alarm.
    pub(crate) fn alarm(&self, name: &str) -> String {
        format!("{}alarm:{name}", self.prefix.replacen(":ecs:", ":cloudwatch:", 1))
    }

    /// What a caller means by a name or an ARN of a resource of this `kind` (`cluster`, `task`…).
    pub(crate) fn read<'a>(&self, kind: &str, named: &'a str) -> Named<'a> {
        let Some(resource) = named.strip_prefix(self.prefix.as_str()) else {
            return if named.starts_with("arn:") { Named::Foreign } else { Named::Bare(named) };
        };
        match resource.split_once('/') {
            Some((found, rest)) if found == kind => match rest.split_once('/') {
                Some((cluster, name)) => Named::In { cluster, name },
                None => Named::Bare(rest),
            },
            _ => Named::Foreign,
        }
    }
}

/// A resource as a caller named it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Named<'a> {
    /// By name or id alone, or by an ARN that names no cluster.
    Bare(&'a str),
    /// By an ARN that names its cluster.
    In { cluster: &'a str, name: &'a str },
    /// By an ARN of another kind, account or Region.
    Foreign,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_both_arn_formats_are_read() {
        let arns = Arns::new("eu-west-1", "111122223333");
        let check = |named, meant| assert_eq!(arns.read("task", named), meant);
        check("abc", Named::Bare("abc"));
        check("arn:aws:ecs:eu-west-1:111122223333:task/abc", Named::Bare("abc"));
        check("arn:aws:ecs:eu-west-1:111122223333:task/prod/abc", Named::In { cluster: "prod", name: "abc" });
        check("arn:aws:ecs:eu-west-2:111122223333:task/prod/abc", Named::Foreign);
        check("arn:aws:ecs:eu-west-1:111122223333:service/prod/abc", Named::Foreign);
    }

    #[test]
    fn the_region_decides_the_partition() {
        let check = |region, start| assert!(Arns::new(region, "1").cluster("c").starts_with(start));
        check("cn-north-1", "arn:aws-cn:ecs:cn-north-1:");
        check("us-gov-east-1", "arn:aws-us-gov:ecs:");
        check("us-east-1", "arn:aws:ecs:");
    }
}
