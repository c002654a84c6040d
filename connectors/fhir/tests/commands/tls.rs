//! A front with TLS before a server without, and an authority for it.
#![expect(clippy::unwrap_used, reason = "a test's panic is its report")]

use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// Ends TLS and passes the rest on.
pub struct Front {
    address: SocketAddr,
    accept: JoinHandle<()>,
}

impl Front {
    /// Makes an authority and a certificate of 127.0.0.1 in `folder`.
    pub async fn start(peer: SocketAddr, folder: &Path) -> Front {
        let script = "cd \"$0\" && umask 077 && \
            openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.pem -days 2 -subj /CN=test-authority && \
            openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout server.key -out server.csr -subj /CN=127.0.0.1 && \
            printf 'subjectAltName=IP:127.0.0.1\\n' > ext && \
            openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile ext -out server.pem";
        let made = Command::new("sh").args(["-c", script]).arg(folder).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let chain = vec![CertificateDer::from_pem_file(folder.join("server.pem")).unwrap()];
        let key = PrivateKeyDer::from_pem_file(folder.join("server.key")).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_no_client_auth().with_single_cert(chain, key).unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let accept = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    // A client that does not trust us ends it here.
                    let Ok(mut ours) = acceptor.accept(stream).await else { return };
                    let mut theirs = TcpStream::connect(peer).await.unwrap();
                    drop(copy_bidirectional(&mut ours, &mut theirs).await);
                });
            }
        });
        Front { address, accept }
    }

    pub fn base_url(&self) -> String {
        format!("https://{}/fhir", self.address)
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.accept.abort();
    }
}

/// The authority in `folder`.
pub fn authority(folder: &Path) -> Vec<u8> {
    std::fs::read(folder.join("ca.pem")).unwrap()
}
