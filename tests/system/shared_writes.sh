#!/usr/bin/env bash
# Shows that the way of a lookup writes nothing that another worker writes too: two workers answer one after the other
# under a tool that records every access to memory, and no cache line may be written by both. The tool does not say which
# thread writes: one that should sleep and has not yet fallen asleep is taken for a worker now and then. So one of three
# traces has to be clean; what workers share shows in all of them.
set -euo pipefail
cd "$(dirname "$0")/../.."

binary=$(cargo test --locked --no-run --message-format=json --test shared_writes 2>/dev/null |
    jq -r 'select(.profile.test == true and .target.name == "shared_writes") | .executable')
report=$(mktemp)
trap 'rm -f "$report"' EXIT

# Lines of the trace: " S address,size" is a store, " M address,size" a load and a store at once.
trace() {
    valgrind --tool=lackey --trace-mem=yes --log-fd=2 "$binary" --nocapture 2>&1 >/dev/null |
        awk '
            function line_of(address,   last) {
                last = index("0123456789abcdef", substr(address, length(address) - 1, 1)) - 1
                return substr(address, 1, length(address) - 2) "+" int(last / 4) * 64
            }
            /^MARK .* begins/ { worker = $2; next }
            /^MARK .* ends/ { worker = ""; next }
            worker != "" && /^ [SM] / { split($2, at, ","); written[worker, line_of(at[1])]++; stores[worker]++ }
            END {
                for (key in written) {
                    split(key, part, SUBSEP)
                    lines[part[1]]++
                    if (part[1] == "first" && ("second", part[2]) in written) {
                        shared++
                        print "written by both workers: line " part[2] ", " written[key] " times by the first"
                    }
                }
                printf "stores: %d and %d, to %d and %d cache lines; to the same: %d\n",
                    stores["first"], stores["second"], lines["first"], lines["second"], shared
            }' | tee "$report"
}

for _ in 1 2 3; do
    trace
    # A trace without stores shows nothing.
    if grep -Eq '^stores: [1-9][0-9]{3,} and [1-9][0-9]{3,}, .* to the same: 0$' "$report"; then
        exit 0
    fi
done
exit 1
