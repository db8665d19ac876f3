//! A body that is compressed part by part, as it is made and taken.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;

use crate::http::budget::{Budget, Reservation};
use crate::http::offload::threads::Offload;
use crate::http::request::forwarded::Peer;
use crate::http::response::body::{InParts, Parts};
use crate::http::response::coding::Encoder;

/// The encoder, unless it has ended, and what came out of it.
type Coded = io::Result<(Option<Encoder>, Vec<u8>)>;

/// The parts of a body, compressed on blocking threads.
pub(super) struct CodedParts {
    plain: Box<InParts>,
    /// None while a part is being compressed, and at the end.
    encoder: Option<Encoder>,
    coding: Option<Pin<Box<dyn Future<Output = Coded>>>>,
    offload: Offload,
    client: Peer,
    budget: Arc<Budget>,
    /// Of the encoder.
    _reservation: Reservation,
}

impl CodedParts {
    /// Those of `plain`, for `client`, made by an encoder and in the memory that is held for it.
    pub(super) fn new(
        plain: Box<InParts>,
        (encoder, reservation): (Encoder, Reservation),
        offload: Offload,
        client: Peer,
        budget: Arc<Budget>,
    ) -> CodedParts {
        CodedParts { plain, encoder: Some(encoder), coding: None, offload, client, budget, _reservation: reservation }
    }
}

impl Parts for CodedParts {
    fn poll_part(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
        loop {
            if let Some(coding) = &mut self.coding {
                let coded = ready!(coding.as_mut().poll(cx));
                self.coding = None;
                let (encoder, part) = coded?;
                self.encoder = encoder;
                // A short part may stay within the encoder.
                if !part.is_empty() || self.encoder.is_none() {
                    return Poll::Ready(Ok(self.budget.keep_made(part)));
                }
            }
            if self.encoder.is_none() {
                return Poll::Ready(Ok(Bytes::new()));
            }
            let part = ready!(self.plain.poll_part(cx)).transpose()?;
            let Some(encoder) = self.encoder.take() else { continue };
            let (offload, client) = (self.offload.clone(), self.client);
            self.coding = Some(Box::pin(async move {
                let coded = offload.run_patiently(client, move || code(encoder, part)).await;
                coded.unwrap_or_else(|_| Err(io::Error::other("the response breaks off: it cannot be compressed")))
            }));
        }
    }
}

/// Takes a part in, or ends where there is none.
fn code(mut encoder: Encoder, part: Option<Bytes>) -> Coded {
    let Some(part) = part else { return Ok((None, encoder.finish()?)) };
    encoder.write(&part)?;
    let coded = encoder.take();
    Ok((Some(encoder), coded))
}
