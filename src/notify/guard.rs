//! The address guard: keeps whoever may write an address into the configuration from reaching what only this machine
//! can reach, such as a cloud's metadata service.
//!
//! **Invariant:** the address that was checked is the address that is connected to: names are resolved here, once,
//! and the connection uses the answer, so a name that changes its answer in between gains nothing.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// The error that the resolver hands to the HTTP client, which hands it back inside its own.
#[derive(Debug, thiserror::Error)]
#[error(
    "{host} resolves to the internal address {address}; set allow_internal: true if it is meant"
)]
pub struct Blocked {
    pub host: String,
    pub address: IpAddr,
}

/// Resolves names by the system, and refuses those with any internal address.
pub struct GuardedResolver;

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let host = name.as_str().to_string();
            // The client puts the URL's port in place of 0.
            let found: Vec<_> = tokio::net::lookup_host((host.as_str(), 0)).await?.collect();
            if let Some(internal) = found.iter().find(|address| is_internal(address.ip())) {
                return Err(Blocked {
                    host,
                    address: internal.ip(),
                }
                .into());
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// The address of a URL that names one instead of a host; the client does not resolve those.
pub fn literal_address(url: &Url) -> Option<IpAddr> {
    url.host_str()?
        .trim_start_matches('[')
        .trim_end_matches(']')
        .parse()
        .ok()
}

/// Whether an address is anything but an ordinary public one: private, loopback, link-local (cloud metadata lives
/// there), shared, documentation, benchmarking, multicast, reserved, or an IPv6 form that leads to such an IPv4
/// address. Source: the IANA special-purpose address registries.
pub fn is_internal(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_internal_v4(address),
        IpAddr::V6(address) => is_internal_v6(address),
    }
}

#[expect(
    clippy::match_like_matches_macro,
    reason = "a line for each entry of the registry reads better"
)]
fn is_internal_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    match (a, b, c) {
        (0 | 10 | 127, _, _) => true,
        (100, 64..=127, _) => true,
        (169, 254, _) => true,
        (172, 16..=31, _) => true,
        (192, 0, 0 | 2) => true,
        (192, 88, 99) => true,
        (192, 168, _) => true,
        (198, 18 | 19, _) => true,
        (198, 51, 100) | (203, 0, 113) => true,
        (224.., _, _) => true,
        _ => false,
    }
}

fn is_internal_v6(address: Ipv6Addr) -> bool {
    let parts = address.segments();
    let v4_at = |index: usize| {
        let [a, b] = parts[index].to_be_bytes();
        let [c, d] = parts[index + 1].to_be_bytes();
        Ipv4Addr::new(a, b, c, d)
    };
    match parts {
        // IPv4-mapped, and NAT64 by its well-known prefix.
        [0, 0, 0, 0, 0, 0xffff, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => is_internal_v4(v4_at(6)),
        // 6to4 carries its IPv4 address in front.
        [0x2002, ..] => is_internal_v4(v4_at(1)),
        // Teredo, ORCHID and their neighbours; documentation.
        [0x2001, 0..=0x1ff, ..] | [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => true,
        // Global unicast. Everything else (loopback, unique-local, link-local, site-local, multicast) is not.
        [0x2000..=0x3fff, ..] => false,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(address: &str, internal: bool) {
        let parsed: IpAddr = address.parse().expect("an address");
        assert_eq!(is_internal(parsed), internal, "{address}");
    }

    #[test]
    fn internal_v4() {
        for address in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.8.8.8",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.2.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.51.100.7",
            "203.0.113.9",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
        ] {
            check(address, true);
        }
    }

    #[test]
    fn public_v4() {
        for address in [
            "1.1.1.1",
            "8.8.8.8",
            "100.63.0.1",
            "100.128.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "192.167.1.1",
            "198.17.0.1",
            "223.255.255.255",
        ] {
            check(address, false);
        }
    }

    #[test]
    fn internal_v6() {
        for address in [
            "::",
            "::1",
            "fe80::1",
            "fec0::1",
            "fc00::1",
            "fd00:ec2::254",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "::127.0.0.1",
            "64:ff9b::10.0.0.1",
            "64:ff9b:1::1",
            "2002:7f00:1::",
            "2002:a9fe:a9fe::1",
            "2001::1",
            "2001:db8::1",
            "100::1",
        ] {
            check(address, true);
        }
    }

    #[test]
    fn public_v6() {
        for address in [
            "2606:4700:4700::1111",
            "2a00:1450:4001::200e",
            "::ffff:8.8.8.8",
            "64:ff9b::8.8.8.8",
            "2002:808:808::1",
        ] {
            check(address, false);
        }
    }

    #[test]
    fn a_url_may_hide_an_address_in_odd_notation() {
        for (url, address) in [
            ("http://2130706433/", "127.0.0.1"),
            ("http://0177.0.0.1/", "127.0.0.1"),
            ("http://[::ffff:7f00:1]:80/", "::ffff:127.0.0.1"),
        ] {
            let url = Url::parse(url).expect("a URL");
            assert_eq!(literal_address(&url), address.parse().ok());
        }
        assert_eq!(
            literal_address(&Url::parse("http://example.org/").expect("a URL")),
            None
        );
    }
}
