//! Standard Webhooks 1.0 signatures: HMAC-SHA256 over `id.timestamp.body`, in base64 behind `v1,`.
//!
//! Pure. Source: the Standard Webhooks specification 1.0. Deliberately absent: the asymmetric `v1a` scheme.

use std::fmt;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Header names; `id` stays the same over retries, `timestamp` is that of the attempt.
pub const ID_HEADER: &str = "webhook-id";
pub const TIMESTAMP_HEADER: &str = "webhook-timestamp";
pub const SIGNATURE_HEADER: &str = "webhook-signature";

/// How far a timestamp may be off before a receiver refuses it: it limits how long a recorded request can be
/// replayed.
pub const TOLERANCE_SECS: i64 = 300;

const PREFIX: &str = "whsec_";
const SCHEME: &str = "v1";
const KEY_BYTES_MIN: usize = 24;
const KEY_BYTES_MAX: usize = 64;

/// A signing key. Never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    key: Vec<u8>,
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(hidden)")
    }
}

#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    #[error("a secret begins with whsec_")]
    Prefix,
    #[error("behind whsec_ a secret is base64")]
    Encoding,
    #[error("a secret has 24 to 64 bytes behind its base64, this one has {0}")]
    Length(usize),
    #[error("the secret file {path} cannot be read: {source}")]
    File {
        path: String,
        source: std::io::Error,
    },
    #[error("the secret file {path}: {source}")]
    InFile {
        path: String,
        source: Box<SecretError>,
    },
    #[error(
        "the secret file {path} must hold one secret, or two while one replaces the other; found {found}"
    )]
    Count { path: String, found: usize },
}

impl Secret {
    /// Reads `whsec_<base64>`.
    pub fn parse(text: &str) -> Result<Self, SecretError> {
        let encoded = text.strip_prefix(PREFIX).ok_or(SecretError::Prefix)?;
        let key = STANDARD
            .decode(encoded)
            .map_err(|_| SecretError::Encoding)?;
        if !(KEY_BYTES_MIN..=KEY_BYTES_MAX).contains(&key.len()) {
            return Err(SecretError::Length(key.len()));
        }
        Ok(Self { key })
    }

    /// Reads a file of one secret, or two while one replaces the other, with white space between them.
    pub fn read_file(path: &Path) -> Result<Vec<Self>, SecretError> {
        let shown = || path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|source| SecretError::File {
            path: shown(),
            source,
        })?;
        let secrets: Vec<Secret> = text
            .split_whitespace()
            .map(Secret::parse)
            .collect::<Result<_, _>>()
            .map_err(|source| SecretError::InFile {
                path: shown(),
                source: Box::new(source),
            })?;
        match secrets.len() {
            1 | 2 => Ok(secrets),
            found => Err(SecretError::Count {
                path: shown(),
                found,
            }),
        }
    }

    fn mac(&self, id: &str, timestamp_secs: i64, body: &[u8]) -> Option<Hmac<Sha256>> {
        // HMAC takes keys of any length, so this is always `Some`.
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).ok()?;
        mac.update(id.as_bytes());
        mac.update(b".");
        mac.update(timestamp_secs.to_string().as_bytes());
        mac.update(b".");
        mac.update(body);
        Some(mac)
    }
}

/// The value of `webhook-signature`: one signature for each secret, with spaces between.
pub fn sign(secrets: &[Secret], id: &str, timestamp_secs: i64, body: &[u8]) -> String {
    let signatures: Vec<String> = secrets
        .iter()
        .filter_map(|secret| secret.mac(id, timestamp_secs, body))
        .map(|mac| format!("{SCHEME},{}", STANDARD.encode(mac.finalize().into_bytes())))
        .collect();
    signatures.join(" ")
}

/// Why a request is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unbelieved {
    #[error("webhook-timestamp is not a whole number of seconds")]
    Timestamp,
    #[error("webhook-timestamp lies more than five minutes in the past")]
    TooOld,
    #[error("webhook-timestamp lies more than five minutes in the future")]
    TooNew,
    #[error("webhook-signature has no signature that matches")]
    NoMatch,
}

/// Checks a request's three headers and its body, in constant time for each signature.
pub fn verify(
    secrets: &[Secret],
    id: &str,
    timestamp: &str,
    signatures: &str,
    body: &[u8],
    now_secs: i64,
) -> Result<(), Unbelieved> {
    let timestamp_secs: i64 = timestamp.parse().map_err(|_| Unbelieved::Timestamp)?;
    if timestamp_secs < now_secs.saturating_sub(TOLERANCE_SECS) {
        return Err(Unbelieved::TooOld);
    }
    if timestamp_secs > now_secs.saturating_add(TOLERANCE_SECS) {
        return Err(Unbelieved::TooNew);
    }
    let offered = signatures
        .split(' ')
        .filter_map(|part| part.strip_prefix("v1,"));
    for signature in offered.filter_map(|encoded| STANDARD.decode(encoded).ok()) {
        for secret in secrets {
            if secret
                .mac(id, timestamp_secs, body)
                .is_some_and(|mac| mac.verify_slice(&signature).is_ok())
            {
                return Ok(());
            }
        }
    }
    Err(Unbelieved::NoMatch)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example that the reference libraries of Standard Webhooks are tested with.
    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const TIME: i64 = 1_614_265_330;
    const BODY: &[u8] = br#"{"test": 2432232314}"#;
    const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    fn secrets() -> Vec<Secret> {
        vec![Secret::parse(SECRET).expect("the published secret")]
    }

    fn other() -> Secret {
        Secret::parse(&format!("whsec_{}", STANDARD.encode([7; 32]))).expect("32 bytes")
    }

    #[track_caller]
    fn check(signatures: &str, timestamp: &str, now: i64, expected: Result<(), Unbelieved>) {
        assert_eq!(
            verify(&secrets(), ID, timestamp, signatures, BODY, now),
            expected
        );
    }

    #[test]
    fn the_published_example() {
        assert_eq!(sign(&secrets(), ID, TIME, BODY), SIGNATURE);
        check(SIGNATURE, "1614265330", TIME, Ok(()));
    }

    #[test]
    fn one_matching_signature_among_others_is_enough() {
        check(
            &format!("v1,AAAA v1a,zzz junk {SIGNATURE}"),
            "1614265330",
            TIME,
            Ok(()),
        );
        check(
            "v1,AAAA v2,zzz",
            "1614265330",
            TIME,
            Err(Unbelieved::NoMatch),
        );
        check("", "1614265330", TIME, Err(Unbelieved::NoMatch));
        check(
            &SIGNATURE.replace("v1,", "v2,"),
            "1614265330",
            TIME,
            Err(Unbelieved::NoMatch),
        );
    }

    #[test]
    fn both_secrets_sign_during_a_rotation() {
        let both = [other(), secrets().remove(0)];
        let signatures = sign(&both, ID, TIME, BODY);
        check(&signatures, "1614265330", TIME, Ok(()));
        assert_eq!(
            verify(&[other()], ID, "1614265330", &signatures, BODY, TIME),
            Ok(())
        );
    }

    #[test]
    fn what_was_changed_is_not_believed() {
        let at = TIME.to_string();
        assert_eq!(
            verify(&secrets(), ID, &at, SIGNATURE, b"{}", TIME),
            Err(Unbelieved::NoMatch)
        );
        assert_eq!(
            verify(&secrets(), "msg_x", &at, SIGNATURE, BODY, TIME),
            Err(Unbelieved::NoMatch)
        );
        assert_eq!(
            verify(&[other()], ID, &at, SIGNATURE, BODY, TIME),
            Err(Unbelieved::NoMatch)
        );
        check(SIGNATURE, "1614265331", TIME, Err(Unbelieved::NoMatch));
    }

    #[test]
    fn timestamps_more_than_five_minutes_off_are_refused() {
        check(SIGNATURE, "1614265330", TIME + 300, Ok(()));
        check(SIGNATURE, "1614265330", TIME + 301, Err(Unbelieved::TooOld));
        check(SIGNATURE, "1614265330", TIME - 300, Ok(()));
        check(SIGNATURE, "1614265330", TIME - 301, Err(Unbelieved::TooNew));
        check(SIGNATURE, "yesterday", TIME, Err(Unbelieved::Timestamp));
    }

    #[test]
    fn bad_secrets_are_refused_and_never_shown() {
        let error = |text: &str| {
            Secret::parse(text)
                .expect_err("must be refused")
                .to_string()
        };
        assert_eq!(
            error("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
            "a secret begins with whsec_"
        );
        assert_eq!(error("whsec_!!"), "behind whsec_ a secret is base64");
        assert_eq!(
            error("whsec_AAAA"),
            "a secret has 24 to 64 bytes behind its base64, this one has 3"
        );
        assert_eq!(format!("{:?}", secrets()), "[Secret(hidden)]");
    }

    #[test]
    fn a_file_holds_one_secret_or_two() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("whsec");
        let read = |text: &str| {
            std::fs::write(&path, text).expect("writes");
            Secret::read_file(&path).map(|secrets| secrets.len())
        };
        assert_eq!(read(&format!("{SECRET}\n")).expect("one"), 1);
        assert_eq!(read(&format!("{SECRET}\n{SECRET}\n")).expect("two"), 2);
        assert!(matches!(read(""), Err(SecretError::Count { found: 0, .. })));
        assert!(matches!(read("hunter2"), Err(SecretError::InFile { .. })));
        let missing = Secret::read_file(&dir.path().join("none"));
        assert!(matches!(missing, Err(SecretError::File { .. })));
    }
}
