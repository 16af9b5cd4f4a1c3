//! What goes back: messages already framed, how a call ends, and the body of a response that holds them.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::vec;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Response};
use http_body::{Body, Frame};

use crate::call::OpenCall;
use crate::compression::Encoding;
use crate::percent;

const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");
const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");

/// The codes of gRPC's statuses that the wire itself gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    Ok = 0,
    InvalidArgument = 3,
    DeadlineExceeded = 4,
    ResourceExhausted = 8,
    Unimplemented = 12,
    Internal = 13,
    Unavailable = 14,
}

/// How a call ends, as the headers that say so.
#[derive(Clone, Debug)]
pub struct Trailers(HeaderMap);

impl Trailers {
    /// The end of a call with a code and a text, which is left out when it is empty.
    pub fn new(code: u16, message: &str, mut metadata: HeaderMap) -> Self {
        metadata.insert(STATUS, HeaderValue::from(code));
        if !message.is_empty() {
            metadata.insert(MESSAGE, percent::encode(message));
        }
        Trailers(metadata)
    }

    /// The end of a call by the wire itself.
    pub fn of(code: Code, message: &str) -> Arc<Self> {
        Arc::new(Trailers::new(code as u16, message, HeaderMap::new()))
    }

    /// The same with one header more.
    pub fn with(mut self, name: &'static str, value: HeaderValue) -> Self {
        self.0.insert(HeaderName::from_static(name), value);
        self
    }

    /// A response that is nothing but this end ("trailers-only").
    pub fn alone(&self) -> Response<ReplyBody> {
        let mut response = Response::new(ReplyBody(Content::Empty));
        *response.headers_mut() = self.0.clone();
        response.headers_mut().insert(CONTENT_TYPE, GRPC);
        response
    }
}

/// One reply of the service: a framed message in parts, or the end of the call, or both, or neither.
#[derive(Debug, Default)]
pub struct Reply {
    /// The message with its header before it; empty without one.
    pub parts: Vec<Bytes>,
    /// How the call ends.
    pub trailers: Option<Arc<Trailers>>,
    /// Received messages that this settles.
    pub credit: usize,
    /// Metadata before the first message.
    pub initial: Option<HeaderMap>,
    /// Not a reply: end the stream like this once it is idle.
    pub when_idle: Option<Arc<Trailers>>,
}

impl Reply {
    /// The end of a call.
    pub fn end(trailers: Arc<Trailers>) -> Self {
        Reply { trailers: Some(trailers), ..Reply::default() }
    }

    /// Whether there is anything to write.
    pub fn writes(&self) -> bool {
        !self.parts.is_empty() || self.trailers.is_some() || self.initial.is_some()
    }
}

/// The response of a call that begins with `first`, and ends with it if that is the end.
pub fn response(mut first: Reply, call: OpenCall, encoding: Encoding) -> Response<ReplyBody> {
    let initial = first.initial.take();
    if let (true, None, Some(trailers)) = (first.parts.is_empty(), &initial, &first.trailers) {
        return trailers.alone();
    }
    let streaming = call.is_streaming();
    let parts = first.parts.into_iter();
    let mut response = Response::new(ReplyBody(Content::Call { parts, trailers: first.trailers, call, streaming }));
    let headers = response.headers_mut();
    if let Some(initial) = initial {
        *headers = initial;
    }
    headers.insert(CONTENT_TYPE, GRPC);
    if encoding != Encoding::Identity {
        headers.insert(ENCODING, HeaderValue::from_static(encoding.name()));
    }
    response
}

/// A response of HTTP alone, for those who do not speak gRPC.
pub fn not_grpc(status: http::StatusCode) -> Response<ReplyBody> {
    let mut response = Response::new(ReplyBody(Content::Empty));
    *response.status_mut() = status;
    response
}

/// The body of a response.
pub struct ReplyBody(Content);

enum Content {
    Empty,
    Call { parts: vec::IntoIter<Bytes>, trailers: Option<Arc<Trailers>>, call: OpenCall, streaming: bool },
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        loop {
            let Content::Call { parts, trailers, call, streaming } = &mut self.0 else {
                return Poll::Ready(None);
            };
            if let Some(part) = parts.next() {
                return Poll::Ready(Some(Ok(Frame::data(part))));
            }
            if let Some(trailers) = trailers.take() {
                self.0 = Content::Empty;
                let headers = Arc::try_unwrap(trailers).unwrap_or_else(|shared| (*shared).clone()).0;
                return Poll::Ready(Some(Ok(Frame::trailers(headers))));
            }
            if !*streaming {
                self.0 = Content::Empty;
                continue;
            }
            match call.poll_reply(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(reply) => {
                    *parts = reply.parts.into_iter();
                    *trailers = reply.trailers;
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.0, Content::Empty)
    }
}
