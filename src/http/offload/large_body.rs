//! Bodies of large responses: made part by part on blocking threads as the client takes them, so that each holds little
//! memory however large it is.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;

use super::pace::Pace;
use super::threads::{NotDone, Offload};
use crate::dataset::{Dataset, Export, Outline, PART_SPARE_BYTES};
use crate::http::budget::{Budget, Exhausted, Reservation};
use crate::http::request::forwarded::Peer;
use crate::http::response::body::Parts;
use crate::store::Lease;

/// Bytes that are made at a time.
pub(crate) const PART_BYTES: usize = 128 << 10;

/// How long an export pauses before each part while lookups are answered: it gets some 8 MB/s then, so that several leave
/// the processors to others.
pub(crate) const EXPORT_PAUSE: Duration = Duration::from_millis(16);

/// A description of a body, and how far it is rendered.
pub(crate) trait Description: Send + 'static {
    /// Memory of the description itself, in bytes.
    fn memory_bytes(&self) -> usize;
    /// Appends the next part to `out`, until that has `bytes_max` bytes or a few more; nothing when all is rendered.
    fn render_part(&mut self, dataset: &Dataset, out: &mut Vec<u8>, bytes_max: usize);
}

impl Description for Outline {
    fn memory_bytes(&self) -> usize {
        Outline::memory_bytes(self)
    }

    fn render_part(&mut self, dataset: &Dataset, out: &mut Vec<u8>, bytes_max: usize) {
        dataset.render_part(self, out, bytes_max);
    }
}

impl Description for Export {
    fn memory_bytes(&self) -> usize {
        Export::memory_bytes(self)
    }

    fn render_part(&mut self, dataset: &Dataset, out: &mut Vec<u8>, bytes_max: usize) {
        dataset.render_export(self, out, bytes_max);
    }
}

/// A part on its way, and what is left after it.
type Making<D> = Pin<Box<dyn Future<Output = io::Result<(D, Vec<u8>)>>>>;

/// The body that a description makes.
pub(crate) struct LargeBody<D> {
    offload: Offload,
    client: Peer,
    lease: Lease,
    /// What is left to be made. None while a part is being made.
    description: Option<D>,
    making: Option<Making<D>>,
    /// That of an export.
    pace: Option<Pace>,
    budget: Arc<Budget>,
    /// Of the description, and of a part that is being made.
    _reservation: Reservation,
}

impl<D: Description> LargeBody<D> {
    /// The body that `description` makes at `pace`, for `client`, if `budget` has the memory.
    pub(crate) fn new(
        offload: &Offload,
        client: Peer,
        lease: Lease,
        description: D,
        pace: Option<Pace>,
        budget: &Arc<Budget>,
    ) -> Result<LargeBody<D>, Exhausted> {
        // A part is made while the one before is on its way, which then counts for itself.
        let mut reservation = budget.reserve(description.memory_bytes() + 2 * PART_BYTES)?;
        reservation.set(description.memory_bytes() + PART_BYTES);
        let (offload, budget) = (offload.clone(), Arc::clone(budget));
        Ok(LargeBody {
            offload,
            client,
            lease,
            description: Some(description),
            making: None,
            pace,
            budget,
            _reservation: reservation,
        })
    }
}

impl<D: Description> Parts for LargeBody<D> {
    fn poll_part(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
        let (client, lease, offload) = (self.client, &self.lease, &self.offload);
        let making = self.making.get_or_insert_with(|| {
            let (offload, lease, description) = (offload.clone(), lease.clone(), self.description.take());
            let pause = self.pace.as_mut().and_then(Pace::pause);
            Box::pin(async move {
                if let Some(pause) = pause {
                    pause.await;
                }
                match offload.run_patiently(client, move || make_next_part(description, &lease)).await {
                    Ok(made) => made,
                    Err(NotDone::Busy | NotDone::Panicked) => Err(broken("it cannot be made")),
                }
            })
        });
        let made = ready!(making.as_mut().poll(cx));
        self.making = None;
        let (description, part) = made?;
        self.description = Some(description);
        Poll::Ready(Ok(self.budget.keep_made(part)))
    }
}

fn make_next_part<D: Description>(description: Option<D>, lease: &Lease) -> io::Result<(D, Vec<u8>)> {
    let mut description = description.ok_or_else(|| broken("it has ended"))?;
    let snapshot = lease.snapshot().ok_or_else(|| broken("its dataset was replaced a while ago"))?;
    let part = make_part(&mut description, &snapshot.dataset);
    Ok((description, part))
}

/// The next part of what `description` makes.
pub(crate) fn make_part(description: &mut impl Description, dataset: &Dataset) -> Vec<u8> {
    let mut part = Vec::with_capacity(PART_BYTES + PART_SPARE_BYTES);
    description.render_part(dataset, &mut part, PART_BYTES);
    part
}

fn broken(reason: &str) -> io::Error {
    io::Error::other(format!("the response breaks off: {reason}"))
}
