//! Connections: the byte stream (TCP or Unix socket, TLS where asked) and ordinary SQL over it.
//!
//! Both kinds of session, SQL and replication, get the same settings, so that one value has one text everywhere (a row of
//! a chunk and the same row in the stream are equal).

use crate::{
    config::{Address, Options, Place, Tls},
    error::Error,
    socket::Bytestream,
};
use rustls::{
    ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::CryptoProvider,
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use std::{sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UnixStream},
    task::JoinHandle,
};
use tokio_postgres::{NoTls, SimpleQueryMessage, SimpleQueryRow};

/// How long a connection may take to stand: a host that drops packets never refuses.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Settings of every session. Text must not depend on the server's, the database's or the role's defaults.
/// `synchronous_commit=local`: a mark of ours never waits for a standby. `row_security=off`: an error, not fewer rows.
pub(crate) const SETTINGS: [(&str, &str); 14] = [
    ("client_encoding", "UTF8"),
    ("DateStyle", "ISO"),
    ("TimeZone", "UTC"),
    ("IntervalStyle", "iso_8601"),
    ("extra_float_digits", "3"),
    ("bytea_output", "hex"),
    ("lc_monetary", "C"),
    ("search_path", "pg_catalog"),
    ("standard_conforming_strings", "on"),
    ("statement_timeout", "0"),
    ("lock_timeout", "0"),
    ("idle_in_transaction_session_timeout", "0"),
    ("row_security", "off"),
    ("synchronous_commit", "local"),
];

/// Limits that not every version knows: a chunk, a fence and a decoded transaction take as long as they take.
pub(crate) const PATIENCE: &str = "SELECT pg_catalog.set_config(name, '0', false) FROM pg_catalog.pg_settings \
     WHERE name IN ('transaction_timeout', 'idle_session_timeout')";

/// Ends the task when it is dropped: nothing of ours outlives its source.
#[derive(Debug)]
pub(crate) struct Task(pub(crate) JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Connects, with TLS where asked; no login yet.
pub(crate) async fn connect(options: &Options) -> Result<Bytestream, Error> {
    let address = &options.address;
    let io = |source| Error::Unreachable { address: address.to_string(), source };
    let connecting = async {
        match &address.place {
            Place::Unix(directory, port) => {
                let path = directory.join(format!(".s.PGSQL.{port}"));
                Ok(Bytestream::Unix(UnixStream::connect(path).await.map_err(io)?))
            }
            Place::Tcp(host, port) => {
                let stream = TcpStream::connect((host.as_str(), *port)).await.map_err(io)?;
                stream.set_nodelay(true).map_err(io)?;
                match address.tls {
                    Tls::Disable => Ok(Bytestream::Tcp(stream)),
                    Tls::Require | Tls::VerifyFull => encrypt(stream, host, options).await,
                }
            }
        }
    };
    tokio::time::timeout(CONNECT_TIMEOUT, connecting)
        .await
        .unwrap_or_else(|_| Err(io(std::io::Error::new(std::io::ErrorKind::TimedOut, "no answer in 10 seconds"))))
}

async fn encrypt(mut stream: TcpStream, host: &str, options: &Options) -> Result<Bytestream, Error> {
    let address = &options.address;
    let fault = |what: String| Error::Tls { address: address.to_string(), what };
    let io = |source| Error::Unreachable { address: address.to_string(), source };
    // SSLRequest; the server answers with one byte before anything else.
    stream.write_all(&[0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]).await.map_err(io)?;
    match stream.read_u8().await.map_err(io)? {
        b'S' => {}
        b'N' => return Err(fault("the server has no TLS (ssl = off)".to_owned())),
        _ => return Err(fault("the server does not answer like PostgreSQL".to_owned())),
    }
    let config = client_config(address, options.ca.as_deref()).map_err(fault)?;
    let name =
        ServerName::try_from(host.to_owned()).map_err(|_| fault(format!("{host} is not a name for a server")))?;
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let stream = connector.connect(name, stream).await.map_err(|error| fault(error.to_string()))?;
    Ok(Bytestream::Tls(Box::new(stream)))
}

fn client_config(address: &Address, ca: Option<&[u8]>) -> Result<ClientConfig, String> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let Some(mut pem) = ca else {
        return match address.tls {
            Tls::Require => Ok(builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
                .with_no_client_auth()),
            Tls::Disable | Tls::VerifyFull => Err("verify-full needs `ca_file`".to_owned()),
        };
    };
    let mut roots = RootCertStore::empty();
    for certificate in rustls_pemfile::certs(&mut pem) {
        let certificate = certificate.map_err(|_| "`ca_file` is not PEM".to_owned())?;
        roots.add(certificate).map_err(|error| format!("`ca_file`: {error}"))?;
    }
    if roots.is_empty() {
        return Err("`ca_file` holds no certificate".to_owned());
    }
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

/// `sslmode=require` without `ca_file`: encrypted against listeners, not against impostors. Signatures are still checked.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(
            message,
            certificate,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// A session for ordinary SQL. All results are text, in the session's settings.
pub(crate) struct Sql {
    client: tokio_postgres::Client,
    address: String,
    _connection: Task,
}

impl Sql {
    /// Connects and logs in.
    pub(crate) async fn open(options: &Options) -> Result<Sql, Error> {
        let address = options.address.to_string();
        let stream = connect(options).await?;
        let mut config = tokio_postgres::Config::new();
        config.user(&options.address.user).dbname(&options.address.database).application_name(options.name());
        if let Some(password) = &options.password {
            config.password(password.expose());
        }
        let settings: Vec<String> = SETTINGS.iter().map(|(name, value)| format!("-c {name}={value}")).collect();
        config.options(settings.join(" "));
        let (client, connection) =
            config.connect_raw(stream, NoTls).await.map_err(|error| Error::sql("logging in", &address, &error))?;
        let task = tokio::spawn(async move {
            // Whoever waits for an answer gets the error too; here it has no reader.
            let _ = connection.await;
        });
        let sql = Sql { client, address, _connection: Task(task) };
        sql.run("setting up the session", PATIENCE).await?;
        Ok(sql)
    }

    /// Runs statements and returns the rows of all of them.
    pub(crate) async fn rows(&self, during: &'static str, sql: &str) -> Result<Vec<SimpleQueryRow>, Error> {
        let messages =
            self.client.simple_query(sql).await.map_err(|error| Error::sql(during, &self.address, &error))?;
        Ok(messages
            .into_iter()
            .filter_map(|message| match message {
                SimpleQueryMessage::Row(row) => Some(row),
                _ => None,
            })
            .collect())
    }

    /// Runs statements for their effect.
    pub(crate) async fn run(&self, during: &'static str, sql: &str) -> Result<(), Error> {
        self.client.batch_execute(sql).await.map_err(|error| Error::sql(during, &self.address, &error))
    }

    /// The first column of the first row; empty if there is none or it is null.
    pub(crate) async fn one(&self, during: &'static str, sql: &str) -> Result<String, Error> {
        let rows = self.rows(during, sql).await?;
        Ok(rows.first().and_then(|row| row.get(0)).unwrap_or_default().to_owned())
    }
}

/// A text as an SQL literal.
pub(crate) fn literal(text: &str) -> String {
    postgres_protocol::escape::escape_literal(text)
}

/// A name as an SQL identifier.
pub(crate) fn identifier(name: &str) -> String {
    postgres_protocol::escape::escape_identifier(name)
}
