//! From the headers of an HTTP request to the calls of the service, and to its answer.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method as HttpMethod, Request, Response, StatusCode};
use hyper::body::Incoming;

use crate::call::{CallState, OpenCall};
use crate::compression::Encoding;
use crate::connection::Connection;
use crate::counters::Counted;
use crate::reading::{Read, Reader};
use crate::reply::{self, Code, ReplyBody, Trailers};
use crate::timeout;
use crate::wire::{Kind, Wire};

/// Answer one request.
pub async fn answer(wire: Arc<Wire>, connection: Arc<Connection>, request: Request<Incoming>) -> Response<ReplyBody> {
    wire.counters.calls.fetch_add(1, Relaxed);
    let _reading = Counted::reading(&wire);
    let (head, body) = request.into_parts();
    if head.method != HttpMethod::POST {
        return reply::not_grpc(StatusCode::METHOD_NOT_ALLOWED);
    }
    if !is_grpc(&head.headers) {
        return reply::not_grpc(StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }
    if let Some(refusal) = wire.refusal() {
        return refusal.alone();
    }
    let size = metadata_size(&head.headers);
    if size > wire.options.max_metadata_size as usize {
        return too_much_metadata(size, wire.options.max_metadata_size).alone();
    }
    let Some(method) = wire.methods.get().and_then(|methods| methods.get(head.uri.path())) else {
        return Trailers::of(Code::Unimplemented, "Method not found!").alone();
    };
    let (deadline, encoding) = match (deadline(&head.headers), encoding(&head.headers)) {
        (Ok(deadline), Ok(encoding)) => (deadline, encoding),
        (Err(trailers), _) | (_, Err(trailers)) => return trailers.alone(),
    };
    let back = match wire.options.compression {
        0 => Encoding::Identity,
        _ => Encoding::accepted(head.headers.get("grpc-accept-encoding")),
    };
    let reader = Reader::new(&wire, body, encoding);
    let call = CallState::new(&wire, method.clone(), head.headers, connection, deadline, back);
    if call.method.streaming {
        return stream(call, reader).await;
    }
    match deadline {
        None => unary(call, reader).await,
        Some(deadline) => match tokio::time::timeout_at(deadline.into(), unary(call, reader)).await {
            Ok(response) => response,
            Err(_) => late().alone(),
        },
    }
}

async fn unary(call: Arc<CallState>, mut reader: Reader) -> Response<ReplyBody> {
    let (kind, message) = match reader.next().await {
        Read::Message(message, reservation) => {
            match reader.next().await {
                Read::End => {}
                Read::Gone => return gone(),
                Read::Malformed(trailers) => return trailers.alone(),
                _ => return Trailers::of(Code::Internal, "a unary call has more than one message").alone(),
            }
            *crate::sync::locked(&call.reserved) = Some(reservation);
            (Kind::Message, message)
        }
        Read::TooLarge(why) => (Kind::TooLarge, Bytes::from(why)),
        Read::Overloaded(why) => (Kind::Overloaded, Bytes::from(why)),
        Read::End => return Trailers::of(Code::Internal, "a unary call has no message").alone(),
        Read::Malformed(trailers) => return trailers.alone(),
        Read::Gone => return gone(),
    };
    drop(reader);
    if let Some(refusal) = call.wire.refusal() {
        return refusal.alone();
    }
    let open = OpenCall::new(&call);
    call.emit(kind, message);
    let first = poll_fn(|context| open.poll_reply(context)).await;
    reply::response(first, open, call.encoding)
}

async fn stream(call: Arc<CallState>, reader: Reader) -> Response<ReplyBody> {
    let open = OpenCall::new(&call);
    call.emit(Kind::Open, Bytes::new());
    call.wire.end_if_ending(&call);
    tokio::spawn(read(call.clone(), reader));
    let first = poll_fn(|context| open.poll_reply(context)).await;
    reply::response(first, open, call.encoding)
}

/// Read the messages of a stream as its credits let in; its deadline passes here too.
async fn read(call: Arc<CallState>, reader: Reader) {
    let Some(deadline) = call.deadline else {
        return read_all(&call, reader).await;
    };
    let reading = async {
        read_all(&call, reader).await;
        poll_fn(|context| call.poll_answered(context)).await;
    };
    if tokio::time::timeout_at(deadline.into(), reading).await.is_err() {
        call.end(&late());
    }
}

async fn read_all(call: &Arc<CallState>, mut reader: Reader) {
    loop {
        if !poll_fn(|context| call.poll_credit(context)).await {
            return;
        }
        let Some(read) = next_unless_answered(call, &mut reader).await else {
            return;
        };
        match read {
            Read::Message(message, reservation) => {
                call.spend_credit(reservation);
                call.emit(Kind::Message, message);
            }
            Read::End => return call.emit(Kind::HalfClose, Bytes::new()),
            Read::Gone => return,
            Read::TooLarge(why) => return call.end(&Trailers::of(Code::ResourceExhausted, &why)),
            Read::Overloaded(why) => return call.end(&overloaded(&why)),
            Read::Malformed(trailers) => return call.end(&trailers),
        }
    }
}

async fn next_unless_answered(call: &CallState, reader: &mut Reader) -> Option<Read> {
    let mut next = pin!(reader.next());
    poll_fn(|context| {
        if call.poll_answered(context).is_ready() {
            return std::task::Poll::Ready(None);
        }
        next.as_mut().poll(context).map(Some)
    })
    .await
}

fn is_grpc(headers: &HeaderMap) -> bool {
    let value = headers.get(CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    value.strip_prefix(b"application/grpc").is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
}

/// As HTTP/2 counts it (RFC 9113, 10.5.1).
fn metadata_size(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 32).sum()
}

fn too_much_metadata(size: usize, limit: u32) -> Arc<Trailers> {
    let text = format!("got metadata of {size} bytes, expected at most {limit} (--grpc-max-metadata-size)");
    Trailers::of(Code::ResourceExhausted, &text)
}

fn deadline(headers: &HeaderMap) -> Result<Option<Instant>, Arc<Trailers>> {
    let Some(value) = headers.get("grpc-timeout") else {
        return Ok(None);
    };
    match timeout::parse(value.as_bytes()) {
        Some(timeout) => Ok(Instant::now().checked_add(timeout)),
        None => Err(Trailers::of(
            Code::InvalidArgument,
            &format!("got {value:?} as grpc-timeout, expected at most 8 digits and one of H, M, S, m, u, n"),
        )),
    }
}

fn encoding(headers: &HeaderMap) -> Result<Encoding, Arc<Trailers>> {
    let Some(value) = headers.get("grpc-encoding") else {
        return Ok(Encoding::Identity);
    };
    Encoding::parse(value.as_bytes()).ok_or_else(|| {
        let text = format!("got {value:?} as grpc-encoding, expected one of {}", Encoding::ACCEPTED);
        let trailers = Trailers::new(Code::Unimplemented as u16, &text, HeaderMap::new());
        Arc::new(trailers.with("grpc-accept-encoding", HeaderValue::from_static(Encoding::ACCEPTED)))
    })
}

fn late() -> Arc<Trailers> {
    Trailers::of(Code::DeadlineExceeded, "Deadline Exceeded")
}

fn overloaded(why: &str) -> Arc<Trailers> {
    let trailers = Trailers::new(Code::Unavailable as u16, why, HeaderMap::new());
    Arc::new(trailers.with("grpc-retry-pushback-ms", HeaderValue::from_static("-1")))
}

/// What nobody will read: the stream is gone.
fn gone() -> Response<ReplyBody> {
    Trailers::of(Code::Unavailable, "the stream is gone").alone()
}
