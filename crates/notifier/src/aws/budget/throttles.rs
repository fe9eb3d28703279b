//! Tells the budget when AWS throttles a call.

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::FinalizerInterceptorContextRef;
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::orchestrator::Metadata;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;

use super::{Budget, Group};
use crate::aws::calls;

/// An interceptor of the clients whose calls need the budget.
#[derive(Clone, Debug)]
pub(in crate::aws) struct Throttles(pub(in crate::aws) Budget);

#[dyn_dispatch_hint]
impl Intercept for Throttles {
    fn name(&self) -> &'static str {
        "Throttles"
    }

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let group = cfg.load::<Metadata>().and_then(|call| Group::of(call.name()));
        if let Some(group) = group.filter(|_| calls::result(context).throttled > 0) {
            self.0.throttled(group);
        }
        Ok(())
    }
}
