//! The receiver of retrain requests.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::{Auth, address};
use crate::rules::action::holds_a_secret;
use crate::rules::fields::{At, Checker};

/// Who trains, and how requests come to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retrain {
    /// The secret that requests are signed with; `None`: requests are not received and nothing is trained.
    pub secret_file: Option<PathBuf>,
    /// Where `driftline retrain` listens.
    pub listen: SocketAddr,
    /// Whether `driftline serve` receives and trains too, at its own address.
    pub in_process: bool,
}

impl Default for Retrain {
    fn default() -> Self {
        Self {
            secret_file: None,
            listen: SocketAddr::from(([127, 0, 0, 1], 8081)),
            in_process: true,
        }
    }
}

/// Runs after `auth` was read: TLS decides which addresses will do.
pub(super) fn read<'a>(check: &mut Checker<'a>, at: &At<'a>, auth: &Auth, retrain: &mut Retrain) {
    let Some(table) = check.table(at, &["secret_file", "listen", "in_process"]) else {
        return;
    };
    if let Some(at) = table.get("secret_file") {
        let path = check.text(at);
        let path = path.filter(|text| !holds_a_secret(check, at, text));
        retrain.secret_file = path.map(PathBuf::from);
    }
    if let Some(at) = table.get("listen")
        && let Some(address) = address(check, at)
    {
        retrain.listen = address;
        if !address.ip().is_loopback() && auth.tls.is_none() && !auth.insecure {
            check.refuse(
                at,
                "this address can be reached from outside and there is no protection by TLS",
                "set `auth.tls`, listen on 127.0.0.1, or write `auth: {insecure: true}` if something in front protects it",
            );
        }
    }
    if let Some(flag) = table.get("in_process").and_then(|at| check.flag(at)) {
        retrain.in_process = flag;
    }
}
