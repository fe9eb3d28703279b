//! Each claim as two tests: against our simulator, and against MiniStack.

macro_rules! on_both {
    ($($claim:ident)*) => {
        mod on_the_simulator { $(
            #[tokio::test]
            async fn $claim() {
                super::$claim(&super::Sqs::simulated().await).await;
            }
        )* }
        mod on_ministack { $(
            #[tokio::test]
            async fn $claim() {
                super::$claim(&super::Sqs::ministack().await).await;
            }
        )* }
    };
}
