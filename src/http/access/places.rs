//! Places in tables of a fixed size, which many share and nobody may make grow.

/// The place that `is_own`, or else the one with the least `weight`, whose owner loses it: it becomes `anew`. There is one at
/// least.
#[inline]
pub(super) fn own_or_least<P, W: Ord>(
    places: &mut [P],
    is_own: impl Fn(&P) -> bool,
    weight: impl Fn(&P) -> W,
    anew: P,
) -> &mut P {
    let at = places.iter().position(is_own).unwrap_or_else(|| {
        let least = (0..places.len()).min_by_key(|at| weight(&places[*at])).unwrap_or_default();
        places[least] = anew;
        least
    });
    &mut places[at]
}
