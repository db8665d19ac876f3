//! A raw HTTP/1.1 client: what it sends is what the test says, what it reads is kept byte by byte.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use super::DEADLINE;

/// A connection.
pub(crate) struct Client {
    stream: TcpStream,
    unread: Vec<u8>,
}

/// What came instead of a whole answer.
#[derive(Debug)]
pub(crate) enum Broken {
    /// The connection ended before the answer's first byte.
    NoAnswer,
    /// The connection ended within the answer.
    Truncated(String),
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Client {
        Client::try_connect(address).unwrap()
    }

    pub(crate) fn try_connect(address: SocketAddr) -> std::io::Result<Client> {
        let stream = TcpStream::connect_timeout(&address, DEADLINE)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(DEADLINE))?;
        stream.set_write_timeout(Some(DEADLINE))?;
        Ok(Client { stream, unread: Vec::new() })
    }

    /// Over a socket in the file system.
    pub(crate) fn connect_unix(path: &Path) -> Client {
        let stream = UnixStream::connect(path).unwrap();
        // What is read and written does not depend on the kind of socket.
        let stream = TcpStream::from(OwnedFd::from(stream));
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        Client { stream, unread: Vec::new() }
    }

    pub(crate) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).unwrap();
    }

    pub(crate) fn get(&mut self, path: &str) -> Answer {
        self.request("GET", path, &[])
    }

    pub(crate) fn request(&mut self, method: &str, path: &str, fields: &[&str]) -> Answer {
        self.send(request(method, path, fields));
        self.answer_to(method)
    }

    /// The next answer, to a request with `method`.
    pub(crate) fn answer_to(&mut self, method: &str) -> Answer {
        self.try_answer_to(method).unwrap_or_else(|broken| panic!("{broken:?} to {method}"))
    }

    /// The head of the next answer, whose body comes in chunks.
    pub(crate) fn head_of_chunked(&mut self) -> Answer {
        let head_end = self.head_end().unwrap();
        let head = String::from_utf8(self.unread.drain(..head_end).collect()).unwrap();
        let answer = Answer::from_head(head);
        assert_eq!(answer.field("transfer-encoding").as_deref(), Some("chunked"), "{}", answer.head);
        answer
    }

    /// Where the head of the next answer ends.
    fn head_end(&mut self) -> Result<usize, Broken> {
        loop {
            if let Some(end) = self.unread.windows(4).position(|four| four == b"\r\n\r\n") {
                return Ok(end + 4);
            }
            self.read_more()?;
        }
    }

    pub(crate) fn try_answer_to(&mut self, method: &str) -> Result<Answer, Broken> {
        let head_end = self.head_end()?;
        let head = String::from_utf8(self.unread[..head_end].to_vec()).unwrap();
        let mut answer = Answer::from_head(head);
        let has_body = method != "HEAD" && !matches!(answer.status, 100..200 | 204 | 304);
        if has_body && answer.field("transfer-encoding").as_deref() == Some("chunked") {
            self.unread.drain(..head_end);
            loop {
                match self.next_chunk() {
                    Ok(Some(mut chunk)) => answer.body.append(&mut chunk),
                    Ok(None) => return Ok(answer),
                    Err(_) => return Err(Broken::Truncated(answer.head)),
                }
            }
        }
        let length = if has_body { answer.content_length().unwrap_or_else(|| panic!("{}", answer.head)) } else { 0 };
        while self.unread.len() < head_end + length {
            self.read_more()?;
        }
        answer.body = self.unread[head_end..head_end + length].to_vec();
        self.unread.drain(..head_end + length);
        Ok(answer)
    }

    /// The next chunk of a body (RFC 9112, section 7.1), which has no trailers; `None` after the last one.
    pub(crate) fn next_chunk(&mut self) -> Result<Option<Vec<u8>>, Broken> {
        let start = loop {
            if let Some(end) = self.unread.windows(2).position(|two| two == b"\r\n") {
                break end + 2;
            }
            self.read_more()?;
        };
        let size = std::str::from_utf8(&self.unread[..start - 2]).unwrap();
        let end = start + usize::from_str_radix(size, 16).unwrap();
        while self.unread.len() < end + 2 {
            self.read_more()?;
        }
        assert_eq!(&self.unread[end..end + 2], b"\r\n");
        let chunk = self.unread[start..end].to_vec();
        self.unread.drain(..end + 2);
        Ok(Some(chunk).filter(|chunk| !chunk.is_empty()))
    }

    /// All that comes until the connection ends; an error if it is reset.
    pub(crate) fn read_to_end(&mut self) -> std::io::Result<Vec<u8>> {
        let mut bytes = std::mem::take(&mut self.unread);
        self.stream.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn read_more(&mut self) -> Result<(), Broken> {
        if self.read_some() > 0 {
            Ok(())
        } else if self.unread.is_empty() {
            Err(Broken::NoAnswer)
        } else {
            Err(Broken::Truncated(String::from_utf8_lossy(&self.unread).into_owned()))
        }
    }

    /// Bytes read; 0 when the connection has ended.
    fn read_some(&mut self) -> usize {
        let mut bytes = [0; 16 << 10];
        match self.stream.read(&mut bytes) {
            Ok(read) => {
                self.unread.extend_from_slice(&bytes[..read]);
                read
            }
            Err(error) if error.kind() == ErrorKind::ConnectionReset => 0,
            Err(error) => panic!("{error}; so far: {}", String::from_utf8_lossy(&self.unread)),
        }
    }

    /// Whether what comes next begins with `text`.
    pub(crate) fn starts_with(&mut self, text: &str) -> bool {
        while self.unread.len() < text.len() {
            self.read_more().unwrap();
        }
        self.unread.starts_with(text.as_bytes())
    }

    /// Reads exactly `text`.
    pub(crate) fn expect(&mut self, text: &str) {
        while self.unread.len() < text.len() {
            self.read_more().unwrap();
        }
        let came: Vec<u8> = self.unread.drain(..text.len()).collect();
        assert_eq!(String::from_utf8_lossy(&came), text);
    }

    /// Waits until the server has closed the connection; it sends nothing more before.
    pub(crate) fn expect_end(&mut self) {
        let read = self.read_some();
        assert!(read == 0 && self.unread.is_empty(), "more came: {}", String::from_utf8_lossy(&self.unread));
    }

    /// Whether nothing comes for `time`, neither bytes nor the end.
    pub(crate) fn is_silent_for(&mut self, time: Duration) -> bool {
        self.stream.set_read_timeout(Some(time)).unwrap();
        let waited = self.stream.peek(&mut [0]);
        self.stream.set_read_timeout(Some(DEADLINE)).unwrap();
        waited.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    }
}

/// The bytes of a request without a body.
pub(crate) fn request(method: &str, path: &str, fields: &[&str]) -> String {
    let start = format!("{method} {path} HTTP/1.1\r\nHost: waybill.test\r\n");
    fields.iter().fold(start, |head, field| head + field + "\r\n") + "\r\n"
}

/// The bytes of a request with JSON.
pub(crate) fn post(path: &str, fields: &[&str], body: &str) -> String {
    let length = format!("Content-Length: {}", body.len());
    request("POST", path, &[fields, &["Content-Type: application/json", &length]].concat()) + body
}

/// An answer as it came.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Status line and fields, as they came.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    fn from_head(head: String) -> Answer {
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.unwrap_or_else(|| panic!("no status line: {head}"));
        Answer { status, head, body: Vec::new() }
    }

    /// Names in lowercase, and values.
    pub(crate) fn fields(&self) -> Vec<(String, String)> {
        let field = |line: &str| line.split_once(": ").map(|(name, value)| (name.to_lowercase(), value.to_owned()));
        self.head.lines().skip(1).filter_map(field).collect()
    }

    /// The one value of a field.
    pub(crate) fn field(&self, name: &str) -> Option<String> {
        let mut values = self.fields().into_iter().filter(|(field, _)| field == name).map(|(_, value)| value);
        let value = values.next();
        assert_eq!(values.next(), None, "duplicate {name}");
        value
    }

    pub(crate) fn content_length(&self) -> Option<usize> {
        self.field("content-length").map(|length| length.parse().unwrap())
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// Checks that this is a whole problem detail; its `detail`.
    pub(crate) fn problem(&self, status: u16, code: &str) -> String {
        assert_eq!((self.status, self.field("content-type").as_deref()), (status, Some("application/problem+json")));
        let body = self.json();
        let detail = body["detail"].as_str().unwrap();
        assert!(!detail.is_empty());
        let title = hyper::StatusCode::from_u16(status).unwrap().canonical_reason().unwrap();
        let detail_json = serde_json::to_string(detail).unwrap();
        let expected = format!(
            r#"{{"type":"about:blank","title":"{title}","status":{status},"detail":{detail_json},"code":"{code}""#
        );
        let rest = self.text().strip_prefix(&expected);
        let rest = rest.unwrap_or_else(|| panic!("expected {expected}, got {}", self.text()));
        assert!(rest == "}" || code == "dataset_refused" && rest.starts_with(r#","errors":["#), "{rest}");
        detail.to_owned()
    }
}
