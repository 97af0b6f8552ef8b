#!/bin/sh
# Starts StoryGen: finds a supported Python and runs launch.py with it. The options are those of server.py (--help).
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd) || exit 1
is_supported='import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 14))'
for python in python3 python3.13 python3.12 python3.14 python3.11 python3.10 python; do
    if command -v "$python" >/dev/null 2>&1 && "$python" -c "$is_supported" >/dev/null 2>&1; then
        exec "$python" "$here/launch.py" "$@"
    fi
done
echo "StoryGen needs Python 3.10 to 3.14, and found none. Install it from https://www.python.org, then start again." >&2
exit 1
