//! Amazon EC2: `DescribeInstances`, over the query protocol with its XML answers.
//!
//! Source: Amazon EC2 API Reference (version 2016-11-15) and its list of client error codes.

mod filter;
mod form;
mod shape;
pub(crate) mod xml;

pub(crate) use form::Form;
pub(crate) use shape::error;

use std::hash::{DefaultHasher, Hash, Hasher};

use crate::error::AwsError;
use crate::faults::Faults;
use crate::world::{Host, World};
use filter::Filter;

/// The most instances on a page, and the default page size.
const PAGE_MAX: usize = 1_000;
/// The smallest page size.
const PAGE_MIN: usize = 5;

/// Carries out one operation and returns its XML.
pub(crate) fn call(
    world: &World,
    faults: &Faults,
    operation: &str,
    form: &Form,
    request_id: &str,
) -> Result<String, AwsError> {
    if operation != "DescribeInstances" {
        let message = format!("The action {operation} is not valid for this web service.");
        return Err(AwsError::client("InvalidAction", message));
    }
    if let Some(version) = form.get("Version")
        && version != "2016-11-15"
    {
        return Err(AwsError::client(
            "NoSuchVersion",
            format!("The requested version ({version}) is not valid."),
        ));
    }
    let (instances, token) = describe(world, faults, form)?;
    Ok(shape::describe_instances(world, &instances, token.as_deref(), request_id))
}

fn describe<'a>(
    world: &'a World,
    faults: &Faults,
    form: &Form,
) -> Result<(Vec<&'a Host>, Option<String>), AwsError> {
    let ids = form.list("InstanceId");
    let page = Page::of(form, &ids)?;
    let filters = Filter::all(form)?;
    let with_managed = form.get("IncludeManagedResources") == Some("true");
    // Machines outside AWS are container instances too, but unknown to EC2.
    let known = world.clusters.iter().flat_map(|cluster| &cluster.hosts);
    let known: Vec<&Host> =
        known.filter(|host| host.instance.starts_with("i-") && (with_managed || !host.hidden)).collect();
    require(&ids, &known)?;
    let mut found = known
        .into_iter()
        .enumerate()
        .filter(|(_, host)| ids.is_empty() || ids.contains(&host.instance.as_str()))
        .filter(|(_, host)| filters.iter().all(|filter| filter.passes(host)))
        .filter(|(_, host)| faults.drops_entry("DescribeInstances", &host.instance).is_none())
        .filter(|(place, _)| *place >= page.start);
    let instances: Vec<_> = found.by_ref().take(page.size).map(|(_, host)| host).collect();
    let token = found.next().map(|(place, _)| page.token(place));
    Ok((instances, token))
}

/// One unknown id fails the whole call.
fn require(ids: &[&str], known: &[&Host]) -> Result<(), AwsError> {
    if let Some(id) = ids.iter().find(|id| !is_instance_id(id)) {
        return Err(AwsError::client("InvalidInstanceID.Malformed", format!("Invalid id: \"{id}\"")));
    }
    let unknown: Vec<&str> =
        ids.iter().filter(|id| !known.iter().any(|host| host.instance == **id)).copied().collect();
    let message = match unknown.as_slice() {
        [] => return Ok(()),
        [id] => format!("The instance ID '{id}' does not exist"),
        ids => format!("The instance IDs '{}' do not exist", ids.join(", ")),
    };
    Err(AwsError::client("InvalidInstanceID.NotFound", message))
}

/// `i-` and 8 or 17 hexadecimal digits.
fn is_instance_id(id: &str) -> bool {
    id.strip_prefix("i-").is_some_and(|digits| {
        matches!(digits.len(), 8 | 17) && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}

/// The part of the instances that a request asks for.
struct Page {
    start: usize,
    size: usize,
    /// A digest of the request without its paging: a token is only valid for the same list.
    print: u64,
}

impl Page {
    fn of(form: &Form, ids: &[&str]) -> Result<Self, AwsError> {
        let size = match form.get("MaxResults") {
            None => PAGE_MAX,
            Some(_) if !ids.is_empty() => {
                let message = "The parameter instancesSet cannot be used with the parameter maxResults";
                return Err(AwsError::client("InvalidParameterCombination", message));
            }
            Some(asked) => {
                let size = asked.parse().ok().filter(|size| (PAGE_MIN..=PAGE_MAX).contains(size));
                size.ok_or_else(|| {
                    let message = format!(
                        "Value ( {asked} ) for parameter maxResults is invalid. Expecting a value from {PAGE_MIN} to \
                         {PAGE_MAX}."
                    );
                    AwsError::client("InvalidParameterValue", message)
                })?
            }
        };
        let mut hasher = DefaultHasher::new();
        for (name, value) in form.iter().filter(|(name, _)| !matches!(*name, "NextToken" | "MaxResults")) {
            (name, value).hash(&mut hasher);
        }
        let mut page = Self { start: 0, size, print: hasher.finish() };
        if let Some(token) = form.get("NextToken") {
            page.start = page.read(token).ok_or_else(|| {
                AwsError::client("InvalidPaginationToken", "The specified pagination token is not valid.")
            })?;
        }
        Ok(page)
    }

    fn token(&self, place: usize) -> String {
        let mut hasher = DefaultHasher::new();
        (self.print, place).hash(&mut hasher);
        format!("{:016x}{:08x}", hasher.finish(), place)
    }

    fn read(&self, token: &str) -> Option<usize> {
        let (_, place) = token.split_at_checked(16)?;
        let place = usize::from_str_radix(place, 16).ok()?;
        (self.token(place) == token).then_some(place)
    }
}
