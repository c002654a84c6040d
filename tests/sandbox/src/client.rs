//! A plain HTTP/1.1 client over one kept connection, for tests.
//!
//! Blocking, without retries and without opinions: a cut connection is an error, as it came. Understands `Content-Length`,
//! and chunks, as other servers send them.

use std::io::{Error, ErrorKind, Read, Result, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// One connection.
pub struct Client {
    stream: TcpStream,
    /// Bytes that were read and belong to the next answer.
    ahead: Vec<u8>,
}

/// One answer.
pub struct Answer {
    /// The status.
    pub status: u16,
    headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Client {
    /// Connects; an answer that takes longer than half a minute is an error.
    pub fn connect(address: SocketAddr) -> Result<Client> {
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        stream.set_nodelay(true)?;
        Ok(Client { stream, ahead: Vec::new() })
    }

    /// How long an answer may take.
    pub fn patience(&self, limit: Duration) -> Result<()> {
        self.stream.set_read_timeout(Some(limit))
    }

    /// Sends a request and reads its answer.
    pub fn send(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Result<Answer> {
        let mut request = format!("{method} {path} HTTP/1.1\r\nhost: sandbox\r\ncontent-length: {}\r\n", body.len());
        let named = |name: &str| headers.iter().any(|(held, _)| held.eq_ignore_ascii_case(name));
        if !body.is_empty() && !named("content-type") {
            request.push_str("content-type: application/fhir+json\r\n");
        }
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        request.push_str("\r\n");
        request.push_str(body);
        self.stream.write_all(request.as_bytes())?;
        self.answer()
    }

    fn answer(&mut self) -> Result<Answer> {
        let head_end = loop {
            if let Some(at) = self.ahead.windows(4).position(|four| four == b"\r\n\r\n") {
                break at;
            }
            self.more()?;
        };
        let head = String::from_utf8_lossy(&self.ahead[..head_end]).into_owned();
        self.ahead.drain(..head_end + 4);
        let mut lines = head.split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok());
        let status = status.ok_or_else(|| Error::new(ErrorKind::InvalidData, "no status line"))?;
        let pair =
            |line: &str| line.split_once(':').map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()));
        let mut answer = Answer { status, headers: lines.filter_map(pair).collect(), body: Vec::new() };
        if answer.header("transfer-encoding") == Some("chunked") {
            answer.body = self.chunks()?;
            return Ok(answer);
        }
        let length = answer.header("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
        while self.ahead.len() < length {
            self.more()?;
        }
        answer.body = self.ahead.drain(..length).collect();
        Ok(answer)
    }

    fn chunks(&mut self) -> Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = self.line()?;
            let length = usize::from_str_radix(line.split(';').next().unwrap_or_default().trim(), 16);
            let length = length.map_err(|_| Error::new(ErrorKind::InvalidData, "no length of a chunk"))?;
            while self.ahead.len() < length + 2 {
                self.more()?;
            }
            body.extend(self.ahead.drain(..length));
            self.ahead.drain(..2);
            if length == 0 {
                return Ok(body);
            }
        }
    }

    fn line(&mut self) -> Result<String> {
        loop {
            if let Some(at) = self.ahead.windows(2).position(|two| two == b"\r\n") {
                let line = String::from_utf8_lossy(&self.ahead[..at]).into_owned();
                self.ahead.drain(..at + 2);
                return Ok(line);
            }
            self.more()?;
        }
    }

    fn more(&mut self) -> Result<()> {
        let mut part = [0; 16_384];
        match self.stream.read(&mut part)? {
            0 => Err(Error::new(ErrorKind::UnexpectedEof, "the connection was cut before the answer")),
            length => {
                self.ahead.extend_from_slice(&part[..length]);
                Ok(())
            }
        }
    }
}

impl Answer {
    /// A header, by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(held, _)| held == name).map(|(_, value)| &**value)
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON; null when it is none. Rounds decimals: not for comparing resources.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_put_together_and_the_next_answer_is_read_behind_them() {
        let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = Client::connect(server.local_addr().unwrap()).unwrap();
        let (mut answers, _) = server.accept().unwrap();
        answers
            .write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{\"\r\n5;x\r\na\":1}\r\n0\r\n\r\n")
            .unwrap();
        answers.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n").unwrap();
        assert_eq!(client.send("GET", "/", &[], "").unwrap().text(), "{\"a\":1}");
        assert_eq!(client.send("GET", "/", &[], "").unwrap().status, 404);
    }
}
