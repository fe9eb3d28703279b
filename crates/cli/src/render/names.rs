//! Names of services: as short as possible, but unique in one report.

use std::collections::BTreeSet;

use notifier::model::ServiceKey;

/// Which parts are prefixed to the services' names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ServiceNames {
    account: bool,
    region: bool,
    cluster: bool,
}

impl ServiceNames {
    /// For a report of these services: a part is prefixed if it differs between them.
    pub(crate) fn of<'a>(services: impl IntoIterator<Item = ServiceKey<'a>>) -> Self {
        let (mut accounts, mut regions, mut clusters) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for ServiceKey { account, region, cluster, .. } in services {
            accounts.insert(account);
            regions.insert(region);
            clusters.insert((account, region, cluster));
        }
        Self { account: accounts.len() > 1, region: regions.len() > 1, cluster: clusters.len() > 1 }
    }

    /// `web`, `prod/web` or `111122223333/eu-west-1/prod/web`.
    pub(crate) fn name(self, key: ServiceKey<'_>) -> String {
        let ServiceKey { account, region, cluster, service } = key;
        let service = if service.is_empty() { "(no service)" } else { service };
        let parts =
            [(self.account, account), (self.region, region), (self.cluster, cluster), (true, service)];
        let shown = parts.into_iter().filter(|(is_shown, part)| *is_shown && !part.is_empty());
        shown.map(|(_, part)| part).collect::<Vec<_>>().join("/")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names<const N: usize>(keys: [[&str; 4]; N]) -> Vec<String> {
        let keys =
            keys.map(|[account, region, cluster, service]| ServiceKey { account, region, cluster, service });
        let names = ServiceNames::of(keys);
        keys.into_iter().map(|key| names.name(key)).collect()
    }

    #[test]
    fn only_what_differs_stands_in_front_of_a_service() {
        assert_eq!(names([["1", "eu", "prod", "web"], ["1", "eu", "prod", ""]]), ["web", "(no service)"]);
        assert_eq!(names([["1", "eu", "prod", "web"], ["1", "eu", "test", "web"]]), ["prod/web", "test/web"]);
        assert_eq!(
            names([["1", "eu", "prod", "web"], ["2", "eu", "prod", "web"]]),
            ["1/prod/web", "2/prod/web"]
        );
        assert_eq!(
            names([["1", "eu", "prod", "web"], ["1", "us", "prod", "web"], ["", "", "", "web"]]),
            ["1/eu/prod/web", "1/us/prod/web", "web"]
        );
    }
}
