#!/bin/sh
# Starts StoryGen: finds a Python that fits; launch.py does the rest. Options are those of server.py (--help).
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd) || exit 1
fits='import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 14))'
for python in python3 python3.13 python3.12 python3.14 python3.11 python3.10 python; do
    if command -v "$python" >/dev/null 2>&1 && "$python" -c "$fits" >/dev/null 2>&1; then
        exec "$python" "$here/launch.py" "$@"
    fi
done
echo "StoryGen needs Python 3.10 to 3.14, and none was found; install it from https://www.python.org, then start again." >&2
exit 1
