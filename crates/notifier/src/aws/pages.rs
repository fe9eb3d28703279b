//! Lists that come in pages.

/// Follows a list to its end; `None` when it repeats itself, or has more than `pages_max` pages.
pub(super) async fn pages<T, E, F>(
    pages_max: usize,
    page: impl Fn(Option<String>) -> F,
) -> Result<Option<Vec<T>>, E>
where
    F: Future<Output = Result<(Vec<T>, Option<String>), E>>,
{
    let mut all = Vec::new();
    let mut token = None;
    for _ in 0..pages_max {
        let (found, next) = page(token.clone()).await?;
        all.extend(found);
        // An empty token is none, as for the SDK's own paginators.
        match next.filter(|token| !token.is_empty()) {
            None => return Ok(Some(all)),
            // A server that returns the token of the request would never end.
            next if next == token => break,
            next => token = next,
        }
    }
    Ok(None)
}
