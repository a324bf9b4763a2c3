//! Who may: bearer tokens with roles, read from a file.
//!
//! **Invariants:** only digests of tokens are kept, and comparing takes the same time whichever token is tried and
//! however much of it is right. A service that others can reach has tokens and TLS, or somebody waived them in the
//! configuration. Deliberately absent: users, passwords, sessions and cookies.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// Shorter tokens can be guessed; `openssl rand -base64 24` makes one of 32.
const SHORTEST_TOKEN: usize = 20;

/// What a caller may do; each role includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Reads.
    Viewer,
    /// Also asks the service to act: settle, acknowledge.
    Operator,
    /// Also changes what is stored for good.
    Admin,
}

impl Role {
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Viewer => "viewer",
            Role::Operator => "operator",
            Role::Admin => "admin",
        }
    }

    fn parse(name: &str) -> Option<Self> {
        [Role::Viewer, Role::Operator, Role::Admin]
            .into_iter()
            .find(|role| role.as_str() == name)
    }
}

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum AuthError {
    #[error("{path}: cannot be read: {why}", path = path.display())]
    Unreadable { path: PathBuf, why: String },
    #[error("{path}:{line}: {wrong}; write NAME ROLE TOKEN, the role being viewer, operator or admin", path = path.display())]
    BadLine {
        path: PathBuf,
        line: usize,
        wrong: String,
    },
    #[error("{path}: holds no token; write one NAME ROLE TOKEN a line", path = path.display())]
    NoToken { path: PathBuf },
    #[error(
        "{address} can be reached from other machines and has {lacks}; set auth.tokens_file and auth.tls, listen on 127.0.0.1, \
         or set auth.insecure_ok: true if something in front protects it"
    )]
    Exposed {
        address: IpAddr,
        lacks: &'static str,
    },
}

/// The tokens of a service. Shows no secret when printed: it has none.
#[derive(Debug, Clone)]
pub struct Tokens {
    entries: Arc<[Token]>,
}

#[derive(Debug)]
struct Token {
    name: String,
    role: Role,
    digest: [u8; 32],
}

impl Tokens {
    /// Reads a file of lines `NAME ROLE TOKEN`; empty lines and lines that begin with `#` are passed over.
    pub fn read(path: &Path) -> Result<Self, AuthError> {
        let text = std::fs::read_to_string(path).map_err(|error| AuthError::Unreadable {
            path: path.to_owned(),
            why: error.to_string(),
        })?;
        Self::parse(path, &text)
    }

    /// As [`Tokens::read`], of a text; `path` is for the errors.
    pub fn parse(path: &Path, text: &str) -> Result<Self, AuthError> {
        let mut entries: Vec<Token> = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let token = parse_line(line)
                .and_then(
                    |token| match entries.iter().find(|other| other.digest == token.digest) {
                        Some(other) => {
                            Err(format!("the token of {} stands here again", other.name))
                        }
                        None => Ok(token),
                    },
                )
                .map_err(|wrong| AuthError::BadLine {
                    path: path.to_owned(),
                    line: index + 1,
                    wrong,
                })?;
            entries.push(token);
        }
        if entries.is_empty() {
            return Err(AuthError::NoToken {
                path: path.to_owned(),
            });
        }
        Ok(Self {
            entries: entries.into(),
        })
    }

    /// Name and role of the holder of `token`; `None` when nobody has it.
    pub fn holder(&self, token: &str) -> Option<(&str, Role)> {
        let digest: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        let mut holder = None;
        for entry in &*self.entries {
            // No early end: the time must not tell which entry fits.
            if bool::from(entry.digest.ct_eq(&digest)) {
                holder = Some((entry.name.as_str(), entry.role));
            }
        }
        holder
    }
}

/// The error never repeats the line: it holds a secret.
fn parse_line(line: &str) -> Result<Token, String> {
    let mut words = line.split_whitespace();
    let (Some(name), Some(role), Some(token), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err("the line has not three words".to_owned());
    };
    let role =
        Role::parse(role).ok_or_else(|| format!("the second word of {name}'s line is no role"))?;
    if token.len() < SHORTEST_TOKEN {
        return Err(format!(
            "the token of {name} has fewer than {SHORTEST_TOKEN} characters"
        ));
    }
    Ok(Token {
        name: name.to_owned(),
        role,
        digest: Sha256::digest(token.as_bytes()).into(),
    })
}

/// How the service decides who may.
#[derive(Debug, Clone)]
pub enum Access {
    /// Whoever is on this machine may all; requests must name it as `localhost` does, so that no page in a browser
    /// can reach the service under a name of its own.
    Loopback,
    /// Bearers of a token may what their role says.
    Tokens(Tokens),
    /// Everybody may all: waived in the configuration.
    Waived,
}

impl Access {
    /// The access that an address needs, or why it must not be served so.
    pub fn of(
        address: IpAddr,
        tokens: Option<Tokens>,
        tls: bool,
        insecure_ok: bool,
    ) -> Result<Self, AuthError> {
        let exposed = |lacks| AuthError::Exposed { address, lacks };
        match tokens {
            Some(tokens) if address.is_loopback() || tls || insecure_ok => {
                Ok(Access::Tokens(tokens))
            }
            Some(_) => Err(exposed("no TLS")),
            None if address.is_loopback() => Ok(Access::Loopback),
            None if insecure_ok => Ok(Access::Waived),
            None => Err(exposed("no tokens")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str =
        "# who may\n\nann viewer aaaaaaaaaaaaaaaaaaaa\nbob  operator\tbbbbbbbbbbbbbbbbbbbb\n";

    fn parse(text: &str) -> Result<Tokens, AuthError> {
        Tokens::parse(Path::new("tokens"), text)
    }

    #[track_caller]
    fn refused(text: &str, expect: &str) {
        let said = parse(text).expect_err("refused").to_string();
        assert_eq!(said, expect);
    }

    #[test]
    fn the_bearer_of_a_token_has_its_role() {
        let tokens = parse(FILE).expect("a good file");
        assert_eq!(
            tokens.holder("aaaaaaaaaaaaaaaaaaaa"),
            Some(("ann", Role::Viewer))
        );
        assert_eq!(
            tokens.holder("bbbbbbbbbbbbbbbbbbbb"),
            Some(("bob", Role::Operator))
        );
        assert_eq!(tokens.holder("bbbbbbbbbbbbbbbbbbb"), None);
        assert_eq!(tokens.holder(""), None);
    }

    #[test]
    fn a_bad_file_is_refused_with_the_line_and_without_the_secret() {
        let form = "; write NAME ROLE TOKEN, the role being viewer, operator or admin";
        refused(
            "ann viewer\n",
            &format!("tokens:1: the line has not three words{form}"),
        );
        refused(
            "\nann root aaaaaaaaaaaaaaaaaaaa",
            &format!("tokens:2: the second word of ann's line is no role{form}"),
        );
        refused(
            "ann admin short",
            &format!("tokens:1: the token of ann has fewer than 20 characters{form}"),
        );
        refused(
            "ann viewer aaaaaaaaaaaaaaaaaaaa\nbob admin aaaaaaaaaaaaaaaaaaaa",
            &format!("tokens:2: the token of ann stands here again{form}"),
        );
        refused(
            "# nobody\n",
            "tokens: holds no token; write one NAME ROLE TOKEN a line",
        );
    }

    #[test]
    fn printing_tokens_shows_none() {
        let text = format!("{:?}", parse(FILE).expect("a good file"));
        assert!(!text.contains("aaaaaaaa"), "{text}");
    }

    #[track_caller]
    fn access(address: &str, with_tokens: bool, tls: bool, insecure_ok: bool, expect: &str) {
        let address = address.parse().expect("an address");
        let tokens = with_tokens.then(|| parse(FILE).expect("a good file"));
        let said = match Access::of(address, tokens, tls, insecure_ok) {
            Ok(Access::Loopback) => "loopback".to_owned(),
            Ok(Access::Tokens(_)) => "tokens".to_owned(),
            Ok(Access::Waived) => "waived".to_owned(),
            Err(error) => error.to_string(),
        };
        assert!(said.starts_with(expect), "{said}");
    }

    #[test]
    fn an_address_that_others_reach_needs_tokens_and_tls_or_a_waiver() {
        access("127.0.0.1", false, false, false, "loopback");
        access("::1", false, false, false, "loopback");
        access("127.0.0.1", true, false, false, "tokens");
        access("0.0.0.0", true, true, false, "tokens");
        access("0.0.0.0", true, false, true, "tokens");
        access("0.0.0.0", false, true, true, "waived");
        access(
            "0.0.0.0",
            true,
            false,
            false,
            "0.0.0.0 can be reached from other machines and has no TLS",
        );
        access(
            "10.0.0.7",
            false,
            true,
            false,
            "10.0.0.7 can be reached from other machines and has no tokens",
        );
    }
}
