# Builds the images of a site; sourced after common.sh.
# shellcheck shell=bash

# Builds the images of a site from its locks. First updates locks that are missing, or that pin a package which Debian has
# replaced since. usage: build_images MAILIMG SITE
build_images() {
    local mailimg=$1 site=$2 status=0 said
    "$mailimg" -C "$site" build || status=$?
    # 4: something needed is not there. Whether locking helps, says the hint; it would not where the network is down.
    [ "$status" = 4 ] || return "$status"
    ! said=$("$mailimg" -C "$site" build 2>&1 >/dev/null) || return 0
    # shellcheck disable=SC2016
    case $said in *'`mailimg lock`'*) ;; *) return "$status" ;; esac
    say "doing what the hint says: locking anew, into $site/apk-locks. What changes:"
    "$mailimg" -C "$site" lock || return
    say "building from the new locks"
    "$mailimg" -C "$site" build
}
