# What the scripts share: find a Python, make a virtual environment, install the project into it. Sourced by bash.

# Hundreds of interpreters start here: each would compile everything anew if compiled code may not be kept.
unset PYTHONDONTWRITEBYTECODE

say() { printf '%s\n' "== $*" >&2; }
die() { printf '%s\n' "$0: $*" >&2; exit 2; }

# beside FILE COMMAND…: run it beside what follows. It prints to FILE.said, and makes FILE.passed if it succeeds.
# It has a process group of its own, so that end_jobs (in a trap on EXIT) ends all of it.
beside() {
    set -m
    { "${@:2}" && touch "$1.passed"; } >"$1.said" 2>&1 </dev/null &
    set +m
}

end_jobs() {
    local job
    for job in $(jobs -p); do
        kill -- "-$job" 2>/dev/null || true
    done
}

# Print the path of a real interpreter that testd's own processes can run on. A name on PATH may be a shim that refuses,
# so each candidate is asked, and answers with the interpreter behind it.
find_python() {
    local candidate answer
    for candidate in ${TESTD_VENV_PYTHON:-} python3 python3.13 python3.12 python3.11 python3.10 python3.14 python \
        "$HOME"/.pyenv/versions/3.1[0-9].*/bin/python; do
        answer=$("$candidate" -I -c 'import os, sys
sys.version_info >= (3, 10) or sys.exit(1)
print(os.path.realpath(getattr(sys, "_base_executable", "") or sys.executable))' 2>/dev/null) || continue
        printf '%s\n' "$answer"
        return
    done
    die "no Python 3.10 or newer found: install one, or name one in TESTD_VENV_PYTHON"
}

is_root_on_debian() { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; }

# install_packages WHY PACKAGE…: with root on Debian or Ubuntu; elsewhere say what is missing.
install_packages() {
    local why=$1
    shift
    if is_root_on_debian; then
        say "installing $* ($why)"
        { apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install "$@"; } \
            >/dev/null 2>&1 || return 1
    else
        return 1
    fi
}

# uv may lack what pip is configured with (an index, certificates): where it fails, pip is tried. --seed: the real suites
# are installed with the environment's pip.
make_with_uv() {
    uv venv --quiet --clear --seed --python "$1" "$venv" &&
        uv pip install --quiet --python "$venv/bin/python" --editable "$root" --group "$root/pyproject.toml:$2"
}

make_with_pip() {
    "$1" -c 'import ensurepip, venv' 2>/dev/null ||
        install_packages "this Python has no venv" python3-venv ||
        die "$1 cannot make virtual environments: install its venv package (Debian: python3-venv)"
    "$1" -m venv --clear "$venv"
    # Dependency groups came with pip 25.1.
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check 'pip>=25.1'
    "$venv/bin/python" -m pip install --quiet --editable "$root" --group "$root/pyproject.toml:$2"
}

# make_environment GROUP: $venv with the project (editable) and this dependency group. Kept while its inputs are the same.
make_environment() {
    local group=$1 python stamp marker
    venv=${TESTD_VENV:-$root/.venv}
    if ! command -v python3 >/dev/null && is_root_on_debian; then
        install_packages "there is no Python" python3 python3-venv || die "apt-get could not install python3"
    fi
    python=$(find_python) || exit 2
    marker=$venv/.testd-$group
    stamp="$python $(cat "$root/pyproject.toml" "$root/protocol/testd_protocol/version.py" | cksum)"
    if [ -x "$venv/bin/testd" ] && [ "$(cat "$marker" 2>/dev/null)" = "$stamp" ]; then
        return
    fi
    say "setting up $venv with $("$python" --version) for $group"
    if ! { command -v uv >/dev/null && make_with_uv "$python" "$group"; }; then
        make_with_pip "$python" "$group"
    fi
    printf '%s' "$stamp" >"$marker"
}
