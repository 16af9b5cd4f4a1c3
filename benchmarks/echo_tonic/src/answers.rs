//! The canned answers: a directory with a file for each method, which holds the message of all its answers.

use std::collections::HashMap;
use std::convert::Infallible;
use std::fs;
use std::future::Future;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use tonic::body::Body;
use tonic::server::{Grpc, UnaryService};
use tonic::{Request, Response, Status};
use tower_service::Service;

use crate::codec::PassThrough;
use crate::queue::Queue;

/// The service whose methods these are.
const SERVICE: &str = "inference.GRPCInferenceService";
/// Room for the largest message that a benchmark sends.
const MAX_MESSAGE: usize = 256 << 20;

type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// All answers of a server, by the path of their method.
#[derive(Clone)]
pub struct Answers {
    by_path: Arc<HashMap<String, Bytes>>,
    queue: Option<Queue>,
}

impl Answers {
    /// Read `directory`: its files are named as the methods are. Without a queue a call is answered where it comes in.
    pub fn read(directory: &Path, queue: Option<Queue>) -> io::Result<Self> {
        let mut by_path = HashMap::new();
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            let method = entry.file_name().to_string_lossy().into_owned();
            by_path.insert(format!("/{SERVICE}/{method}"), fs::read(entry.path())?.into());
        }
        Ok(Self { by_path: Arc::new(by_path), queue })
    }
}

impl Service<http::Request<Body>> for Answers {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Boxed<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let answer = self.by_path.get(request.uri().path()).cloned();
        let method = Method { answer, queue: self.queue.clone() };
        let mut grpc = Grpc::new(PassThrough).max_decoding_message_size(MAX_MESSAGE);
        Box::pin(async move { Ok(grpc.unary(method, request).await) })
    }
}

/// One call's method; without an answer there is no such method.
struct Method {
    answer: Option<Bytes>,
    queue: Option<Queue>,
}

impl UnaryService<Bytes> for Method {
    type Response = Bytes;
    type Future = Boxed<Result<Response<Bytes>, Status>>;

    fn call(&mut self, _: Request<Bytes>) -> Self::Future {
        let answer = self.answer.clone().ok_or_else(|| Status::unimplemented("no answer for this method"));
        let queue = self.queue.clone();
        Box::pin(async move {
            let Some(queue) = queue else { return answer.map(Response::new) };
            let arrival = queue.put(answer?).await;
            arrival.map(Response::new).map_err(|_| Status::internal("the thread of answers has ended"))
        })
    }
}
