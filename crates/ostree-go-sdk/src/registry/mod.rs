//! A client for image registries, as defined by the OCI distribution specification.
//!
//! It is implemented on top of the module [`http`](crate::http), because existing client crates use
//! a second TLS stack that sets the cryptography provider of the whole process.

mod auth;
mod error;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzz;
mod helper;
mod pull;
mod push;
mod reference;
mod tags;
#[cfg(test)]
mod tests;

pub use auth::RegistryAuth;
pub use error::RegistryError;
pub use helper::CredentialError;
pub(crate) use reference::is_tag;
pub use reference::{ImageReference, InvalidReference};

use crate::http::url::Url;
use crate::http::{HttpClient, HttpError, HttpOptions, Request, RequestBody, Retry, retry_after};
use crate::progress::Progress;
use auth::Challenge;
use std::sync::{Mutex, MutexGuard, PoisonError};
use ureq::Body;
use ureq::http::{Response, header};

/// Options for connections to a registry.
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

    /// Sets the credentials. Default: anonymous access.
    #[must_use]
    pub fn auth(mut self, auth: RegistryAuth) -> Self {
        self.auth = auth;
        self
    }

    /// Accepts any server certificate, and falls back to an unencrypted connection. Default: no.
    #[must_use]
    pub fn insecure(mut self, insecure: bool) -> Self {
        self.insecure = insecure;
        self
    }
}

/// The access that is requested from a registry, which determines the scope of tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    Pull,
    Push,
}

impl Access {
    /// Returns the action for messages.
    const fn action(self) -> &'static str {
        match self {
            Self::Pull => "pull",
            Self::Push => "push",
        }
    }

    /// Returns the scope of a token. Source: `docs/content/spec/auth/scope.md` of `distribution`.
    const fn scope(self) -> &'static str {
        match self {
            Self::Pull => "pull",
            Self::Push => "pull,push",
        }
    }
}

/// Maximum size in bytes of responses other than blobs and manifests.
const DOCUMENT: u64 = 1 << 20;
/// Maximum size in bytes of a response that describes an error.
const ERROR_DOCUMENT: u64 = 16 << 10;

/// A client for one image's repository in a registry. It may be used from several threads at once.
#[derive(Debug)]
pub(crate) struct Registry {
    client: HttpClient,
    image: ImageReference,
    access: Access,
    auth: RegistryAuth,
    /// The base URL, like `https://registry.example`.
    base: String,
    /// The current value of the `Authorization` header, once the registry requested one.
    authorization: Mutex<Option<String>>,
}

impl Registry {
    /// Connects to a registry, and determines whether it uses encryption.
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
            result => result?,
        }
        Ok(registry)
    }

    /// Creates a client for pulling. No request is made yet.
    pub(crate) fn new(
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

    /// Requests `/v2/`. Any response other than 429 and server errors is accepted.
    fn ping(&self, progress: &dyn Progress) -> Result<(), RegistryError> {
        let url = self.url("")?;
        self.retrying(&url, progress, || {
            let response = self.call("GET", &url, &[], RequestBody::Empty)?;
            match response.status().as_u16() {
                500.. | 429 => Err(self.refused(response)),
                _ => Ok(()),
            }
        })
    }

    /// Returns a URL of the API: `/v2/` for an empty path, else a path below the image's name.
    pub(crate) fn url(&self, path: &str) -> Result<Url, RegistryError> {
        let url = match path {
            "" => format!("{}/v2/", self.base),
            path => format!("{}/v2/{}/{path}", self.base, self.image.name()),
        };
        Ok(Url::parse(&url).map_err(HttpError::from)?)
    }

    /// Makes a request, and repeats it with the requested authentication if the registry answers
    /// with 401. Responses with other statuses are returned, without an error.
    pub(crate) fn call(
        &self,
        method: &'static str,
        url: &Url,
        headers: &[(&'static str, String)],
        body: RequestBody<'_>,
    ) -> Result<Response<Body>, RegistryError> {
        let sent = self
            .lock_authorization()
            .clone()
            .filter(|_| self.is_own_url(url));
        let response = self.try_call(method, url, headers, body, &sent)?;
        if response.status() != 401 || !self.is_own_url(url) {
            return Ok(response);
        }
        match self.authenticate(&response, &sent)? {
            None => Ok(response),
            new => self.try_call(method, url, headers, body, &new),
        }
    }

    /// Locks and returns the current value of `Authorization`.
    fn lock_authorization(&self) -> MutexGuard<'_, Option<String>> {
        let current = self.authorization.lock();
        current.unwrap_or_else(PoisonError::into_inner)
    }

    fn try_call(
        &self,
        method: &'static str,
        url: &Url,
        headers: &[(&'static str, String)],
        body: RequestBody<'_>,
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

    /// Returns true if a URL belongs to the registry. Credentials are sent nowhere else.
    fn is_own_url(&self, url: &Url) -> bool {
        url.secret()
            .strip_prefix(&self.base)
            .is_some_and(|rest| rest.starts_with('/'))
    }

    /// Obtains the authorization that the registry requests, to replace the one that was sent;
    /// `None` if it cannot be obtained. Concurrent requests that are refused wait for the result.
    fn authenticate(
        &self,
        response: &Response<Body>,
        sent: &Option<String>,
    ) -> Result<Option<String>, RegistryError> {
        let mut current = self.lock_authorization();
        if *current != *sent {
            return Ok(current.clone());
        }
        let headers = response.headers().get_all(header::WWW_AUTHENTICATE);
        let values = headers.iter().filter_map(|value| value.to_str().ok());
        let mut authorization = None;
        for challenge in Challenge::parse_all(values) {
            authorization = match challenge {
                Challenge::Basic => self.auth.basic(),
                Challenge::Bearer { realm, service } => self.token(&realm, service.as_deref())?,
            };
            if authorization.is_some() {
                break;
            }
        }
        // The registry would refuse the same value again.
        if authorization.is_none() || authorization == *sent {
            return Ok(None);
        }
        current.clone_from(&authorization);
        Ok(authorization)
    }

    /// Requests a bearer token for this image.
    fn token(&self, realm: &str, service: Option<&str>) -> Result<Option<String>, RegistryError> {
        let scope = format!("repository:{}:{}", self.image.name(), self.access.scope());
        // Passwords are only sent over encrypted connections, unless the registry itself is
        // unencrypted.
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
                    body: RequestBody::Bytes(form.as_bytes()),
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
                    body: RequestBody::Empty,
                }
            }
        };
        let response = self.send(&request)?;
        if response.status() != 200 {
            return Err(self.refused(response));
        }
        let document = self.document(response, DOCUMENT)?;
        let token = ["token", "access_token"]
            .iter()
            .find_map(|name| document[*name].as_str().filter(|token| !token.is_empty()));
        match token {
            Some(token) => Ok(Some(format!("Bearer {token}"))),
            None => Err(self.protocol("token")),
        }
    }

    /// Returns the JSON document of at most `limit` bytes in a response.
    fn document(
        &self,
        response: Response<Body>,
        limit: u64,
    ) -> Result<serde_json::Value, RegistryError> {
        let url = self.url("")?;
        let text = self.read(&url, response, limit, &|_| true)?;
        serde_json::from_slice(&text).map_err(|_| self.protocol("JSON document"))
    }

    /// Returns the error for a response with an error status.
    pub(crate) fn refused(&self, response: Response<Body>) -> RegistryError {
        let status = response.status().as_u16();
        let retry_after = retry_after(response.headers());
        let document = self.document(response, ERROR_DOCUMENT).unwrap_or_default();
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
            retry_after,
        }
    }

    /// Returns the error for a response that lacks something.
    pub(crate) fn protocol(&self, missing: &'static str) -> RegistryError {
        RegistryError::Protocol {
            action: self.access.action(),
            image: self.image.clone().into(),
            missing,
        }
    }

    /// Repeats `attempt` until it succeeds, fails permanently, or no retries are left.
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
                Err(error) => retry.wait_after(error)?,
            }
        }
    }
}
