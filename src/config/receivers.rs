//! Who is told when an alert fires or resolves.

use std::path::PathBuf;

use crate::rules::action::holds_a_secret;
use crate::rules::fields::{At, Checker};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receiver {
    /// Unique; names the receiver in metrics and in the outbox.
    pub name: String,
    pub target: Target,
    /// Whether the address may lie inside (loopback, private ranges).
    pub allow_internal: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// CloudEvents, signed as Standard Webhooks with the secret in the file.
    Webhook { url: String, secret_file: PathBuf },
    /// Base address of an Alertmanager; alerts go to its `/api/v2/alerts`.
    Alertmanager { url: String },
}

const FIELDS: [&str; 5] = [
    "name",
    "webhook",
    "alertmanager",
    "secret_file",
    "allow_internal",
];

pub(super) fn read<'a>(check: &mut Checker<'a>, at: &At<'a>) -> Vec<Receiver> {
    let Some(items) = at.items() else {
        check.refuse(at, "not a list of receivers", "write each one after a dash");
        return Vec::new();
    };
    let mut receivers: Vec<Receiver> = Vec::new();
    for item in &items {
        let Some(receiver) = receiver(check, item) else {
            continue;
        };
        if receivers.iter().any(|other| other.name == receiver.name) {
            let at = item.field("name").unwrap_or(item.clone());
            check.refuse(
                &at,
                "another receiver has this name",
                "give each receiver its own",
            );
        }
        receivers.push(receiver);
    }
    receivers
}

fn receiver<'a>(check: &mut Checker<'a>, at: &At<'a>) -> Option<Receiver> {
    let table = check.table(at, &FIELDS)?;
    let name = check.name(&table, "name");
    let allow_internal = table
        .get("allow_internal")
        .and_then(|at| check.flag(at))
        .unwrap_or(false);
    let secret = table.get("secret_file");
    let target = match (table.get("webhook"), table.get("alertmanager")) {
        (Some(at), None) => {
            let url = check.address(at);
            let secret_file = match secret {
                Some(at) => check
                    .text(at)
                    .filter(|text| !holds_a_secret(check, at, text)),
                None => {
                    check.missing(
                        &table,
                        "secret_file",
                        "write the path of a file that holds a `whsec_…` secret",
                    );
                    None
                }
            };
            url.zip(secret_file).map(|(url, file)| Target::Webhook {
                url: url.to_owned(),
                secret_file: PathBuf::from(file),
            })
        }
        (None, Some(at)) => {
            if let Some(secret) = secret {
                check.refuse(
                    secret,
                    "calls to an Alertmanager are not signed",
                    "leave it out",
                );
            }
            check.address(at).map(|url| Target::Alertmanager {
                url: url.trim_end_matches('/').to_owned(),
            })
        }
        _ => {
            check.refuse(
                at,
                "a receiver is one of the two",
                "write `webhook: ADDRESS` or `alertmanager: ADDRESS`",
            );
            None
        }
    };
    Some(Receiver {
        name: name?,
        target: target?,
        allow_internal,
    })
}
