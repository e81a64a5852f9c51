# Gets and configures apko, Chainguard's image builder; sourced after common.sh.
# shellcheck shell=bash disable=SC2154

apko_version=1.2.28
apko=$cache/apko-$apko_version/apko

# Makes sure that $apko exists.
ensure_apko() {
    [ ! -x "$apko" ] || return 0
    have go || apt_install golang-go
    say "compiling apko $apko_version"
    compile_apko || fail "apko $apko_version does not compile" "it needs Go 1.26, which Go 1.21 or newer can fetch"
}

# Not `go install`, which needs a list of versions: this only needs a proxy that serves this one version.
compile_apko() (
    export GOTOOLCHAIN=auto
    source=$(cd / && go mod download -json "chainguard.dev/apko@v$apko_version" | sed -n 's/^[[:space:]]*"Dir": "\(.*\)".*/\1/p')
    [ -n "$source" ] && mkdir -p "${apko%/*}" && cd "$source" && quietly go build -o "$apko" .
)
