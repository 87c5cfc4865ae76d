# What every script here needs: where things are, and how a person is told. Sourced by bash, never run.
# Rules: messages go to stderr; the last line of a failure is the command to type.

set -euo pipefail

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv=${VENV:-$top/.venv}
case $venv in /*) ;; *) venv=$top/$venv ;; esac
log=$top/build/setup.log

say() { printf 'libos set-up: %s\n' "$*" >&2; }

# fail TEXT [REMEDY…]: the remedy stands last, on lines of its own.
fail() {
    say "$1"
    shift
    for line in "$@"; do printf '    %s\n' "$line" >&2; done
    exit 1
}

# A user without a passwd entry, or with a HOME that is not his, has no place for caches: the build folder gives one.
usable_home() {
    [ -n "${HOME:-}" ] && [ -d "$HOME" ] && [ -w "$HOME" ] && return
    export HOME=$top/build/home
    unset XDG_CACHE_HOME XDG_CONFIG_HOME XDG_DATA_HOME
    mkdir -p "$HOME"
}

# logged WHAT COMMAND…: quiet while it works; its last lines when it fails.
logged() {
    local what=$1
    shift
    say "$what"
    printf '\n== %s: %s\n' "$what" "$*" >>"$log"
    "$@" >>"$log" 2>&1 </dev/null && return
    say "this step failed: $what. The last lines of $log:"
    tail -n 25 "$log" >&2
    exit 1
}

# How to act as root from here: nothing for root, sudo where it can be used, "no" otherwise.
root_prefix() {
    if [ "$(id -u)" = 0 ]; then
        printf ''
    elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
        printf 'sudo'
    elif command -v sudo >/dev/null && [ -t 0 ] && [ -t 2 ]; then
        printf 'sudo' # it will ask for the password on the terminal
    else
        printf 'no'
    fi
}
