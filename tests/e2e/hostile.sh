#!/usr/bin/env bash
# See hostile.py.
set -euo pipefail
exec python3 "$(dirname "$0")/hostile.py"
