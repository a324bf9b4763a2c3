//! A pull reader for one JSON text: the hot loop of the decoder asks it for the next key, number or text.
//!
//! It reads RFC 8259 JSON, with three liberties that real producers need: bare `NaN`, `Infinity` and `-Infinity`
//! (Python's `json.dumps` writes them), numbers beyond the range of `f64` (they become infinite, as in Python and
//! JavaScript), and lone surrogates in `\u` escapes (marked, so that the caller can refuse that one text).
//!
//! Why not serde_json: it refuses all three, its numbers may be off in the last bit unless a slower mode is on for
//! the whole program (a value that lies on a cell's edge would change its cell), and it gives no way to compare the
//! raw bytes of an expected key. A property test holds this reader to serde_json's idea of valid JSON.
//!
//! **Invariant:** nesting is bounded by the depth given, so recursion is too. Deliberately absent: any allocation,
//! but for texts with escapes.

use std::borrow::Cow;

use super::escapes::unescape;

/// Why reading a record's JSON stopped. Positions are byte offsets into the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// Something else than `expected` stands at this byte.
    Syntax { at: usize, expected: &'static str },
    /// The text ends inside a value.
    CutOff,
    /// Nesting beyond the limit.
    TooDeep { limit: usize },
    /// An object has more members than the limit.
    TooManyFields { limit: usize },
}

/// A text as it was meant: borrowed where it has no escapes.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Text<'a> {
    pub value: Cow<'a, str>,
    /// False when a lone surrogate was replaced by U+FFFD: the text is then not what the producer had.
    pub faithful: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Number<'a> {
    pub literal: &'a str,
    /// Correctly rounded; infinite beyond the range of `f64`.
    pub value: f64,
}

/// One value; lists and objects are read over.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token<'a> {
    Null,
    Bool(bool),
    Number(Number<'a>),
    /// A bare `NaN`, `Infinity` or `-Infinity`.
    Bare(f64),
    Text(Text<'a>),
    List,
    Object,
}

#[derive(Debug, Clone)]
pub(super) struct Scanner<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    bounds: Bounds,
}

/// How deep the text may nest, and how many members each of its objects may have.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub depth: usize,
    pub members: usize,
}

/// Integers up to 2⁵³ and powers of ten up to 10²² are exact in `f64`, so one multiplication or division of the two
/// is correctly rounded (Clinger 1990). Everything else goes to the standard library's exact parser.
const EXACT_MANTISSA: u64 = 1 << 53;
const EXACT_POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];
/// So many decimal digits always fit into a `u64`.
const MANTISSA_DIGITS: usize = 19;

impl<'a> Scanner<'a> {
    pub fn new(text: &'a str, bounds: Bounds) -> Self {
        Self {
            text,
            at: 0,
            depth: 0,
            bounds,
        }
    }

    /// The byte that comes next, after blanks; 0 at the end (which no JSON value begins with).
    pub fn peek(&mut self) -> u8 {
        self.skip_blanks();
        self.byte()
    }

    #[inline]
    fn byte(&self) -> u8 {
        self.text.as_bytes().get(self.at).copied().unwrap_or(0)
    }

    #[inline]
    fn skip_blanks(&mut self) {
        while matches!(self.byte(), b' ' | b'\n' | b'\t' | b'\r') {
            self.at += 1;
        }
    }

    #[cold]
    fn fault<T>(&self, expected: &'static str) -> Result<T, Fault> {
        if self.at >= self.text.len() {
            Err(Fault::CutOff)
        } else {
            Err(Fault::Syntax {
                at: self.at,
                expected,
            })
        }
    }

    fn enter(&mut self) -> Result<(), Fault> {
        self.at += 1;
        self.depth += 1;
        let limit = self.bounds.depth;
        if self.depth > limit {
            Err(Fault::TooDeep { limit })
        } else {
            Ok(())
        }
    }

    /// Called for each member of an object, with the number of members before it.
    #[inline]
    pub fn count(&self, before: usize) -> Result<(), Fault> {
        let limit = self.bounds.members;
        if before >= limit {
            Err(Fault::TooManyFields { limit })
        } else {
            Ok(())
        }
    }

    /// Nothing but blanks may follow the record.
    pub fn end(&mut self) -> Result<(), Fault> {
        self.skip_blanks();
        if self.at == self.text.len() {
            Ok(())
        } else {
            self.fault("the end of the record")
        }
    }

    /// Steps into the object that comes next. True: it stands behind the opening quote of the first key.
    pub fn open_object(&mut self) -> Result<bool, Fault> {
        if self.peek() != b'{' {
            return self.fault("an object");
        }
        self.enter()?;
        match self.peek() {
            b'"' => {
                self.at += 1;
                Ok(true)
            }
            b'}' => {
                self.at += 1;
                self.depth -= 1;
                Ok(false)
            }
            _ => self.fault("a key or `}`"),
        }
    }

    /// After a member's value: true when it stands behind the opening quote of the next key.
    #[inline]
    pub fn next_member(&mut self) -> Result<bool, Fault> {
        match self.peek() {
            b',' => {
                self.at += 1;
                if self.peek() != b'"' {
                    return self.fault("a key");
                }
                self.at += 1;
                Ok(true)
            }
            b'}' => {
                self.at += 1;
                self.depth -= 1;
                Ok(false)
            }
            _ => self.fault("`,` or `}`"),
        }
    }

    /// Behind an opening quote: steps over the key and its colon if the raw bytes up to and with the closing quote
    /// are `raw`. Equal raw bytes mean equal keys.
    #[inline]
    pub fn eat_key(&mut self, raw: &[u8]) -> bool {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        let found = rest.starts_with(raw) && rest.get(raw.len()) == Some(&b':');
        if found {
            self.at += raw.len() + 1;
        }
        found
    }

    /// Behind an opening quote: the key, its raw bytes with the closing quote, and the colon is read too.
    pub fn key(&mut self) -> Result<(Cow<'a, str>, &'a [u8]), Fault> {
        let start = self.at;
        let text = self.rest_of_text()?;
        let raw = &self.text.as_bytes()[start..self.at];
        if self.peek() != b':' {
            return self.fault("`:`");
        }
        self.at += 1;
        Ok((text.value, raw))
    }

    /// Reads the next value; lists and objects are read over.
    #[inline]
    pub fn token(&mut self) -> Result<Token<'a>, Fault> {
        match self.peek() {
            b'"' => {
                self.at += 1;
                self.rest_of_text().map(Token::Text)
            }
            b'0'..=b'9' => self.number().map(Token::Number),
            b'-' if self.text.as_bytes().get(self.at + 1) == Some(&b'I') => {
                self.word("-Infinity", Token::Bare(f64::NEG_INFINITY))
            }
            b'-' => self.number().map(Token::Number),
            b'n' => self.word("null", Token::Null),
            b't' => self.word("true", Token::Bool(true)),
            b'f' => self.word("false", Token::Bool(false)),
            b'N' => self.word("NaN", Token::Bare(f64::NAN)),
            b'I' => self.word("Infinity", Token::Bare(f64::INFINITY)),
            b'{' => self.skip().map(|()| Token::Object),
            b'[' => self.skip().map(|()| Token::List),
            _ => self.fault("a value"),
        }
    }

    fn word(&mut self, word: &'static str, token: Token<'a>) -> Result<Token<'a>, Fault> {
        let rest = &self.text.as_bytes()[self.at..];
        if rest.starts_with(word.as_bytes()) {
            self.at += word.len();
            return Ok(token);
        }
        let same = rest
            .iter()
            .zip(word.as_bytes())
            .take_while(|(a, b)| a == b)
            .count();
        self.at += same;
        self.fault(word)
    }

    /// Reads over the next value, whatever it is.
    pub fn skip(&mut self) -> Result<(), Fault> {
        match self.peek() {
            b'{' => {
                let mut more = self.open_object()?;
                let mut members = 0;
                while more {
                    self.count(members)?;
                    members += 1;
                    self.skip_text()?;
                    if self.peek() != b':' {
                        return self.fault("`:`");
                    }
                    self.at += 1;
                    self.skip()?;
                    more = self.next_member()?;
                }
                Ok(())
            }
            b'[' => self.skip_list(),
            b'"' => {
                self.at += 1;
                self.skip_text().map(drop)
            }
            _ => self.token().map(drop),
        }
    }

    fn skip_list(&mut self) -> Result<(), Fault> {
        let mut more = self.open_list()?;
        while more {
            self.skip()?;
            more = self.next_item()?;
        }
        Ok(())
    }

    /// Steps into the list that comes next. True: it has an item, and stands before it.
    pub fn open_list(&mut self) -> Result<bool, Fault> {
        if self.peek() != b'[' {
            return self.fault("a list");
        }
        self.enter()?;
        let empty = self.peek() == b']';
        if empty {
            self.at += 1;
            self.depth -= 1;
        }
        Ok(!empty)
    }

    /// After an item of a list: true when it stands before the next one.
    #[inline]
    pub fn next_item(&mut self) -> Result<bool, Fault> {
        match self.peek() {
            b',' => {
                self.at += 1;
                Ok(true)
            }
            b']' => {
                self.at += 1;
                self.depth -= 1;
                Ok(false)
            }
            _ => self.fault("`,` or `]`"),
        }
    }

    /// Reads the next value over and returns its raw text.
    pub fn raw(&mut self) -> Result<&'a str, Fault> {
        self.skip_blanks();
        let start = self.at;
        self.skip()?;
        Ok(&self.text[start..self.at])
    }

    fn rest_of_text(&mut self) -> Result<Text<'a>, Fault> {
        let start = self.at;
        let escaped = self.skip_text()?;
        let raw = &self.text[start..self.at - 1];
        if escaped {
            let (value, faithful) = unescape(raw);
            return Ok(Text {
                value: Cow::Owned(value),
                faithful,
            });
        }
        Ok(Text {
            value: Cow::Borrowed(raw),
            faithful: true,
        })
    }

    /// Behind an opening quote: to behind the closing one. Says whether there are escapes; they are valid then.
    #[inline]
    fn skip_text(&mut self) -> Result<bool, Fault> {
        let bytes = self.text.as_bytes();
        let mut escaped = false;
        loop {
            while let Some(byte) = bytes.get(self.at) {
                if matches!(byte, b'"' | b'\\' | 0..=0x1f) {
                    break;
                }
                self.at += 1;
            }
            match bytes.get(self.at) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(escaped);
                }
                Some(b'\\') => {
                    escaped = true;
                    self.skip_escape()?;
                }
                _ => return self.fault("a character that may stand in a text"),
            }
        }
    }

    fn skip_escape(&mut self) -> Result<(), Fault> {
        self.at += 1;
        match self.byte() {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => self.at += 1,
            b'u' => {
                self.at += 1;
                for _ in 0..4 {
                    if !self.byte().is_ascii_hexdigit() {
                        return self.fault("four hexadecimal digits");
                    }
                    self.at += 1;
                }
            }
            _ => return self.fault("an escape"),
        }
        Ok(())
    }

    /// Reads a JSON number; correctly rounded.
    #[inline]
    pub fn number(&mut self) -> Result<Number<'a>, Fault> {
        let bytes = self.text.as_bytes();
        let start = self.at;
        let negative = self.byte() == b'-';
        self.at += usize::from(negative);
        let first = self.at;
        let mut mantissa = 0u64;
        while let Some(digit @ b'0'..=b'9') = bytes.get(self.at) {
            mantissa = mantissa
                .wrapping_mul(10)
                .wrapping_add(u64::from(digit - b'0'));
            self.at += 1;
        }
        let mut digits = self.at - first;
        if digits == 0 || (digits > 1 && bytes[first] == b'0') {
            self.at = self.at.min(first + digits.min(1));
            return self.fault("a number");
        }
        let mut exponent = 0i32;
        if bytes.get(self.at) == Some(&b'.') {
            self.at += 1;
            let first = self.at;
            while let Some(digit @ b'0'..=b'9') = bytes.get(self.at) {
                mantissa = mantissa
                    .wrapping_mul(10)
                    .wrapping_add(u64::from(digit - b'0'));
                self.at += 1;
            }
            let fraction = self.at - first;
            if fraction == 0 {
                return self.fault("a digit");
            }
            digits += fraction;
            exponent = -i32::try_from(fraction).unwrap_or(i32::MAX);
        }
        if matches!(bytes.get(self.at), Some(b'e' | b'E')) {
            self.skip_exponent()?;
            // Rare in logs: left to the exact parser below.
            digits = usize::MAX;
        }
        let literal = &self.text[start..self.at];
        let power = exponent.unsigned_abs() as usize;
        let value = if digits <= MANTISSA_DIGITS
            && mantissa <= EXACT_MANTISSA
            && power < EXACT_POWERS.len()
        {
            let value = mantissa as f64 / EXACT_POWERS[power];
            if negative { -value } else { value }
        } else {
            // Every JSON number is in the grammar of `f64::from_str`, which answers infinity beyond the range.
            literal.parse().unwrap_or(f64::NAN)
        };
        Ok(Number { literal, value })
    }

    fn skip_exponent(&mut self) -> Result<(), Fault> {
        self.at += 1;
        self.at += usize::from(matches!(self.byte(), b'+' | b'-'));
        if !self.byte().is_ascii_digit() {
            return self.fault("a digit");
        }
        while self.byte().is_ascii_digit() {
            self.at += 1;
        }
        Ok(())
    }
}
