# Functions for the scripts in the parent directory; to be sourced by bash, after `set -euo pipefail`.
# shellcheck shell=bash disable=SC2034,SC2016

project=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
state=${XDG_STATE_HOME:-$HOME/.local/state}/mailimg
cache=${MAILIMG_CACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/mailimg}

# Announces a step. All messages go to standard error; results go to standard output.
say() {
    printf '%s\n' "==> $*" >&2
}

note() {
    printf '%s\n' "    $*" >&2
}

fail() {
    printf '%s\n' "error: $1" >&2
    shift
    local hint
    for hint in "$@"; do printf '%s\n' "  hint: $hint" >&2; done
    exit 1
}

have() {
    command -v "$1" >/dev/null 2>&1
}

is_root() {
    [ "$(id -u)" = 0 ]
}

# Debian's code name, empty elsewhere.
debian_codename() {
    (
        ID='' VERSION_CODENAME=''
        # shellcheck source=/dev/null
        [ ! -r /etc/os-release ] || . /etc/os-release
        [ "$ID" != debian ] || printf '%s' "$VERSION_CODENAME"
    )
}

# Runs a command quietly; its output is shown only when it fails.
quietly() {
    local log status=0
    log=$(mktemp)
    "$@" >"$log" 2>&1 </dev/null || status=$?
    [ "$status" = 0 ] || tail -n 40 "$log" >&2
    rm -f "$log"
    return "$status"
}

# Installs missing Debian packages.
apt_install() {
    local package missing=()
    for package in "$@"; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)" = installed ] || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    have apt-get || fail "missing: ${missing[*]}" "this is not Debian: install the equivalent packages, then run this again"
    is_root || fail "missing Debian packages: ${missing[*]}" "sudo apt-get install --no-install-recommends ${missing[*]}"
    say "installing Debian packages: ${missing[*]}"
    apt_update
    quietly env DEBIAN_FRONTEND=noninteractive apt-get install -y -q -o DPkg::Lock::Timeout=300 \
        --no-install-recommends "${missing[@]}" \
        || fail "apt-get could not install ${missing[*]}" "its last lines are above"
}

# Prints those of the packages that this Debian release has.
apt_has() {
    local package
    apt_update
    for package in "$@"; do
        [ -z "$(apt-cache madison "$package" 2>/dev/null)" ] || printf '%s\n' "$package"
    done
}

apt_updated=
apt_update() {
    [ -z "$apt_updated" ] || return 0
    # Continue if another vendor's source can't be reached: everything needed comes from Debian.
    quietly apt-get update -q || note "apt-get update reported the errors above; going on with what it has"
    apt_updated=yes
}

# Downloads a package from another Debian suite, with this machine's mirror and keys and a private apt root, so nothing
# on the machine changes. usage: apt_download_from SUITE PACKAGE DIRECTORY
apt_download_from() {
    local suite=$1 package=$2 directory=$3 root uri keys=/usr/share/keyrings/debian-archive-keyring.gpg
    apt_update
    uri=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' 'Label: Debian' \
        | sort -u | head -n 1)
    [ -n "$uri" ] || fail "apt knows no Debian mirror" "add one to /etc/apt/sources.list.d, then: apt-get update"
    [ -e "$keys" ] || keys=
    root=$(mktemp -d)
    mkdir -p "$root/state/lists/partial" "$root/cache/archives/partial" "$directory"
    : >"$root/status"
    printf 'deb %s%s %s main\n' "${keys:+[signed-by=$keys] }" "$uri" "$suite" >"$root/sources.list"
    local apt=(apt-get -q -o "Dir::State=$root/state" -o "Dir::State::status=$root/status" -o "Dir::Cache=$root/cache"
        -o "Dir::Etc::sourcelist=$root/sources.list" -o Dir::Etc::sourceparts=/dev/null -o APT::Sandbox::User=root)
    if ! quietly "${apt[@]}" update \
        || ! (cd "$directory" && quietly "${apt[@]}" download "$package"); then
        rm -rf "$root"
        fail "could not download $package of Debian $suite from $uri"
    fi
    rm -rf "$root"
}
