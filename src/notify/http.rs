//! The HTTP client for outgoing calls: one POST, a time limit, no redirects, no proxy, and the address guard.
//!
//! No proxy is used: it would resolve the names itself, behind the guard's back.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::HeaderMap;
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, Url};

use super::guard::{self, Blocked, GuardedResolver};
use super::retry::Reply;

/// From the first connection attempt to the answer's headers; Standard Webhooks advises 15 to 30 seconds.
pub const TIMEOUT: Duration = Duration::from_secs(20);

/// A cheap, clonable handle on two clients: with and without the guard.
#[derive(Clone)]
pub struct Http {
    guarded: Client,
    open: Client,
}

impl Http {
    /// # Errors
    /// When the TLS library cannot be set up at all. A machine without root certificates is not an error: `http`
    /// works, and `https` is refused at each attempt.
    pub fn new() -> Result<Self, reqwest::Error> {
        Self::with_timeout(TIMEOUT)
    }

    pub(super) fn with_timeout(timeout: Duration) -> Result<Self, reqwest::Error> {
        // An error only says that a provider is installed already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let guarded = || builder(timeout).dns_resolver(Arc::new(GuardedResolver));
        let open = || builder(timeout);
        Ok(Self {
            guarded: build(guarded)?,
            open: build(open)?,
        })
    }

    /// Sends `body` once. The answer's body is not read.
    pub async fn post(
        &self,
        url: &Url,
        headers: HeaderMap,
        body: String,
        allow_internal: bool,
    ) -> Reply {
        if !allow_internal
            && let Some(address) = guard::literal_address(url).filter(|a| guard::is_internal(*a))
        {
            return Reply::Blocked(format!(
                "{address} is internal; set allow_internal: true if it is meant"
            ));
        }
        let client = if allow_internal {
            &self.open
        } else {
            &self.guarded
        };
        match client
            .post(url.clone())
            .headers(headers)
            .body(body)
            .send()
            .await
        {
            Ok(answer) => Reply::Answered {
                status: answer.status().as_u16(),
                retry_after: answer
                    .headers()
                    .get("retry-after")
                    .and_then(|value| value.to_str().ok())
                    .map(str::to_string),
            },
            Err(error) => failure(error),
        }
    }
}

fn builder(timeout: Duration) -> ClientBuilder {
    Client::builder()
        .user_agent(concat!("driftline/", env!("CARGO_PKG_VERSION")))
        .timeout(timeout)
        .redirect(Policy::none())
        .no_proxy()
}

fn build(builder: impl Fn() -> ClientBuilder) -> Result<Client, reqwest::Error> {
    builder().build().or_else(|error| {
        tracing::warn!(%error, "no root certificates found: https receivers cannot be reached");
        builder().tls_certs_only([]).build()
    })
}

fn failure(error: reqwest::Error) -> Reply {
    if error.is_timeout() {
        return Reply::TimedOut;
    }
    // The innermost cause says most; addresses of the URL, which may be secret, stay out.
    let error = error.without_url();
    let mut cause: &(dyn std::error::Error + 'static) = &error;
    loop {
        if let Some(blocked) = cause.downcast_ref::<Blocked>() {
            return Reply::Blocked(blocked.to_string());
        }
        match cause.source() {
            Some(inner) => cause = inner,
            None => break,
        }
    }
    Reply::Unreachable(format!("the receiver cannot be reached: {cause}"))
}
