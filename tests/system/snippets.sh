#!/usr/bin/env bash
# Runs the programs that docs/api.md shows in Python, JavaScript and HTTPie against a real server, and compares what they
# print with the block of text under each.
#
# Needs jq, node, python3 with venv, and a build; a debug build will do. WAYBILL_BIN is the binary.
readonly seconds_max=180
# shellcheck source-path=SCRIPTDIR source=prelude.sh
. "$(dirname "$0")/prelude.sh"

readonly document=docs/api.md httpie=3.2.4 requests=2.34.2

# The block of a language, or the block of text after it.
block() { # language program|output
    awk -v language="$1" -v part="$2" '
        /^```/ && is_open { is_open = 0; if (name == "text" && is_found) exit; next }
        /^```/ { is_open = 1; name = substr($0, 4); if (name == language) is_found = 1; next }
        is_open && is_found && name == (part == "program" ? language : "text")
    ' "$document"
}

# Runs a program as the document has it, but for the port of the server.
compare() { # language file command…
    local language=$1 program=$dir/$2
    block "$language" program | sed -e "s|localhost:8080|$public|g" -e "s| :8080/| $public/|g" >"$program"
    block "$language" output >"$dir/shown"
    [[ -s $program && -s $dir/shown ]] || fail "$document has no program in $language, or not what it prints"
    "${@:3}" "$program" >"$dir/printed" || fail "the program in $language"
    diff -u "$dir/shown" "$dir/printed" || fail "the program in $language prints something else"
    echo "$language: $(wc -l <"$program") lines print what $document shows"
}

python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check "httpie==$httpie" "requests==$requests"
export PATH="$dir/venv/bin:$PATH"
# HTTPie formats and ends what it prints as it does on a terminal, without colours.
export HTTPIE_CONFIG_DIR=$dir BASH_ENV=$dir/on_terminal
echo '{"default_options":["--ignore-stdin","--pretty=format"]}' >"$dir/config.json"
echo 'http() { command http "$@"; echo; }' >"$dir/on_terminal"

start_server --data seed_data.csv --admin-listen off
compare python program.py python
compare javascript program.mjs node
compare sh program.sh bash -e
