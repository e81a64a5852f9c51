# What it takes to compile mailimg and to make a channel's repository; sourced after common.sh.
# shellcheck shell=bash disable=SC2154,SC2034

# Debian's packages without which the crates don't compile.
build_packages=(gcc libc6-dev pkg-config libssl-dev ca-certificates curl)

# The Rust that the project is made with; newer ones compile it, too.
wanted_rust() {
    sed -n 's/^rust-version = "\(.*\)"/\1/p' "$project/Cargo.toml"
}

# Makes sure that `cargo` is there and new enough.
ensure_rust() {
    local wanted found=''
    wanted=$(wanted_rust)
    case :$PATH: in *":$HOME/.cargo/bin:"*) ;; *) PATH=$HOME/.cargo/bin:$PATH ;; esac
    export PATH
    if have cargo && found=$(cargo --version 2>/dev/null | cut -d' ' -f2) && at_least "$wanted" "$found"; then return; fi
    say "mailimg needs Rust $wanted or newer; here is ${found:-none}: installing it with rustup"
    # Debian 13 has rustup as a package; elsewhere its own installer is the usual way.
    have rustup || { [ "$(debian_codename)" = trixie ] && apt_install rustup; } || install_rustup
    quietly rustup toolchain install "$wanted" --profile minimal --component clippy --component rustfmt \
        || fail "rustup could not install Rust" "install Rust $wanted or newer by hand: https://rustup.rs"
    export RUSTUP_TOOLCHAIN=$wanted
    have cargo || fail "rustup has installed Rust $wanted, but there is no cargo" "look for it in ~/.cargo/bin and /usr/bin"
}

install_rustup() {
    local installer
    installer=$(mktemp)
    curl --proto '=https' --tlsv1.2 -fsSL --retry 3 -o "$installer" https://sh.rustup.rs \
        && quietly sh "$installer" -y --no-modify-path --profile minimal --default-toolchain none
    local status=$?
    rm -f "$installer"
    [ "$status" = 0 ] || fail "could not install rustup from https://sh.rustup.rs" \
        "install Rust by hand, then run this again: https://rustup.rs, or Debian 13's rustup package"
}

# Whether version $2 is $1 or newer.
at_least() {
    [ "$(printf '%s\n' "$1" "$2" | sort -V | head -n 1)" = "$1" ]
}
