#!/usr/bin/env bash
# Make the tools that the tests judge by available: archive readers, HTTP clients, proxies, browsers.
#
#   tests/tools.sh           everything
#   tests/tools.sh python    only what `make` needs to create its virtual environment and to build the package
#
# Installs what is missing with apt (as root, or with sudo), then the packages of Node. A tool that is still
# missing afterwards is a failure: a test never skips because of one. Says nothing and takes no time when all is there.
set -euo pipefail
cd "$(dirname "$0")"
PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin" # where Debian keeps nginx, also for a user who is not root

python=${PYTHON:-python3}

has() { command -v "$1" >/dev/null 2>&1; }
has_venv() { "$python" -c 'import ensurepip, venv' >/dev/null 2>&1; }

# Prints "tool package" for each tool that is missing.
missing() {
    has_venv || echo "venv python3-venv"
    has npm || echo "npm npm"
    [ "$1" = python ] && return 0
    has unzip || echo "unzip unzip"
    has 7z || echo "7z p7zip-full"
    has bsdtar || echo "bsdtar libarchive-tools"
    has busybox || echo "busybox busybox"
    has curl || echo "curl curl"
    has wget || echo "wget wget"
    has aria2c || echo "aria2c aria2"
    has openssl || echo "openssl openssl"
    has strace || echo "strace strace"
    has systemd-analyze || echo "systemd-analyze systemd"
    has nginx || echo "nginx nginx-light"
    has caddy || echo "caddy caddy"
    has chromium || echo "chromium chromium"
    has w3m || echo "w3m w3m"
    [ -e /usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc ] || echo "fonts fonts-noto-cjk"
    { has java && has javac; } || echo "java default-jdk-headless"
    has node || echo "node nodejs"
}

# Runs its arguments as root.
as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif [ -t 0 ]; then
        sudo "$@"
    else
        sudo -n "$@"
    fi
}

can_be_root() {
    [ "$(id -u)" = 0 ] && return 0
    has sudo || return 1
    [ -t 0 ] || sudo -n true 2>/dev/null
}

# The tests start their own nginx: apt must not leave a service running, now or at the next boot.
policy=/usr/sbin/policy-rc.d
made_policy=
remove_policy() { [ -z "$made_policy" ] || as_root rm -f "$policy"; }

install_packages() {
    trap remove_policy EXIT
    if [ ! -e "$policy" ]; then
        made_policy=yes
        printf '#!/bin/sh\nexit 101\n' | as_root sh -c "cat >$policy && chmod 755 $policy"
    fi
    local apt=(env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300)
    as_root "${apt[@]}" update
    as_root "${apt[@]}" install -y --no-install-recommends "$@" >/dev/null
    case " $* " in
        *" nginx-light "*) as_root update-rc.d nginx disable >/dev/null 2>&1 || true ;;
    esac
    case " $* " in
        *" caddy "*) as_root systemctl disable caddy >/dev/null 2>&1 || true ;;
    esac
    remove_policy
    trap - EXIT
}

group=${1:-all}
case "$group" in
    all | python) ;;
    *) echo "usage: $0 [python]" >&2; exit 2 ;;
esac

wanted=$(missing "$group")
if [ -n "$wanted" ]; then
    mapfile -t packages < <(cut -d' ' -f2 <<<"$wanted" | sort -u)
    if ! has apt-get || ! can_be_root; then
        echo "Missing: $(cut -d' ' -f1 <<<"$wanted" | paste -sd' ')" >&2
        echo "Install them as root, then try again:  apt-get install ${packages[*]}" >&2
        exit 1
    fi
    echo "Installing: ${packages[*]}"
    install_packages "${packages[@]}"
    hash -r
    wanted=$(missing "$group")
    if [ -n "$wanted" ]; then
        echo "Still missing after the installation of ${packages[*]}: $(cut -d' ' -f1 <<<"$wanted" | paste -sd' ')" >&2
        exit 1
    fi
fi
[ "$group" = all ] || exit 0

# Packages of Node, exactly as its lock file says. The copy of the lock is made last, so it means "complete".
cd node
stamp=node_modules/.installed-lock
exec 9<. # one at a time, if several test runs start together
flock 9
if ! cmp -s package-lock.json "$stamp"; then
    npm ci --ignore-scripts --no-audit --no-fund --loglevel=error </dev/null
    cp package-lock.json "$stamp"
fi
