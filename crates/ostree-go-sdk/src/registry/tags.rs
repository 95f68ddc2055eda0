//! Lists the tags of an image's repository.
//!
//! Source: the OCI distribution specification, "Listing Tags".

use super::{Registry, RegistryError};
use crate::http::HttpError;
use crate::http::RequestBody;
use crate::http::url::Url;
use crate::progress::Progress;
use ureq::http::header;

/// Maximum size of a page of the list in bytes.
const MAX_PAGE: u64 = 4 << 20;
/// Maximum number of pages.
const MAX_PAGES: usize = 100;

impl Registry {
    /// Returns all tags; none if the registry does not have the image's repository.
    ///
    /// # Errors
    /// Returns an error if the registry cannot be reached, refuses the request, or sends no list.
    pub(crate) fn tags(&self, progress: &dyn Progress) -> Result<Vec<String>, RegistryError> {
        let mut tags = Vec::new();
        let mut url = self.url("tags/list")?;
        for _ in 0..MAX_PAGES {
            let page = self.retrying(&url, progress, || {
                let response = self.call("GET", &url, &[], RequestBody::Empty)?;
                match response.status().as_u16() {
                    200 => {}
                    404 => return Ok(None),
                    _ => return Err(self.refused(response)),
                }
                let link = response.headers().get(header::LINK);
                let next = link.and_then(|link| next_page(link.to_str().ok()?).map(str::to_owned));
                Ok(Some((self.document(response, MAX_PAGE)?, next)))
            })?;
            let Some((document, next)) = page else {
                return Ok(tags);
            };
            // `tags` is `null` in some registries if there are none.
            let found = document["tags"].as_array().into_iter().flatten();
            tags.extend(found.filter_map(|tag| Some(tag.as_str()?.to_owned())));
            match next {
                Some(next) => url = self.page_url(&next)?,
                None => return Ok(tags),
            }
        }
        Ok(tags)
    }

    /// Returns the URL of a page, which a registry names by a path or by a URL of its own.
    fn page_url(&self, next: &str) -> Result<Url, RegistryError> {
        let path = next
            .starts_with('/')
            .then(|| format!("{}{next}", self.base));
        let url = Url::parse(path.as_deref().unwrap_or(next)).map_err(HttpError::from)?;
        match self.is_own_url(&url) {
            true => Ok(url),
            false => Err(self.protocol("URL of the next page of tags")),
        }
    }
}

/// Returns the target of the link to the next page in a `Link` header (RFC 8288).
fn next_page(link: &str) -> Option<&str> {
    link.split(',').find_map(|link| {
        let (target, parameters) = link.trim().strip_prefix('<')?.split_once('>')?;
        let mut parameters = parameters.split(';').map(str::trim);
        parameters
            .any(|parameter| matches!(parameter, "rel=\"next\"" | "rel=next"))
            .then_some(target)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_link_to_the_next_page_is_found() {
        let next = next_page("</v2/go/tags/list?n=2&last=b>; rel=\"next\"");
        assert_eq!(next, Some("/v2/go/tags/list?n=2&last=b"));
        assert_eq!(next_page("</a>; rel=prev, </b>; rel=next"), Some("/b"));
        assert_eq!(next_page("</a>; rel=\"prev\""), None);
        assert_eq!(next_page("nonsense"), None);
    }
}
