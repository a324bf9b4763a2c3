//! What the escapes in a JSON text stand for.

/// Resolves the (valid) escapes of a raw text. False: a lone surrogate became U+FFFD.
pub(super) fn unescape(raw: &str) -> (String, bool) {
    let mut out = String::with_capacity(raw.len());
    let mut faithful = true;
    let mut rest = raw;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let escape = rest.as_bytes()[at + 1];
        rest = &rest[at + 2..];
        let plain = match escape {
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let unit = hex4(rest);
                rest = &rest[4..];
                let low = rest
                    .strip_prefix("\\u")
                    .map(hex4)
                    .filter(|low| (0xdc00..0xe000).contains(low));
                let code = match (unit, low) {
                    (0xd800..0xdc00, Some(low)) => {
                        rest = &rest[6..];
                        0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00)
                    }
                    _ => unit,
                };
                char::from_u32(code).unwrap_or_else(|| {
                    faithful = false;
                    char::REPLACEMENT_CHARACTER
                })
            }
            other => char::from(other),
        };
        out.push(plain);
    }
    out.push_str(rest);
    (out, faithful)
}

fn hex4(text: &str) -> u32 {
    u32::from_str_radix(&text[..4], 16).unwrap_or(0xfffd)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(raw: &str, expect: &str, faithful: bool) {
        assert_eq!(unescape(raw), (expect.to_owned(), faithful), "{raw}");
    }

    #[test]
    fn escapes_become_characters() {
        check("plain é", "plain é", true);
        check(r#"\"\\\/\b\f\n\r\t"#, "\"\\/\u{8}\u{c}\n\r\t", true);
        check(r"\u00e9\u65E5", "é日", true);
        check(r"\\u0041", r"\u0041", true);
    }

    #[test]
    fn surrogates_come_in_pairs() {
        check(r"\ud83d\ude00!", "😀!", true);
        check(r"\ud83d!", "\u{fffd}!", false);
        check(r"\ud83d\u0041", "\u{fffd}A", false);
        check(r"\ude00\ud83d", "\u{fffd}\u{fffd}", false);
        check(r"\ud83d\ud83d\ude00", "\u{fffd}😀", false);
    }
}
