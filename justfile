# Shortcuts for contributors; `just --list` says what there is. What has to hold before a change lands is `just full`.

set positional-arguments

# Serve the sample data, or what the arguments say
run *arguments:
    cargo run --release -- "$@"

# Unit and integration tests but for the slow ones; more threads than cores, since many tests wait for a timeout
test *arguments:
    cargo test --locked --lib --bins --test it --test invariants --test hot_path -- --skip slow:: --test-threads 6 "$@"

# Format, lints and licences, as the gate has them
lint:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets --locked -- -D warnings
    cargo clippy --all-targets --locked --features object-store -- -D warnings
    cargo deny --locked check bans
    cargo deny --locked --workspace check licenses sources
    RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --locked --features object-store

# Everything that the gate runs: all tests, system tests with real peers, fuzzing, the image
full:
    .ci/run

# Benchmarks; arguments choose some
bench *arguments:
    cargo bench --locked -- "$@"
