#!/usr/bin/env bash
# Has .ci/release refuse what is not a release, and build one, without the image: tests/image.sh proves that.
#
# Needs what .ci/run installs, and a release build. WAYBILL_BIN is the binary.
readonly seconds_max=300
# shellcheck source-path=SCRIPTDIR source=prelude.sh
. "$(dirname "$0")/prelude.sh"

# A release's source, in a repository of its own.
source=$dir/source
mkdir "$source"
git ls-files -z --cached --others --exclude-standard | xargs -0 tar --create | tar --extract --directory "$source"
cd "$source"
export GIT_AUTHOR_NAME=test GIT_AUTHOR_EMAIL=test@localhost GIT_COMMITTER_NAME=test GIT_COMMITTER_EMAIL=test@localhost
commit() { git add --all && git commit --quiet --no-gpg-sign --no-verify --message "$1"; }
git init --quiet
commit all
refuses() { # MESSAGE
    ! .ci/release --skip-image "$dir/none" 2>"$dir/refusal" || fail "released in spite of: $1"
    grep -q "$1" "$dir/refusal" || fail "$(cat "$dir/refusal")"
    [[ ! -e $dir/none ]] || fail "built in spite of: $1"
}
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)
cp CHANGELOG.md "$dir"
sed -i "s/^## \[$version\]/## [0.0.0]/" CHANGELOG.md
refuses "no section \[$version\]"
awk -v old="## [$version]" '/^## \[Unreleased\]/ { print; print "\n- Something."; next } { print }' "$dir/CHANGELOG.md" >CHANGELOG.md
refuses 'unreleased changes'
awk '/^## / { inside = /\[Unreleased\]/ } !inside' "$dir/CHANGELOG.md" >CHANGELOG.md
refuses 'not committed'
commit release
WAYBILL_BIN=$bin refuses 'WAYBILL_BIN is for'

FAST=1 WAYBILL_BIN=$bin .ci/release --snapshot --skip-image "$dir/release"
cd "$dir/release"
sha256sum --check --quiet SHA256SUMS
ls waybill_"$version"-1_*.deb "waybill-$version.cdx.json" "waybill-$version"-*-linux-*.tar.gz >/dev/null
tar --extract --to-stdout --file "waybill-$version"-*.tar.gz ./usr/bin/waybill >"$dir/waybill"
chmod 755 "$dir/waybill"
[[ $("$dir/waybill" --version) == "waybill $version" ]] || fail "another version is in the archive"
components=$(jq '.components | length' "waybill-$version.cdx.json")
jq -e '.components | map(.name) | contains(["hyper", "object_store", "tokio"]) and (contains(["proptest"]) | not)' \
    "waybill-$version.cdx.json" >/dev/null || fail "the SBOM has not the program's components"
echo "SBOM: $components components"
echo ok
