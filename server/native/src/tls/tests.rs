use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, HandshakeKind, ProtocolVersion, SupportedProtocolVersion};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::*;

struct Pem {
    certificate: String,
    key: String,
}

struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn pem(&self) -> String {
        self.0.pem()
    }

    fn issue(&self) -> Pem {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        Pem { certificate: params.signed_by(&key, &self.0).unwrap().pem(), key: key.serialize_pem() }
    }

    fn server(&self, client_authority: Option<&Authority>) -> ServerConfig {
        let Pem { certificate, key } = self.issue();
        let client_authority = client_authority.map(Authority::pem);
        let client_authority = client_authority.as_ref().map(String::as_bytes);
        acceptor(certificate.as_bytes(), key.as_bytes(), client_authority).unwrap()
    }

    /// A client that trusts this authority.
    fn client(&self, identity: Option<Pem>, versions: &[&'static SupportedProtocolVersion]) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match identity {
            None => builder.with_no_client_auth(),
            Some(Pem { certificate, key }) => builder
                .with_client_auth_cert(
                    certificates(certificate.as_bytes()).unwrap(),
                    private_key(key.as_bytes()).unwrap(),
                )
                .unwrap(),
        };
        config.alpn_protocols = vec![HTTP2.to_vec()];
        config
    }
}

const ANY: &[&SupportedProtocolVersion] = &[&TLS13, &TLS12];

/// What a server knows of a connection over which one byte went each way.
#[derive(Debug)]
struct Met {
    version: ProtocolVersion,
    alpn: Option<Vec<u8>>,
    resumed: bool,
    client_certificates: usize,
}

/// Connect; the error is the server's.
fn meet(server: ServerConfig, client: ClientConfig) -> Result<Met, String> {
    meet_shared(&Arc::new(server), &Arc::new(client))
}

fn meet_shared(server: &Arc<ServerConfig>, client: &Arc<ClientConfig>) -> Result<Met, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let (near, far) = tokio::io::duplex(1 << 16);
    let accepted = runtime.spawn(accept(TlsAcceptor::from(server.clone()), near));
    let connector = TlsConnector::from(client.clone());
    runtime.block_on(async {
        if let Ok(mut stream) = connector.connect(ServerName::try_from("localhost").unwrap(), far).await {
            let _ = stream.write_u8(1).await;
            let _ = stream.read_u8().await;
        }
        accepted.await.unwrap().map_err(|error| error.to_string())
    })
}

async fn accept(acceptor: TlsAcceptor, stream: tokio::io::DuplexStream) -> std::io::Result<Met> {
    let mut stream = acceptor.accept(stream).await?;
    stream.read_u8().await?;
    stream.write_u8(2).await?;
    let connection = stream.get_ref().1;
    Ok(Met {
        version: connection.protocol_version().unwrap(),
        alpn: connection.alpn_protocol().map(<[u8]>::to_vec),
        resumed: connection.handshake_kind() == Some(HandshakeKind::Resumed),
        client_certificates: connection.peer_certificates().map_or(0, <[_]>::len),
    })
}

fn refusal(certificate: &str, key: &str, client_authority: Option<&str>) -> String {
    acceptor(certificate.as_bytes(), key.as_bytes(), client_authority.map(str::as_bytes)).unwrap_err()
}

#[test]
fn both_versions_speak_http2() {
    let authority = Authority::new();
    for (version, expected) in [(&TLS12, ProtocolVersion::TLSv1_2), (&TLS13, ProtocolVersion::TLSv1_3)] {
        let met = meet(authority.server(None), authority.client(None, &[version])).unwrap();
        assert_eq!((met.version, met.alpn.as_deref()), (expected, Some(HTTP2)));
    }
}

#[test]
fn a_client_of_another_protocol_is_refused() {
    let authority = Authority::new();
    let mut client = authority.client(None, ANY);
    client.alpn_protocols = vec![b"http/1.1".to_vec()];
    assert!(meet(authority.server(None), client).is_err());
}

#[test]
fn a_client_with_a_certificate_of_the_authority_is_let_in_and_known() {
    let (authority, clients) = (Authority::new(), Authority::new());
    for version in [&TLS12, &TLS13] {
        let client = authority.client(Some(clients.issue()), &[version]);
        let met = meet(authority.server(Some(&clients)), client).unwrap();
        assert_eq!(met.client_certificates, 1);
    }
}

#[test]
fn a_client_without_a_certificate_is_refused() {
    let (authority, clients) = (Authority::new(), Authority::new());
    for version in [&TLS12, &TLS13] {
        let refused = meet(authority.server(Some(&clients)), authority.client(None, &[version])).unwrap_err();
        assert!(refused.contains("sent no certificates"), "{refused}");
    }
}

#[test]
fn a_client_with_a_certificate_of_another_authority_is_refused() {
    let (authority, clients, others) = (Authority::new(), Authority::new(), Authority::new());
    for version in [&TLS12, &TLS13] {
        let client = authority.client(Some(others.issue()), &[version]);
        let refused = meet(authority.server(Some(&clients)), client).unwrap_err();
        assert!(refused.contains("invalid peer certificate"), "{refused}");
    }
}

#[test]
fn several_client_authorities_may_be_in_one_pem() {
    let (authority, clients, others) = (Authority::new(), Authority::new(), Authority::new());
    let Pem { certificate, key } = authority.issue();
    let both = clients.pem() + &others.pem();
    for issuer in [&clients, &others] {
        let server = acceptor(certificate.as_bytes(), key.as_bytes(), Some(both.as_bytes())).unwrap();
        assert!(meet(server, authority.client(Some(issuer.issue()), ANY)).is_ok());
    }
}

#[test]
fn a_session_is_resumed_under_one_configuration_and_never_under_another() {
    let (authority, clients, others) = (Authority::new(), Authority::new(), Authority::new());
    for version in [&TLS12, &TLS13] {
        let client = Arc::new(authority.client(Some(clients.issue()), &[version]));
        let server = Arc::new(authority.server(Some(&clients)));
        assert!(!meet_shared(&server, &client).unwrap().resumed);
        assert!(meet_shared(&server, &client).unwrap().resumed);
        assert!(meet_shared(&Arc::new(authority.server(Some(&others))), &client).is_err());
    }
}

#[test]
fn a_missing_part_is_named() {
    let Pem { certificate, key } = Authority::new().issue();
    assert_eq!(refusal("", &key, None), "certificate: there is no certificate in this PEM");
    assert_eq!(refusal(&key, &key, None), "certificate: there is no certificate in this PEM");
    assert_eq!(refusal(&certificate, "", None), "key: there is no private key in this PEM");
    assert_eq!(refusal(&certificate, &certificate, None), "key: there is no private key in this PEM");
    let expected = "client authority: there is no certificate in this PEM";
    assert_eq!(refusal(&certificate, &key, Some("")), expected);
}

#[test]
fn a_key_of_another_certificate_is_refused() {
    let authority = Authority::new();
    let expected = "key: it is not the key of the certificate";
    assert_eq!(refusal(&authority.issue().certificate, &authority.issue().key, None), expected);
}

#[test]
fn an_encrypted_key_is_refused_by_name() {
    let Pem { certificate, key } = Authority::new().issue();
    let encrypted = key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    let expected = "key: it is encrypted, expected a key without a password";
    assert_eq!(refusal(&certificate, &encrypted, None), expected);
}

#[test]
fn broken_parts_are_refused() {
    let Pem { certificate, key } = Authority::new().issue();
    let cut = |pem: &str| pem[..pem.len() - 10].to_owned();
    let hollow = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let blank = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    assert!(refusal(&cut(&certificate), &key, None).starts_with("certificate: this is not valid PEM"));
    assert!(refusal(&certificate, &cut(&key), None).starts_with("key: this is not valid PEM"));
    assert!(refusal(hollow, &key, None).starts_with("certificate: "));
    assert!(refusal(&certificate, blank, None).starts_with("key: "));
    let bad_authority = refusal(&certificate, &key, Some(hollow));
    assert!(bad_authority.starts_with("client authority: invalid peer certificate"), "{bad_authority}");
}
