//! Receivers: to whom notifications go. Built and checked once, from the configuration.

use std::fmt;

use reqwest::Url;
use sha2::{Digest, Sha256};

use super::guard;
use super::signature::Secret;

/// Somebody who is told.
#[derive(Clone)]
pub struct Receiver {
    pub name: String,
    pub target: Target,
    /// Whether its address may be private, loopback or link-local.
    pub allow_internal: bool,
}

/// How it is told.
#[derive(Clone)]
pub enum Target {
    /// A signed POST for each event. Two secrets while one replaces the other.
    Webhook { url: Url, secrets: Vec<Secret> },
    /// Alertmanager's v2 API below this address.
    Alertmanager { url: Url },
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReceiverError {
    #[error("the address is not a URL: {0}")]
    NotAUrl(String),
    #[error("the address must begin with http:// or https://, not {0}:")]
    Scheme(String),
    #[error("the address must not hold a user name or password; sign with a secret instead")]
    Credentials,
    #[error("the address {0} is internal; set allow_internal: true if it is meant")]
    Internal(String),
    #[error("a webhook needs one secret, or two while one replaces the other; found {0}")]
    Secrets(usize),
}

impl Receiver {
    pub fn webhook(
        name: &str,
        url: &str,
        secrets: Vec<Secret>,
        allow_internal: bool,
    ) -> Result<Self, ReceiverError> {
        let url = check_url(url, allow_internal)?;
        if !(1..=2).contains(&secrets.len()) {
            return Err(ReceiverError::Secrets(secrets.len()));
        }
        Ok(Self {
            name: name.to_string(),
            target: Target::Webhook { url, secrets },
            allow_internal,
        })
    }

    /// `url`: where Alertmanager's pages are, with its path prefix if it has one.
    pub fn alertmanager(
        name: &str,
        url: &str,
        allow_internal: bool,
    ) -> Result<Self, ReceiverError> {
        let mut url = check_url(url, allow_internal)?;
        let path = format!("{}/api/v2/alerts", url.path().trim_end_matches('/'));
        url.set_path(&path);
        Ok(Self {
            name: name.to_string(),
            target: Target::Alertmanager { url },
            allow_internal,
        })
    }

    pub(super) fn url(&self) -> &Url {
        match &self.target {
            Target::Webhook { url, .. } | Target::Alertmanager { url } => url,
        }
    }

    /// A hash of the address, for the store.
    pub(super) fn target_hash(&self) -> String {
        Sha256::digest(self.url().as_str())
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }
}

/// Without the path, which may be a secret, as in many chat webhooks.
impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.target {
            Target::Webhook { .. } => "webhook",
            Target::Alertmanager { .. } => "alertmanager",
        };
        write!(
            f,
            "{} ({kind} at {})",
            self.name,
            self.url().host_str().unwrap_or("")
        )
    }
}

fn check_url(text: &str, allow_internal: bool) -> Result<Url, ReceiverError> {
    let url = Url::parse(text).map_err(|error| ReceiverError::NotAUrl(error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(ReceiverError::Scheme(url.scheme().to_string()));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(ReceiverError::Credentials);
    }
    if !allow_internal && guard::literal_address(&url).is_some_and(guard::is_internal) {
        return Err(ReceiverError::Internal(
            url.host_str().unwrap_or("").to_string(),
        ));
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret() -> Secret {
        Secret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("the published secret")
    }

    #[track_caller]
    fn refused(url: &str, why: &str) {
        let error =
            Receiver::webhook("hook", url, vec![secret()], false).expect_err("must be refused");
        assert_eq!(error.to_string(), why);
    }

    #[test]
    fn unusable_addresses_are_refused_in_a_sentence() {
        refused(
            "example.org",
            "the address is not a URL: relative URL without a base",
        );
        refused(
            "ftp://example.org",
            "the address must begin with http:// or https://, not ftp:",
        );
        refused(
            "https://me:pw@example.org",
            "the address must not hold a user name or password; sign with a secret instead",
        );
        refused(
            "http://169.254.169.254/latest",
            "the address 169.254.169.254 is internal; set allow_internal: true if it is meant",
        );
        refused(
            "http://0x7f.1/",
            "the address 127.0.0.1 is internal; set allow_internal: true if it is meant",
        );
    }

    #[test]
    fn a_webhook_has_one_secret_or_two() {
        let with = |secrets| {
            Receiver::webhook("hook", "https://example.org/h", secrets, false).map(|_| ())
        };
        assert_eq!(with(vec![]), Err(ReceiverError::Secrets(0)));
        assert_eq!(with(vec![secret()]), Ok(()));
        assert_eq!(with(vec![secret(), secret()]), Ok(()));
        assert_eq!(
            with(vec![secret(), secret(), secret()]),
            Err(ReceiverError::Secrets(3))
        );
    }

    #[test]
    fn alertmanagers_api_lies_below_its_prefix() {
        for url in ["http://am:9093/prefix", "http://am:9093/prefix/"] {
            let receiver = Receiver::alertmanager("am", url, false).expect("usable");
            assert_eq!(
                receiver.url().as_str(),
                "http://am:9093/prefix/api/v2/alerts"
            );
        }
    }

    #[test]
    fn debug_shows_neither_path_nor_secret() {
        let receiver = Receiver::webhook(
            "hook",
            "https://chat.example/T0/hidden",
            vec![secret()],
            false,
        )
        .expect("usable");
        assert_eq!(format!("{receiver:?}"), "hook (webhook at chat.example)");
    }
}
