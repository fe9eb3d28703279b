//! The limit of an answer's size: the SDK reads whole answers into memory without a limit.

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::BeforeDeserializationInterceptorContextMut;
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::ConfigBag;
use http_body_util::Limited;

/// The most bytes of one answer. The largest expected answers: a hundred tasks or instances with long lists of tags and
/// network interfaces, some 3 MB, and ten messages of SQS, 1 MiB together.
const ANSWER_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Fails a request whose answer is longer than [`ANSWER_BYTES_MAX`].
#[derive(Debug)]
pub(super) struct AnswerLimit;

#[dyn_dispatch_hint]
impl Intercept for AnswerLimit {
    fn name(&self) -> &'static str {
        "AnswerLimit"
    }

    /// Runs after the head of the answer and before its body.
    fn modify_before_deserialization(
        &self,
        context: &mut BeforeDeserializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let body = context.response_mut().take_body();
        *context.response_mut().body_mut() = limited(body, ANSWER_BYTES_MAX);
        Ok(())
    }
}

fn limited(body: SdkBody, bytes_max: usize) -> SdkBody {
    SdkBody::from_body_1_x(Limited::new(body, bytes_max))
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    #[tokio::test]
    async fn an_answer_may_be_as_long_as_the_limit_and_not_longer() {
        let read = async |text: &'static str| limited(SdkBody::from(text), 4).collect().await.ok();
        assert_eq!(
            read("1234").await.map(http_body_util::Collected::to_bytes).as_deref(),
            Some(&b"1234"[..])
        );
        assert!(read("12345").await.is_none());
    }
}
