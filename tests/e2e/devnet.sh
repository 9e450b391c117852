#!/usr/bin/env bash
# See devnet.py.
set -euo pipefail
exec python3 "$(dirname "$0")/devnet.py"
