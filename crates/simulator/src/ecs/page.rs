//! Pages of a list, and the opaque tokens between them.

use std::hash::{DefaultHasher, Hash, Hasher};

use crate::error::AwsError;

use super::{Request, invalid};

/// Hides the position in the token, so that clients do not depend on it.
const VEIL: u64 = 0x5b1d_3c9a_77e4_02f8;

/// The part of a list that a request asks for.
pub(super) struct Page {
    start: usize,
    size: usize,
    /// A digest of the operation and its filters: a token is only valid for the same list.
    print: u64,
    empty: bool,
}

impl Page {
    /// `usual` is the page size of a request that names none; 100 is the most.
    pub(super) fn of(request: &Request<'_>, usual: usize) -> Result<Self, AwsError> {
        let size = match request.input.integer("maxResults")? {
            None => usual,
            Some(asked) => usize::try_from(asked)
                .ok()
                .filter(|size| (1..=100).contains(size))
                .ok_or_else(|| invalid(format!("maxResults must be between 1 and 100, not {asked}.")))?,
        };
        let mut hasher = DefaultHasher::new();
        request.operation.hash(&mut hasher);
        for (name, value) in request.input.without_paging() {
            (name, value.to_string()).hash(&mut hasher);
        }
        let print = hasher.finish();
        let start = match request.input.text("nextToken")? {
            None => 0,
            Some(token) => {
                read(token, print).ok_or_else(|| invalid("Invalid token: the nextToken is not valid."))?
            }
        };
        Ok(Self { start, size, print, empty: request.empty_page })
    }

    /// The page's items out of a list, and the next page's token. `item` is `None` for what a filter leaves out; it is
    /// not asked about earlier pages, so that reading a long list to its end takes time in proportion to its length.
    ///
    /// Lists only ever grow at their end, and tokens name places before filtering. So nothing is listed twice or left
    /// out when a task changes between two pages.
    pub(super) fn cut<'i, T>(
        &self,
        list: impl Iterator<Item = T>,
        item: impl Fn(T) -> Option<&'i str>,
    ) -> (Vec<&'i str>, Option<String>) {
        if self.empty {
            return (Vec::new(), Some(self.token(self.start)));
        }
        let mut items = Vec::new();
        for (place, listed) in list.enumerate().skip(self.start) {
            let Some(item) = item(listed) else { continue };
            if items.len() == self.size {
                return (items, Some(self.token(place)));
            }
            items.push(item);
        }
        (items, None)
    }

    fn token(&self, place: usize) -> String {
        let veiled = (place as u64 ^ VEIL).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        format!("{veiled:016x}{:016x}", seal(place, self.print))
    }
}

fn read(token: &str, print: u64) -> Option<usize> {
    let (veiled, sealed) = token.split_at_checked(16)?;
    let veiled = u64::from_str_radix(veiled, 16).ok()?;
    // The inverse of the multiplier modulo 2^64.
    let place = usize::try_from(veiled.wrapping_mul(0xf1de_83e1_9937_733d) ^ VEIL).ok()?;
    (u64::from_str_radix(sealed, 16).ok()? == seal(place, print)).then_some(place)
}

fn seal(place: usize, print: u64) -> u64 {
    let mut hasher = DefaultHasher::new();
    (place, print, VEIL).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pages(list: &[Option<&str>], size: usize) -> Vec<String> {
        let mut page = Page { start: 0, size, print: 7, empty: false };
        let mut pages = Vec::new();
        loop {
            let (items, token) = page.cut(list.iter(), |item| *item);
            pages.push(items.concat());
            let Some(token) = token else { return pages };
            page.start = read(&token, page.print).unwrap();
        }
    }

    #[test]
    fn pages_are_full_and_the_last_has_no_token() {
        let list = [Some("a"), None, Some("b"), Some("c"), None];
        assert_eq!(pages(&list, 1), ["a", "b", "c"]);
        assert_eq!(pages(&list, 2), ["ab", "c"]);
        assert_eq!(pages(&list, 3), ["abc"]);
        assert_eq!(pages(&[], 3), [""]);
    }

    #[test]
    fn an_empty_page_leads_to_the_same_place() {
        let page = Page { start: 1, size: 9, print: 7, empty: true };
        let (items, token) = page.cut(["a", "b"].into_iter(), Some);
        assert_eq!((items.len(), read(&token.unwrap(), 7)), (0, Some(1)));
    }

    #[test]
    fn tokens_of_other_lists_and_made_up_ones_are_refused() {
        let token = Page { start: 0, size: 1, print: 7, empty: false }.token(5);
        assert_eq!(read(&token, 7), Some(5));
        assert_eq!(read(&token, 8), None);
        assert_eq!(read(token.get(1..).unwrap(), 7), None);
        assert_eq!(read("", 7), None);
        assert_eq!(read("zzz", 7), None);
        assert_eq!(read(&"0".repeat(32), 7), None);
    }
}
