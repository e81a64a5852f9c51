# Installs what compiling mailimg needs; sourced after common.sh.
# shellcheck shell=bash disable=SC2154,SC2034

# Debian packages needed to compile the crates.
build_packages=(gcc libc6-dev pkg-config libssl-dev ca-certificates curl)

rustup_server=${RUSTUP_UPDATE_ROOT:-https://static.rust-lang.org/rustup}

# The pinned Rust version. rustup's cargo selects it automatically; without rustup, a newer one works as well.
wanted_rust() {
    sed -n 's/^channel = "\(.*\)"/\1/p' "$project/rust-toolchain.toml"
}

# Makes sure that there is a recent enough `cargo`.
ensure_rust() {
    local wanted
    wanted=$(wanted_rust)
    case :$PATH: in *":$HOME/.cargo/bin:"*) ;; *) PATH=$HOME/.cargo/bin:$PATH ;; esac
    export PATH
    ! cargo_is_new_enough || return 0
    say "installing Rust $wanted with rustup"
    have rustup || { [ "$(debian_codename)" = trixie ] && apt_install rustup; } || install_rustup
    if ! quietly rustup toolchain install "$wanted" --profile minimal --component clippy --component rustfmt; then
        export RUSTUP_TOOLCHAIN=stable
        cargo_is_new_enough || fail "rustup could not install Rust $wanted" "install it or a newer one manually: https://rustup.rs"
        note "rustup failed; using $(cargo --version)"
    fi
    have cargo || fail "rustup has installed Rust $wanted, but there is no cargo" "look for it in ~/.cargo/bin and /usr/bin"
}

# Compiles the release build, unless MAILIMG names the program to use. Sets MAILIMG.
ensure_mailimg() {
    [ -z "${MAILIMG:-}" ] || return 0
    apt_install "${build_packages[@]}"
    ensure_rust
    say "compiling mailimg"
    cargo build --locked --release
    MAILIMG=$project/target/release/mailimg
}

cargo_is_new_enough() {
    local found
    found=$(cd "$project" && cargo --version 2>/dev/null | cut -d' ' -f2) && at_least "$(wanted_rust)" "$found"
}

install_rustup() {
    local installer status=0
    installer=$(mktemp -d)
    # The program acts as the installer because of its name.
    curl --proto '=https' --tlsv1.2 -fsSL --retry 3 -o "$installer/rustup-init" \
        "$rustup_server/dist/$(uname -m)-unknown-linux-gnu/rustup-init" \
        && chmod +x "$installer/rustup-init" \
        && quietly "$installer/rustup-init" -y --no-modify-path --profile minimal --default-toolchain none || status=$?
    rm -rf "$installer"
    [ "$status" = 0 ] || fail "could not install rustup from $rustup_server" \
        "install Rust manually, then run this again: https://rustup.rs, or Debian 13's rustup package"
}

# Whether version $2 is $1 or newer.
at_least() {
    [ "$(printf '%s\n' "$1" "$2" | sort -V | head -n 1)" = "$1" ]
}
