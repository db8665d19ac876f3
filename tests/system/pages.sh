#!/usr/bin/env bash
# Drives the tracking page and the browsing page in headless Chromium: what they show, to shoppers without a key too, that nothing in the data runs,
# keyboard, screen readers (axe), narrow and wide, light and dark.
#
# Needs chromium, node and npm, which fetches three packages as tests/system/pages/package-lock.json says, and a release
# build. WAYBILL_BIN is the binary, CHROMIUM the browser. With BASE_URL nothing is started: a server is asked there that
# serves what `node -e 'import("./tests/system/pages/data.js").then(({ CSV }) => process.stdout.write(CSV))'` prints.
set -euo pipefail
readonly seconds_max=1200
# Nothing here takes as long, whatever hangs.
[[ ${BOUNDED:-} ]] || BOUNDED=1 exec timeout --kill-after 10 "$seconds_max" "$0"
cd "$(dirname "$0")/../.."

WAYBILL_BIN=$(realpath "${WAYBILL_BIN:-target/release/waybill}")
export WAYBILL_BIN
cd tests/system/pages
npm ci --silent --no-audit --no-fund --ignore-scripts
node minify.js --check
node --test --test-concurrency 1 track.test.js browse.test.js desk.test.js shopper.test.js stages.test.js brand.test.js
