//! A registry of images, as the OCI distribution specification has it.
//!
//! A client of our own over [`HttpClient`], because the client crates bring a second TLS stack
//! that asks the whole process for its provider of cryptography.

mod auth;
mod error;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzz;
mod helper;
mod pull;
mod push;
mod reference;
#[cfg(test)]
mod tests;

pub use auth::RegistryAuth;
pub use error::RegistryError;
pub use helper::CredentialError;
pub(crate) use pull::Streamed;
pub(crate) use push::aside;
pub(crate) use reference::is_tag;
pub use reference::{ImageReference, InvalidReference};

use crate::http::url::Url;
use crate::http::{HttpClient, HttpError, HttpOptions, Outgoing, Request, Retry};
use crate::progress::Progress;
use auth::Challenge;
use std::sync::{Mutex, MutexGuard, PoisonError};
use ureq::Body;
use ureq::http::{Response, header};

/// How a registry is spoken to.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct RegistryOptions {
    http: HttpOptions,
    auth: RegistryAuth,
    insecure: bool,
}

impl RegistryOptions {
    /// Sets the options of HTTP requests. Default: [`HttpOptions::new`].
    #[must_use]
    pub fn http(mut self, http: HttpOptions) -> Self {
        self.http = http;
        self
    }

    /// What the registry knows one by. Default: nothing.
    #[must_use]
    pub fn auth(mut self, auth: RegistryAuth) -> Self {
        self.auth = auth;
        self
    }

    /// Takes any certificate for good, and a registry without encryption. Default: no.
    #[must_use]
    pub fn insecure(mut self, insecure: bool) -> Self {
        self.insecure = insecure;
        self
    }
}

/// What is asked of a registry: it decides the scope of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    Pull,
    Push,
}

impl Access {
    /// For messages.
    const fn action(self) -> &'static str {
        match self {
            Self::Pull => "pull",
            Self::Push => "push",
        }
    }

    /// Of a token. Source: `docs/content/spec/auth/scope.md` of `distribution`.
    const fn scope(self) -> &'static str {
        match self {
            Self::Pull => "pull",
            Self::Push => "pull,push",
        }
    }
}

/// The most that an answer which is no blob may have, in bytes.
const DOCUMENT: u64 = 1 << 20;

/// One image's place in a registry. Usable from several threads at once.
#[derive(Debug)]
pub(crate) struct Registry {
    client: HttpClient,
    image: ImageReference,
    access: Access,
    auth: RegistryAuth,
    /// `https://registry.example`
    base: String,
    /// The value of `Authorization` that the registry has asked for.
    authorization: Mutex<Option<String>>,
}

impl Registry {
    /// Finds out how the registry speaks, and whether it answers.
    pub(crate) fn open(
        image: &ImageReference,
        access: Access,
        options: &RegistryOptions,
        progress: &dyn Progress,
    ) -> Result<Self, RegistryError> {
        let http = options.http.clone().any_certificate(options.insecure);
        let mut registry = Self {
            client: HttpClient::new(&http)?,
            image: image.clone(),
            access,
            auth: options.auth.clone(),
            base: format!("https://{}", image.api_host()),
            authorization: Mutex::default(),
        };
        match registry.ping(progress) {
            Err(RegistryError::Unreachable { .. }) if options.insecure => {
                registry.base = format!("http://{}", image.api_host());
                registry.ping(progress)?;
            }
            answered => answered?,
        }
        Ok(registry)
    }

    /// The registry that an URL names, to be pulled from. Nothing is asked yet.
    pub(crate) fn at(
        image: &ImageReference,
        is_encrypted: bool,
        client: HttpClient,
        auth: RegistryAuth,
    ) -> Self {
        let scheme = if is_encrypted { "https" } else { "http" };
        Self {
            client,
            image: image.clone(),
            access: Access::Pull,
            auth,
            base: format!("{scheme}://{}", image.api_host()),
            authorization: Mutex::default(),
        }
    }

    /// `GET /v2/`: any answer that is no failure of the server's will do.
    fn ping(&self, progress: &dyn Progress) -> Result<(), RegistryError> {
        let url = self.url("")?;
        self.retrying(&url, progress, || {
            let answer = self.call("GET", &url, &[], Outgoing::Nothing)?;
            match answer.status().as_u16() {
                500.. | 429 => Err(self.refused(answer)),
                _ => Ok(()),
            }
        })
    }

    /// The address of something in the API: `""`, or what follows the image's name.
    pub(crate) fn url(&self, path: &str) -> Result<Url, RegistryError> {
        let url = match path {
            "" => format!("{}/v2/", self.base),
            path => format!("{}/v2/{}/{path}", self.base, self.image.name()),
        };
        Ok(Url::parse(&url).map_err(HttpError::from)?)
    }

    /// Makes one request, and once more with what the registry asks for when it says 401. Any
    /// other status is an answer.
    pub(crate) fn call(
        &self,
        method: &'static str,
        url: &Url,
        headers: &[(&'static str, String)],
        body: Outgoing<'_>,
    ) -> Result<Response<Body>, RegistryError> {
        let sent = self.known().clone().filter(|_| self.is_ours(url));
        let answer = self.try_call(method, url, headers, body, &sent)?;
        if answer.status() != 401 || !self.is_ours(url) {
            return Ok(answer);
        }
        match self.authenticate(&answer, &sent)? {
            None => Ok(answer),
            new => self.try_call(method, url, headers, body, &new),
        }
    }

    /// What the registry has asked for up to now.
    fn known(&self) -> MutexGuard<'_, Option<String>> {
        let known = self.authorization.lock();
        known.unwrap_or_else(PoisonError::into_inner)
    }

    fn try_call(
        &self,
        method: &'static str,
        url: &Url,
        headers: &[(&'static str, String)],
        body: Outgoing<'_>,
        authorization: &Option<String>,
    ) -> Result<Response<Body>, RegistryError> {
        let mut headers = headers.to_vec();
        let authorization = authorization.iter();
        headers.extend(authorization.map(|value| ("Authorization", value.clone())));
        self.send(&Request {
            method,
            url,
            headers,
            body,
        })
    }

    fn send(&self, request: &Request<'_>) -> Result<Response<Body>, RegistryError> {
        self.client.send(request).map_err(|error| match error {
            HttpError::Request { url, source } => RegistryError::Unreachable {
                action: self.access.action(),
                image: self.image.clone().into(),
                url,
                source,
            },
            error => error.into(),
        })
    }

    /// Whether an address is the registry's own. Credentials go nowhere else.
    fn is_ours(&self, url: &Url) -> bool {
        url.secret()
            .strip_prefix(&self.base)
            .is_some_and(|rest| rest.starts_with('/'))
    }

    /// Gets what the registry asks for in place of what was sent; `None` when that is not to be
    /// had. Whoever else is refused meanwhile waits for it.
    fn authenticate(
        &self,
        answer: &Response<Body>,
        sent: &Option<String>,
    ) -> Result<Option<String>, RegistryError> {
        let mut known = self.known();
        if *known != *sent {
            return Ok(known.clone());
        }
        let challenges = answer.headers().get_all(header::WWW_AUTHENTICATE);
        let challenge = challenges
            .iter()
            .find_map(|value| Challenge::parse(value.to_str().ok()?));
        let authorization = match challenge {
            None => None,
            Some(Challenge::Basic) => self.auth.basic(),
            Some(Challenge::Bearer { realm, service }) => self.token(&realm, service.as_deref())?,
        };
        // What it has refused once it refuses again.
        if authorization.is_none() || authorization == *sent {
            return Ok(None);
        }
        known.clone_from(&authorization);
        Ok(authorization)
    }

    /// A bearer token for this image.
    fn token(&self, realm: &str, service: Option<&str>) -> Result<Option<String>, RegistryError> {
        let scope = format!("repository:{}:{}", self.image.name(), self.access.scope());
        // A password goes over an encrypted connection only, unless the registry itself has none.
        if realm.starts_with("http:") && self.base.starts_with("https:") {
            return Ok(None);
        }
        let (url, form);
        let request = match &self.auth {
            RegistryAuth::IdentityToken(token) => {
                url = Url::parse(realm).map_err(HttpError::from)?;
                form = auth::refresh_form(token, service, &scope);
                let kind = "application/x-www-form-urlencoded".to_owned();
                Request {
                    method: "POST",
                    url: &url,
                    headers: vec![("Content-Type", kind)],
                    body: Outgoing::Bytes(form.as_bytes()),
                }
            }
            other => {
                let Some(address) = auth::token_url(realm, service, &scope) else {
                    return Ok(None);
                };
                url = address;
                let basic = other.basic().map(|value| ("Authorization", value));
                Request {
                    method: "GET",
                    url: &url,
                    headers: basic.into_iter().collect(),
                    body: Outgoing::Nothing,
                }
            }
        };
        let answer = self.send(&request)?;
        if answer.status() != 200 {
            return Err(self.refused(answer));
        }
        let document = self.document(answer)?;
        let token = ["token", "access_token"]
            .iter()
            .find_map(|name| document[*name].as_str().filter(|token| !token.is_empty()));
        match token {
            Some(token) => Ok(Some(format!("Bearer {token}"))),
            None => Err(self.protocol("token")),
        }
    }

    /// The JSON document in an answer.
    fn document(&self, answer: Response<Body>) -> Result<serde_json::Value, RegistryError> {
        let text = answer
            .into_body()
            .into_with_config()
            .limit(DOCUMENT)
            .read_to_vec();
        let text = text.unwrap_or_default();
        serde_json::from_slice(&text).map_err(|_| self.protocol("JSON document"))
    }

    /// The error for an answer that is a refusal.
    pub(crate) fn refused(&self, answer: Response<Body>) -> RegistryError {
        let status = answer.status().as_u16();
        let document = self.document(answer).unwrap_or_default();
        let message = |error: &serde_json::Value| {
            let text = error["message"]
                .as_str()
                .or_else(|| error["code"].as_str())?;
            let text: String = text.chars().filter(|c| !c.is_control()).take(200).collect();
            Some(format!(": {text}"))
        };
        RegistryError::Refused {
            action: self.access.action(),
            image: self.image.clone().into(),
            status,
            message: document["errors"]
                .as_array()
                .map(|errors| errors.iter().filter_map(message).take(3).collect())
                .unwrap_or_default(),
        }
    }

    /// The error for an answer that lacks something.
    pub(crate) fn protocol(&self, missing: &'static str) -> RegistryError {
        RegistryError::Protocol {
            action: self.access.action(),
            image: self.image.clone().into(),
            missing,
        }
    }

    /// Does `attempt` until it works, or fails for a reason that does not pass.
    pub(crate) fn retrying<T>(
        &self,
        url: &Url,
        progress: &dyn Progress,
        mut attempt: impl FnMut() -> Result<T, RegistryError>,
    ) -> Result<T, RegistryError> {
        let mut retry = Retry::new(&self.client, url, progress);
        loop {
            match attempt() {
                Ok(done) => return Ok(done),
                Err(error) if error.is_worth_a_retry() && retry.wait(&error)? => {}
                Err(error) => return Err(error),
            }
        }
    }
}
