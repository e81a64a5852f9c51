use url::Url;

use super::auth::Access;
use super::{Client, Push, RegistryError, Tag};
use crate::digest::Sha256;
use crate::http::header::{ACCEPT, CONTENT_TYPE};
use crate::http::{Answer, Method, RequestBuilder, shown};

impl Client {
    /// Gives a manifest a tag, unless it has it already: a registry may not allow to write a tag twice. Checks that the
    /// registry computed the same digest.
    pub(super) async fn push_manifest(
        &self,
        access: Access<'_>,
        tag: &Tag,
        image: &Push<'_>,
    ) -> Result<(), RegistryError> {
        let url = access.repository.url(&format!("manifests/{tag}"))?;
        let expected = Sha256::of(image.manifest);
        if self.manifest_at(access, &url, image.media_type).await? == Some(expected) {
            return Ok(());
        }
        let fill =
            |request: RequestBuilder| request.header(CONTENT_TYPE, image.media_type).body(image.manifest.to_vec());
        let answer = self.http.attempts(async |_| {
            let answer = self.exchange(access, Method::PUT, &url, fill).await?;
            if answer.status().is_success() { Ok(answer) } else { Err(self.refused(access, answer).await) }
        });
        match digest_of(&answer.await?) {
            Some(found) if found != expected => {
                let [expected, found] = [expected, found].map(Sha256::to_oci);
                Err(RegistryError::Stored { url: shown(&url), expected, found })
            }
            _ => Ok(()),
        }
    }

    /// The digest of the manifest at this URL.
    async fn manifest_at(
        &self,
        access: Access<'_>,
        url: &Url,
        media_type: &'static str,
    ) -> Result<Option<Sha256>, RegistryError> {
        let fill = |request: RequestBuilder| request.header(ACCEPT, media_type);
        let Some(head) = self.find(access, Method::HEAD, url, fill).await? else { return Ok(None) };
        if let Some(digest) = digest_of(&head) {
            return Ok(Some(digest));
        }
        let Some(answer) = self.find(access, Method::GET, url, fill).await? else { return Ok(None) };
        Ok(answer.bytes().await.ok().map(Sha256::of))
    }
}

/// The digest that the registry computed, if it says so in a form that can be compared.
fn digest_of(answer: &Answer) -> Option<Sha256> {
    answer.headers().get("docker-content-digest")?.to_str().ok()?.trim().strip_prefix("sha256:")?.parse().ok()
}
