#!/usr/bin/env bash
# Lints the OpenAPI document with spectral and redocly, makes clients of it in Python and TypeScript and asks the server
# with them, tries the server against it with schemathesis, and compares the viewer's files with the package that they are
# from.
#
# Needs curl, jq, node, npm, python3 with venv, and a release build. WAYBILL_BIN is the binary, SEED that of the requests
# (random: the same finds nothing new), EXAMPLES how many requests are made up per operation.
readonly seconds_max=600 cases_min=2000
# shellcheck source-path=SCRIPTDIR source=prelude.sh
. "$(dirname "$0")/prelude.sh"

seed=${SEED:-1}
examples=${EXAMPLES:-150}
tools=tests/system/openapi
viewer=src/http/assets/docs/swagger-ui

cp "$tools"/package.json "$tools"/package-lock.json "$dir"
npm ci --prefix "$dir" --ignore-scripts --no-audit --no-fund --silent
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check --requirement "$tools/requirements.txt"

package=$dir/node_modules/swagger-ui-dist
for file in swagger-ui-bundle.js swagger-ui.css; do
    gzip -dc "$viewer/$file.gz" | cmp - "$package/$file" || fail "$viewer/$file.gz is not that of the package"
done
for file in LICENSE NOTICE swagger-ui-bundle.js.LICENSE.txt; do
    cmp "$viewer/$file" "$package/$file" || fail "$viewer/$file is not that of the package"
done

"$dir/node_modules/.bin/spectral" lint src/http/assets/openapi.json --ruleset "$tools/ruleset.yaml" --fail-severity hint ||
    fail "spectral"
REDOCLY_TELEMETRY=off REDOCLY_SUPPRESS_UPDATE_NOTICE=true "$dir/node_modules/.bin/redocly" lint \
    src/http/assets/openapi.json --config "$tools/redocly.yaml" --max-problems 10 >"$dir/redocly" 2>&1 ||
    { cat "$dir/redocly" >&2; fail "redocly"; }
! grep -qi '^Warning was generated' "$dir/redocly" || { cat "$dir/redocly" >&2; fail "redocly warns"; }

# Clients, compiled.
document=$PWD/src/http/assets/openapi.json
cp "$tools/client.py" "$tools/client.mts" "$dir"
PATH=$dir/venv/bin:$PATH "$dir/venv/bin/openapi-python-client" generate --path "$document" --meta none --fail-on-warning \
    --config "$tools/python-client.yaml" \
    --output-path "$dir/waybill_client" >"$dir/log.txt" 2>&1 || { cat "$dir/log.txt" >&2; fail "openapi-python-client"; }
"$dir/venv/bin/python" -m compileall -q "$dir/waybill_client" || fail "the client in Python"
(cd "$dir" && node_modules/.bin/openapi-typescript "$document" --output schema.ts >log.txt 2>&1 &&
    node_modules/.bin/tsc --strict --skipLibCheck --module nodenext --target es2022 --types node client.mts >>log.txt 2>&1) ||
    { cat "$dir/log.txt" >&2; fail "the client in TypeScript"; }

# Made-up shipments, and those of the document's examples.
"$bin" generate --shipments 20000 --seed 1 --output "$dir/data.csv"
tail -n +2 seed_data.csv >>"$dir/data.csv"
# With all that the document describes.
start_server --data "$dir/data.csv" --admin-listen off --changes 10 --status-map builtin
curl -fsS "http://$public/openapi.json" | cmp - src/http/assets/openapi.json || fail "another document is served"

"$dir/venv/bin/python" "$dir/client.py" "http://$public" || fail "the client in Python"
node "$dir/client.mjs" "http://$public" || fail "the client in TypeScript"

# The document is read from the file: the path that it is read from would not be tried.
(cd "$dir" && venv/bin/st --config-file "$OLDPWD/$tools/schemathesis.toml" run "$OLDPWD/src/http/assets/openapi.json" \
    --url "http://$public" --seed "$seed" --max-examples "$examples" --generation-database none --workers 1 --no-color \
    --continue-on-failure --report json --report-json-path report.json >log.txt 2>&1) ||
    { cut -c1-1000 "$dir/log.txt" >&2; fail "schemathesis, seed $seed"; }
sed -n '/= SUMMARY =/,$p' "$dir/log.txt"
cases=$(jq .test_cases.generated "$dir/report.json")
# All operations but the stream.
jq -e '(.failures + .errors == []) and .complete and .operations.tested == .operations.total - 1
    and ([.phases[].status] | all(. == "success"))' "$dir/report.json" >/dev/null ||
    fail "schemathesis did not try everything: $(jq -c '{operations, phases, errors}' "$dir/report.json")"
((cases >= cases_min)) || fail "schemathesis made only $cases cases"

kill -TERM "$server"
wait "$server" || fail "the server ended with status $?"
echo "ok: spectral and redocly found nothing; clients in Python and TypeScript work; schemathesis made $cases cases and found nothing"
