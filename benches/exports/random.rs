//! Numbers in an order that no cache foresees, the same in every run.

/// Gives one number after the other (xorshift).
pub(crate) fn numbers() -> impl FnMut() -> u64 {
    let mut state = 88_172_645_463_325_252_u64;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    }
}
