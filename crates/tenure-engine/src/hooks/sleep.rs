//! The sleep handler (`lifecycle-semantics 2.11`): a timer.

use std::time::Duration;

use tenure_lifecycle::HookReport;

/// Waits for whole `seconds`.
pub(super) async fn run(seconds: u64) -> HookReport {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    super::succeeded(String::new())
}
