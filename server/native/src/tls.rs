//! TLS for connections: what is presented to clients, and what is asked of them.
//!
//! TLS 1.2 and 1.3 by ring, HTTP/2 alone by ALPN. Every call makes a configuration with a session store of its own: a
//! client that was let in under one client authority cannot resume its session under the next. Pure: PEM comes as bytes.

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::version::{TLS12, TLS13};
use rustls::{Error, RootCertStore, ServerConfig};

const HTTP2: &[u8] = b"h2";

/// How connections are accepted. All in PEM: the certificate, with what leads to its authority; its private key, not
/// encrypted; and the authorities that sign the certificates that clients must have, None if they need none.
///
/// The error says which of them is wrong and how.
pub fn acceptor(certificate: &[u8], key: &[u8], client_authority: Option<&[u8]>) -> Result<ServerConfig, String> {
    let chain = certificates(certificate).map_err(|reason| format!("certificate: {reason}"))?;
    let key = private_key(key).map_err(|reason| format!("key: {reason}"))?;
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&TLS13, &TLS12])
        .map_err(|error| error.to_string())?;
    let builder = match client_authority {
        None => builder.with_no_client_auth(),
        Some(authority) => builder.with_client_cert_verifier(
            verifier(authority, provider).map_err(|reason| format!("client authority: {reason}"))?,
        ),
    };
    let mut config = builder.with_single_cert(chain, key).map_err(|error| match error {
        Error::InconsistentKeys(_) => "key: it is not the key of the certificate".to_owned(),
        Error::InvalidCertificate(_) => format!("certificate: {error}"),
        _ => format!("key: {error}"),
    })?;
    config.alpn_protocols = vec![HTTP2.to_vec()];
    Ok(config)
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let chain: Vec<_> =
        CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(|error| malformed(&error))?;
    if chain.is_empty() { Err("there is no certificate in this PEM".to_owned()) } else { Ok(chain) }
}

fn private_key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, String> {
    PrivateKeyDer::from_pem_slice(pem).map_err(|error| match error {
        PemError::NoItemsFound if is_encrypted(pem) => "it is encrypted, expected a key without a password".to_owned(),
        PemError::NoItemsFound => "there is no private key in this PEM".to_owned(),
        _ => malformed(&error),
    })
}

fn is_encrypted(pem: &[u8]) -> bool {
    const MARK: &[u8] = b"BEGIN ENCRYPTED PRIVATE KEY";
    pem.windows(MARK.len()).any(|window| window == MARK)
}

fn malformed(error: &PemError) -> String {
    format!("this is not valid PEM: {error}")
}

fn verifier(authority: &[u8], provider: Arc<CryptoProvider>) -> Result<Arc<dyn ClientCertVerifier>, String> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(authority)? {
        roots.add(certificate).map_err(|error| error.to_string())?;
    }
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests;
