# Sourced by ./run, ./test and .ci/run: what a machine needs, and how it gets it.
BUILD_PACKAGES=(gcc libc6-dev pkg-config libasound2-dev)
# mpd, mpc, icecast2 and shairport-sync feed sources in tests, as child processes with configurations of their own; linuxptp's
# ptp4l is the clock of AES67 streams.
TEST_PACKAGES=(ffmpeg icecast2 iproute2 keepalived linuxptp mpc mpd procps shairport-sync)

# Programs of others that play our streams and send us theirs, for tests/tests/interop.rs; none of them starts by itself.
INTEROP_PACKAGES=(
    dbus gstreamer1.0-plugins-bad gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-tools pipewire
    pipewire-bin pulseaudio pulseaudio-utils vlc-bin vlc-plugin-base wireplumber
)

# What .ci/run needs beside, to count instructions.
CI_PACKAGES=(valgrind)

# What ./test --all needs beside. qemu-user has what qemu-user-static lacks: plugins, which count instructions.
ALL_PACKAGES=(lintian mmdebstrap qemu-user systemd-container)

# Installs the Debian packages that are missing, and says which.
need_packages() {
    local missing=() package
    command -v dpkg-query >/dev/null || { echo "not a Debian system: see to it that these are there: $*" >&2; return 0; }
    for package in "$@"; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    echo "Installing ${missing[*]}" >&2
    local as_root=()
    [ "$(id -u)" = 0 ] || as_root=(sudo)
    # One list that a mirror lacks (of another architecture, say) keeps nobody from what the others have.
    "${as_root[@]}" apt-get update -qq || echo "apt-get update: not all lists could be had" >&2
    # Their services are not to start: only the programs are wanted.
    local policy=/usr/sbin/policy-rc.d
    [ -e "$policy" ] && policy=
    [ -z "$policy" ] || printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" install -m 755 /dev/stdin "$policy"
    DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >&2 || local failed=$?
    [ -z "$policy" ] || "${as_root[@]}" rm -f "$policy"
    return "${failed:-0}"
}

need_rust() {
    command -v cargo >/dev/null || PATH="$HOME/.cargo/bin:$PATH"
    command -v cargo >/dev/null || { echo "Rust 1.89 or later is needed: see https://rustup.rs" >&2; exit 2; }
}

# What the page's tests need beside; false, and said loudly, where it can't be had.
need_page() {
    local missing=()
    { command -v node && command -v npm; } >/dev/null || missing+=(nodejs npm)
    command -v chromium >/dev/null || missing+=(chromium)
    if [ ${#missing[@]} -gt 0 ] && ! need_packages "${missing[@]}"; then
        echo "SKIPPED: the page's tests: ${missing[*]} can't be installed" >&2
        return 1
    fi
    [ tests/page/node_modules/.package-lock.json -nt tests/page/package-lock.json ] && return
    if ! npm --prefix tests/page ci --ignore-scripts --no-fund --no-audit --loglevel=error >&2; then
        echo "SKIPPED: the page's tests: npm can't fetch what tests/page/package-lock.json names" >&2
        return 1
    fi
}

# What the interop tests need beside; said loudly where it can't be had. chrony is only unpacked: installed, it would take
# the place of this machine's own time daemon. So is PipeWire 1.4, beside Debian 12's.
need_interop() {
    need_packages "${INTEROP_PACKAGES[@]}" || echo "SKIPPED: interop tests of what is not installed" >&2
    [ -x target/interop/usr/sbin/chronyd ] || command -v chronyd >/dev/null || unpack target/interop "" chrony ||
        echo "SKIPPED: the interop test of chrony: the package can't be had" >&2
    [ -x target/interop/pipewire-1.4/usr/bin/pipewire ] ||
        unpack target/interop/pipewire-1.4 bookworm-backports pipewire-bin libpipewire-0.3-{0,modules} libspa-0.2-modules ||
        echo "SKIPPED: the interop tests of PipeWire 1.4: the packages can't be had" >&2
}

debian_site() { apt-get indextargets --format '$(SITE)' 'Created-By: Packages' 'Label: Debian' 2>/dev/null | head -n 1; }

# Unpacks Debian packages without installing them: of a suite, or of those that apt knows.
unpack() { # DIRECTORY SUITE PACKAGE...
    local directory=$1 suite=$2 place options=()
    shift 2
    place=$(mktemp -d)
    if [ -n "$suite" ]; then
        mkdir -p "$place/lists/partial"
        # From where this machine has Debian's other packages.
        echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $(debian_site) $suite main" >"$place/sources.list"
        options=(-o "Dir::Etc::sourcelist=$place/sources.list" -o Dir::Etc::sourceparts=/dev/null
            -o "Dir::State::lists=$place/lists" -o "Dir::Cache=$place/cache")
    fi
    local failed=0
    {
        chmod 755 "$place" && mkdir -p "$place/debs" "$place/root" &&
            { [ -z "$suite" ] || apt-get "${options[@]}" update -qq; } &&
            (cd "$place/debs" && apt-get "${options[@]}" download -qq "$@") &&
            printf '%s\0' "$place"/debs/*.deb | xargs -0 -I DEB dpkg -x DEB "$place/root" &&
            mkdir -p "$directory" && cp -a "$place/root/." "$directory"
    } >&2 || failed=1
    rm -rf "$place"
    return $failed
}

# The compilers and C libraries for another of Debian's architectures, and what runs its programs here.
need_foreign() { # ARCH
    local gnu=aarch64-linux-gnu added=
    [ "$1" = arm64 ] || gnu=arm-linux-gnueabihf
    local as_root=()
    [ "$(id -u)" = 0 ] || as_root=(sudo)
    if ! dpkg --print-foreign-architectures | grep -qx "$1"; then
        "${as_root[@]}" dpkg --add-architecture "$1"
        added=1
    fi
    need_packages "gcc-$gnu" "libc6-dev-$1-cross" "libasound2-dev:$1" rustc-web libstd-rust-web-dev \
        "libstd-rust-web-dev:$1" qemu-user-static && return
    echo "what builds for $1 can't be had from this machine's Debian mirror" >&2
    # Nothing of it is here, and its lists would be asked for ever after.
    [ -z "$added" ] || "${as_root[@]}" dpkg --remove-architecture "$1" || true
    return 1
}
