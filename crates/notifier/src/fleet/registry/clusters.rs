//! Which clusters are registered. Pure.

use std::fmt;
use std::str::FromStr;

use crate::base::text::quoted;
use crate::model::arn::{ClusterArn, EVERY_CLUSTER, is_name};

/// The most clusters and patterns of the setting.
pub const CLUSTERS_MAX: usize = 100;

/// The registered clusters, by name, ARN or pattern.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RegisteredClusters(Vec<String>);

/// Why a text does not name clusters.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClustersError {
    /// One of them is neither.
    #[error("`{}` is neither the name nor the ARN of a cluster, nor `*`", quoted(.0))]
    Invalid(String),
    /// There are too many.
    #[error("it names more than {CLUSTERS_MAX} clusters: use `*`")]
    TooMany,
}

impl RegisteredClusters {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// As they are written: names, ARNs and patterns.
    pub fn entries(&self) -> &[String] {
        &self.0
    }

    /// Whether a cluster of this name may be one of them.
    pub fn may_have(&self, name: &str) -> bool {
        self.0.iter().any(|entry| {
            let entry = ClusterArn::parse(entry).map_or(entry.as_str(), |arn| arn.name);
            entry == EVERY_CLUSTER || entry == name
        })
    }

    /// Whether the cluster with this ARN is one of them. A name means a cluster of any account and region; the events of
    /// others do not arrive without a rule there.
    pub fn has(&self, arn: &str) -> bool {
        let Some(cluster) = ClusterArn::parse(arn) else { return false };
        self.0.iter().any(|entry| match ClusterArn::parse(entry) {
            Some(of) => {
                (of.account, of.region) == (cluster.account, cluster.region)
                    && (of.name == EVERY_CLUSTER || entry == arn)
            }
            None => entry == EVERY_CLUSTER || entry == cluster.name,
        })
    }
}

impl FromStr for RegisteredClusters {
    type Err = ClustersError;

    fn from_str(text: &str) -> Result<Self, ClustersError> {
        let mut all = Vec::new();
        for entry in text.split(',').map(str::trim) {
            if entry != EVERY_CLUSTER && !is_name(entry) && ClusterArn::parse(entry).is_none() {
                return Err(ClustersError::Invalid(entry.to_owned()));
            }
            if !all.iter().any(|known| known == entry) {
                all.push(entry.to_owned());
            }
        }
        if all.len() > CLUSTERS_MAX { Err(ClustersError::TooMany) } else { Ok(Self(all)) }
    }
}

impl fmt::Display for RegisteredClusters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROD: &str = "arn:aws:ecs:eu-west-1:111122223333:cluster/prod";

    fn has(setting: &str, arn: &str) -> bool {
        setting.parse::<RegisteredClusters>().unwrap().has(arn)
    }

    #[test]
    fn a_cluster_is_registered_by_name_arn_or_pattern() {
        for setting in ["prod", "test, prod", "*", PROD, "arn:aws:ecs:eu-west-1:111122223333:cluster/*"] {
            assert!(has(setting, PROD), "{setting}");
        }
        for setting in [
            "pro",
            "Prod",
            "arn:aws:ecs:eu-west-2:111122223333:cluster/prod",
            "arn:aws:ecs:eu-west-1:444455556666:cluster/*",
            "arn:aws:ecs:eu-west-1:111122223333:cluster/product",
        ] {
            assert!(!has(setting, PROD), "{setting}");
        }
        assert!(!has("*", "prod") && !has("*", ""));
        let may_have = |setting: &str, name| setting.parse::<RegisteredClusters>().unwrap().may_have(name);
        assert!(
            may_have("*", "a") && may_have(PROD, "prod") && may_have("a,b", "b") && !may_have("a,b", "c")
        );
        assert!(!RegisteredClusters::default().has(PROD));
    }

    #[test]
    fn what_names_no_cluster_is_an_error() {
        for wrong in ["", "a b", "prod,", "arn:aws:ecs:eu-west-1:1:cluster/prod", "pro*"] {
            assert!(matches!(wrong.parse::<RegisteredClusters>(), Err(ClustersError::Invalid(_))), "{wrong}");
        }
        let many: Vec<String> = (0..=CLUSTERS_MAX).map(|n| format!("c{n}")).collect();
        assert_eq!(many.join(",").parse::<RegisteredClusters>(), Err(ClustersError::TooMany));
        assert_eq!("a,a , b".parse::<RegisteredClusters>().unwrap().to_string(), "a,b");
    }
}
