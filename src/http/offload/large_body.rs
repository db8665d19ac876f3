//! Bodies of large responses: made part by part on blocking threads as the client takes them, so that each holds little
//! memory however large it is.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;

use super::queue::Patience;
use super::threads::{NotDone, Offload, run};
use crate::dataset::Outline;
use crate::http::budget::{Budget, Exhausted, Reservation};
use crate::http::request::forwarded::Peer;
use crate::http::response::body::Parts;
use crate::store::Lease;

/// Bytes that are made at a time.
const PART_BYTES: usize = 128 << 10;
/// Room for what is not split at the end of a part.
const SPARE_BYTES: usize = 4 << 10;

/// A part on its way, and what is left after it.
type Making = Pin<Box<dyn Future<Output = io::Result<(Outline, Vec<u8>)>>>>;

/// The body that an outline describes.
pub(crate) struct LargeBody {
    offload: Offload,
    client: Peer,
    lease: Lease,
    /// What is left to be made. None while a part is being made.
    outline: Option<Outline>,
    making: Option<Making>,
    budget: Arc<Budget>,
    /// Of the outline, and of a part that is being made.
    _reservation: Reservation,
}

impl LargeBody {
    /// The body that `outline` describes, for `client`, if `budget` has the memory.
    pub(crate) fn new(
        offload: &Offload,
        client: Peer,
        lease: Lease,
        outline: Outline,
        budget: &Arc<Budget>,
    ) -> Result<LargeBody, Exhausted> {
        // A part is made while the one before is on its way, which then counts for itself.
        let mut reservation = budget.reserve(outline.memory_bytes() + 2 * PART_BYTES)?;
        reservation.set(outline.memory_bytes() + PART_BYTES);
        let (offload, budget) = (offload.clone(), Arc::clone(budget));
        Ok(LargeBody {
            offload,
            client,
            lease,
            outline: Some(outline),
            making: None,
            budget,
            _reservation: reservation,
        })
    }
}

impl Parts for LargeBody {
    fn poll_part(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
        let (client, lease, queue) = (self.client, &self.lease, &self.offload.0);
        let making = self.making.get_or_insert_with(|| {
            let (queue, lease, outline) = (queue.clone(), lease.clone(), self.outline.take());
            Box::pin(async move {
                let turn = queue.turn(client, Patience::Unlimited).await.map_err(|_| broken("nobody makes it"))?;
                match run(turn, move || make_part(outline, &lease)).await {
                    Ok(made) => made,
                    Err(NotDone::Busy | NotDone::Panicked) => Err(broken("it cannot be made")),
                }
            })
        });
        let made = ready!(making.as_mut().poll(cx));
        self.making = None;
        let (outline, part) = made?;
        self.outline = Some(outline);
        Poll::Ready(Ok(self.budget.keep_made(part)))
    }
}

fn make_part(outline: Option<Outline>, lease: &Lease) -> io::Result<(Outline, Vec<u8>)> {
    let mut outline = outline.ok_or_else(|| broken("it has ended"))?;
    let snapshot = lease.snapshot().ok_or_else(|| broken("its dataset was replaced a while ago"))?;
    let mut part = Vec::with_capacity(PART_BYTES + SPARE_BYTES);
    snapshot.dataset.render_part(&mut outline, &mut part, PART_BYTES);
    Ok((outline, part))
}

fn broken(reason: &str) -> io::Error {
    io::Error::other(format!("the response breaks off: {reason}"))
}
