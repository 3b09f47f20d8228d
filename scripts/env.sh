# Sourced by the other scripts: where the tools live, and which Rust builds for the web.
# Everything that is set up for this project alone goes below one folder: remove it and `make test` sets it up again.
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
TOOLS=${EVERWIRE_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/everwire}
PY="$TOOLS/python/bin/python"
# The web build needs this very version of the command line tool: the one that Cargo.lock names.
bindgen_version() { sed -n '/^name = "wasm-bindgen"$/{n;s/version = "\(.*\)"/\1/p;}' "$ROOT/Cargo.lock"; }
WASM_BINDGEN_VERSION=$(bindgen_version)
WASM_PACK_VERSION=0.15.1
export PATH="$TOOLS/wasm-bindgen-$WASM_BINDGEN_VERSION/bin:$TOOLS/wasm-pack-$WASM_PACK_VERSION/bin:$PATH"
export CARGO_TERM_PROGRESS_WHEN=${CARGO_TERM_PROGRESS_WHEN:-never}

# The Chromium to drive: one that is named, else the first one found.
find_chrome() {
  local c
  for c in "${CHROME:-}" chromium chromium-browser google-chrome google-chrome-stable; do
    [ -n "$c" ] && command -v "$c" && return 0
  done
  return 1
}
find_chromedriver() { command -v "${CHROMEDRIVER:-chromedriver}"; }

rustup_has_wasm() { rustup target list --installed 2>/dev/null | grep -qx wasm32-unknown-unknown; }
DEBIAN_WASM_LIB=/usr/lib/rustlib/wasm32-unknown-unknown/lib
debian_has_wasm() {
  [ -f "$DEBIAN_WASM_LIB/built-by" ] && [ "$(cat "$DEBIAN_WASM_LIB/built-by")" = "$(/usr/bin/rustc -V 2>/dev/null)" ] &&
    rustup toolchain list 2>/dev/null | grep -q '^debian'
}

# Runs a command with a toolchain that can build for wasm32.
with_wasm() {
  if rustup_has_wasm; then
    "$@"
  else
    RUSTUP_TOOLCHAIN=debian CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER=wasm-ld-22 "$@"
  fi
}

say() { printf '\033[1m== %s\033[0m\n' "$*" >&2; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }
