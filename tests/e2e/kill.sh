#!/usr/bin/env bash
# See kill.py.
set -euo pipefail
exec python3 "$(dirname "$0")/kill.py"
