//! The names of S3's events, in notifications and in EventBridge.
//!
//! Source: Amazon S3 User Guide, "Supported event types for SQS, SNS, and Lambda", and "Using EventBridge" with its table of
//! the corresponding types.

/// One kind of event by its two names.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Name {
    /// In a notification, without `s3:`.
    pub(super) notification: &'static str,
    /// `detail-type` in EventBridge.
    pub(super) detail_type: &'static str,
    /// `detail.reason` in EventBridge, if there is one.
    pub(super) reason: Option<&'static str>,
    /// `detail.deletion-type` in EventBridge, if there is one.
    pub(super) deletion_type: Option<&'static str>,
}

const fn name(notification: &'static str, detail_type: &'static str) -> Name {
    Name { notification, detail_type, reason: None, deletion_type: None }
}

const fn created(notification: &'static str, reason: &'static str) -> Name {
    Name { reason: Some(reason), ..name(notification, "Object Created") }
}

const fn deleted(notification: &'static str, reason: &'static str, deletion_type: &'static str) -> Name {
    Name { reason: Some(reason), deletion_type: Some(deletion_type), ..name(notification, "Object Deleted") }
}

const PERMANENTLY: &str = "Permanently Deleted";
const MARKER: &str = "Delete Marker Created";

static NAMES: [Name; 17] = [
    created("ObjectCreated:Put", "PutObject"),
    created("ObjectCreated:Post", "POST Object"),
    created("ObjectCreated:Copy", "CopyObject"),
    created("ObjectCreated:CompleteMultipartUpload", "CompleteMultipartUpload"),
    deleted("ObjectRemoved:Delete", "DeleteObject", PERMANENTLY),
    deleted("ObjectRemoved:DeleteMarkerCreated", "DeleteObject", MARKER),
    deleted("LifecycleExpiration:Delete", "Lifecycle Expiration", PERMANENTLY),
    deleted("LifecycleExpiration:DeleteMarkerCreated", "Lifecycle Expiration", MARKER),
    name("ObjectRestore:Post", "Object Restore Initiated"),
    name("ObjectRestore:Completed", "Object Restore Completed"),
    name("ObjectRestore:Delete", "Object Restore Expired"),
    name("LifecycleTransition", "Object Storage Class Changed"),
    name("IntelligentTiering", "Object Access Tier Changed"),
    name("ObjectTagging:Put", "Object Tags Added"),
    name("ObjectTagging:Delete", "Object Tags Deleted"),
    name("ObjectAcl:Put", "Object ACL Updated"),
    // The last one is for versions of the API that created objects in other ways.
    name("ObjectCreated", "Object Created"),
];

/// The kind of event with this name of a notification. Replication and Reduced Redundancy have no name in EventBridge.
pub(super) fn of_notification(event_name: &str) -> Option<&'static Name> {
    NAMES.iter().find(|name| name.notification == event_name)
}

/// The kind of event with these names of EventBridge.
pub(super) fn of_event(
    detail_type: &str,
    reason: Option<&str>,
    deletion: Option<&str>,
) -> Option<&'static Name> {
    let fits = |ours: Option<&str>, theirs: Option<&str>| ours.is_none() || ours == theirs;
    NAMES.iter().find(|name| {
        name.detail_type == detail_type && fits(name.reason, reason) && fits(name.deletion_type, deletion)
    })
}

/// Whether an event of S3 in EventBridge is about an object, and not, for example, a call that `CloudTrail` recorded.
pub(super) fn is_object_event(detail_type: &str) -> bool {
    detail_type.starts_with("Object ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_leads_to_the_other_and_back() {
        for name in &NAMES {
            assert_eq!(of_notification(name.notification), Some(name));
            assert_eq!(of_event(name.detail_type, name.reason, name.deletion_type), Some(name));
        }
        assert_eq!(of_notification("Replication:OperationNotTracked"), None);
        let other = of_event("Object Created", Some("UploadPartCopy"), None);
        assert_eq!(other.map(|name| name.notification), Some("ObjectCreated"));
        assert_eq!(of_event("Object Deleted", Some("DeleteObject"), None), None);
    }
}
