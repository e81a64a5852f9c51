# Builds the images of a site; sourced after common.sh.
# shellcheck shell=bash

# Builds the images of a site. Locks them first if there are no locks, or if the channel has replaced locked packages.
# usage: build_images MAILIMG SITE CHANNEL
build_images() {
    local mailimg=$1 site=$2 channel=$3 said status=0
    said=$(mktemp)
    "$mailimg" -C "$site" build 2>"$said" || status=$?
    # 4: something is missing. The hint names `mailimg lock` if locking helps, which it doesn't if the network is down.
    # shellcheck disable=SC2016
    if [ "$status" != 4 ] || ! grep -q -F '`mailimg lock`' "$said"; then
        cat "$said" >&2
        rm -f "$said"
        return "$status"
    fi
    rm -f "$said"
    if [ -n "$(find "$site/apk-locks/$channel" -name '*.lock' -print -quit)" ]; then
        say "$channel has newer packages than its locks, as happens every few weeks: locking again in $site/apk-locks"
        note "Changes (images in brackets if not all of them are affected):"
    else
        say "locking the packages of $channel for the first time, in $site/apk-locks"
    fi
    "$mailimg" -C "$site" lock || return
    say "building from the new locks"
    "$mailimg" -C "$site" build
}
