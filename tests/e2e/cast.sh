#!/usr/bin/env bash
# See cast.py.
set -euo pipefail
exec python3 "$(dirname "$0")/cast.py"
