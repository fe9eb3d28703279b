//! Which service a container belongs to, in reports of one cluster or several. Pure.

use std::collections::BTreeMap;

use super::Member;
use super::arn::cluster_name;

/// Identifies a service. Equal names in two clusters are two services, and so are equal clusters in two accounts or
/// regions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceKey<'a> {
    /// Id of the account; empty where unknown.
    pub account: &'a str,
    /// Region; empty where unknown.
    pub region: &'a str,
    /// Name of the cluster, even if the broadcast has its ARN.
    pub cluster: &'a str,
    /// Name of the service, or the group of standalone tasks.
    pub service: &'a str,
}

impl Member {
    /// The service that the container belongs to.
    pub fn service_key(&self) -> ServiceKey<'_> {
        let (account, region) = (&self.account, &self.region);
        ServiceKey { account, region, cluster: cluster_name(&self.cluster), service: &self.service }
    }
}

impl ServiceKey<'_> {
    /// Whether account and region are unknown.
    pub(crate) fn is_unplaced(&self) -> bool {
        self.account.is_empty() && self.region.is_empty()
    }
}

/// Account and region of each cluster, by the cluster's name; none for a name in several accounts or regions.
#[derive(Debug, Default)]
pub(crate) struct Places<'a>(BTreeMap<&'a str, Option<(&'a str, &'a str)>>);

impl<'a> Places<'a> {
    /// The accounts and regions of these services.
    pub(crate) fn of(services: impl IntoIterator<Item = ServiceKey<'a>>) -> Self {
        let mut places = BTreeMap::new();
        for service in services.into_iter().filter(|service| !service.is_unplaced()) {
            let place = Some((service.account, service.region));
            let known = places.entry(service.cluster).or_insert(place);
            if *known != place {
                *known = None;
            }
        }
        Self(places)
    }

    /// The service with the account and region of its cluster, if its own are unknown.
    pub(crate) fn complete(&self, service: ServiceKey<'a>) -> ServiceKey<'a> {
        match self.0.get(service.cluster) {
            Some(&Some((account, region))) if service.is_unplaced() => {
                ServiceKey { account, region, ..service }
            }
            _ => service,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str = "arn:aws:ecs:eu-west-1:111122223333:cluster/prod";

    fn key<'a>(account: &'a str, region: &'a str, cluster: &'a str) -> ServiceKey<'a> {
        ServiceKey { account, region, cluster, service: "web" }
    }

    #[test]
    fn a_cluster_is_the_same_by_its_name_and_by_its_arn() {
        let task = "arn:aws:ecs:eu-west-1:111122223333:task/prod/01";
        let (by_name, by_arn) = (Member::of_task("prod", task), Member::of_task(ARN, task));
        assert_eq!(by_name.service_key(), by_arn.service_key());
        assert_eq!(
            by_arn.service_key(),
            ServiceKey { service: "", ..key("111122223333", "eu-west-1", "prod") }
        );
    }

    #[test]
    fn an_unknown_account_is_the_clusters_only_one() {
        let services = [
            key("1", "eu-west-1", "prod"),
            key("1", "eu-west-1", "prod"),
            key("1", "eu-west-1", "test"),
            key("2", "eu-west-1", "test"),
            key("1", "eu-west-1", "test"),
            key("", "", "prod"),
        ];
        let places = Places::of(services);
        assert_eq!(places.complete(key("", "", "prod")), key("1", "eu-west-1", "prod"));
        assert_eq!(places.complete(key("", "", "test")), key("", "", "test"), "two accounts have one");
        assert_eq!(places.complete(key("", "", "other")), key("", "", "other"));
        assert_eq!(places.complete(key("", "us-east-1", "prod")), key("", "us-east-1", "prod"));
    }
}
