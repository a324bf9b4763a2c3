//! Cutting a copy to what the dead-letter topic takes.

use rdkafka::message::{BorrowedMessage, Header, Headers, Message};

/// Room in a message for the framing of the record batch and for our own headers, whose texts are short.
pub(super) const OVERHEAD_BYTES: usize = 2_048;
/// Framing of one header: two lengths of up to 5 bytes.
const HEADER_OVERHEAD_BYTES: usize = 10;

/// How much of a message fits: first the value is cut, then its headers are left out, then the key is cut.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fit {
    pub key: usize,
    pub payload: usize,
    pub headers: bool,
    pub truncated: bool,
    /// The whole copy.
    pub bytes: usize,
}

impl Fit {
    pub fn new(message_bytes: usize, message: &BorrowedMessage<'_>) -> Self {
        let headers = message.headers().map_or(0, |headers| {
            let bytes =
                |header: Header<'_, &[u8]>| header.key.len() + header.value.map_or(0, <[u8]>::len);
            headers
                .iter()
                .map(|header| bytes(header) + HEADER_OVERHEAD_BYTES)
                .sum()
        });
        let length = |bytes: Option<&[u8]>| bytes.map_or(0, <[u8]>::len);
        Self::of(
            message_bytes,
            length(message.key()),
            length(message.payload()),
            headers,
        )
    }

    pub fn of(message_bytes: usize, key: usize, payload: usize, headers: usize) -> Self {
        let room = message_bytes.saturating_sub(OVERHEAD_BYTES);
        let keep_headers = key + headers <= room;
        let kept_headers = if keep_headers { headers } else { 0 };
        let kept_key = key.min(room);
        let kept_payload = payload.min(room - kept_key - kept_headers);
        Self {
            key: kept_key,
            payload: kept_payload,
            headers: keep_headers,
            truncated: !keep_headers || kept_key < key || kept_payload < payload,
            bytes: kept_key + kept_payload + kept_headers + OVERHEAD_BYTES,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(message: usize, sizes: [usize; 3], expect: (usize, usize, bool, bool)) {
        let [key, payload, headers] = sizes;
        let fit = Fit::of(message + OVERHEAD_BYTES, key, payload, headers);
        assert_eq!((fit.key, fit.payload, fit.headers, fit.truncated), expect);
    }

    #[test]
    fn the_value_is_cut_first_then_headers_go_then_the_key_is_cut() {
        check(100, [10, 80, 10], (10, 80, true, false));
        check(100, [10, 81, 10], (10, 80, true, true));
        check(100, [10, 500, 90], (10, 0, true, true));
        check(100, [10, 500, 91], (10, 90, false, true));
        check(100, [101, 5, 0], (100, 0, false, true));
        check(100, [0, 0, 0], (0, 0, true, false));
    }

    proptest! {
        #[test]
        fn a_copy_fits(message in 2_048usize..9_000, key in 0usize..9_000, payload in 0usize..9_000, headers in 0usize..9_000) {
            prop_assert!(Fit::of(message, key, payload, headers).bytes <= message);
        }
    }
}
