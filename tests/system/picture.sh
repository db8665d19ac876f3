#!/usr/bin/env bash
# Draws docs/waybill.png, the picture of the README: the tracking page on a phone beside the browsing page, from a running
# server with made-up shipments.
#
# Needs chromium, node and npm, which fetches what tests/system/pages/package-lock.json says, and a build; a debug build
# will do. WAYBILL_BIN is the binary, CHROMIUM the browser, PICTURE another file to write.
readonly seconds_max=180
# shellcheck source-path=SCRIPTDIR source=prelude.sh
. "$(dirname "$0")/prelude.sh"

readonly bytes_max=340000 shipments=48213
picture=$(realpath -m "${PICTURE:-docs/waybill.png}")

"$bin" generate --shipments "$shipments" --seed 1 --output "$dir/shipments.csv"
start_server --data "$dir/shipments.csv" --admin-listen off --status-map builtin

cd tests/system/pages
npm ci --silent --no-audit --no-fund --ignore-scripts
node picture.js "http://$public" "$dir/picture.png"
bytes=$(stat -c %s "$dir/picture.png")
((bytes <= bytes_max)) || fail "the picture has $bytes bytes, at most $bytes_max are allowed"
mv "$dir/picture.png" "$picture"
chmod 644 "$picture"
echo "$picture: $bytes bytes"
