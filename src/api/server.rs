//! Serving: plain or TLS, until told to stop. All edges are arguments.

use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum_server::Handle;
use axum_server::tls_rustls::RustlsConfig;
use tokio::net::TcpListener;

use super::auth::Access;
use super::{App, router};

/// How long requests under way may go on after the signal to stop.
const LAST_REQUESTS: Duration = Duration::from_secs(5);

/// Certificate chain and key, as PEM files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    pub cert: PathBuf,
    pub key: PathBuf,
}

/// Serves until `shutdown` resolves, then lets requests under way end for a few seconds.
///
/// An error is one of the certificate, the key or the listener; nothing was served, or nothing is served any more.
pub async fn run(
    listener: TcpListener,
    app: App,
    access: Access,
    tls: Option<&Tls>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    serve(listener, router(app, access), tls, shutdown).await
}

/// As [`run`], of other routes: [`retraining_router`](super::retraining_router)'s.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    tls: Option<&Tls>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let config = match tls {
        Some(tls) => Some(rustls_config(tls).await?),
        None => None,
    };
    let router = router.into_make_service();
    let listener = listener.into_std()?;
    let handle = Handle::new();
    let stopper = tokio::spawn({
        let handle = handle.clone();
        async move {
            shutdown.await;
            handle.graceful_shutdown(Some(LAST_REQUESTS));
        }
    });
    let served = match config {
        Some(config) => {
            axum_server::from_tcp_rustls(listener, config)?
                .handle(handle)
                .serve(router)
                .await
        }
        None => {
            axum_server::from_tcp(listener)?
                .handle(handle)
                .serve(router)
                .await
        }
    };
    stopper.abort();
    served
}

async fn rustls_config(tls: &Tls) -> io::Result<RustlsConfig> {
    // An error says that another part of the process chose the provider already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let read = RustlsConfig::from_pem_file(&tls.cert, &tls.key)
        .await
        .map_err(|error| {
            let Tls { cert, key } = tls;
            io::Error::new(
                error.kind(),
                format!("TLS from {} and {}: {error}", cert.display(), key.display()),
            )
        })?;
    let mut config = (*read.get_inner()).clone();
    // Offering HTTP/2 without serving it would break every client that prefers it.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(RustlsConfig::from_config(Arc::new(config)))
}
