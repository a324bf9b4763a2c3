//! Finds the paths that a Rust source names: the leaves of its `use` trees and its qualified paths, with their lines.
//!
//! It reads tokens, not the language: comments, texts and characters are passed over, `super` and `self` are resolved
//! by the file's module and the inline modules around, and the crate's own name counts as `crate`. Deliberately
//! absent: what macros expand to, and names brought in by an earlier `use`.

/// A path in the source. Paths into this crate begin with `crate`.
#[derive(Debug, PartialEq, Eq)]
pub struct Found {
    pub line: usize,
    pub path: Vec<String>,
}

/// All paths in `text`, the source of `module` (`["stats", "psi"]`).
pub fn found_in(text: &str, module: &[String]) -> Vec<Found> {
    let tokens = tokens(text);
    let mut reader = Reader {
        tokens: &tokens,
        at: 0,
        scopes: Vec::new(),
        module: module.to_vec(),
        found: Vec::new(),
    };
    reader.read();
    reader.found
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Name(String),
    /// `::`
    Colons,
    Sign(char),
}

struct Reader<'a> {
    tokens: &'a [(usize, Token)],
    at: usize,
    /// The open braces; true for those of an inline module.
    scopes: Vec<bool>,
    module: Vec<String>,
    found: Vec<Found>,
}

impl Reader<'_> {
    fn peek(&self, ahead: usize) -> Option<&Token> {
        self.tokens.get(self.at + ahead).map(|(_, token)| token)
    }

    fn line(&self) -> usize {
        self.tokens.get(self.at).map_or(0, |(line, _)| *line)
    }

    fn name(&self) -> Option<String> {
        match self.peek(0) {
            Some(Token::Name(name)) => Some(name.clone()),
            _ => None,
        }
    }

    fn read(&mut self) {
        while let Some(token) = self.peek(0).cloned() {
            match token {
                Token::Name(word) if word == "use" => {
                    self.at += 1;
                    self.use_tree(&mut Vec::new());
                }
                Token::Name(word) if word == "mod" => self.module_start(),
                Token::Name(_) => self.qualified_path(),
                Token::Sign('{') => {
                    self.scopes.push(false);
                    self.at += 1;
                }
                Token::Sign('}') => {
                    if self.scopes.pop() == Some(true) {
                        self.module.pop();
                    }
                    self.at += 1;
                }
                Token::Colons | Token::Sign(_) => self.at += 1,
            }
        }
    }

    fn module_start(&mut self) {
        self.at += 1;
        if let (Some(name), Some(Token::Sign('{'))) = (self.name(), self.peek(1)) {
            self.module.push(name);
            self.scopes.push(true);
            self.at += 2;
        }
    }

    fn qualified_path(&mut self) {
        let line = self.line();
        let mut path = Vec::new();
        while let Some(name) = self.name() {
            path.push(name);
            self.at += 1;
            if self.peek(0) != Some(&Token::Colons) {
                break;
            }
            self.at += 1;
        }
        if path.len() > 1 {
            self.add(line, &path);
        }
    }

    /// One branch of a `use` tree, after `prefix`.
    fn use_tree(&mut self, prefix: &mut Vec<String>) {
        let depth = prefix.len();
        loop {
            let line = self.line();
            match self.peek(0).cloned() {
                Some(Token::Colons) => self.at += 1,
                Some(Token::Name(name)) => {
                    self.at += 1;
                    prefix.push(name);
                    if self.peek(0) != Some(&Token::Colons) {
                        self.add(line, prefix);
                        break;
                    }
                }
                Some(Token::Sign('*')) => {
                    self.at += 1;
                    prefix.push("*".to_owned());
                    self.add(line, prefix);
                    break;
                }
                Some(Token::Sign('{')) => {
                    self.at += 1;
                    while !matches!(self.peek(0), Some(Token::Sign('}')) | None) {
                        self.use_tree(prefix);
                        self.skip_to_branch_end();
                    }
                    self.at += 1;
                    break;
                }
                _ => break,
            }
        }
        prefix.truncate(depth);
    }

    /// Past `as name` and the comma.
    fn skip_to_branch_end(&mut self) {
        while !matches!(self.peek(0), Some(Token::Sign('}' | ',')) | None) {
            self.at += 1;
        }
        if self.peek(0) == Some(&Token::Sign(',')) {
            self.at += 1;
        }
    }

    fn add(&mut self, line: usize, path: &[String]) {
        let mut whole: Vec<String> = Vec::new();
        for (index, part) in path.iter().enumerate() {
            match part.as_str() {
                "driftline" | "crate" if index == 0 => whole.push("crate".to_owned()),
                "self" if index == 0 => whole = self.own_module(),
                "super" => {
                    if index == 0 {
                        whole = self.own_module();
                    }
                    if whole.len() > 1 {
                        whole.pop();
                    }
                }
                // The last part of `use a::b::{self}`.
                "self" => {}
                _ => whole.push(part.clone()),
            }
        }
        self.found.push(Found { line, path: whole });
    }

    fn own_module(&self) -> Vec<String> {
        std::iter::once("crate".to_owned())
            .chain(self.module.iter().cloned())
            .collect()
    }
}

fn tokens(text: &str) -> Vec<(usize, Token)> {
    let chars: Vec<char> = text.chars().collect();
    let (mut tokens, mut at, mut line) = (Vec::new(), 0, 1);
    while at < chars.len() {
        let end = match chars[at] {
            '/' if chars.get(at + 1) == Some(&'/') => find(&chars, at, |c| c == '\n'),
            '/' if chars.get(at + 1) == Some(&'*') => comment_end(&chars, at),
            '"' => text_end(&chars, at),
            '\'' => char_end(&chars, at),
            'r' | 'b' | 'c' if prefixed_text(&chars, at).is_some() => {
                prefixed_text(&chars, at).unwrap_or(at + 1)
            }
            ':' if chars.get(at + 1) == Some(&':') => {
                tokens.push((line, Token::Colons));
                at + 2
            }
            c if c.is_alphabetic() || c == '_' => {
                let end = find(&chars, at, |c| !(c.is_alphanumeric() || c == '_'));
                tokens.push((line, Token::Name(chars[at..end].iter().collect())));
                end
            }
            c if c.is_ascii_digit() => find(&chars, at, |c| !(c.is_alphanumeric() || c == '_')),
            c if c.is_whitespace() => at + 1,
            c => {
                tokens.push((line, Token::Sign(c)));
                at + 1
            }
        };
        line += chars[at..end].iter().filter(|c| **c == '\n').count();
        at = end;
    }
    tokens
}

fn find(chars: &[char], from: usize, is_end: impl Fn(char) -> bool) -> usize {
    chars[from..]
        .iter()
        .position(|c| is_end(*c))
        .map_or(chars.len(), |length| from + length)
}

fn comment_end(chars: &[char], from: usize) -> usize {
    let (mut depth, mut at) = (0, from);
    while at + 1 < chars.len() {
        match (chars[at], chars[at + 1]) {
            ('/', '*') => depth += 1,
            ('*', '/') => depth -= 1,
            _ => {
                at += 1;
                continue;
            }
        }
        at += 2;
        if depth == 0 {
            return at;
        }
    }
    chars.len()
}

fn text_end(chars: &[char], from: usize) -> usize {
    let mut at = from + 1;
    while at < chars.len() && chars[at] != '"' {
        at += if chars[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(chars.len())
}

/// `'x'` and `'\n'` are characters; `'a` is a lifetime, whose name is no path.
fn char_end(chars: &[char], from: usize) -> usize {
    if chars.get(from + 1) == Some(&'\\') {
        find(chars, from + 3, |c| c == '\'') + 1
    } else if chars.get(from + 2) == Some(&'\'') {
        from + 3
    } else {
        find(chars, from + 1, |c| !(c.is_alphanumeric() || c == '_'))
    }
}

/// The end of `b"…"`, `r"…"`, `br#"…"#` and the like that begins at `from`, if one does.
fn prefixed_text(chars: &[char], from: usize) -> Option<usize> {
    let quote = find(chars, from, |c| !matches!(c, 'r' | 'b' | 'c' | '#'));
    if chars.get(quote) != Some(&'"') {
        return None;
    }
    let prefix = &chars[from..quote];
    if !prefix.contains(&'r') {
        return (!prefix.contains(&'#')).then(|| text_end(chars, quote));
    }
    let hashes = prefix.iter().filter(|c| **c == '#').count();
    let closes = |at: &usize| {
        chars[*at] == '"' && chars[at + 1..].iter().take_while(|c| **c == '#').count() >= hashes
    };
    let end = (quote + 1..chars.len())
        .find(closes)
        .map_or(chars.len(), |at| at + 1 + hashes);
    Some(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expect: &[&str]) {
        let module = ["stats".to_owned(), "psi".to_owned()];
        let found: Vec<String> = found_in(text, &module)
            .iter()
            .map(|found| format!("{}:{}", found.line, found.path.join("::")))
            .collect();
        assert_eq!(found, expect);
    }

    #[test]
    fn use_trees_are_taken_apart() {
        check(
            "use a::{b, c::{self, d as e}, f::*};\nuse g;",
            &["1:a::b", "1:a::c", "1:a::c::d", "1:a::f::*", "2:g"],
        );
        check("pub(crate) use ::a::b;", &["1:a::b"]);
    }

    #[test]
    fn own_modules_are_resolved() {
        check(
            "use self::a; use super::b; use super::super::c;",
            &["1:crate::stats::psi::a", "1:crate::stats::b", "1:crate::c"],
        );
        check(
            "mod tests { use super::a; } use super::b;",
            &["1:crate::stats::psi::a", "1:crate::stats::b"],
        );
    }

    #[test]
    fn comments_texts_and_characters_hide_nothing_and_show_nothing() {
        check("// use a::b;\n/* c::d /* e::f */ g::h */ i::j", &["2:i::j"]);
        check("\"a::b \\\" c::d\" e::f", &["1:e::f"]);
        check("r#\"a::b \" c::d\"# b\"e::f\" br\"g::h\" i::j", &["1:i::j"]);
        check(
            "'\"' a::b '\\'' c::d <'x> e::f 'y: loop { g::h }",
            &["1:a::b", "1:c::d", "1:e::f", "1:g::h"],
        );
        check("\"two\nlines\" a::b", &["2:a::b"]);
    }

    #[test]
    fn calls_types_and_attributes_are_paths() {
        check(
            "#[a::b(c)] fn f(x: Vec<d::E>) -> g::H { i::j::<k::L>() }",
            &["1:a::b", "1:d::E", "1:g::H", "1:i::j", "1:k::L"],
        );
    }
}
