//! Pseudo-random numbers, the same in every run.

/// Creates a generator of numbers (xorshift).
pub(crate) fn numbers() -> impl FnMut() -> u64 {
    let mut state = 88_172_645_463_325_252_u64;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    }
}
